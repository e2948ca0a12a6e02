"""The Explain tab: what each concept of the image in hand looks at, and what it wrote."""

import dataclasses
import json
from typing import Any

import gradio as gr

from ..api import Api, call_of
from ..records import MapControls, ModelInfo
from ..render.code import code_panel
from ..render.explain import explanation_page, guide, nothing_chosen
from ..session import Session
from .guard import guarded, in_place, unchanged
from .surface import ASKS_MODEL, WRITES, send_of, surface

__all__ = ["act_on_explain", "controls_of", "explain_tab"]

CHOICES = {"method": ("rollout", "raw", "gradient"), "head_fusion": ("mean", "max", "min")}


def explain_tab(page: gr.Blocks, api: Api, session: gr.State, tabs: gr.Tabs) -> None:
    """Put the tab's content here and let it follow the session."""
    services = api.services
    surface(guide())
    panel = surface(elem_id="ch-explain")

    @guarded(in_place)
    def show(now: Session, request: gr.Request) -> Any:
        if now.tab != "explain":
            return gr.skip()
        if not now.image:
            return nothing_chosen()
        info, visitor = services.info(now.checkpoint), request.session_hash or ""
        controls = controls_of(now)
        explanation = api.explain(now.image, now.checkpoint, visitor=visitor, **dataclasses.asdict(controls))
        bit = services.explain.bit(now.checkpoint, visitor, now.image, now.bit) if now.bit >= 0 else None
        names = now.names_or(info.concept_names)
        content = explanation_page(explanation, info, names, controls, concept=now.concept, bit_view=bit)
        call = call_of("explain", image=now.image, checkpoint=now.checkpoint, **dataclasses.asdict(controls))
        return content + code_panel(call)

    @guarded(unchanged)
    def act(now: Session, event: gr.EventData) -> Any:
        do, values = send_of(event)
        new = act_on_explain(now, services.info(now.checkpoint), do, values)
        if do in ("rename", "names"):
            new = new.replace(names=services.models.rename(now.checkpoint, new.names))
        return new, gr.Tabs(selected=new.tab) if new.tab != now.tab else gr.skip()

    gr.on([page.load, session.change], show, session, panel, show_progress="minimal", **ASKS_MODEL)
    panel.act(act, session, [session, tabs], **WRITES)


def controls_of(session: Session) -> MapControls:
    """Return the map controls a session holds."""
    return MapControls(
        session.method, session.last_k, session.head_fusion, session.residual / 100, session.discard / 100
    )


def act_on_explain(session: Session, info: ModelInfo, do: str, values: dict[str, Any]) -> Session:
    """Return the session after one action on this tab; an unknown action changes nothing."""
    if do == "concept":
        concept = int(values["concept"])
        return session.replace(concept=-1 if concept >= info.n_concepts else concept, bit=-1)
    if do == "bit":
        bit = int(values["bit"])
        if not 0 <= bit < info.n_bits:
            return session.replace(bit=-1)
        return session.replace(bit=bit, concept=bit // info.bits_per_concept)
    if do == "match":
        radius = min(int(values.get("radius", 0)), info.bits_per_concept)
        return session.only_concept(int(values["concept"]), info.n_concepts, radius)
    if do == "control":
        return _control(session, str(values["name"]), values["value"])
    if do == "rename":
        names = session.names_or(info.concept_names)
        return session.with_name(int(values["concept"]), names, str(values["name"]))
    if do == "names":
        return session.replace(names=names_in(str(values["text"])))
    return session


def names_in(content: str) -> tuple[str, ...]:
    """Return the names in an exported file: JSON with a list ``names``; nothing where it is something else."""
    try:
        names = json.loads(content)["names"]
    except (ValueError, KeyError, TypeError):
        return ()
    return tuple(str(name) for name in names) if isinstance(names, list) else ()


def _control(session: Session, name: str, value: Any) -> Session:
    if name in CHOICES:
        return session.replace(**{name: value}) if value in CHOICES[name] else session
    limits = {"last_k": 1000, "residual": 95, "discard": 95}
    if name not in limits:
        return session
    return session.replace(**{name: min(max(int(value), 0), limits[name])})
