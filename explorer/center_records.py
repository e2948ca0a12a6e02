"""The frozen records of the Centers tab: where the dots stand, how far to trust them, what is known of one class."""

from dataclasses import dataclass

import numpy as np

from .records import BitCell, Thumbnail

__all__ = ["CenterMap", "CenterPanel", "ClassDetail", "ClassImages", "NearCenter"]


@dataclass(frozen=True, eq=False)
class CenterPanel:
    """One center set of a checkpoint as a picture, with its measures; None where one cannot be taken.

    ``positions`` (C, 2) and ``codes``, one text of bits per concept for each class; ``links`` (L, 2) are classes whose
    nearest center the picture does not show near them. Measures are shares in [0, 1], ``silhouette`` in [-1, 1].
    """

    kind: str  # "random", "learnable" or "language"
    is_own: bool  # whether the model was trained with it
    positions: np.ndarray
    codes: tuple[tuple[str, ...], ...]
    links: np.ndarray
    purity: float | None
    chance: float | None
    best: float | None
    silhouette: float | None
    trust: float | None


@dataclass(frozen=True, eq=False)
class CenterMap:
    """All center sets of a checkpoint as pictures.

    ``families`` and ``gallery_classes`` have one name per class: empty where the family is unknown, or where the
    gallery has no image of it.
    """

    checkpoint: str
    projection: str
    grouping: str
    groupings: tuple[str, ...]  # those this model's classes can be grouped by
    class_names: tuple[str, ...]
    families: tuple[str, ...]
    largest: tuple[str, ...]  # families that get a color of their own, largest first
    gallery_classes: tuple[str, ...]  # what the gallery calls the classes
    prompts: tuple[str, ...]  # what language-guided centers were made of, one text per class or none
    panels: tuple[CenterPanel, ...]
    n_neighbors: int
    is_plain: bool = False  # whether t-SNE was asked for, but too few classes are shown by PCA


@dataclass(frozen=True)
class NearCenter:
    """A class near another: bits by which the centers' codes differ, and the cosine of the centers."""

    class_name: str
    family: str
    distance: int
    cosine: float


@dataclass(frozen=True)
class ClassDetail:
    """One class: its code bit by bit with the center's values, its nearest classes, its images in the gallery."""

    class_name: str
    family: str
    prompt: str
    cells: tuple[BitCell, ...]
    nearest: tuple[NearCenter, ...]
    gallery_class: str  # what the gallery calls it; empty where it has no image of it
    n_images: int
    thumbnails: tuple[Thumbnail, ...]


@dataclass(frozen=True, eq=False)
class ClassImages:
    """Images of one class as dots in the picture of the model's own centers: names (n,) and positions (n, 2)."""

    class_name: str
    images: tuple[str, ...]
    positions: np.ndarray
    n_images: int  # of the class in the gallery; at most 200 of them are drawn
