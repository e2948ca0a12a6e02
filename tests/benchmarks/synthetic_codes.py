"""Skewed codes to measure search with: classes of Zipf's sizes, common and rare sub-codes, and bits that flip."""

from dataclasses import dataclass

import numpy as np

from concepthash.codes import pack_words

_BLOCK = 1 << 16


@dataclass(frozen=True, eq=False)
class SyntheticCodes:
    """N codes and Q held-out queries of one model: words (N, W) int64, labels (N,) int64, queries (Q, K) bool."""

    words: np.ndarray
    labels: np.ndarray
    queries: np.ndarray
    query_labels: np.ndarray


def zipf_draws(
    rng: np.random.Generator, n_choices: int, size: int | tuple[int, ...], exponent: float = 1.0
) -> np.ndarray:
    """Integers in [0, n_choices), the i-th with a probability that falls as a power of i + 1."""
    shares = np.arange(1, n_choices + 1) ** -exponent
    return rng.choice(n_choices, size, p=shares / shares.sum())


def synthetic_codes(n: int, n_bits: int, n_concepts: int, n_queries: int = 64, seed: int = 0) -> SyntheticCodes:
    """Draw codes: the prototype of each class and concept is one of 64 sub-codes (of 4, where they have 2 bits).

    Each bit of an image then flips with its class's own probability, between 2 and 10 %.
    """
    rng = np.random.default_rng(seed)
    n_classes, size = (200 if n <= 10_000 else 1000), n_bits // n_concepts
    vocabulary = rng.random((n_concepts, min(64, 2**size), size)) < 0.5
    if size == 2:
        vocabulary = np.tile(np.array([[0, 0], [0, 1], [1, 0], [1, 1]], dtype=bool), (n_concepts, 1, 1))
    chosen = zipf_draws(rng, vocabulary.shape[1], (n_classes, n_concepts))
    prototypes = vocabulary[np.arange(n_concepts), chosen].reshape(n_classes, n_bits)
    noise = rng.uniform(0.02, 0.10, n_classes).astype(np.float32)

    def draw(labels: np.ndarray) -> np.ndarray:
        flips = rng.random((len(labels), n_bits), dtype=np.float32) < noise[labels, None]
        return prototypes[labels] ^ flips

    labels = zipf_draws(rng, n_classes, n + n_queries, 0.7)
    blocks = [pack_words(draw(labels[start : min(start + _BLOCK, n)])) for start in range(0, n, _BLOCK)]
    return SyntheticCodes(np.concatenate(blocks), labels[:n], draw(labels[n:]), labels[n:])
