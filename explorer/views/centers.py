"""The Centers tab: the class centers by family, random, learned and language-guided; a dot opens its class."""

from typing import Any

import gradio as gr

from ..api import Api, call_of
from ..center_records import CenterMap
from ..render.center_plot import CLASS_KEY, center_figure
from ..render.centers import center_controls, center_measures, class_card, waiting
from ..render.code import code_panel
from ..services import ConceptHashError
from ..session import GALLERY_PREFIX, Session
from .guard import guarded, in_place, unchanged
from .plot import plot
from .surface import SHOWS, WRITES, send_of, surface

__all__ = ["act_on_centers", "centers_tab"]

CHOICES = {"projection": ("tsne", "pca"), "grouping": ("name", "taxonomy")}
TOGGLES = ("overlay", "links")


def centers_tab(page: gr.Blocks, api: Api, session: gr.State, tabs: gr.Tabs) -> None:
    """Put the tab's content here and let it follow the session."""
    controls = surface(waiting(), elem_id="ch-centerbar")
    with gr.Row(elem_id="ch-centers"):
        picture = plot("null", height=670, elem_id="ch-centerplot")
        card = surface(elem_id="ch-classcard")
    measures = surface(elem_id="ch-measures")

    @guarded(lambda message: (in_place(message), "null", "", ""))
    def show(now: Session) -> Any:
        if now.tab != "centers":
            return gr.skip(), gr.skip(), gr.skip(), gr.skip()
        return _content(api, now)

    @guarded(unchanged)
    def act(now: Session, event: gr.EventData) -> Any:
        do, values = send_of(event)
        shown = _picture(api, now)
        new = act_on_centers(now, shown, do, values)
        return new, gr.Tabs(selected=new.tab) if new.tab != now.tab else gr.skip()

    gr.on(
        [page.load, session.change],
        show,
        session,
        [controls, picture, card, measures],
        concurrency_id="centers",
        concurrency_limit=2,
        show_progress="minimal",
        **SHOWS,
    )
    for part in (controls, picture, card):
        part.act(act, session, [session, tabs], **WRITES)


def act_on_centers(session: Session, shown: CenterMap, do: str, values: dict[str, Any]) -> Session:
    """Return the session after one action on this tab; an unknown action changes nothing."""
    if do == "show":
        name, value = str(values["name"]), str(values["value"])
        return session.replace(**{name: value}) if value in CHOICES.get(name, ()) else session
    if do == "toggle":
        name = str(values["name"])
        return session.replace(**{name: int(bool(values["value"]))}) if name in TOGGLES else session
    if do == "center":
        name = str(values["name"])
        return session.replace(center=name) if name in ("", *shown.class_names) else session
    if do == "point":
        return _with_point(session, shown, str(values["key"]))
    if do == "lasso":
        return session.replace(classes=_enclosed(shown, values["keys"]))
    if do in ("look", "match"):
        new = session.replace(classes=(str(values["name"]),), family="", patterns=(), where=())
        return new.replace(tab="match") if do == "match" else new
    if do == "clear":
        return session.replace(classes=())
    if do == "pick":
        return session.with_image(str(values["image"]))
    return session


def _with_point(session: Session, shown: CenterMap, key: str) -> Session:
    """Choose the class of a clicked dot, or take the clicked image in hand."""
    if key.startswith(GALLERY_PREFIX):
        return session.with_image(key)
    name = key.removeprefix(CLASS_KEY)
    return session.replace(center=name) if name in shown.class_names else session


def _enclosed(shown: CenterMap, keys: list[Any]) -> tuple[str, ...]:
    """Return what the gallery calls the classes of enclosed dots.

    Raises
    ------
    ConceptHashError
        If it has an image of none of them.
    """
    names = {str(key).removeprefix(CLASS_KEY) for key in keys if str(key).startswith(CLASS_KEY)}
    pairs = [pair for pair in zip(shown.class_names, shown.gallery_classes, strict=True) if pair[0] in names]
    found = tuple(own for _, own in pairs if own)
    if pairs and not found:
        which = "that class" if len(pairs) == 1 else f"those {len(pairs)} classes"
        raise ConceptHashError(f"This gallery has no image of {which}; draw around other dots.")
    return found


def _content(api: Api, now: Session) -> tuple[str, str, str, str]:
    services = api.services
    info, shown = services.info(now.checkpoint), _picture(api, now)
    center = now.center if now.center in shown.class_names else ""
    detail = services.centers.detail(now.checkpoint, center, shown.grouping) if center else None
    n_images = detail.n_images if detail else 0
    images = services.centers.images(now.checkpoint, center, now.projection) if now.overlay and n_images else None
    chosen = _chosen(shown, now.classes)
    bar = center_controls(
        shown, center=center, chosen=now.classes, overlay=bool(now.overlay), links=bool(now.links), n_images=n_images
    )
    figure = center_figure(shown, center=center, chosen=chosen, links=bool(now.links), images=images)
    call = call_of("centers", checkpoint=now.checkpoint, projection=now.projection, grouping=now.grouping)
    return (
        bar,
        figure,
        class_card(detail, info, now.names_or(info.concept_names)),
        center_measures(shown) + code_panel(call),
    )


def _picture(api: Api, now: Session) -> CenterMap:
    return api.centers(now.checkpoint, now.projection, now.grouping)  # type: ignore[arg-type]


def _chosen(shown: CenterMap, classes: tuple[str, ...]) -> frozenset[str]:
    """Return the model's classes whose images the session has chosen."""
    wanted = set(classes) - {""}
    return frozenset(name for name, own in zip(shown.class_names, shown.gallery_classes, strict=True) if own in wanted)
