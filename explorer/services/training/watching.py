"""How a run stands and how it ended, as the tab Train shows it."""

import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from concepthash.checkpoint import read_checkpoint
from concepthash.errors import ConceptHashError

from ...settings import ROOT
from ...training_records import RunResult, RunStatus
from ..models import ModelShelf
from .endings import hide, last_lines
from .names import model_of_run
from .pictures import FrameReader, flows_of, read_arrays
from .report import Progress, ReportReader
from .run_folder import RunFolder, RunRecord
from .runs import RunStore
from .speed import Speeds

__all__ = ["Watching"]

LOG_LINES = 14
_SAID = {
    "preparing": "The images are looked at once; training begins when that is done.",
    "finishing": "Training is over; the model is measured and its gallery made.",
    "stopped": "Stopped; resume to go on from where it was saved.",
    "done": "The model is trained.",
}


class Watching:
    """Puts record, report, log and pictures of a run together; it changes nothing, and shows no ``hidden`` folder."""

    def __init__(
        self,
        store: RunStore,
        reports: ReportReader,
        speeds: Speeds,
        models: ModelShelf,
        now: Callable[[], float],
        hidden: Sequence[Path],
    ) -> None:
        self._store, self._reports, self._speeds, self._models, self._now = store, reports, speeds, models, now
        self._hidden = (*hidden, ROOT, Path(sys.prefix), Path(sys.base_prefix), Path.home())
        self._frames = FrameReader()

    def status(self, run: str) -> RunStatus:
        """Return how a run stands."""
        folder, record = self._store.find(run)
        self._store.touch(folder)
        progress = self._reports.progress(folder.report)
        state = progress.phase if record.state == "running" else record.state
        ahead = self._ahead(folder) if state == "queued" else 0
        is_live = record.state == "running"
        launched = progress.launched or self._now()
        epochs = progress.epochs or record.plan.epochs
        name, path = progress.frames[1], folder.path / progress.frames[1]
        maps = read_arrays(path).get("maps") if name else None
        hidden = (*self._hidden, folder.path, Path(record.data))
        return RunStatus(
            run=run,
            name=record.name,
            state=state,
            said=hide(_said(folder, record, progress, state, ahead, epochs), hidden),
            epoch=progress.epoch,
            epochs=epochs,
            share=1.0 if state == "done" else progress.share,
            elapsed=record.seconds + (max(0.0, self._now() - launched) if is_live else 0.0),
            left=self._left(record, progress) if is_live else None,
            ahead=ahead,
            curves=progress.curves(),
            accuracy=progress.accuracy(),
            frames=self._frames.frames(maps, progress.watched, progress.frames[0]),
            log=last_lines(folder.log, LOG_LINES, hidden),
        )

    def result(self, run: str, folder: RunFolder, record: RunRecord) -> RunResult:
        """Return before and after of a run that is done."""
        progress, arrays = self._reports.progress(folder.report), read_arrays(folder.comparison)
        checkpoint = read_checkpoint(folder.checkpoint)
        before, after = arrays.get("before_maps"), arrays.get("after_maps")
        return RunResult(
            run=run,
            model=model_of_run(run),
            map_before=_interval(progress.figures.get("before")),
            map_after=_interval(progress.figures.get("after")) or (0.0, 0.0, 0.0),
            flows=flows_of(arrays, self._n_concepts(record), checkpoint.concept_names),
            before=self._frames.frames(before, progress.watched, 0),
            after=self._frames.frames(after, progress.watched, progress.epoch),
            minutes=record.seconds / 60,
            opened=folder.opened.is_file(),
        )

    def _n_concepts(self, record: RunRecord) -> int:
        try:
            return self._models.checkpoint(record.plan.start).config.n_concepts
        except ConceptHashError:  # it left the menu since
            return record.plan.n_concepts

    def _ahead(self, folder: RunFolder) -> int:
        states = [(other.path, record.state) for other, record in self._store.all()]
        waiting = [path for path, state in states if state == "queued"]
        n_before = waiting.index(folder.path) if folder.path in waiting else 0
        return n_before + sum(state == "running" for _, state in states)

    def _left(self, record: RunRecord, progress: Progress) -> float | None:
        """Return the seconds until the run ends: what it shows itself, and for what comes after what others showed."""
        own = progress.preparing_left() if progress.phase == "preparing" else progress.seconds_left(self._now())
        after = {"preparing": ("training", "finishing"), "training": ("finishing",)}.get(progress.phase, ("finishing",))
        rest = self._speeds.left(record.plan, record.n_images, record.n_train, after)
        if progress.phase == "finishing":
            return None if rest is None else max(0.0, rest - (self._now() - progress.phase_began))
        if own is None or (rest is None and progress.phase == "preparing"):
            return None
        return own + (rest or 0.0)


def _said(folder: RunFolder, record: RunRecord, progress: Progress, state: str, ahead: int, epochs: int) -> str:
    if record.state == "running" and folder.stop_wanted.exists():
        return "The run is being stopped: it saves what it has."
    if state == "queued":
        runs = "1 other run is" if ahead == 1 else f"{ahead} other runs are"
        return f"{runs} before this one; it starts by itself." if ahead else "The run starts in a moment."
    if state == "training":
        return f"Training: {progress.epoch} of {epochs} epochs are done."
    return record.said or _SAID.get(state, "The run failed; resume to go on from where it was saved.")


def _interval(figures: object) -> tuple[float, float, float] | None:
    """Read ``{"map": mean, "interval": [low, high]}``."""
    if not isinstance(figures, dict):
        return None
    try:
        low, high = figures["interval"]
        return float(figures["map"]), float(low), float(high)
    except (KeyError, TypeError, ValueError):
        return None
