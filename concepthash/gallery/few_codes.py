"""Few codes, ranked at once: every code is scored, which so few calls do sooner than a search for bounds."""

from functools import reduce

import numpy as np

from .criteria import Criteria, bits_at, bits_set

__all__ = ["FewCodes"]

_SORTED = 1 << 10  # scores that are sorted sooner than those to be sorted are found
_TOP = 1 << 15  # no estimate is greater than twice this, and all fit 16 bits


class FewCodes:
    """N packed codes, and the bytes of their sub-codes one after another: numpy counts the bits of bytes soonest.

    Parameters
    ----------
    words
        (N, W) uint64, packed codes.
    """

    def __init__(self, words: np.ndarray) -> None:
        self._words = words
        self._numbers: dict[int, list[np.ndarray]] = {}  # of concepts
        self._bytes: dict[int, np.ndarray] = {}

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
        if n > max(size, _SORTED) and criteria.is_finite:
            near = (self._near_plain if criteria.is_plain else self._near_weighted)(criteria, places, size)
            places = near if places is None else places.take(near)
        words = self._words if places is None else self._words.take(places, axis=0)
        order = criteria.scores((words ^ criteria.code).T).argsort(kind="stable")[:size]  # equal scores stay in order
        return n, order if places is None else places.take(order)

    def _holds(self, criteria: Criteria, concept: int, allowed: range) -> np.ndarray:
        """(N,) bool: as many bits of a concept differ as is allowed."""
        if allowed.stop == 1:
            pairs = zip(self._numbers_of(criteria, concept), criteria.numbers_of(concept), strict=True)
            return reduce(np.logical_and, [numbers == number for numbers, number in pairs])
        distance = self._distance(criteria, concept, None)
        holds = distance < allowed.stop
        return holds & (distance >= allowed.start) if allowed.start else holds

    def _distance(self, criteria: Criteria, concept: int, places: np.ndarray | None) -> np.ndarray:
        """(n,) unsigned, how many bits of a concept differ at some places, None for all."""
        codes = self._bytes_of(criteria, concept)
        counts = np.bitwise_count(
            (codes if places is None else codes.take(places, axis=1)) ^ criteria.bytes_of(concept)
        )
        return counts[0] if len(counts) == 1 else np.add.reduce(counts, dtype=np.min_scalar_type(criteria.size))

    def _numbers_of(self, criteria: Criteria, concept: int) -> list[np.ndarray]:
        """(N,) unsigned each, a concept's sub-codes in numbers of 64 bits at most, the first bits first."""
        found = self._numbers.get(concept)
        if found is None:
            kind = np.min_scalar_type(2 ** min(64, criteria.size) - 1).newbyteorder("<")
            found = [bits_at(self._words, *span).astype(kind) for span in criteria.spans_of(concept)]
            self._numbers[concept] = found
        return found

    def _bytes_of(self, criteria: Criteria, concept: int) -> np.ndarray:
        """(B, N) uint8, the same bits in bytes."""
        found = self._bytes.get(concept)
        if found is None:
            packed = np.stack(self._numbers_of(criteria, concept), axis=1).view(np.uint8)
            found = self._bytes[concept] = np.ascontiguousarray(packed[:, : -(-criteria.size // 8)].T)
        return found

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
