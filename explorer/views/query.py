"""The image in hand above all tabs, and the strip, search, random pick and upload that change it."""

from pathlib import Path
from typing import Any

import gradio as gr

from ..render.query import image_in_hand, picker
from ..render.selection import selection_chips
from ..services import Services
from ..session import Session, upload_image
from .guard import guarded, in_place, unchanged
from .surface import ASKS_MODEL, SHOWS, WRITES, page_of, send_of, surface

__all__ = ["act_on_query", "query_panel"]

PAGE_SIZE = 12


def query_panel(page: gr.Blocks, services: Services, session: gr.State) -> None:
    """Put the panel here and let it follow the session; it is drawn once ahead, so that the first paint has it."""
    with gr.Row(elem_id="ch-query"):
        hand = surface(_hand(services, session.value, ""), elem_id="ch-hand")
        strip = surface(_strip(services, session.value), elem_id="ch-picker")
    with gr.Column(elem_id="ch-upload"):  # out of sight: the strip's own button opens it, pasted files land in it
        upload = gr.UploadButton("Upload an image", file_count="single", type="filepath")

    @guarded(in_place)
    def show_hand(now: Session, request: gr.Request) -> str:
        return _hand(services, now, request.session_hash or "")

    @guarded(in_place)
    def show_strip(now: Session) -> str:
        return _strip(services, now)

    @guarded(unchanged)
    def act(now: Session, event: gr.EventData) -> Session:
        do, values = send_of(event)
        if do == "random":
            return now.with_image(services.photos.random_image(now.checkpoint, now.image, now.browse, **now.part))
        return act_on_query(now, do, values)

    @guarded(unchanged)
    def receive(now: Session, path: str | None, request: gr.Request) -> Any:
        if not path:
            return gr.skip()
        return now.with_image(upload_image(services.photos.keep_upload(request.session_hash or "", Path(path))))

    changes = [page.load, session.change]
    gr.on(changes, show_hand, session, hand, show_progress="hidden", **ASKS_MODEL)
    gr.on(changes, show_strip, session, strip, show_progress="hidden", concurrency_limit=8, **SHOWS)
    strip.act(act, session, session, **WRITES)
    upload.upload(
        receive,
        [session, upload],
        session,
        concurrency_id="upload",
        concurrency_limit=4,
        show_progress="hidden",
        api_visibility="private",
    )


def _hand(services: Services, session: Session, visitor: str) -> str:
    info = services.info(session.checkpoint)
    photo, cells = services.in_hand(session.checkpoint, visitor, session.image)
    return image_in_hand(photo, cells, info, session.names_or(info.concept_names))


def _strip(services: Services, session: Session) -> str:
    info = services.info(session.checkpoint)
    found = services.photos.strip(session.checkpoint, session.browse, session.browse_page, PAGE_SIZE, **session.part)
    chips = selection_chips(session.names_or(info.concept_names), **session.part)
    megabytes = services.settings.max_upload_bytes // 1_000_000
    return picker(found, session.image, info, megabytes, chips)


def act_on_query(session: Session, do: str, values: dict[str, Any]) -> Session:
    """Return the session after one action on this panel; an unknown action changes nothing."""
    if do == "pick":
        return session.with_image(str(values["image"]))
    if do == "browse":
        return session.replace(browse=str(values.get("search", ""))[:60])
    if do == "turn":
        return session.replace(browse_page=page_of(values))
    if do == "widen":
        return session.widened(str(values["field"]), int(values.get("concept", -1)))
    if do == "widen_all":
        return session.whole_gallery().replace(browse="")
    return session
