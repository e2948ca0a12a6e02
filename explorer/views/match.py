"""The Match tab: which concepts must agree with the image in hand, and the images for which they do."""

import dataclasses
from typing import Any

import gradio as gr

from ..api import Api, call_of
from ..api_records import Call
from ..api_types import WORDS
from ..records import MatchResult, ModelInfo
from ..render.code import code_panel
from ..render.explain import nothing_chosen
from ..render.markup import notice
from ..render.match import match_page
from ..session import DIFFER, IGNORE, Session
from .guard import guarded, in_place, unchanged
from .surface import ASKS_MODEL, WRITES, page_of, send_of, surface

__all__ = ["act_on_match", "match_tab"]

_WORDS = {number: word for word, number in WORDS.items()}
RANKS = ("hamming", "weighted", "none")
GONE = (
    "An image that a concept was held to is no longer kept here, so the image in hand stands in its place; upload it "
    "again to hold the concept to it."
)


def match_tab(page: gr.Blocks, api: Api, session: gr.State, tabs: gr.Tabs) -> None:
    """Put the tab's content here and let it follow the session."""
    services = api.services
    panel = surface(elem_id="ch-match")

    @guarded(in_place)
    def show(now: Session, request: gr.Request) -> Any:
        if now.tab != "match":
            return gr.skip()
        if not now.image:
            return nothing_chosen()
        info = services.info(now.checkpoint)
        names = now.names_or(info.concept_names)
        rules = rules_of(now, info)
        visitor = request.session_hash or ""
        kept = tuple(pin if services.photos.kept(visitor, pin) else "" for pin in now.pins)
        said = notice(GONE) if kept != now.pins else ""
        now = dataclasses.replace(now, pins=kept)
        result, call = _answer(api, now, rules, names, visitor)
        pins = services.photos.pins(now.checkpoint, visitor, now.pins)
        return said + match_page(result, info, names, pins=pins, **rules) + code_panel(call)

    @guarded(unchanged)
    def act(now: Session, event: gr.EventData) -> Any:
        new = act_on_match(now, services.info(now.checkpoint), *send_of(event))
        return new, gr.Tabs(selected=new.tab) if new.tab != now.tab else gr.skip()

    gr.on([page.load, session.change], show, session, panel, show_progress="minimal", **ASKS_MODEL)
    panel.act(act, session, [session, tabs], **WRITES)


def rules_of(session: Session, info: ModelInfo) -> dict[str, Any]:
    """Return the question a session asks, filled up to one rule per concept."""
    m = info.n_concepts
    return {
        "agree": session.agree if len(session.agree) == m else (IGNORE,) * m,
        "weights": session.weights if len(session.weights) == m else (10,) * m,
        "rank": session.rank,
        **session.part,
    }


def question_of(rules: dict[str, Any]) -> dict[str, Any]:
    """Return the same question as the public function takes it: rules in words, weights as they are, not in tenths."""
    agree = tuple(_WORDS.get(rule, rule) for rule in rules["agree"])
    weights = tuple(weight / 10 for weight in rules["weights"]) if rules["rank"] == "weighted" else ()
    return rules | {"agree": agree if {*agree} - {"ignore"} else (), "weights": weights}


def parts_of(session: Session, agree: tuple[int, ...]) -> list[dict[str, Any]]:
    """Return the asked concepts with the images they take their sub-codes from; nothing where that is one image."""
    images = [pin or session.image for pin in session.pins or ("",) * len(agree)]
    asked = [(m, images[m], rule) for m, rule in enumerate(agree) if rule != IGNORE]
    if all(image == session.image for _, image, _ in asked):
        return []
    return [
        {"image": image, "concept": m} | ({"radius": rule} if rule > 0 else {"differs": True} if rule == DIFFER else {})
        for m, image, rule in asked
    ]


def _answer(
    api: Api, now: Session, rules: dict[str, Any], names: tuple[str, ...], visitor: str
) -> tuple[MatchResult, Call]:
    asked: dict[str, Any] = {"image": now.image, "checkpoint": now.checkpoint, "page": now.page}
    parts = parts_of(now, rules["agree"])
    if parts:
        asked |= now.part | {"parts": parts}
        return api.compose(**asked, visitor=visitor), call_of("compose", **asked)
    asked |= question_of(rules)
    return api.match(**asked, visitor=visitor, names=names), call_of("match", **asked)


def act_on_match(session: Session, info: ModelInfo, do: str, values: dict[str, Any]) -> Session:
    """Return the session after one action on this tab; an unknown action changes nothing."""
    m = info.n_concepts
    if do == "rule":
        radius = min(int(values["radius"]), info.bits_per_concept)
        return session.with_rule(int(values["concept"]), m, radius)
    if do == "all":
        return session.replace(agree=(max(IGNORE, int(values["radius"])),) * m)
    if do == "pin":
        return session.with_pin(int(values["concept"]), m, session.image if values.get("keep") else "")
    if do == "weight":
        return session.with_weight(int(values["concept"]), m, int(values["value"]))
    if do == "rank":
        return session.replace(rank=values["value"]) if values["value"] in RANKS else session
    if do == "filter":
        return _filtered(session, info, str(values["name"]), str(values["value"]))
    if do == "unfilter":
        return session.whole_gallery()
    if do == "relax":
        new = session.replace(agree=tuple(int(r) for r in values["agree"])[:m])
        return new if values.get("keeps_filter") else new.whole_gallery()
    if do == "page":
        return session.replace(page=page_of(values))
    if do == "pick":
        return session.with_image(str(values["image"]))
    if do == "explain":
        return session.with_image(str(values["image"])).replace(tab="explain")
    return session


def _filtered(session: Session, info: ModelInfo, column: str, value: str) -> Session:
    """Look only at images with one value of a column, with any one for an empty text."""
    if column == "family":
        return session.replace(family=value)
    if column == "class":
        return session.replace(classes=(value,) if value else ())
    is_known = value in ("", *dict(info.facet_values).get(column, ()))
    return session.with_value(column, value) if is_known else session
