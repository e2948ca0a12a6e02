"""Few codes, ranked at once: every code is scored, which so few calls do sooner than a search for bounds."""

from collections.abc import Iterator
from functools import cache, reduce

import numpy as np

from .criteria import Criteria, bits_set

__all__ = ["FewCodes"]

_ROUNDED = np.float32(1 + 1e-4)  # more than float32 can be off, relatively, over all concepts
_VANISHED = np.float32(1e-30)  # more than all weights add up to that vanish in float32 beside the greatest


class FewCodes:
    """N packed codes, and columns of their sub-codes: numbers of few bytes, which are compared soonest.

    Parameters
    ----------
    words
        (N, W) uint64, packed codes.
    """

    def __init__(self, words: np.ndarray) -> None:
        self._words = words
        self._columns: dict[tuple[int, np.uint64], np.ndarray] = {}

    def first(self, criteria: Criteria, size: int) -> tuple[int, np.ndarray]:
        """Find the first ``size`` codes that satisfy some criteria, in the order of score and position.

        Returns
        -------
        tuple
            How many satisfy the rules, and the (size,) int64 positions of the best of them, or fewer.
        """
        places = None
        if criteria.checks:
            places = reduce(np.logical_and, (self._holds(criteria, *check) for check in criteria.checks)).nonzero()[0]
        n = len(self._words if places is None else places)
        if not (size and criteria.is_ranked):
            return n, np.arange(min(n, size)) if places is None else places[:size]
        if n > size:
            near = (self._near_plain if criteria.is_plain else self._near_weighted)(criteria, places, size)
            places = near if places is None else places[near]
        words = self._words if places is None else self._words.take(places, axis=0)
        order = criteria.scores((words ^ criteria.code).T).argsort(kind="stable")[:size]  # equal scores stay in order
        return n, order if places is None else places[order]

    def _pairs(self, criteria: Criteria, concept: int) -> Iterator[tuple[np.ndarray, int]]:
        """(N,) numbers that a concept's bits are in each word where they lie, and the same number of the query."""
        for word, ones in criteria.parts[concept]:
            shift, kind = _place(int(ones))
            column = self._columns.get((word, ones))
            if column is None:
                column = self._columns[word, ones] = ((self._words[:, word] & ones) >> np.uint64(shift)).astype(kind)
            yield column, (int(criteria.code[word]) & int(ones)) >> shift

    def _holds(self, criteria: Criteria, concept: int, allowed: range) -> np.ndarray:
        """(N,) bool: as many bits of a concept differ as is allowed."""
        if allowed.stop == 1:
            return reduce(np.logical_and, (column == code for column, code in self._pairs(criteria, concept)))
        distance = self._distance(criteria, concept, None)
        holds = distance < allowed.stop
        return holds & (distance >= allowed.start) if allowed.start else holds

    def _distance(self, criteria: Criteria, concept: int, places: np.ndarray | None) -> np.ndarray:
        """(n,) unsigned, how many bits of a concept differ at some places, None for all."""
        counts = [
            np.bitwise_count((column if places is None else column.take(places)) ^ code)
            for column, code in self._pairs(criteria, concept)
        ]
        return counts[0] if len(counts) == 1 else np.sum(counts, axis=0)

    def _near_plain(self, criteria: Criteria, places: np.ndarray | None, size: int) -> np.ndarray:
        """(c,) ascending, which of more places (n,) are among the best, or as good as those."""
        words = self._words if places is None else self._words.take(places, axis=0)
        scores = bits_set((words ^ criteria.code).T).astype(np.int32)  # numpy has no quick partition of bytes
        return (scores <= np.partition(scores, size - 1)[size - 1]).nonzero()[0]

    def _near_weighted(self, criteria: Criteria, places: np.ndarray | None, size: int) -> np.ndarray:
        """(c,) the same, and a few more: scores are estimated in float32."""
        unit = max(criteria.weights)
        shares = ((concept, np.float32(weight / unit)) for concept, weight in enumerate(criteria.weights) if weight)
        estimates = reduce(np.add, (share * self._distance(criteria, concept, places) for concept, share in shares))
        limit = np.partition(estimates, size - 1)[size - 1]
        return (estimates <= limit * _ROUNDED + _VANISHED).nonzero()[0]


@cache
def _place(ones: int) -> tuple[int, str]:
    """By how much to shift bits of a word so that the first is at 0, and the smallest kind of number for them then."""
    shift = (ones & -ones).bit_length() - 1
    width = (ones >> shift).bit_length()
    return shift, next(f"u{size}" for size in (1, 4, 8) if width <= 8 * size)
