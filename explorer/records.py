"""The frozen records that services hand to render: numbers and names, no tensors, no pixels on a page yet."""

from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from .facet_records import Facet

__all__ = [
    "BitCell",
    "BitView",
    "Center",
    "Chip",
    "ConceptView",
    "Explanation",
    "GalleryKind",
    "MapControls",
    "Match",
    "MatchResult",
    "ModelInfo",
    "Photo",
    "Relaxation",
    "Thumbnail",
    "ThumbnailPage",
]


GalleryKind = Literal["own", "bundled", "examples"]  # the visitor's, one of rendered pictures, or a few drawn ones

IGNORE, DIFFER = -1, -2  # instead of a radius: of a concept that need not agree, and of one that must not


@dataclass(frozen=True)
class ModelInfo:
    """A loaded model and the gallery that belongs to it, in words and counts."""

    name: str
    device: str
    n_concepts: int
    n_bits: int
    n_classes: int
    n_blocks: int
    concept_names: tuple[str, ...]
    can_save_names: bool
    n_gallery: int
    gallery_name: str
    gallery_kind: GalleryKind
    foreign_gallery: str = ""  # why the visitor's own gallery is not used with this model
    class_names: tuple[str, ...] = ()
    family_names: tuple[str, ...] = ()
    facet_values: tuple[tuple[str, tuple[str, ...]], ...] = ()  # other columns with few values, and these
    n_sample: int = 0  # images that sub-codes are counted among, where that is not all of the gallery

    @property
    def bits_per_concept(self) -> int:
        """Length of one sub-code."""
        return self.n_bits // self.n_concepts


@dataclass(frozen=True)
class MapControls:
    """How maps are computed: ``last_k`` 0 = all blocks, ``residual`` and ``discard`` in [0, 1)."""

    method: str = "rollout"
    last_k: int = 0
    head_fusion: str = "mean"
    residual: float = 0.5
    discard: float = 0.0


@dataclass(frozen=True, eq=False)
class Photo:
    """An image to look at: RGB uint8 (h, w, 3) reduced for display, with the size of the original."""

    image: str
    title: str
    family: str
    origin: str
    width: int
    height: int
    rgb: np.ndarray


@dataclass(frozen=True)
class Thumbnail:
    """A small picture of a gallery image; ``path`` is a file below a folder that the server may show."""

    image: str
    class_name: str
    path: str
    width: int
    height: int


@dataclass(frozen=True)
class ThumbnailPage:
    """One page of the gallery strip; ``sample_of`` images there are where only a sample of them is looked at."""

    cards: tuple[Thumbnail, ...]
    page: int
    n_pages: int
    n_total: int
    search: str
    sample_of: int = 0


@dataclass(frozen=True)
class Center:
    """A class whose hash center is near: cosine in [-1, 1], or the center's value at one bit."""

    class_name: str
    family: str
    value: float


@dataclass(frozen=True)
class BitCell:
    """One bit of the code: its value before the sign, and whether that is too small to trust."""

    bit: int
    value: float
    is_on: bool
    is_undecided: bool


@dataclass(frozen=True, eq=False)
class ConceptView:
    """What one concept sees: map (h, w) float32 that sums to 1, its bits, the nearest centers inside its sub-code."""

    concept: int
    concept_map: np.ndarray
    bits: tuple[BitCell, ...]
    centers: tuple[Center, ...]
    n_sharing: int
    n_gallery: int
    nearest: int = 0  # bits by which the nearest other image differs inside this sub-code


@dataclass(frozen=True, eq=False)
class BitView:
    """One clicked bit: its own map (h, w), and the classes whose centers stand strongest on each side."""

    cell: BitCell
    concept: int
    bit_map: np.ndarray
    on: tuple[Center, ...]
    off: tuple[Center, ...]
    n_on: int
    n_gallery: int


@dataclass(frozen=True, eq=False)
class Explanation:
    """One image explained: nearest class centers by the whole code, one view per concept."""

    photo: Photo
    centers: tuple[Center, ...]
    concepts: tuple[ConceptView, ...]
    method: str


@dataclass(frozen=True)
class Chip:
    """Distance in bits inside one concept, and whether the question's rule for it is met."""

    concept: int
    distance: int
    n_bits: int


@dataclass(frozen=True)
class Match:
    """One neighbor: total distance in bits and per concept."""

    thumbnail: Thumbnail
    family: str
    distance: int
    score: float
    chips: tuple[Chip, ...]


@dataclass(frozen=True)
class Relaxation:
    """A looser question that has answers: what to say, and the rules that ask it."""

    text: str
    agree: tuple[int, ...]
    n_matching: int
    keeps_filter: bool = True


@dataclass(frozen=True)
class MatchResult:
    """One page of neighbors, with how common such an agreement is."""

    matches: tuple[Match, ...]
    n_matching: int
    n_filtered: int
    n_gallery: int
    n_carrying: int  # images of the whole gallery that satisfy the rules, the query itself left out
    page: int
    n_pages: int
    subcodes: tuple[str, ...]
    relaxations: tuple[Relaxation, ...] = field(default=())
    facets: tuple[Facet, ...] = ()  # class, family, then other columns
    has_query: bool = False  # whether images that are asked for are counted, too: those of a composition are
