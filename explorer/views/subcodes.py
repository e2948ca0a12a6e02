"""The Sub-codes tab: images by the bits of one concept, and what turning a bit would change."""

from typing import Any

import gradio as gr

from ..api import Api, call_of
from ..records import ModelInfo
from ..render.code import code_panel
from ..render.download import download_link
from ..render.explain import nothing_chosen
from ..render.figure import FIGURE_TYPES, cells_figure
from ..render.flip import flip_page
from ..render.plane import plane_figure
from ..render.subcodes import subcodes_page
from ..services import Services
from ..session import Session
from ..subcode_records import Plane
from .guard import guarded, in_place, unchanged
from .plot import plot
from .surface import ASKS_MODEL, WRITES, page_of, send_of, surface

__all__ = ["act_on_subcodes", "subcodes_tab"]

CHOICES = {"view": ("cells", "scatter", "dictionary"), "layout": ("paper", "poster")}


def subcodes_tab(page: gr.Blocks, api: Api, session: gr.State, tabs: gr.Tabs) -> None:
    """Put the tab's content here and let it follow the session."""
    services = api.services
    panel = surface(elem_id="ch-subcodes")
    plane = plot("null", elem_id="ch-plane")
    flip = surface(elem_id="ch-flip")
    file = surface()

    @guarded(lambda message: (in_place(message), "null", ""))
    def show(now: Session, request: gr.Request) -> Any:
        if now.tab != "subcodes":
            return gr.skip(), gr.skip(), gr.skip()
        if not now.image:
            return nothing_chosen(), "null", ""
        return _content(api, now, request.session_hash or "")

    @guarded(unchanged)
    def act(now: Session, event: gr.EventData) -> Any:
        do, values = send_of(event)
        info = services.info(now.checkpoint)
        if do == "axis":
            new = _with_axis(services, now, int(values["which"]), int(values["value"]))
        else:
            new = act_on_subcodes(now, info, do, values)
        return new, gr.Tabs(selected=new.tab) if new.tab != now.tab else gr.skip()

    @guarded(unchanged)
    def export(now: Session, event: gr.EventData, request: gr.Request) -> Any:
        do, values = send_of(event)
        kind = str(values.get("kind", ""))
        if do != "export" or kind not in FIGURE_TYPES:
            return gr.skip()
        return _exported(services, now, request.session_hash or "", kind)

    gr.on([page.load, session.change], show, session, [panel, plane, flip], show_progress="minimal", **ASKS_MODEL)
    for part in (panel, plane, flip):
        part.act(act, session, [session, tabs], **WRITES)
    panel.act(
        export, session, file, concurrency_id="export", concurrency_limit=2, show_progress="minimal",
        show_progress_on=panel, api_visibility="private",
    )  # fmt: skip


def act_on_subcodes(session: Session, info: ModelInfo, do: str, values: dict[str, Any]) -> Session:
    """Return the session after one action on this tab; an unknown action changes nothing."""
    if do == "concept":
        concept = min(max(int(values["concept"]), 0), info.n_concepts - 1)
        return session.replace(concept=concept, axes=(), bit=-1)
    if do == "show":
        name, value = str(values["name"]), str(values["value"])
        return session.replace(**{name: value}) if value in CHOICES.get(name, ()) else session
    if do == "window":
        return session.replace(window=min(max(int(values["value"]), 15), 100))
    if do == "cell":
        return session.with_pattern(concept_of(session, info), info.n_concepts, str(values["pattern"]))
    if do == "clear":
        return session.replace(patterns=())
    if do == "search":
        return session.replace(tab="match")
    if do == "codes":
        return session.replace(dictionary_page=page_of(values))
    if do == "flip":
        bit = int(values["bit"])
        return session.with_flip(bit) if 0 <= bit < info.n_bits else session
    if do == "unflip":
        return session.replace(flips=())
    if do in ("pick", "point"):
        image = str(values["image"] if do == "pick" else values["key"])
        return session.with_image(image) if image.startswith("gallery:") else session
    return session


def view_of(session: Session, info: ModelInfo) -> str:
    """Return the view a session asks for; a sub-code of one bit spans no plane."""
    view = session.view or "cells"
    return "cells" if view == "scatter" and info.bits_per_concept < 2 else view


def concept_of(session: Session, info: ModelInfo) -> int:
    """Return the concept that is shown; the first where all of them are selected."""
    return min(max(session.concept, 0), info.n_concepts - 1)


def _content(api: Api, now: Session, visitor: str) -> tuple[str, str, str]:
    services = api.services
    info = services.info(now.checkpoint)
    names, concept = now.names_or(info.concept_names), concept_of(now, info)
    view: Any = view_of(now, info)
    axes = services.subcodes.axes(now.checkpoint, concept, now.axes)
    if view == "scatter" and len(axes) != 2:
        axes = services.subcodes.telling(now.checkpoint, concept)
    asked: dict[str, Any] = {"concept": concept, "checkpoint": now.checkpoint, "view": view, "axes": axes}
    asked |= {"image": now.image, "page": now.dictionary_page}
    shown = api.subcodes(**asked, visitor=visitor)
    content = subcodes_page(
        shown, info, names, view=view, layout=now.layout, axes=axes, window=now.window, patterns=now.patterns
    )
    figure = plane_figure(shown, now.layout) if isinstance(shown, Plane) else "null"
    call = call_of("subcodes", **asked)
    own = [bit for bit in now.flips if bit // info.bits_per_concept == concept]
    flip = api.flip(now.image, concept, own, now.checkpoint, visitor=visitor)
    turned = call_of("flip", image=now.image, concept=concept, bits=tuple(own), checkpoint=now.checkpoint)
    return content + code_panel(call), figure, flip_page(flip, names) + code_panel(turned)


def _with_axis(services: Services, now: Session, which: int, value: int) -> Session:
    """Choose one of the two bits; the other stays, and the two change places where both would be the same."""
    if value < 0:
        return now.replace(axes=())
    pair = list(now.axes if len(now.axes) == 2 else services.subcodes.telling(now.checkpoint, now.concept))
    if value == pair[1 - which]:
        pair[1 - which] = pair[which]
    pair[which] = value
    return now.replace(axes=tuple(pair))


def _exported(services: Services, now: Session, visitor: str, kind: str) -> str:
    info = services.info(now.checkpoint)
    concept = concept_of(now, info)
    axes = services.subcodes.axes(now.checkpoint, concept, now.axes)
    grid = services.subcodes.grid(now.checkpoint, visitor, now.image, concept, axes)
    crops = services.crops.of_grid(now.checkpoint, grid, now.window / 100)
    name = now.names_or(info.concept_names)[concept]
    bits = ", ".join(str(bit) for bit in grid.bits)
    sample = "a sample of " if grid.n_gallery < info.n_gallery else ""
    title = f"{name} of {info.name}: bits {bits} over {sample}{grid.n_gallery:,} images"
    content = cells_figure(grid, crops, title, now.layout, kind)
    return download_link(content, f"{info.name}-concept-{concept + 1}.{kind}", FIGURE_TYPES[kind])
