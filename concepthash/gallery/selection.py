"""Which part of a gallery is looked at: some classes, one family, or sub-codes that follow a pattern."""

import math
from dataclasses import dataclass
from operator import eq, ge, gt, le, lt, ne
from typing import TYPE_CHECKING, Literal, get_args

import numpy as np

from ..codes import pack_words
from ..errors import QueryError
from .sql_layout import is_whole

if TYPE_CHECKING:
    from .gallery import Gallery

__all__ = ["ANY", "WHOLE", "Condition", "Selection", "selected_rows"]

ANY = "."
Comparison = Literal["=", "!=", "<", "<=", ">", ">="]
_COMPARED = {"=": eq, "!=": ne, "<": lt, "<=": le, ">": gt, ">=": ge}


@dataclass(frozen=True)
class Condition:
    """What one column of a gallery must hold; an image without a value there never does.

    Parameters
    ----------
    column
        Name of a column: ``split``, ``width``, ``height``, ``path``, ``image_id``, or one of its metadata.
    comparison
        How the column's value stands to ``value``.
    value
        A text for a column of text, else a finite number that a float can hold.

    Raises
    ------
    QueryError
        For another comparison, or a value that nothing compares with.
    """

    column: str
    comparison: Comparison
    value: str | int | float

    def __post_init__(self) -> None:
        """Refuse what has no meaning."""
        if self.comparison not in get_args(Comparison):
            raise QueryError(f"{self.comparison!r} compares nothing; choose one of {', '.join(get_args(Comparison))}.")
        if isinstance(self.value, str):
            if not is_whole(self.value):
                raise QueryError(
                    f"{self.value[:80]!r} holds half a character, which no gallery can; give a whole text."
                )
        elif not _is_finite(self.value):
            what = repr(self.value) if isinstance(self.value, float) else "a number of more than 308 digits"
            raise QueryError(f"Nothing compares with {what}; give a finite number for the column {self.column}.")


def _is_finite(value: int | float) -> bool:
    try:
        return math.isfinite(value)
    except OverflowError:  # a whole number beyond the range of float
        return False


@dataclass(frozen=True)
class Selection:
    """Conditions that all have to hold; an empty one holds for every image.

    Parameters
    ----------
    classes
        Names of which an image must have one. A name the gallery lacks selects nothing.
    family
        Name of the family an image must belong to.
    patterns
        One text a concept, M of them or none: the sub-code's bits from the first to the last, ``0`` or ``1`` where an
        image must have that bit and `ANY` where it may have either; an empty text asks for nothing.
    conditions
        What other columns must hold.

    Raises
    ------
    QueryError
        For a pattern with another character.
    """

    classes: tuple[str, ...] = ()
    family: str = ""
    patterns: tuple[str, ...] = ()
    conditions: tuple[Condition, ...] = ()

    def __post_init__(self) -> None:
        """Refuse what has no meaning."""
        for pattern in self.patterns:
            if set(pattern) - {"0", "1", ANY}:
                raise QueryError(f"The pattern {pattern[:80]!r} is none; write a sub-code with 0, 1 and {ANY} for any.")

    def __bool__(self) -> bool:
        """Whether there is any condition."""
        return bool(self.classes or self.family or any(self.patterns) or self.conditions)


WHOLE = Selection()


def selected_rows(gallery: "Gallery", selection: Selection) -> np.ndarray:
    """Tell which images a selection keeps.

    Returns
    -------
    np.ndarray
        (N,) bool.

    Raises
    ------
    QueryError
        If the patterns are not made for the gallery's sub-codes.
    """
    kept = np.ones(len(gallery), dtype=bool)
    if selection.classes:
        kept &= _is_among(gallery.labels, gallery.class_names, selection.classes)
    if selection.family:
        kept &= _is_among(gallery.family_ids, gallery.family_names, (selection.family,))
    if any(selection.patterns):
        kept &= _follows(gallery, selection.patterns)
    for condition in selection.conditions:
        kept &= _fulfills(gallery.column(condition.column), condition)
    return kept


def _fulfills(values: np.ndarray, condition: Condition) -> np.ndarray:
    """(N,) bool: there is a value, it is no NaN, and it stands to the wanted one as it should."""
    known = np.array([value is not None and value == value for value in values.tolist()], dtype=bool)
    kept = values[known].tolist()
    is_text = isinstance(kept[0], str) if kept else isinstance(condition.value, str)
    if is_text != isinstance(condition.value, str):
        raise QueryError(
            f"The column {condition.column} holds {'text' if is_text else 'numbers'}, and {condition.value!r} is "
            f"{'a number' if is_text else 'a text'}; compare it with its own kind."
        )
    compare = _COMPARED[condition.comparison]
    known[known] = [compare(value, condition.value) for value in kept]
    return known


def _is_among(ids: np.ndarray, names: tuple[str, ...], wanted: tuple[str, ...]) -> np.ndarray:
    """(N,) bool; the id -1 of the unknown picks the last entry of the table, which is never wanted."""
    is_wanted = np.array([name in set(wanted) for name in names] + [False])
    return is_wanted[ids]


def _follows(gallery: "Gallery", patterns: tuple[str, ...]) -> np.ndarray:
    """(N,) bool: every bit that a pattern fixes is as it says."""
    size = gallery.bits_per_concept
    full = "".join(pattern or ANY * size for pattern in patterns)
    if len(patterns) != gallery.n_concepts or any(pattern and len(pattern) != size for pattern in patterns):
        raise QueryError(
            f"The patterns have {', '.join(str(len(p)) for p in patterns)} bits, but the gallery has "
            f"{gallery.n_concepts} sub-codes of {size} bits; give one pattern a concept, or an empty text."
        )
    bits = np.frombuffer(full.encode(), dtype=np.uint8)
    fixed, ones = (pack_words(which[None])[0] for which in (bits != ord(ANY), bits == ord("1")))  # (W,) each
    follows = np.ones(len(gallery), dtype=bool)
    for word in np.flatnonzero(fixed):
        follows &= (gallery.words[:, word] & fixed[word]) == ones[word]
    return follows
