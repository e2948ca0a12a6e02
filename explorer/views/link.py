"""The page's link: written into the address as the visitor goes, read from it at load and on back and forward."""

import dataclasses
import json
import math
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gradio as gr

from ..link import KEYS, UPLOADED, Known, is_link, link_of, missing_of, screen_of, sentence_of, session_of
from ..render.link import copy_button, keys_button, link_notice
from ..services import ConceptHashError, Services
from ..session import UPLOAD_PREFIX, Session, upload_image
from .guard import guarded
from .surface import SHOWS, send_of

__all__ = ["TIMED", "LinkBar", "is_late", "known_of", "link_bar", "link_panel", "read_link", "time_of"]

ASSETS = Path(__file__).resolve().parent.parent.parent / "assets"
AT_LOAD = 1  # the number of the restore at page load; those by back and forward count on from there
NO_LINK = -AT_LOAD  # instead of it where there was nothing to restore, so that nothing done meanwhile is late
TIMED = "(now, seen, ...more) => [now, JSON.stringify({ ...JSON.parse(seen), time: performance.now() }), ...more]"
UNREAD = "This link could not be read. Your selection is kept."


@dataclass(frozen=True)
class LinkBar:
    """The pieces of the link on the page; ``bar`` knows in the browser, ``restored`` here, what was restored last."""

    bar: gr.HTML
    notice: gr.HTML
    restored: gr.State


def link_bar() -> LinkBar:
    """Put the buttons of the header here; the caller renders the notice where it belongs."""
    bar = gr.HTML(json.dumps({"number": 0}), html_template=copy_button(KEYS), **_piece("link", "link.js"))
    gr.HTML(keys_button(), **_piece("keys", "keys.js"))
    told = '<div role="status" aria-live="polite">${value}</div>'
    notice = gr.HTML("", html_template=told, elem_id="ch-link-notice", apply_default_css=False, render=False)
    return LinkBar(bar, notice, gr.State(0))


def link_panel(page: gr.Blocks, services: Services, session: gr.State, tabs: gr.Tabs, link: LinkBar) -> None:
    """Let the address follow the session, and the session the address.

    Every restore has a number, and whatever is told to the browser bears the newest one, so that it can leave aside
    what was answered before the visitor went back once more.
    """

    def restore(now: Session, event: gr.EventData, request: gr.Request) -> Any:
        _, values = send_of(event)
        is_first = "query" not in values
        query = str(request.query_params if is_first else values["query"])
        number = AT_LOAD if is_first or not isinstance(values.get("number"), int) else values["number"]
        if is_first and not is_link(query):
            return gr.skip(), NO_LINK, gr.skip(), _told(services, now, number, is_answer=True), gr.skip()
        read = read_or_none(now, query, str(values.get("upload", "")), request.session_hash or "")
        new, sentence = read or (now, UNREAD)
        told = _told(services, new, number, is_answer=True)
        return new, number, gr.Tabs(selected=new.tab), told, link_notice(sentence)

    @guarded(lambda message: None)
    def read_or_none(now: Session, query: str, upload: str, visitor: str) -> tuple[Session, str]:
        return read_link(services, now, query, upload, visitor)

    def show(now: Session, number: int) -> str:
        return _told(services, now, abs(number))

    outputs = [session, link.restored, tabs, link.bar, link.notice]
    for listen in (page.load, link.bar.act):  # "multiple": "always_last" would repeat the event of the first call
        listen(
            restore,
            session,
            outputs,
            concurrency_id="link",
            concurrency_limit=4,
            show_progress="hidden",
            trigger_mode="multiple",
            api_visibility="private",
        )
    session.change(show, [session, link.restored], link.bar, concurrency_limit=8, show_progress="hidden", **SHOWS)


def read_link(services: Services, now: Session, query: str, upload: str, visitor: str) -> tuple[Session, str]:
    """Return the session a query describes, and a sentence on what in it could not be used.

    What no link carries is kept where the visitor still has it: the uploaded image of that screen (``upload`` is its
    content hash, which only this browser remembers), and the names of the concepts of the same model.
    """
    new, problems = session_of(query, lambda name: known_of(services, name), services.default_model)
    if UPLOADED in problems:
        image = upload_image(upload) if re.fullmatch(r"[0-9a-f]{32}", upload) else now.image
        if image.startswith(UPLOAD_PREFIX) and _is_kept(services, new.checkpoint, visitor, image):
            new = dataclasses.replace(new, image=image)
            problems = tuple(problem for problem in problems if problem != UPLOADED)
    if new.tab == "train" and not services.settings.may_train:
        new = dataclasses.replace(new, tab="explain")
    if now.checkpoint == new.checkpoint:
        new = dataclasses.replace(new, names=now.names)
    return new, sentence_of(problems)


def known_of(services: Services, name: str) -> Known | None:
    """Return what a link may name of a model, loading it where needed; None where there is no such model."""
    if name not in services.model_names:
        return None
    try:
        info = services.info(name)
    except ConceptHashError:
        return None
    gallery = services.photos.shown_gallery(name).gallery
    return Known(
        model=name,
        first_image=services.photos.first_image(name).partition(":")[2],
        has_image=lambda image: gallery.row_of(image) is not None,
        n_images=len(gallery),
        n_concepts=info.n_concepts,
        n_bits=info.n_bits,
        n_blocks=info.n_blocks,
        classes=info.class_names,
        families=info.family_names,
        values=tuple(f"{column}={value}" for column, values in info.facet_values for value in values if value),
        centers=services.models.checkpoint(name).class_names,
    )


def is_late(seen: str, restored: int) -> bool:
    """Tell whether the browser that last saw ``seen`` had not yet been told of the newest restored address."""
    return _number(seen, "number", restored) < restored


def time_of(seen: str) -> float:
    """Return the milliseconds that the page had been there when `TIMED` sent ``seen``, 0 where it did not."""
    return _number(seen, "time", 0.0)


def _number(seen: str, name: str, otherwise: float) -> float:
    """Read what the browser says of itself, which is not trusted to be anything."""
    try:
        number = float(json.loads(seen)[name])
    except (ValueError, TypeError, KeyError, OverflowError):
        return otherwise
    return number if math.isfinite(number) else otherwise


def _told(services: Services, session: Session, number: int, *, is_answer: bool = False) -> str:
    """Tell the browser the link of a session, as JSON; ``is_answer`` makes it correct the address, never add one."""
    known = known_of(services, session.checkpoint)
    upload = session.image.removeprefix(UPLOAD_PREFIX) if session.image.startswith(UPLOAD_PREFIX) else ""
    told = {
        "link": link_of(session, known) if known else "",
        "screen": screen_of(session),
        "upload": upload,
        "without": missing_of(session, known) if known else "",
        "number": number,
        "answer": is_answer,
    }
    return json.dumps(told)


def _is_kept(services: Services, checkpoint: str, visitor: str, image: str) -> bool:
    try:
        return services.photos.pixels(checkpoint, visitor, image).size > 0
    except ConceptHashError:
        return False


def _piece(name: str, script: str) -> dict[str, Any]:
    """Return what a small piece of the header is made with."""
    return {
        "js_on_load": (ASSETS / script).read_text(encoding="utf-8"),
        "elem_id": f"ch-{name}",
        "apply_default_css": False,
        "scale": 0,
        "min_width": 36,
    }
