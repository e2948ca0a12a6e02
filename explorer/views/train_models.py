"""What becomes of a finished run: opened on every tab, downloaded as a zip, and remembered by the browser."""

import json
import uuid
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gradio as gr

from ..render.train_result import download_line
from ..services import ConceptHashError, Services
from ..session import Session
from .guard import guarded, in_place, unchanged
from .surface import send_of
from .train_draft import Draft
from .train_pages import status_of
from .train_parts import TrainParts

__all__ = ["Opened", "TrainMemory", "hand_over_models", "menu_of", "train_memory"]

Opened = tuple[tuple[str, str, str], ...]  # (token of the run, words on the menu, name of the model)
QUIET: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}
MOST = 20  # runs that a browser remembers
SCRIPT = Path(__file__).resolve().parent.parent.parent / "assets" / "memory.js"
REMEMBERED = "(draft) => [draft, localStorage.getItem('ch-train-v2') || '']"


@dataclass(frozen=True)
class TrainMemory:
    """What outlives the tab: ``mine``, the models that only this visitor opened, and what the browser keeps."""

    mine: gr.State
    kept: gr.HTML


def train_memory() -> TrainMemory:
    """Put the memory on the page, outside of any tab: what is in a tab is not there before it is opened."""
    kept = gr.HTML(
        "",
        html_template="<i></i>",  # nothing of it is shown
        js_on_load=SCRIPT.read_text(encoding="utf-8"),
        elem_id="ch-memory",
        apply_default_css=False,
        visible="hidden",
    )
    return TrainMemory(gr.State(()), kept)


def menu_of(names: tuple[str, ...], opened: Opened) -> list[tuple[str, str]]:
    """Return the menu of models as (words, name): everybody's, then the visitor's own."""
    return [(name, name) for name in names] + [(words, name) for _, words, name in opened]


def hand_over_models(
    page: gr.Blocks,
    services: Services,
    parts: TrainParts,
    session: gr.State,
    tabs: gr.Tabs,
    draft: gr.State,
    memory: TrainMemory,
) -> None:
    """Let the last step open and download, and let the browser remember runs and opened models."""
    mine, kept = memory.mine, memory.kept
    serve = _server_of_folders()

    @guarded(lambda message: (unchanged(message), gr.skip(), gr.skip()))
    def open_model(now: Session, drafted: Draft, opened: Opened, event: gr.EventData) -> Any:
        if send_of(event)[0] != "open" or not drafted.run:
            return gr.skip(), gr.skip(), gr.skip()
        name = services.training.open_model(drafted.run)
        services.info(name)  # loads the model, or says why it cannot be loaded
        serve(services.galleries.thumbnail_folders_of(name))
        new = now.with_checkpoint(name).replace(image=services.photos.image_or_first(name, now.image), tab="explain")
        one = (drafted.run, _words(services, opened, drafted), name)
        return new, (*(other for other in opened if other[0] != drafted.run), one), gr.Tabs(selected="explain")

    @guarded(in_place)
    def download(drafted: Draft, event: gr.EventData) -> Any:
        if send_of(event)[0] != "download" or not drafted.run:
            return gr.skip()
        path = Path(services.training.download(drafted.run))
        serve([path.parent])  # whose name is a secret of this run
        return download_line(path.as_posix(), path.name, path.stat().st_size, uuid.uuid4().hex)

    @guarded(lambda message: (gr.skip(), gr.skip()))
    def recall(drafted: Draft, remembered: str | None) -> Any:
        known = _read(remembered)
        runs, opened = _kept_runs(services, known), _kept_models(services, known)
        return (drafted.replace(runs=runs) if runs else gr.skip()), (opened if opened else gr.skip())

    def remember(drafted: Draft, opened: Opened, known: str | None) -> Any:
        wanted = json.dumps({"runs": drafted.runs[:MOST], "opened": opened[-MOST:]})
        return gr.skip() if wanted == known else wanted

    parts.result.act(
        open_model, [session, draft, mine], [session, mine, tabs], concurrency_id="model", concurrency_limit=2,
        show_progress="minimal", show_progress_on=parts.result, api_visibility="private",
    )  # fmt: skip
    parts.result.act(
        download, draft, parts.file, concurrency_id="export", concurrency_limit=2, show_progress="minimal",
        show_progress_on=parts.result, api_visibility="private",
    )  # fmt: skip
    page.load(
        recall, [draft, kept], [draft, mine], js=REMEMBERED, concurrency_id="train", concurrency_limit=4, **QUIET
    )  # fmt: skip
    gr.on(
        [draft.change, mine.change],
        remember,
        [draft, mine, kept],
        kept,
        trigger_mode="always_last",
        **QUIET,
    )


def _server_of_folders() -> Callable[[Iterable[Path]], None]:
    """Return what lets browsers fetch folders; Gradio is told each once, as its list would grow with every click."""
    served = set[Path]()

    def serve(folders: Iterable[Path]) -> None:
        new = sorted(set(folders) - served)
        served.update(new)
        gr.set_static_paths(new)

    return serve


def _words(services: Services, opened: Opened, draft: Draft) -> str:
    """Return a name for the menu that no other model has."""
    taken = {words for token, words, _ in opened if token != draft.run} | set(services.model_names)
    name = draft.name_of(draft.run)
    return next(words for n in range(1, 1000) if (words := name if n == 1 else f"{name} ({n})") not in taken)


def _read(remembered: str | None) -> Any:
    """Read what a browser kept, which is not trusted to be anything."""
    try:
        return json.loads(remembered or "{}")
    except ValueError:
        return {}


def _kept_runs(services: Services, kept: Any) -> tuple[tuple[str, str], ...]:
    """Return the runs a browser remembers that are still there."""
    runs = [(run[0], run[1]) for run in _listed(kept, "runs", 2)]
    return tuple(run for run in runs if status_of(services, run[0]) is not None)


def _kept_models(services: Services, kept: Any) -> Opened:
    """Return the opened models a browser remembers, each opened again."""
    found = []
    for token, words, _ in _listed(kept, "opened", 3):
        try:
            found.append((token, words, services.training.open_model(token)))
        except ConceptHashError:
            continue
    return tuple(found)


def _listed(kept: Any, name: str, length: int) -> list[list[str]]:
    """Return one list of what the browser kept; whatever is not of the right form is left out."""
    rows = kept.get(name) if isinstance(kept, dict) else None
    return [row for row in rows[:MOST] if _is_row(row, length)] if isinstance(rows, list) else []


def _is_row(row: Any, length: int) -> bool:
    return isinstance(row, list) and len(row) == length and all(isinstance(item, str) for item in row)
