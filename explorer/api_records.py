"""The frozen records that only the public functions need: checkpoints, parts to compose, classes, calls."""

from dataclasses import dataclass
from typing import Any

from .records import Center

__all__ = ["Call", "CheckpointInfo", "Classification", "ComposedPart"]


@dataclass(frozen=True)
class CheckpointInfo:
    """A model that can be asked, from what its folder says; nothing is loaded for it."""

    name: str
    is_default: bool
    n_concepts: int
    n_bits: int
    bits_per_concept: int
    n_classes: int
    concept_names: tuple[str, ...]
    class_names: tuple[str, ...]
    family_names: tuple[str, ...]


@dataclass(frozen=True)
class ComposedPart:
    """A sub-code to look for: that of ``concept`` (from 0) in ``image``, up to ``radius`` bits, or not that one.

    With ``differs`` more than ``radius`` bits must differ.
    """

    image: str
    concept: int
    radius: int = 0
    differs: bool = False


@dataclass(frozen=True)
class Classification:
    """Classes whose hash centers are nearest to an image's code before the sign: cosine in [-1, 1], best first.

    ``concepts`` holds the same for every concept's sub-code alone.
    """

    image: str
    checkpoint: str
    classes: tuple[Center, ...]
    concepts: tuple[tuple[Center, ...], ...]


@dataclass(frozen=True)
class Call:
    """A call of a public function: what is not as by default, and all values in their order."""

    function: str
    given: tuple[tuple[str, Any], ...]
    values: tuple[tuple[str, Any], ...]
