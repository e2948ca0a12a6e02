"""The frozen records of the Sub-codes tab: cells of images, a plane of values, a dictionary, and a turned bit."""

from dataclasses import dataclass

import numpy as np

from .records import Match, Thumbnail

__all__ = ["CellGrid", "Crop", "Dictionary", "Flip", "Plane", "Share", "SubcodeCell"]


@dataclass(frozen=True)
class Crop:
    """An image of a cell; (x, y) is where the concept looks, in shares of width and height, None where unknown."""

    thumbnail: Thumbnail
    center: tuple[float, float] | None
    margin: float


@dataclass(frozen=True)
class Share:
    """How many images of a cell belong to a class or family."""

    name: str
    n: int


@dataclass(frozen=True)
class SubcodeCell:
    """The images of a concept whose chosen bits are ``text``.

    ``pattern`` is the whole sub-code with "." for every bit that was not chosen; ``entropy`` is that of the classes in
    bits; ``purity`` the share of the most common class among the images whose class is known.
    """

    text: str
    pattern: str
    n: int
    share: float
    entropy: float
    purity: float
    classes: tuple[Share, ...]
    families: tuple[Share, ...]
    crops: tuple[Crop, ...]


@dataclass(frozen=True)
class CellGrid:
    """All cells of one to four bits of a concept, in the order of their numbers; ``bits`` count from 0 in the code."""

    concept: int
    bits: tuple[int, ...]
    cells: tuple[SubcodeCell, ...]
    n_gallery: int
    query: str  # the same bits of the image in hand


@dataclass(frozen=True, eq=False)
class Plane:
    """Images of the gallery at their values of two bits before the sign, at most some thousand of them.

    ``values`` is (n, 2) float32; ``query`` holds the two values of the image in hand.
    """

    concept: int
    bits: tuple[int, int]
    images: tuple[str, ...]
    class_names: tuple[str, ...]
    families: tuple[str, ...]
    values: np.ndarray
    query: tuple[float, float]
    n_gallery: int


@dataclass(frozen=True)
class Dictionary:
    """One page of the sub-codes a concept uses, the most common first."""

    concept: int
    entries: tuple[SubcodeCell, ...]
    n_used: int
    n_bits: int
    n_once: int  # codes that one image has
    page: int
    n_pages: int
    query: str


@dataclass(frozen=True)
class Flip:
    """What the image in hand finds as it is and with some bits turned over.

    ``nearest`` is the real image with exactly the turned sub-code that differs least elsewhere, None where the gallery
    has none; its other concepts' chips say whether it differs in that concept only. ``n_with_code`` counts the images
    with that sub-code. None and 0 while nothing is turned.
    """

    concept: int
    bits: tuple[int, ...]
    values: tuple[float, ...]
    flipped: tuple[int, ...]
    before: tuple[Match, ...]
    after: tuple[Match, ...]
    nearest: Match | None
    n_with_code: int
    code: str
