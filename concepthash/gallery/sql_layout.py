"""What statements about a gallery are made of: its columns, bound texts, and numbers as both databases read them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from ..codes import pack_words
from ..errors import GalleryError, QueryError
from .metadata import Kind

__all__ = ["Layout", "Texts", "float_sql", "integer_sql", "is_whole"]

_NOT_COMPARED = {"class", "family", "file_bytes", "file_modified", "encoded"}  # which `Gallery.column` lacks, too


@dataclass(frozen=True)
class Layout:
    """What the table of a gallery's images looks like.

    Attributes
    ----------
    n_bits, n_concepts
        K and M.
    columns
        Kind of each column that can be counted.
    """

    n_bits: int
    n_concepts: int
    columns: Mapping[str, Kind]

    @classmethod
    def of(cls, facts: Mapping[str, str], columns: Mapping[str, Kind]) -> "Layout":
        """Make it from a gallery's provenance and all its columns; those of the codes are for no condition.

        Raises
        ------
        GalleryError
            If the provenance lacks K or M.
        """
        try:
            n_bits, n_concepts = int(facts["n_bits"]), int(facts["n_concepts"])
        except (KeyError, ValueError) as error:
            raise GalleryError(
                f"The gallery does not say how long its codes are ({error}); encode the images again."
            ) from error
        own = {"row", "label"} | {f"code{w}" for w in range(-(-n_bits // 64))} | {f"sub{m}" for m in range(n_concepts)}
        return cls(n_bits, n_concepts, {name: kind for name, kind in columns.items() if name not in own})

    @cached_property
    def compared(self) -> dict[str, Kind]:
        """Kind of each column that a condition may name; class and family have filters of their own."""
        return {name: kind for name, kind in self.columns.items() if name not in _NOT_COMPARED}

    @property
    def bits_per_concept(self) -> int:
        """Length K/M of one sub-code."""
        return self.n_bits // self.n_concepts

    @property
    def has_subcodes(self) -> bool:
        """Whether each sub-code has a column: it must fit a signed 64-bit number."""
        return self.bits_per_concept <= 63

    @cached_property
    def masks(self) -> np.ndarray:
        """(M, W) int64, the bits of each concept."""
        return pack_words(np.repeat(np.eye(self.n_concepts, dtype=bool), self.bits_per_concept, axis=1))


@dataclass
class Texts:
    """Texts of one statement, each bound under a name of its own."""

    values: dict[str, str] = field(default_factory=dict)

    def bind(self, text: str) -> str:
        """Return the placeholder of a text."""
        if not is_whole(text):
            raise QueryError(f"{text[:80]!r} holds half a character, which no gallery can; give a whole text.")
        name = f"t{len(self.values)}"
        self.values[name] = text
        return f"{{{name}:String}}"


def is_whole(text: str) -> bool:
    r"""Whether no character of a text is only half of one, which no database takes.

    Examples
    --------
    >>> is_whole("Kohlmeise \N{BIRD}"), is_whole("\ud83d")
    (True, False)
    """
    return text.isascii() or not any("\ud800" <= character <= "\udfff" for character in text)


def integer_sql(value: int | np.integer) -> str:
    """Write a signed 64-bit integer."""
    return f"toInt64({int(value)})"


def float_sql(value: float) -> str:
    """Write a number so that it is read as a double with the very same bits: 0.1 alone is a decimal to DuckDB."""
    text = repr(float(value))
    return text if "e" in text else f"{text}e0"
