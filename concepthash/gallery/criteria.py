"""What packed codes must satisfy, and how they rank: a query, read once for all of them."""

from contextlib import nullcontext
from dataclasses import dataclass
from functools import cached_property, reduce
from math import isfinite
from operator import or_

import numpy as np

from .query import Query

__all__ = ["WORD", "Criteria", "Mask", "bits_at", "bits_set", "mask_of"]

_DIGITS = bytes.maketrans(b"\0\1", b"01")
WORD = 2**64 - 1  # all bits of one
Mask = tuple[tuple[int, np.uint64], ...]  # words of a code, with the bits that count there


@dataclass(frozen=True, eq=False)
class Criteria:
    """A query made ready for packed codes of W words.

    Attributes
    ----------
    number, size
        The query's code, its first bit the least significant, and K/M, the bits of a sub-code.
    masks
        (M, W) uint64, the bits of each concept.
    parts
        The rows of ``masks``, each without the words that have no bits.
    checks
        Concepts that have a rule to satisfy, each with the distances that do.
    weights
        M of them: the score is the sum of each concept's weight times its distance, in float64, in this order.
    """

    number: int
    size: int
    masks: np.ndarray
    parts: tuple[Mask, ...]
    checks: tuple[tuple[int, range], ...]
    weights: tuple[float, ...]

    @classmethod
    def of(cls, query: Query, masks: np.ndarray, parts: tuple[Mask, ...]) -> "Criteria":
        """Read a query."""
        # Of one code, whose packing is a large part of a search among few: sooner than `pack_words`.
        digits = np.array(query.code[::-1], dtype=bool).tobytes().translate(_DIGITS)
        size = len(query.code) // len(query.rules)
        checks = [(c, rule.distances(size)) for c, rule in enumerate(query.rules) if rule.agree != "ignore"]
        weights = [1.0 if query.rank == "hamming" else 0.0] * len(query.rules)
        if query.rank == "weighted":
            weights = [float(rule.weight) for rule in query.rules]
        return cls(int(digits, 2), size, masks, parts, tuple(checks), tuple(weights))

    @cached_property
    def code(self) -> np.ndarray:
        """(W,) uint64, the query's code, packed."""
        words = range(self.masks.shape[1])
        return np.array([self.number >> 64 * word & WORD for word in words], dtype=np.uint64)

    def subcode(self, concept: int) -> int:
        """Return the query's sub-code of a concept, its first bit the least significant."""
        return self.number >> concept * self.size & (1 << self.size) - 1

    @cached_property
    def bytes(self) -> np.ndarray:
        """(M, B, 1) uint8, the query's sub-codes, the first bits first."""
        n_bytes = -(-self.size // 8)
        packed = b"".join(self.subcode(concept).to_bytes(n_bytes, "little") for concept in range(len(self.masks)))
        return np.frombuffer(packed, dtype=np.uint8).reshape(-1, n_bytes, 1)

    @property
    def is_ranked(self) -> bool:
        """Whether codes can score differently."""
        return any(self.weights)

    @cached_property
    def is_plain(self) -> bool:
        """Whether the score is the Hamming distance."""
        return self.weights.count(1) == len(self.weights)

    @cached_property
    def is_finite(self) -> bool:
        """Whether no score can be infinite."""
        return isfinite(sum(self.weights) * self.size)

    @cached_property
    def bounds(self) -> tuple[tuple[float, Mask], ...]:
        """Weights w with masks: no score is below w times the distance inside the mask."""
        levels = sorted({weight for weight in self.weights if weight > 0})
        return tuple(
            (w, mask_of(np.bitwise_or.reduce(self.masks[np.array(self.weights) >= w], axis=0))) for w in levels
        )

    @property
    def equal(self) -> tuple[int, np.uint64] | None:
        """A word, and its bits that have to be equal, where there are such: one look at it leaves most codes out."""
        exact = [part for concept, allowed in self.checks if allowed.stop == 1 for part in self.parts[concept]]
        word = min((word for word, _ in exact), default=None)
        return None if word is None else (word, reduce(or_, (ones for at, ones in exact if at == word)))

    def checks_beside(self, equal: tuple[int, np.uint64] | None) -> list[tuple[Mask, range]]:
        """Masks with the distances allowed inside them, but for those that hold where `equal` was looked at."""
        checks = [(self.parts[concept], allowed) for concept, allowed in self.checks]
        word = equal and equal[0]
        return [(mask, allowed) for mask, allowed in checks if allowed.stop > 1 or [w for w, _ in mask] != [word]]

    def distances(self, differing: np.ndarray) -> np.ndarray:
        """(M, n) unsigned, Hamming distances inside each sub-code, of (W, n) uint64 differing bits."""
        return bits_set(differing[:, None] & self.masks.T[:, :, None])

    def score(self, distances: np.ndarray) -> np.ndarray:
        """(n,) float64 of (M, n) distances, summed concept by concept, so that every engine rounds alike."""
        if self.is_plain:
            return np.add.reduce(distances, dtype=np.float64)
        with nullcontext() if self.is_finite else np.errstate(over="ignore"):  # a score may be infinite, as everywhere
            return reduce(np.add, np.array(self.weights)[:, None] * distances)

    def scores(self, differing: np.ndarray) -> np.ndarray:
        """(n,) float64 of (W, n) uint64 differing bits, or the same as whole numbers where all bits weigh 1."""
        return bits_set(differing) if self.is_plain else self.score(self.distances(differing))

    @cached_property
    def slack(self) -> float:
        """How much a sum of float64 may be rounded, relatively; nothing, where all weights are whole."""
        return 0.0 if all(w.is_integer() for w in self.weights) and sum(self.weights) < 2**40 else 1e-9


def mask_of(ones: np.ndarray) -> Mask:
    """Leave out the words (W,) of a mask that have no bits."""
    return tuple((int(word), ones[word]) for word in np.flatnonzero(ones))


def bits_at(words: np.ndarray, start: int, width: int) -> np.ndarray:
    """(N,) uint64, the bits of codes (N, W) uint64 from ``start`` on, at most 64, the first the least significant."""
    word, shift = divmod(start, 64)
    bits = words[:, word] >> np.uint64(shift)
    if shift + width > 64:
        bits |= words[:, word + 1] << np.uint64(64 - shift)
    return bits & np.uint64(2**width - 1)


def bits_set(words: np.ndarray) -> np.ndarray:
    """(...) unsigned, how many bits of (W, ...) uint64 words are set."""
    counts = np.bitwise_count(words)
    return counts[0] if len(counts) == 1 else counts.sum(axis=0)
