"""The Train tab: a model of the visitor's own classes in four steps, and a run that goes on when the page is closed."""

from dataclasses import replace
from typing import Any

import gradio as gr

from ..services import Services
from ..session import Session
from ..training_records import Plan
from .guard import guarded, in_place, unchanged
from .surface import SHOWS, WRITES, send_of
from .train_draft import Draft, act_on_draft
from .train_files import receive_images
from .train_models import Opened, TrainMemory, hand_over_models
from .train_pages import Reports, is_ready, look_at, minutes_of
from .train_parts import train_parts

__all__ = ["act_on_train", "train_tab"]

TRAIN: dict[str, Any] = SHOWS | {"concurrency_id": "train", "concurrency_limit": 4, "show_progress": "hidden"}
NOT_STARTED = "The images are not ready to train on; see step Data."


def train_tab(page: gr.Blocks, services: Services, session: gr.State, tabs: gr.Tabs, memory: TrainMemory) -> None:
    """Put the tab's content here and let it follow the session and what the visitor enters."""
    parts = train_parts()
    draft = gr.State(new_draft(services))
    reports, found = gr.State({}), gr.State(0)  # by source; and a number that grows with every check
    measured = gr.State((None, None))  # (plan, minutes)
    seen = gr.State(("", -1))  # the maps on the page

    everything: list[Any] = [
        parts.top,
        parts.data,
        parts.plan,
        parts.estimate,
        parts.run,
        parts.frames,
        parts.log,
        parts.result,
    ]
    everything += [parts.detail, parts.file, seen, parts.timer, parts.stopwatch]

    @guarded(lambda message: _nothing(message, len(everything)))
    def show(now: Session, drafted: Draft, told: Reports, known: Any, request: gr.Request) -> Any:
        if now.tab != "train":
            return [gr.skip()] * (len(everything) - 2) + [gr.Timer(active=False)] * 2
        look = look_at(services, drafted, told, request.session_hash or "")
        return [
            look.top(), look.data(), look.plan(), look.estimate(known), look.run(), look.frames(), look.log(),
            look.result(), look.detail(), gr.skip() if look.open == "result" else "", look.frames_shown,
            gr.Timer(active=look.is_live), gr.Timer(active=look.must_measure(known)),
        ]  # fmt: skip

    @guarded(lambda message: _nothing(message, 7))
    def tick(now: Session, drafted: Draft, told: Reports, shown: Any, request: gr.Request) -> Any:
        look = look_at(services, drafted, told, request.session_hash or "")
        frames = gr.skip() if look.frames_shown == shown else look.frames()
        result = gr.skip() if look.open == "result" else look.result()
        timer = gr.skip() if look.is_live and now.tab == "train" else gr.Timer(active=False)
        return look.top(), look.run(), frames, look.log(), result, look.frames_shown, timer

    @guarded(lambda message: (gr.skip(), gr.skip(), gr.skip()))
    def measure(now: Session, drafted: Draft, told: Reports, known: Any, request: gr.Request) -> Any:
        visitor = request.session_hash or ""
        look = look_at(services, drafted, told, visitor)
        if now.tab != "train" or not look.must_measure(known):
            return gr.skip(), gr.skip(), gr.Timer(active=False)
        plan = look.plan_to_run
        known = plan, minutes_of(services, visitor, plan)
        if known[1] is None:
            return gr.skip(), look.estimate(known), gr.skip()
        return known, look.estimate(known), gr.Timer(active=False)

    @guarded(lambda message: (unchanged(message), gr.skip(), gr.skip()))
    def act(
        now: Session, drafted: Draft, told: Reports, opened: Opened, event: gr.EventData, request: gr.Request
    ) -> Any:
        do, values = send_of(event)
        new = act_on_train(services, drafted, told, request.session_hash or "", do, values)
        if do != "delete":
            return new, gr.skip(), gr.skip()
        gone = [model for token, _, model in opened if token == drafted.run]
        left = tuple(one for one in opened if one[0] != drafted.run)
        return new, left, _elsewhere(services, now) if now.checkpoint in gone else gr.skip()

    asked = [session, draft, reports, measured]
    shows = gr.on([session.change, draft.change, found.change], show, asked, everything, **TRAIN)
    ticked = [parts.top, parts.run, parts.frames, parts.log, parts.result, seen, parts.timer]
    parts.timer.tick(tick, [session, draft, reports, seen], ticked, **TRAIN)
    estimated = [measured, parts.estimate, parts.stopwatch]
    for again in (shows.then, parts.stopwatch.tick):
        again(measure, asked, estimated, **(TRAIN | {"concurrency_id": "estimate"}))
    acted = {
        part: part.act(act, [session, draft, reports, memory.mine], [draft, memory.mine, session], **WRITES)
        for part in parts.surfaces
    }
    receive_images(services, parts, draft, reports, found, acted[parts.data])
    hand_over_models(page, services, parts, session, tabs, draft, memory)


def new_draft(services: Services) -> Draft:
    """Return what a new visitor finds entered."""
    starts = services.training.starts()
    start = services.default_model if services.default_model in starts else starts[0]
    return Draft(Plan("", start))


def act_on_train(
    services: Services, draft: Draft, reports: Reports, visitor: str, do: str, values: dict[str, Any]
) -> Draft:
    """Return the draft after one action on this tab; those on runs are passed on to the service first."""
    training = services.training
    if do == "start" and draft.step == "plan":  # a second click finds another step
        report = reports.get(draft.source)
        if not is_ready(report) or report is None:
            gr.Warning(NOT_STARTED, title="Not done")
            return draft
        named = draft if draft.name else draft.replace(name="my model")
        plan = replace(draft.plan, intake=report.intake)
        return named.with_run(training.start(visitor, plan, named.name))
    if do in ("stop", "resume") and draft.run:
        (training.stop if do == "stop" else training.resume)(draft.run)
        return draft.replace(turn=draft.turn + 1)
    if do == "delete" and draft.run and draft.deleting == draft.run:
        training.delete(draft.run)
        return draft.without_run(draft.run)
    languages = [value for value, _ in training.languages()]
    return act_on_draft(draft, do, values, training.starts(), languages)


def _elsewhere(services: Services, session: Session) -> Session:
    """Leave a model that is gone."""
    name = services.default_model
    return session.with_checkpoint(name).replace(image=services.photos.image_or_first(name, session.image))


def _nothing(message: str, n_outputs: int) -> list[Any]:
    """Show the message above the steps, which stay as they are."""
    return [in_place(message)] + [gr.skip()] * (n_outputs - 1)
