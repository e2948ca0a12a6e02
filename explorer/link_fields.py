"""How each field of a session is written in a link and checked when it is read: ids and numbers, one entry a field."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from .session import ANY, DIFFER, GALLERY_PREFIX, IGNORE, gallery_image

__all__ = ["FIELDS", "MAX_CLASSES", "TABS", "Field", "Known"]

TABS = ("explain", "match", "subcodes", "centers", "train")
MAX_CLASSES = 500  # more chosen classes than this make no short link and are left out
MAX_SEARCH = 60
OPEN = "o"  # in a list: a concept that need not agree, or one without a pattern
UNLIKE = "d"  # and a concept that must differ
BETWEEN = "|"  # the images of concepts, whose ids have periods
EITHER = "x"  # in a pattern: a bit that may be either; a period would be lost at the end of a pasted address


@dataclass(frozen=True)
class Known:
    """What a link may name: one model, the images and classes of its gallery, and what its numbers stay below."""

    model: str
    first_image: str
    has_image: Callable[[str], bool]
    n_images: int
    n_concepts: int
    n_bits: int
    n_blocks: int
    classes: tuple[str, ...]
    families: tuple[str, ...]
    values: tuple[str, ...]  # of other columns, such as split=test
    centers: tuple[str, ...]  # the classes that the model itself knows

    @property
    def size(self) -> int:
        """Length of one sub-code."""
        return self.n_bits // self.n_concepts


@dataclass(frozen=True)
class Field:
    """How one field stands in a link; ``read`` and ``write`` raise ValueError for what is not valid."""

    key: str
    word: str  # what a visitor calls it
    write: Callable[[Any, Known], str]
    read: Callable[[str, Known], Any]
    needs_model: bool = True  # whether it means nothing without the model that the link names


def _checked(value: Any, is_valid: bool) -> Any:
    if not is_valid:
        raise ValueError(value)
    return value


def _number(text: str, low: int, high: int) -> int:
    return int(_checked(text, bool(re.fullmatch(r"(0|[1-9][0-9]{0,8})", text)) and low <= int(text) <= high))


def _plain(value: Any, known: Known) -> str:
    return str(value)


def _count(key: str, word: str, high: Callable[[Known], int], low: int = 0, needs_model: bool = True) -> Field:
    """Describe a whole number from ``low`` to ``high``."""
    return Field(key, word, _plain, lambda text, known: _number(text, low, high(known)), needs_model)


def _share(key: str, word: str, low: int, high: int) -> Field:
    """Describe a number of percent, which no model limits."""
    return _count(key, word, lambda known: high, low, needs_model=False)


def _choice(key: str, word: str, *values: str) -> Field:
    """Describe one of a few words of the program."""
    return Field(key, word, _plain, lambda text, known: _checked(text, text in values), needs_model=False)


def _named(key: str, word: str, names: Callable[[Known], tuple[str, ...]]) -> Field:
    """Describe a name by its number in a list."""

    def read(text: str, known: Known) -> str:
        return names(known)[_number(text, 0, len(names(known)) - 1)]

    return Field(key, word, lambda name, known: str(names(known).index(name)), read)


def _several(
    key: str,
    word: str,
    read_one: Callable[[str, Known], Any],
    is_valid: Callable[[tuple[Any, ...], Known], bool],
    write_one: Callable[[Any, Known], str] = _plain,
) -> Field:
    """Describe a list of values between periods."""

    def read(text: str, known: Known) -> tuple[Any, ...]:
        values = tuple(read_one(part, known) for part in text.split("."))
        return tuple(_checked(values, is_valid(values, known)))

    return Field(key, word, lambda values, known: ".".join(write_one(value, known) for value in values), read)


def _image(text: str, known: Known) -> str:
    return gallery_image(_checked(text, known.has_image(text)))


def _image_id(image: str, known: Known) -> str:
    return str(_checked(image, image.startswith(GALLERY_PREFIX))).removeprefix(GALLERY_PREFIX)


def _pins(text: str, known: Known) -> tuple[str, ...]:
    images = tuple(_image(part, known) if part else "" for part in text.split(BETWEEN))
    return tuple(_checked(images, len(images) == known.n_concepts and any(images)))


def _pin_ids(images: tuple[str, ...], known: Known) -> str:
    return BETWEEN.join(_image_id(image, known) if image else "" for image in images)


def _radius(text: str, known: Known) -> int:
    words = {OPEN: IGNORE, UNLIKE: DIFFER}
    return words[text] if text in words else _number(text, 0, known.size)


def _pattern(text: str, known: Known) -> str:
    if text == OPEN:
        return ""
    return str(_checked(text, len(text) == known.size and set(text) <= {"0", "1", EITHER})).replace(EITHER, ANY)


def _search(text: str, known: Known) -> str:
    return str(_checked(text, 0 < len(text) <= MAX_SEARCH and text.isprintable()))


def _is_one_per_concept(values: tuple[Any, ...], known: Known) -> bool:
    return len(values) == known.n_concepts


def _are_classes(values: tuple[str, ...], known: Known) -> bool:
    return len(set(values)) == len(values) <= MAX_CLASSES


def _are_of_different_columns(values: tuple[str, ...], known: Known) -> bool:
    return len({value.partition("=")[0] for value in values}) == len(values)


_CLASS = _named("", "", lambda known: known.classes)
_VALUE = _named("", "", lambda known: known.values)

# In the order of a link. The search of the strip is the one text of a visitor in here: short, and never more than text.
FIELDS: dict[str, Field] = {
    "image": Field("i", "the image", _image_id, _image),
    "tab": _choice("t", "the tab", *TABS),
    "concept": _count("c", "the concept", lambda known: known.n_concepts - 1),
    "bit": _count("b", "the bit", lambda known: known.n_bits - 1),
    "method": _choice("me", "how maps are made", "rollout", "raw", "gradient"),
    "last_k": _count("k", "the blocks", lambda known: known.n_blocks),
    "head_fusion": _choice("h", "the heads", "mean", "max", "min"),
    "residual": _share("rs", "the residual", 0, 95),
    "discard": _share("d", "the discarded share", 0, 95),
    "agree": _several(
        "a",
        "what must agree",
        _radius,
        _is_one_per_concept,
        lambda radius, known: {IGNORE: OPEN, DIFFER: UNLIKE}.get(radius, str(radius)),
    ),
    "weights": _several("w", "the weights", lambda text, known: _number(text, 0, 50), _is_one_per_concept),
    "pins": Field("pi", "the images of single concepts", _pin_ids, _pins),
    "rank": _choice("r", "the ranking", "hamming", "weighted", "none"),
    "page": _count("p", "the page", lambda known: known.n_images),
    "classes": _several("cl", "the chosen classes", _CLASS.read, _are_classes, _CLASS.write),
    "family": _named("f", "the chosen family", lambda known: known.families),
    "patterns": _several(
        "pt",
        "the chosen sub-codes",
        _pattern,
        _is_one_per_concept,
        lambda pattern, known: pattern.replace(ANY, EITHER) or OPEN,
    ),
    "where": _several("wh", "the chosen values", _VALUE.read, _are_of_different_columns, _VALUE.write),
    "browse": Field("q", "the search", _plain, _search),
    "browse_page": _count("n", "the page of the strip", lambda known: known.n_images),
    "view": _choice("vw", "the view", "cells", "scatter", "dictionary"),
    "layout": _choice("l", "the layout", "paper", "poster"),
    "axes": _several(
        "x",
        "the two bits",
        lambda text, known: _number(text, 0, known.size - 1),
        lambda values, known: len(values) == 2 and values[0] != values[1],
    ),
    "window": _share("wi", "the size of the crops", 15, 100),
    "flips": _several(
        "fl",
        "the turned bits",
        lambda text, known: _number(text, 0, known.n_bits - 1),
        lambda values, known: list(values) == sorted(set(values)),
    ),
    "dictionary_page": _count("dp", "the page of the dictionary", lambda known: known.n_images),
    "center": _named("z", "the clicked class", lambda known: known.centers),
    "projection": _choice("pr", "the projection", "tsne", "pca"),
    "grouping": _choice("g", "the grouping", "name", "taxonomy"),
    "overlay": _count("o", "the drawn images", lambda known: 1),
    "links": _count("ln", "the lines", lambda known: 1),
}
