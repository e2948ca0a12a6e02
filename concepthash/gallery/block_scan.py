"""One pass over packed codes, in blocks that stay in the processor's cache, for the best that satisfy a query."""

import math
from itertools import pairwise

import numpy as np

from .criteria import WORD, Criteria, Mask

__all__ = ["BlockScan"]

_BATCH = 32  # scoring fewer codes at once costs more in calls than the limit it gives would save
_SAMPLE = 1 << 14  # codes that the first limit is found in
_NOWHERE = np.arange(0)
_EVERY_BIT = np.uint64(WORD)


class BlockScan:
    """The first ``size`` codes that satisfy some criteria, in the order of score and position.

    Parameters
    ----------
    words
        (N, W) uint64, packed codes.
    rows
        (n,) int64, ascending positions to look at; None for all.
    repeats
        (N,) int64, how often each code counts; None for once.
    criteria
        What they must satisfy, and how they rank.
    size
        How many are wanted.
    block_rows
        Codes read at a time.
    """

    def __init__(
        self,
        words: np.ndarray,
        rows: np.ndarray | None,
        repeats: np.ndarray | None,
        criteria: Criteria,
        size: int,
        block_rows: int,
    ) -> None:
        self._words, self._rows, self._repeats = words, rows, repeats
        self._criteria, self._size = criteria, size
        self._equal = criteria.equal if rows is None else None
        self._checks = criteria.checks_beside(self._equal)
        self._is_plain = rows is None and not criteria.checks and words.shape[1] == 1
        self._total = len(words) if rows is None else len(rows)
        self._block_rows = block_rows = min(block_rows, self._total)
        self._differing = np.empty((words.shape[1], block_rows), dtype=np.uint64)
        self._masked = np.empty(block_rows, dtype=np.uint64)
        self._counts = np.empty((2, block_rows), dtype=np.min_scalar_type(64 * words.shape[1]))
        self._scores, self._positions = np.empty(0), np.empty(0, dtype=np.int64)  # the best so far, in order
        self._new: list[tuple[np.ndarray, np.ndarray]] = []
        self._n_new = 0
        self._limit = np.inf  # only what scores less can still be among the best
        self._bound: tuple[float, Mask] | None = None

    def run(self) -> tuple[int, np.ndarray]:
        """Return how many satisfy the rules, and the (size,) int64 positions of the best of them, or fewer."""
        if not self._criteria.checks and not (self._size and self._criteria.is_ranked):
            return self._count(slice(None), None), self._at(np.arange(min(self._total, self._size)))
        n_agreeing = 0
        for block in self._blocks():
            if self._bound is not None and self._is_plain:
                self._race(block.start, *self._bound)
                n_agreeing = self._count(slice(None), None)
                break
            n_agreeing += self._read(block)
        self._prune()
        return n_agreeing, self._positions

    def agreeing(self) -> np.ndarray | slice:
        """Return the (n,) int64 positions of all that satisfy the rules, ascending; a slice for all codes."""
        if not self._criteria.checks:
            return slice(None) if self._rows is None else self._rows
        found = [(block.start, self._look(block)[0]) for block in self._blocks()]
        return np.concatenate([_NOWHERE, *(self._at(start + places) for start, places in found if places is not None)])

    def _blocks(self) -> list[slice]:
        ends = range(0, self._total + self._block_rows, self._block_rows or 1)
        return [slice(start, min(end, self._total)) for start, end in pairwise(ends)]

    def _at(self, places: np.ndarray) -> np.ndarray:
        """(n,) positions of the codes that are looked at first, second and so on."""
        return places if self._rows is None else self._rows[places]

    def _count(self, block: slice, agreeing: np.ndarray | None) -> int:
        """Return how many rows the codes of a block stand for, or those at some places in it."""
        if self._repeats is None:
            return len(range(self._total)[block]) if agreeing is None else len(agreeing)
        repeats = self._repeats[block]
        return int((repeats if agreeing is None else repeats[agreeing]).sum())

    def _read(self, block: slice) -> int:
        """Look at one block, and count the codes in it that satisfy the rules."""
        agreeing, differing = self._look(block)
        near = self._near(differing)
        if len(near):
            places = near if agreeing is None else agreeing[near]
            self._add(differing.take(near, axis=1), self._at(block.start + places))
        return self._count(block, agreeing)

    def _look(self, block: slice) -> tuple[np.ndarray | None, np.ndarray]:
        """(a,) places in a block where all rules hold, None where there are no rules, and (W, a) bits that differ."""
        if self._equal is None:
            differing = self._differ(block)
            agreeing = self._agreeing(differing)
            return agreeing, differing if agreeing is None else differing.take(agreeing, axis=1)
        word, ones = self._equal
        codes, bits = self._words[block], self._criteria.code
        masked = np.bitwise_and(codes[:, word], ones, out=self._masked[: len(codes)])
        equal = np.flatnonzero(masked == bits[word] & ones)
        differing = (codes.take(equal, axis=0) ^ bits).T
        agreeing = self._agreeing(differing)
        return (equal, differing) if agreeing is None else (equal[agreeing], differing.take(agreeing, axis=1))

    def _differ(self, block: slice) -> np.ndarray:
        """(W, n) uint64, bits of the codes of a block that differ; the next call overwrites them."""
        differing = self._differing[:, : block.stop - block.start]
        for column, bits, out in zip(self._words.T, self._criteria.code, differing, strict=True):
            # the other modes copy twice
            codes = column[block] if self._rows is None else column.take(self._rows[block], out=out, mode="clip")
            np.bitwise_xor(codes, bits, out=out)
        return differing

    def _race(self, start: int, weight: float, mask: Mask) -> None:
        """Look at all codes from a position on, which are plain: the same as `_read`, in far fewer calls a block."""
        column, bits, ones, cutoff = self._words[:, 0], self._criteria.code[0], mask[0][1], self._cutoff(weight)
        for first in range(start, self._total, self._block_rows):
            codes = column[first : first + self._block_rows]
            differing, counts = self._differing[0, : len(codes)], self._counts[0, : len(codes)]
            np.bitwise_xor(codes, bits, differing)
            inside = differing if ones == _EVERY_BIT else np.bitwise_and(differing, ones, self._masked[: len(codes)])
            np.bitwise_count(inside, counts)
            if np.minimum.reduce(counts) <= cutoff:
                near = (counts <= cutoff).nonzero()[0]
                self._add(differing[None, near], first + near)
                cutoff = self._cutoff(weight)

    def _distance(self, differing: np.ndarray, mask: Mask) -> np.ndarray:
        """(n,) differing bits inside a mask; the next call overwrites them."""
        n = differing.shape[1]
        total, more = self._counts[:, :n]
        out = total
        for word, ones in mask:
            bits = differing[word]
            if ones != _EVERY_BIT:
                bits = np.bitwise_and(bits, ones, out=self._masked[:n])
            np.bitwise_count(bits, out=out)
            if out is more:
                total += more
            out = more
        return total

    def _agreeing(self, differing: np.ndarray) -> np.ndarray | None:
        """(a,) places where all rules hold that are left to check; None where there are none."""
        agrees: np.ndarray | None = None
        for mask, allowed in self._checks:
            distance = self._distance(differing, mask)
            holds = distance < allowed.stop
            if allowed.start:
                holds &= distance >= allowed.start
            agrees = holds if agrees is None else np.logical_and(agrees, holds, out=agrees)
        return None if agrees is None else np.flatnonzero(agrees)

    def _near(self, differing: np.ndarray) -> np.ndarray:
        """(c,) places in the block that may be among the best: all that are, and few others."""
        n = differing.shape[1]
        if not self._criteria.is_ranked:  # all score alike: first come, first served
            return np.arange(min(n, self._size - len(self._positions) - self._n_new))
        if not (n and self._size):
            return _NOWHERE
        if self._bound is None:
            self._choose_bound(differing[:, : max(_SAMPLE, 2 * self._size)])
        if self._bound is None:
            return np.arange(n)
        cutoff = self._cutoff(self._bound[0])
        distance = self._distance(differing, self._bound[1])
        return np.flatnonzero(distance <= cutoff) if np.minimum.reduce(distance) <= cutoff else _NOWHERE

    def _cutoff(self, weight: float) -> int:
        """Return the greatest distance inside a bound's mask that a score below the limit can have."""
        ratio = self._limit / weight * (1 + self._criteria.slack)
        return math.ceil(min(ratio, 64 * self._words.shape[1] + 1)) - 1

    def _choose_bound(self, differing: np.ndarray) -> None:
        """Find a limit in a sample that has codes enough, then the bound that leaves out most of the sample."""
        bounds = self._criteria.bounds
        if differing.shape[1] > self._size:
            nearest = np.argpartition(self._distance(differing, bounds[0][1]), self._size - 1)[: self._size]
            self._limit = min(self._limit, float(self._criteria.scores(differing[:, nearest]).max()) + bounds[0][0])
        if self._limit < np.inf:
            left = [np.count_nonzero(self._distance(differing, mask) <= self._cutoff(w)) for w, mask in bounds]
            self._bound = bounds[int(np.argmin(left))]

    def _add(self, differing: np.ndarray, positions: np.ndarray) -> None:
        self._new.append((differing, positions))
        self._n_new += len(positions)
        if self._n_new > max(self._size, _BATCH):
            self._prune()

    def _prune(self) -> None:
        """Score what is new and keep the best; a stable sort leaves equal scores in the order of their positions."""
        if not self._new:
            return
        scores = np.concatenate([self._scores, *(self._criteria.scores(differing) for differing, _ in self._new)])
        positions = np.concatenate([self._positions, *(positions for _, positions in self._new)])
        order = np.argsort(scores, kind="stable")[: self._size]
        self._scores, self._positions = scores[order], positions[order]
        self._new, self._n_new = [], 0
        if len(order) == self._size > 0:
            self._limit = min(self._limit, float(self._scores[-1]))
