"""Inverted lists of the sub-codes of packed codes, made when first asked for, and the codes they leave to look at."""

from dataclasses import dataclass, replace
from threading import Lock

import numpy as np

from .criteria import Criteria, bits_at
from .postings import Postings

__all__ = ["SubcodeLists"]

_WIDTHS = range(8, 17)  # bits of a sub-code that are listed, its first; fewer than 8 would leave out too little
_ROW_COST = 12  # reading a code by its position costs about so many times as much as scanning it
_LIST_COST = 400  # and reading a list, as much as scanning so many codes


class SubcodeLists:
    """Inverted lists over N codes; several threads may ask at once.

    Parameters
    ----------
    words
        (N, W) uint64, packed codes.
    """

    def __init__(self, words: np.ndarray) -> None:
        self._words = words
        self._made: dict[tuple[int, int], Postings] = {}
        self._lock = Lock()

    def of(self, start: int, width: int) -> Postings:
        """Return the positions of each value of ``width`` bits (at most 32) from bit ``start``."""
        with self._lock:
            if (start, width) not in self._made:
                self._made[start, width] = Postings(_Bits(self._words, start, width), 2**width)
            return self._made[start, width]

    def narrow(self, criteria: Criteria) -> tuple[np.ndarray | None, Criteria]:
        """Find the shortest lists that hold all codes which satisfy the rules.

        Returns
        -------
        tuple
            Their (n,) int64 positions, ascending, or None where scanning all codes is quicker, and the criteria that
            are left to check there.
        """
        size = criteria.size
        width = min(size, _WIDTHS[-1])
        cost, chosen = float(len(self._words)), None
        for check in criteria.checks if width in _WIDTHS else ():
            concept, allowed = check
            if allowed.start == 0 and allowed.stop <= width:
                postings = self.of(concept * size, width)
                near = _ball(int(_Bits(criteria.code[None], concept * size, width)[:][0]), width, allowed.stop)
                near = near[postings.lengths(near) > 0]
                its_cost = _ROW_COST * int(postings.lengths(near).sum()) + _LIST_COST * len(near)
                if its_cost < cost:
                    cost, chosen = its_cost, (check, postings, near)
        if chosen is None:
            return None, criteria
        left = tuple(check for check in criteria.checks if check != chosen[0] or size > width)
        return chosen[1].positions(chosen[2]), replace(criteria, checks=left)


@dataclass(frozen=True, eq=False)
class _Bits:
    """``width`` bits of packed codes (N, W) uint64 from bit ``start``, as (N,) numbers that are made when asked for."""

    words: np.ndarray
    start: int
    width: int

    def __len__(self) -> int:
        return len(self.words)

    def __getitem__(self, rows: slice) -> np.ndarray:
        return bits_at(self.words[rows], self.start, self.width).astype(np.int64)


def _ball(center: int, width: int, stop: int) -> np.ndarray:
    """Return the numbers of ``width`` bits that differ from one in fewer than ``stop`` bits."""
    if stop == 1:
        return np.array([center])
    return np.flatnonzero(np.bitwise_count(np.arange(2**width, dtype=np.uint32) ^ np.uint32(center)) < stop)
