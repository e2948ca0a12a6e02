"""Few codes, ranked at once: every code is scored, which so few calls do sooner than a search for bounds."""

from functools import reduce

import numpy as np

from .criteria import Criteria, bits_set

__all__ = ["FewCodes"]

_SORTED = 1 << 10  # scores that are sorted sooner than those to be sorted are found
_TOP = 1 << 15  # no estimate is greater than twice this, and all fit 16 bits

_Column = tuple[np.ndarray, int, int]  # bits of a word as (N,) numbers, the place of the first, and as many ones


class FewCodes:
    """N packed codes, and columns of their sub-codes: numbers of few bytes, which are compared soonest.

    Parameters
    ----------
    words
        (N, W) uint64, packed codes.
    """

    def __init__(self, words: np.ndarray) -> None:
        self._words = words
        self._columns: dict[int, list[_Column]] = {}  # of concepts

    def first(self, criteria: Criteria, size: int) -> tuple[int, np.ndarray]:
        """Find the first ``size`` codes that satisfy some criteria, in the order of score and position.

        Returns
        -------
        tuple
            How many satisfy the rules, and the (size,) int64 positions of the best of them, or fewer.
        """
        places = None
        if criteria.checks:
            places = reduce(np.logical_and, [self._holds(criteria, *check) for check in criteria.checks]).nonzero()[0]
        n = len(self._words if places is None else places)
        if not (size and criteria.is_ranked):
            return n, np.arange(min(n, size)) if places is None else places[:size]
        if n > max(size, _SORTED):
            near = (self._near_plain if criteria.is_plain else self._near_weighted)(criteria, places, size)
            places = near if places is None else places.take(near)
        words = self._words if places is None else self._words.take(places, axis=0)
        order = criteria.scores((words ^ criteria.code).T).argsort(kind="stable")[:size]  # equal scores stay in order
        return n, order if places is None else places.take(order)

    def _pairs(self, criteria: Criteria, concept: int) -> list[tuple[np.ndarray, int]]:
        """(N,) numbers that a concept's bits are in each word where they lie, and the same number of the query."""
        columns = self._columns.get(concept)
        if columns is None:
            columns = self._columns[concept] = [_column(self._words, *part) for part in criteria.parts[concept]]
        return [(numbers, criteria.number >> start & ones) for numbers, start, ones in columns]

    def _holds(self, criteria: Criteria, concept: int, allowed: range) -> np.ndarray:
        """(N,) bool: as many bits of a concept differ as is allowed."""
        if allowed.stop == 1:
            return reduce(np.logical_and, [column == code for column, code in self._pairs(criteria, concept)])
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
        """(c,) the same, and a few more: scores are estimated in whole numbers, half of one a bit off at most."""
        n_bits, greatest = 64 * self._words.shape[1], max(criteria.weights)
        shares = [np.uint16(round(weight / greatest * _TOP / n_bits)) for weight in criteria.weights]
        weighed = [share * self._distance(criteria, concept, places) for concept, share in enumerate(shares) if share]
        estimates = reduce(np.add, weighed)
        limit = int(np.partition(estimates, size - 1)[size - 1])
        return (estimates <= limit + n_bits).nonzero()[0]


def _column(words: np.ndarray, word: int, mask: np.uint64) -> _Column:
    """Read the bits that a mask has in one of the words (N, W) as numbers, and where they lie in a code."""
    ones = int(mask)
    shift = (ones & -ones).bit_length() - 1
    ones >>= shift
    kind = next(f"u{size}" for size in (1, 4, 8) if ones < 1 << 8 * size)  # numpy counts bits of 16 slowly
    return ((words[:, word] & mask) >> np.uint64(shift)).astype(kind), 64 * word + shift, ones
