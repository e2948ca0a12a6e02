"""What a worker reports: lines of JSON, read as they come, summed up to where the run stands."""

import copy
import json
import threading
from collections import OrderedDict
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ...training_records import Curve

__all__ = ["Progress", "ReportReader"]

PREPARING, TRAINING = 0.35, 0.6  # shares of a run's time, until it is known better; the rest is finishing


@dataclass
class Progress:
    """Where a run stands after the lines read so far; times are those of the lines."""

    phase: str = "preparing"
    launched: float = 0.0
    phase_began: float = 0.0
    last: float = 0.0
    epochs: int = 0
    n_train: int = 0
    n_test: int = 0
    steps: int = 0  # of an epoch
    step: int = 0  # of the whole run
    first_step: int = -1  # of this worker
    epoch: int = 0
    left: float | None = None  # seconds of training after `left_at`
    left_at: float = 0.0
    features: tuple[int, int] = (0, 0)  # done and total, of the images to train on, then of those held out
    prepared: float = 0.0  # share of the former
    reached: float = 0.0  # share of the whole run that an earlier worker had done
    losses: dict[str, dict[int, float]] = field(default_factory=dict)
    maps: dict[int, float] = field(default_factory=dict)  # mAP by epoch
    frames: tuple[int, str] = (0, "")  # epoch and file of the newest concept maps
    watched: tuple[str, ...] = ()
    figures: dict[str, Any] = field(default_factory=dict)
    said: str = ""
    end: str = ""  # "stopped", "error" or "done"
    seconds: dict[str, float] = field(default_factory=dict)  # that each phase of the last worker took

    def add(self, event: dict[str, Any]) -> None:
        """Take one line into account; unknown events count for nothing."""
        self.last = float(event.get("time", self.last))
        take = getattr(self, f"_on_{event.get('event')}", None)
        if take is not None:
            take(event)

    @property
    def share(self) -> float:
        """How much of the whole run is done, in [0, 1]."""
        if self.end == "done":
            return 1.0
        done = PREPARING + TRAINING
        if self.phase == "preparing":
            done = PREPARING * self.prepared
        elif self.phase == "training":
            done = PREPARING + TRAINING * min(1.0, self.step / max(1, self.steps * self.epochs))
        return max(done, self.reached)

    def seconds_left(self, now: float) -> float | None:
        """Return the seconds until training ends, from what was measured in this run; None while nothing was."""
        if self.phase != "training":
            return 0.0 if self.phase == "finishing" else None
        if self.left is not None:
            return max(0.0, self.left - (now - self.left_at))
        done = self.step - max(self.first_step, 0)
        if done < 2:
            return None
        return max(0.0, (self.last - self.phase_began) / done * (self.steps * self.epochs - self.step))

    def preparing_left(self) -> float | None:
        """Return the seconds until all features are read, from how fast it went until now."""
        done, total = self.features
        if self.phase != "preparing" or not done or self.last <= self.phase_began:
            return None
        if done / total < self.prepared:  # the few that are held out
            return 0.0
        return (self.last - self.phase_began) / done * (total - done)

    def curves(self) -> tuple[Curve, ...]:
        """Return the loss terms by epoch, the total first."""
        names = sorted(self.losses, key=lambda name: (name != "total", list(self.losses).index(name)))
        return tuple(_curve(name, self.losses[name]) for name in names)

    def accuracy(self) -> Curve | None:
        """Return the mAP on the held-out part by epoch; None where nothing was measured."""
        return _curve("mAP", self.maps) if self.maps else None

    def _move(self, phase: str) -> None:
        self.seconds[self.phase] = self.last - self.phase_began
        self.phase, self.phase_began, self.left = phase, self.last, None

    def _on_launch(self, event: dict[str, Any]) -> None:
        self.reached = self.share
        self.phase, self.launched, self.phase_began = "preparing", self.last, self.last
        self.features, self.prepared, self.first_step = (0, 0), 0.0, -1
        self.left, self.end, self.said, self.seconds = None, "", "", {}

    def _on_features(self, event: dict[str, Any]) -> None:
        self.features = (int(event["done"]), max(int(event["total"]), 1))
        self.prepared = min(1.0, max(self.prepared, self.features[0] / self.features[1]))

    def _on_begin(self, event: dict[str, Any]) -> None:
        self._move("training")
        self.epochs, self.steps = int(event["epochs"]), int(event["steps"])
        self.n_train, self.n_test = int(event["n_train"]), int(event["n_test"])
        self.watched = tuple(map(str, event.get("watched", ())))

    def _on_step(self, event: dict[str, Any]) -> None:
        self.step = int(event["step"])
        self.first_step = self.step if self.first_step < 0 else self.first_step

    def _on_epoch(self, event: dict[str, Any]) -> None:
        self.epoch = int(event["epoch"])
        self.step = max(self.step, self.epoch * self.steps)
        for name, value in event["losses"].items():
            if name != "epoch":
                self.losses.setdefault(name, {})[self.epoch] = float(value)
        if event.get("map") is not None:
            self.maps[self.epoch] = float(event["map"])
        if event.get("seconds_left") is not None:
            self.left, self.left_at = float(event["seconds_left"]), self.last

    def _on_maps(self, event: dict[str, Any]) -> None:
        self.frames = (int(event["epoch"]), Path(str(event["file"])).name)

    def _on_finishing(self, event: dict[str, Any]) -> None:
        self._move("finishing")

    def _on_figures(self, event: dict[str, Any]) -> None:
        self.figures = {name: event.get(name) for name in ("before", "after")}

    def _on_stopped(self, event: dict[str, Any]) -> None:
        self.end = "stopped"

    def _on_error(self, event: dict[str, Any]) -> None:
        self.end, self.said = "error", str(event["said"])

    def _on_done(self, event: dict[str, Any]) -> None:
        self._move("finishing")
        self.end = "done"


class ReportReader:
    """Reads the reports of the runs asked for last; of each only what came since the last time."""

    def __init__(self, size: int = 32) -> None:
        self._size, self._lock = size, threading.Lock()
        self._read: OrderedDict[Path, tuple[int, int, Progress]] = OrderedDict()

    def progress(self, file: Path) -> Progress:
        """Return where the run stands; a copy, so that another thread's reading does not change it."""
        with self._lock:
            try:
                stat = file.stat()
            except OSError:
                self._read.pop(file, None)
                return Progress()
            inode, offset, progress = self._read.pop(file, (0, 0, Progress()))
            if inode != stat.st_ino or stat.st_size < offset:
                inode, offset, progress = stat.st_ino, 0, Progress()
            offset = _add_lines(file, offset, progress)
            self._read[file] = (inode, offset, progress)
            while len(self._read) > self._size:
                self._read.popitem(last=False)
            return _copy(progress)


def _add_lines(file: Path, offset: int, progress: Progress) -> int:
    """Add all whole lines behind ``offset``, and return where they end; a damaged line counts for nothing."""
    with file.open("rb") as opened:
        opened.seek(offset)
        content = opened.read()
    end = content.rfind(b"\n") + 1
    for line in content[:end].splitlines():
        try:
            event = json.loads(line)
            if isinstance(event, dict):
                progress.add(event)
        except (KeyError, TypeError, ValueError, AttributeError):
            continue
    return offset + end


def _copy(progress: Progress) -> Progress:
    copied = copy.copy(progress)
    copied.losses = {name: dict(curve) for name, curve in progress.losses.items()}
    copied.maps, copied.seconds = dict(progress.maps), dict(progress.seconds)
    return copied


def _curve(name: str, values: dict[int, float]) -> Curve:
    epochs = tuple(sorted(values))
    return Curve(name, epochs, tuple(values[epoch] for epoch in epochs))
