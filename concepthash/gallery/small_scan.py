"""Few packed codes, ranked at once: every code is scored, which so few calls do sooner than a search for bounds."""

from functools import reduce

import numpy as np

from .criteria import Criteria, Mask

__all__ = ["scan_at_once"]


def scan_at_once(words: np.ndarray, rows: np.ndarray | None, criteria: Criteria, size: int) -> tuple[int, np.ndarray]:
    """Find the first ``size`` codes that satisfy some criteria, in the order of score and position.

    Parameters
    ----------
    words
        (N, W) uint64, packed codes.
    rows
        (n,) int64, ascending positions to look at; None for all.
    criteria
        What they must satisfy, and how they rank.
    size
        How many are wanted.

    Returns
    -------
    tuple
        How many satisfy the rules, and the (size,) int64 positions of the best of them, or fewer.
    """
    if not criteria.checks and not (size and criteria.is_ranked):
        n = len(words) if rows is None else len(rows)
        return n, np.arange(min(n, size)) if rows is None else rows[:size]
    equal = criteria.equal
    if equal is not None:
        word, ones = equal
        codes = words[:, word] if rows is None else words[rows, word]
        rows = _narrow(rows, codes & ones == criteria.code[word] & ones)
    differing = ((words if rows is None else words.take(rows, axis=0)) ^ criteria.code).T  # (W, n)
    checks = criteria.checks_beside(equal)
    if checks:
        holds = reduce(np.logical_and, (_holds(differing, mask, allowed) for mask, allowed in checks))
        rows, differing = _narrow(rows, holds), differing.take(holds.nonzero()[0], axis=1)
    best = _first(criteria, differing, size)
    return differing.shape[1], best if rows is None else rows[best]


def _narrow(rows: np.ndarray | None, holds: np.ndarray) -> np.ndarray:
    return holds.nonzero()[0] if rows is None else rows[holds]


def _holds(differing: np.ndarray, mask: Mask, allowed: range) -> np.ndarray:
    """(n,) bool: the (W, n) bits that differ inside a mask are as many as is allowed."""
    distance = reduce(np.add, (np.bitwise_count(differing[word] & ones) for word, ones in mask))
    holds = distance < allowed.stop
    return holds & (distance >= allowed.start) if allowed.start else holds


def _first(criteria: Criteria, differing: np.ndarray, size: int) -> np.ndarray:
    """(size,) places of the best of (W, n) bits that differ; a stable sort leaves equal scores in their order."""
    if not (size and criteria.is_ranked):
        return np.arange(min(differing.shape[1], size))
    scores = criteria.scores(differing)
    if len(scores) <= size:
        return scores.argsort(kind="stable")
    near = (scores <= np.partition(scores, size - 1)[size - 1]).nonzero()[0]
    return near[scores[near].argsort(kind="stable")[:size]]
