"""What the tab Train shows: frozen results of checking images, planning, running and comparing."""

from dataclasses import dataclass, field

import numpy as np

__all__ = [
    "ClassPreview",
    "ConceptFlow",
    "Curve",
    "IntakeReport",
    "MapFrame",
    "Plan",
    "RunResult",
    "RunState",
    "RunStatus",
]


@dataclass(frozen=True, eq=False)
class ClassPreview:
    """One class of the visitor's images: ``pictures`` are up to three small ones, each the bytes of a WebP file."""

    name: str
    n_images: int
    n_broken: int
    pictures: tuple[bytes, ...] = ()


@dataclass(frozen=True, eq=False)
class IntakeReport:
    """What was found in a visitor's images; with ``problems`` nothing can be trained.

    ``intake`` names the images on the server, and only the visitor who sent them knows it.
    """

    intake: str
    classes: tuple[ClassPreview, ...]
    n_images: int
    n_held_out: int
    duplicates: tuple[str, ...]  # the first sentences: which file repeats which
    broken: tuple[str, ...]  # the first sentences: which file cannot be read, and why
    problems: tuple[str, ...]
    warnings: tuple[str, ...] = ()
    n_duplicates: int = 0

    @property
    def n_broken(self) -> int:
        """Files that cannot be read."""
        return sum(preview.n_broken for preview in self.classes)


@dataclass(frozen=True)
class Plan:
    """What a visitor wants trained; empty ``weights`` means those of the preset."""

    intake: str
    start: str  # name of a checkpoint on the menu
    n_concepts: int = 4
    n_bits: int = 32
    epochs: int = 30
    language: str = "none"  # a text encoder that is there, or "none"
    weights: tuple[tuple[str, float], ...] = ()  # (term, weight), such as ("csd", 1.5)


RunState = str  # "queued", "preparing", "training", "finishing", "stopped", "failed", "done"


@dataclass(frozen=True)
class Curve:
    """One loss term, or the mAP: a value an epoch; ``epochs`` and ``values`` are of one length."""

    name: str
    epochs: tuple[int, ...]
    values: tuple[float, ...]


@dataclass(frozen=True, eq=False)
class MapFrame:
    """Concept maps (M, h, w) of one watched image, as they are after ``epoch``; ``rgb`` is the image."""

    epoch: int
    rgb: np.ndarray
    maps: np.ndarray


@dataclass(frozen=True, eq=False)
class RunStatus:
    """How a run stands. ``said`` is one sentence for people; times in seconds, ``left`` is None while unknown."""

    run: str
    name: str
    state: RunState
    said: str
    epoch: int = 0
    epochs: int = 0
    share: float = 0.0  # of the whole run, in [0, 1]
    elapsed: float = 0.0
    left: float | None = None
    ahead: int = 0  # runs before this one in the queue
    curves: tuple[Curve, ...] = ()
    accuracy: Curve | None = None  # mAP on the held-out part
    frames: tuple[MapFrame, ...] = ()
    log: tuple[str, ...] = ()  # the last lines


@dataclass(frozen=True, eq=False)
class ConceptFlow:
    """How one concept's sub-codes moved: ``counts`` (before, after) images by their most frequent sub-codes."""

    concept: str
    before: tuple[str, ...]
    after: tuple[str, ...]
    counts: np.ndarray
    share_moved: float


@dataclass(frozen=True, eq=False)
class RunResult:
    """Before and after: mAP with its 95 % interval (mean, low, high), flows, and maps of the watched images."""

    run: str
    model: str  # name of the trained model; on nobody's menu until it is opened
    map_before: tuple[float, float, float] | None
    map_after: tuple[float, float, float]
    flows: tuple[ConceptFlow, ...] = ()
    before: tuple[MapFrame, ...] = ()
    after: tuple[MapFrame, ...] = ()
    minutes: float = 0.0
    opened: bool = field(default=False)
