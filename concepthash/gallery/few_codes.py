"""Few codes, ranked at once: every code is scored, which so few calls do sooner than a search for bounds."""

from functools import reduce

import numpy as np

from .criteria import WORD, Criteria, bits_at, bits_set

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
        self._bytes: np.ndarray | None = None

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
            subcode, numbers = criteria.subcode(concept), self._numbers_of(criteria, concept)
            return reduce(np.logical_and, [part == subcode >> 64 * i & WORD for i, part in enumerate(numbers)])
        distance = self._distances(criteria, slice(concept, concept + 1), None)[0]
        holds = distance < allowed.stop
        return holds & (distance >= allowed.start) if allowed.start else holds

    def _distances(self, criteria: Criteria, concepts: slice, places: np.ndarray | None) -> np.ndarray:
        """(c, n) unsigned, how many bits of some concepts differ at some places, None for all."""
        codes = self._bytes_of(criteria)[concepts]
        codes = codes if places is None else codes.take(places, axis=2)
        counts = np.bitwise_count(codes ^ criteria.bytes[concepts])  # (c, B, n)
        return counts[:, 0] if counts.shape[1] == 1 else np.add.reduce(counts, 1, np.min_scalar_type(criteria.size))

    def _numbers_of(self, criteria: Criteria, concept: int) -> list[np.ndarray]:
        """(N,) unsigned each, a concept's sub-codes in numbers of 64 bits at most, the first bits first."""
        found = self._numbers.get(concept)
        if found is None:
            kind = np.min_scalar_type(2 ** min(64, criteria.size) - 1).newbyteorder("<")
            start, end = concept * criteria.size, (concept + 1) * criteria.size
            found = [bits_at(self._words, first, min(64, end - first)).astype(kind) for first in range(start, end, 64)]
            self._numbers[concept] = found
        return found

    def _bytes_of(self, criteria: Criteria) -> np.ndarray:
        """(M, B, N) uint8, the sub-codes of all concepts in bytes, the first bits first."""
        if self._bytes is None:
            concepts = range(len(criteria.masks))
            packed = [np.stack(self._numbers_of(criteria, concept), axis=1).view(np.uint8) for concept in concepts]
            by_code = np.stack(packed)[..., : -(-criteria.size // 8)]  # (M, N, B)
            self._bytes = np.ascontiguousarray(by_code.transpose(0, 2, 1))
        return self._bytes

    def _near_plain(self, criteria: Criteria, places: np.ndarray | None, size: int) -> np.ndarray:
        """(c,) ascending, which of more places (n,) are among the best, or as good as those."""
        words = self._words if places is None else self._words.take(places, axis=0)
        scores = bits_set((words ^ criteria.code).T).astype(np.int32)  # numpy has no quick partition of bytes
        return (scores <= np.partition(scores, size - 1)[size - 1]).nonzero()[0]

    def _near_weighted(self, criteria: Criteria, places: np.ndarray | None, size: int) -> np.ndarray:
        """(c,) the same, and a few more: scores are estimated in whole numbers, half of one a bit off at most."""
        n_bits, greatest = 64 * self._words.shape[1], max(criteria.weights)
        shares = [[round(weight / greatest * _TOP / n_bits)] for weight in criteria.weights]
        weighed = self._distances(criteria, slice(None), places) * np.array(shares, dtype=np.uint16)
        estimates = np.add.reduce(weighed, dtype=np.uint16)
        limit = int(np.partition(estimates, size - 1)[size - 1])
        return (estimates <= limit + n_bits).nonzero()[0]
