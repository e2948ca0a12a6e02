"""Questions put to a gallery: a code, what each concept must satisfy, how the rest ranks, filters and paging."""

import math
from dataclasses import dataclass, replace
from typing import Any, Literal, get_args

from ..errors import QueryError
from .selection import WHOLE, Selection

__all__ = ["ConceptRule", "Query"]

Agreement = Literal["exact", "within", "differ", "ignore"]
Ranking = Literal["hamming", "none", "weighted"]


@dataclass(frozen=True)
class ConceptRule:
    """What one concept's sub-code must satisfy, and how much it counts in a weighted ranking.

    Parameters
    ----------
    agree
        ``"exact"``: all bits equal; ``"within"``: at most ``radius`` bits differ; ``"differ"``: more than ``radius``
        bits differ; ``"ignore"``: anything goes.
    radius
        Bits, 0 or more; read only where ``agree`` is ``"within"`` or ``"differ"``.
    weight
        Weight of each differing bit, finite and 0 or more; read only where the query's ``rank`` is ``"weighted"``.

    Raises
    ------
    QueryError
        For an unknown ``agree``, a negative radius, or a weight that is negative or not finite.
    """

    agree: Agreement = "ignore"
    radius: int = 0
    weight: float = 1.0

    def __post_init__(self) -> None:
        """Refuse what has no meaning."""
        _check_choice("agree", self.agree, Agreement)
        _check_count("radius", self.radius)
        if not (math.isfinite(self.weight) and self.weight >= 0):
            raise QueryError(f"A concept's weight is {self.weight!r}; give a number of 0 or more.")

    def distances(self, bits_per_concept: int) -> range:
        """Return the Hamming distances inside the sub-code that satisfy the rule; empty where none can.

        Examples
        --------
        >>> [ConceptRule(agree, radius=2).distances(16) for agree in ("exact", "within", "differ", "ignore")]
        [range(0, 1), range(0, 3), range(3, 17), range(0, 17)]
        """
        size = bits_per_concept
        if self.agree == "differ":
            return range(min(self.radius, size) + 1, size + 1)
        return range(1 + {"exact": 0, "within": min(self.radius, size), "ignore": size}[self.agree])


@dataclass(frozen=True)
class Query:
    """One question to a gallery.

    Parameters
    ----------
    code
        K bits, in the model's order; ``tuple(map(bool, code))`` of a boolean array.
    rules
        One rule a concept, M of them; M divides K.
    rank
        ``"hamming"``: Hamming distance over the bits of all concepts that need not agree exactly; ``"none"``: the
        gallery's own order; ``"weighted"``: sum of each concept's weight times its distance. Ties go by row.
    selection
        The part of the gallery that is searched.
    k, offset
        Return at most ``k`` matches after leaving out the first ``offset``.
    exclude_row
        A row that is left out, usually the query image itself.

    Raises
    ------
    QueryError
        For a code that does not split over the rules, an unknown ``rank``, or a negative ``k`` or ``offset``.
    """

    code: tuple[bool, ...]
    rules: tuple[ConceptRule, ...]
    rank: Ranking = "hamming"
    selection: Selection = WHOLE
    k: int = 24
    offset: int = 0
    exclude_row: int | None = None

    @property
    def counted(self) -> "Query":
        """What of it the numbers of images depend on."""
        rules = tuple(ConceptRule(rule.agree, rule.radius) for rule in self.rules)
        is_free = all(rule.agree == "ignore" for rule in rules)
        code = (False,) * len(self.code) if is_free else self.code
        return replace(self, code=code, rules=rules, rank="none", k=0, offset=0)

    def __post_init__(self) -> None:
        """Refuse what has no meaning."""
        _check_choice("rank", self.rank, Ranking)
        _check_count("k", self.k)
        _check_count("offset", self.offset)
        if not self.code or not self.rules or len(self.code) % len(self.rules):
            raise QueryError(
                f"A code of {len(self.code)} bits does not split over {len(self.rules)} rules; "
                "give one rule a concept and all bits of the code."
            )


def _check_choice(name: str, value: Any, choices: Any) -> None:
    if value not in get_args(choices):
        raise QueryError(f"{name} is {value!r}; choose one of {', '.join(map(repr, get_args(choices)))}.")


def _check_count(name: str, value: int) -> None:
    if value < 0:
        raise QueryError(f"{name} is {value!r}; it must be 0 or more.")
