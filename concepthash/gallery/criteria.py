"""What packed codes must satisfy, and how they rank: a query, read once for all of them."""

from dataclasses import dataclass
from functools import cached_property, reduce

import numpy as np

from .query import Query

__all__ = ["Criteria", "Mask", "mask_of"]

Mask = tuple[tuple[int, np.uint64], ...]  # words of a code, with the bits that count there


@dataclass(frozen=True, eq=False)
class Criteria:
    """A query made ready for packed codes of W words.

    Attributes
    ----------
    code, masks
        (W,) and (M, W) uint64, the query's code and the bits of each concept.
    checks
        Concepts that have a rule to satisfy, each with the distances that do.
    weights
        M of them: the score is the sum of each concept's weight times its distance, in float64, in this order.
    """

    code: np.ndarray
    masks: np.ndarray
    checks: tuple[tuple[int, range], ...]
    weights: tuple[float, ...]

    @classmethod
    def of(cls, query: Query, code: np.ndarray, masks: np.ndarray) -> "Criteria":
        """Read a query."""
        size = len(query.code) // len(query.rules)
        checks = [(c, rule.distances(size)) for c, rule in enumerate(query.rules) if rule.agree != "ignore"]
        weights = [{"none": 0.0, "hamming": 1.0, "weighted": float(rule.weight)}[query.rank] for rule in query.rules]
        return cls(code, masks, tuple(checks), tuple(weights))

    @cached_property
    def bounds(self) -> tuple[tuple[float, Mask], ...]:
        """Weights w with masks: no score is below w times the distance inside the mask."""
        levels = sorted({weight for weight in self.weights if weight > 0})
        return tuple(
            (w, mask_of(np.bitwise_or.reduce(self.masks[np.array(self.weights) >= w], axis=0))) for w in levels
        )

    @cached_property
    def equal(self) -> tuple[int, np.uint64] | None:
        """A word, and its bits that have to be equal, where there are such: one look at it leaves most codes out."""
        ones = self.masks[[concept for concept, allowed in self.checks if allowed.stop == 1]]
        return next(iter(mask_of(np.bitwise_or.reduce(ones, axis=0))), None)

    def checks_beside(self, equal: tuple[int, np.uint64] | None) -> list[tuple[Mask, range]]:
        """Masks with the distances allowed inside them, but for those that hold where `equal` was looked at."""
        checks = [(mask_of(self.masks[concept]), allowed) for concept, allowed in self.checks]
        word = equal and equal[0]
        return [(mask, allowed) for mask, allowed in checks if allowed.stop > 1 or [w for w, _ in mask] != [word]]

    def distances(self, differing: np.ndarray) -> np.ndarray:
        """(M, n) int64, Hamming distances inside each sub-code, of (W, n) uint64 differing bits."""
        return np.bitwise_count(differing & self.masks[:, :, None]).sum(axis=1, dtype=np.int64)

    def score(self, distances: np.ndarray) -> np.ndarray:
        """(n,) float64 of (M, n) distances, summed concept by concept, so that every engine rounds alike."""
        with np.errstate(over="ignore"):  # a huge weight makes an infinite score, as everywhere
            return reduce(np.add, np.array(self.weights)[:, None] * distances)

    def scores(self, differing: np.ndarray) -> np.ndarray:
        """(n,) float64 of (W, n) uint64 differing bits."""
        return self.score(self.distances(differing))

    @cached_property
    def slack(self) -> float:
        """How much a sum of float64 may be rounded, relatively; nothing, where all weights are whole."""
        return 0.0 if all(w.is_integer() for w in self.weights) and sum(self.weights) < 2**40 else 1e-9


def mask_of(ones: np.ndarray) -> Mask:
    """Leave out the words (W,) of a mask that have no bits."""
    return tuple((int(word), ones[word]) for word in np.flatnonzero(ones))
