"""Conditions of a query as SQL that DuckDB and ClickHouse both read: numbers are written, texts are only bound."""

import math
from collections.abc import Iterator
from itertools import combinations

import numpy as np

from ..codes import pack_words, subcode_values
from ..errors import QueryError
from .query import ConceptRule, Query
from .selection import ANY, Selection
from .sql_conditions import condition_sql
from .sql_layout import Layout, Texts, float_sql, integer_sql

__all__ = ["Predicates", "ball"]

_BALL = 256  # sub-codes within a radius up to which they are listed, for ClickHouse to read their rows only


class Predicates:
    """SQL for the parts of one query; every number in it is an integer or a float by construction.

    Parameters
    ----------
    query, layout
        The question, which must fit the gallery, and the gallery's table.
    texts
        Where texts are bound.

    Raises
    ------
    QueryError
        If code, rules, patterns or conditions do not fit the gallery.
    """

    def __init__(self, query: Query, layout: Layout, texts: Texts) -> None:
        _check_sizes(query, layout)
        self._query, self._layout, self._texts = query, layout, texts
        self._code = np.asarray(query.code, dtype=bool)
        self._words = pack_words(self._code[None])[0]  # (W,)

    def rules(self) -> str:
        """All concepts as near, or as far, as asked; empty where any row will do."""
        return " AND ".join(part for m, rule in enumerate(self._query.rules) for part in self._rule(m, rule))

    def selection(self) -> str:
        """The searched part of the gallery; empty where that is the whole gallery."""
        chosen, parts = self._query.selection, []
        if chosen.classes:
            parts.append(f'"class" IN ({", ".join(map(self._texts.bind, dict.fromkeys(chosen.classes)))})')
        if chosen.family:
            parts.append(f'"family" = {self._texts.bind(chosen.family)}')
        parts += self._patterns(chosen)
        parts += [condition_sql(condition, self._layout.compared, self._texts) for condition in chosen.conditions]
        return " AND ".join(parts)

    def score(self) -> str:
        """What is ranked by; empty where all rows are equal."""
        rules = self._query.rules
        if self._query.rank == "none":
            return ""
        if self._query.rank == "hamming":
            ranked = np.array([rule.agree != "exact" for rule in rules])
            return self._distance(np.bitwise_or.reduce(self._layout.masks[ranked], axis=0, initial=np.int64(0)))
        return " + ".join(  # in order of concepts, as a sum of floats depends on it
            f"{float_sql(rule.weight)} * ({self._distance(self._layout.masks[m])})"
            for m, rule in enumerate(rules)
            if rule.weight and rule.agree != "exact"
        )

    def _rule(self, concept: int, rule: ConceptRule) -> Iterator[str]:
        size = self._layout.bits_per_concept
        allowed = rule.distances(size)
        if not allowed:
            yield "1 = 0"
        elif len(allowed) == 1 and not allowed.start:
            yield self._is_fixed(concept, self._bits(concept))
        elif allowed.stop <= size:
            yield from self._is_near(concept, allowed.stop - 1)
        elif allowed.start:
            yield f"{self._distance(self._layout.masks[concept])} >= {allowed.start}"

    def _is_near(self, concept: int, radius: int) -> Iterator[str]:
        size = self._layout.bits_per_concept
        yield f"{self._distance(self._layout.masks[concept])} <= {radius}"
        if self._layout.has_subcodes and sum(math.comb(size, r) for r in range(radius + 1)) <= _BALL:
            yield f"indexHint(sub{concept} IN ({', '.join(map(str, ball(self._bits(concept), radius)))}))"

    def _is_fixed(self, concept: int, bits: np.ndarray) -> str:
        """Tell that a whole sub-code is as given."""
        if self._layout.has_subcodes:
            return f"sub{concept} = {int(subcode_values(bits[None], 1)[0, 0])}"
        ones = np.zeros(self._layout.n_bits, dtype=bool)
        ones[concept * len(bits) :][: len(bits)] = bits
        return _has_bits(self._layout.masks[concept], pack_words(ones[None])[0])

    def _patterns(self, chosen: Selection) -> Iterator[str]:
        if not any(chosen.patterns):
            return
        size = self._layout.bits_per_concept
        _check_patterns(chosen.patterns, self._layout)
        rest = ""
        for concept, pattern in enumerate(chosen.patterns):
            if is_full := bool(pattern) and ANY not in pattern:
                yield self._is_fixed(concept, np.array([bit == "1" for bit in pattern]))
            rest += ANY * size if is_full or not pattern else pattern
        fixed, ones = (pack_words(np.array([[bit in kinds for bit in rest]]))[0] for kinds in ("01", "1"))
        if fixed.any():
            yield _has_bits(fixed, ones)

    def _bits(self, concept: int) -> np.ndarray:
        size = self._layout.bits_per_concept
        return self._code[concept * size : (concept + 1) * size]

    def _distance(self, mask: np.ndarray) -> str:
        """Hamming distance over the bits of a mask (W,); empty where it has none."""
        every = np.bitwise_or.reduce(self._layout.masks, axis=0)
        differing = (f"bitXor(code{w}, {integer_sql(word)})" for w, word in enumerate(self._words))
        counts = [
            f"bitCount({part if mask[w] == every[w] else f'bitAnd({part}, {integer_sql(mask[w])})'})"
            for w, part in enumerate(differing)
            if mask[w]
        ]
        if len(counts) > 1:  # DuckDB counts in a byte, where the sum of two words would not fit
            counts[0] = f"toInt64({counts[0]})"
        return " + ".join(counts)


def ball(bits: np.ndarray, radius: int) -> list[int]:
    """List the sub-codes at most ``radius`` bits away from one, as numbers.

    Examples
    --------
    >>> ball(np.array([False, True, True]), 1)
    [1, 2, 3, 7]
    """
    center, size = int(subcode_values(bits[None], 1)[0, 0]), len(bits)
    flips = (sum(1 << bit for bit in chosen) for r in range(radius + 1) for chosen in combinations(range(size), r))
    return sorted(center ^ flip for flip in flips)


def _has_bits(fixed: np.ndarray, ones: np.ndarray) -> str:
    """Tell that the bits of a mask (W,) are as in ``ones`` (W,)."""
    return " AND ".join(
        f"bitAnd(code{w}, {integer_sql(mask)}) = {integer_sql(ones[w])}" for w, mask in enumerate(fixed) if mask
    )


def _check_sizes(query: Query, layout: Layout) -> None:
    if len(query.code) != layout.n_bits or len(query.rules) != layout.n_concepts:
        raise QueryError(
            f"The query has {len(query.code)} bits and {len(query.rules)} concepts, but the gallery has "
            f"{layout.n_bits} bits and {layout.n_concepts} concepts; use the gallery's own model for both."
        )


def _check_patterns(patterns: tuple[str, ...], layout: Layout) -> None:
    size = layout.bits_per_concept
    if len(patterns) != layout.n_concepts or any(pattern and len(pattern) != size for pattern in patterns):
        raise QueryError(
            f"The patterns have {', '.join(str(len(p)) for p in patterns)} bits, but the gallery has "
            f"{layout.n_concepts} sub-codes of {size} bits; give one pattern a concept, or an empty text."
        )
