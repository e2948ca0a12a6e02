"""Images of a gallery by chosen bits of their codes: which cell each is in, how clearly, and who stands for a cell."""

from dataclasses import dataclass

import numpy as np

from ..codes import binarize, pack_words, unpack_words
from ..errors import QueryError
from .gallery import Gallery

__all__ = ["CodeBook", "cells_of", "code_book", "margins_of", "representatives", "telling_bits"]

_WORD_BITS = 64
_COUNTED = 20  # bits of a sub-code up to which its kinds are counted in a table

_FIRST_LOOK = 8  # times the number of representatives wanted: how many rows are sorted before all of them are


def cells_of(gallery: Gallery, bits: tuple[int, ...]) -> np.ndarray:
    """Read chosen bits of every code as one number, the first bit the most significant.

    Parameters
    ----------
    gallery
        N images.
    bits
        At most 16 bits of the code, counted from 0.

    Returns
    -------
    np.ndarray
        (N,) uint8, or uint16 for more than 8 bits, in [0, 2 ** len(bits)).

    Raises
    ------
    QueryError
        If the code has no such bit, or too many are chosen.
    """
    _check_bits(gallery, bits)
    cells: np.ndarray = np.zeros(len(gallery), dtype=np.uint8 if len(bits) <= 8 else np.uint16)
    for bit in bits:
        cells = (cells << 1) | binarize(gallery.code_logits[:, bit])
    return cells


def margins_of(gallery: Gallery, bits: tuple[int, ...]) -> np.ndarray:
    """How far each image is from another cell: the smallest absolute code logit of the chosen bits, (N,) float32."""
    _check_bits(gallery, bits)
    margins = np.abs(gallery.code_logits[:, bits[0]])
    for bit in bits[1:]:
        np.minimum(margins, np.abs(gallery.code_logits[:, bit]), out=margins)
    return margins


def representatives(rows: np.ndarray, labels: np.ndarray, margins: np.ndarray, n: int) -> np.ndarray:
    """Choose who stands for a group of images: the largest margins, one of every class before a second of any.

    Parameters
    ----------
    rows
        (m,) int64, the images of the group, in ascending order.
    labels, margins
        (N,) int and (N,) float, classes and margins of all images.
    n
        How many are wanted.

    Returns
    -------
    np.ndarray
        At most n of the rows, best first; equal margins go by row.

    Examples
    --------
    >>> representatives(np.array([0, 1, 2, 3]), np.array([7, 7, 3, 7]), np.array([0.9, 0.8, 0.1, 0.7]), 3)
    array([0, 2, 1])
    """
    n_looked, clear = n * _FIRST_LOOK, margins[rows]
    while n_looked < len(rows):
        floor = np.partition(clear, len(rows) - n_looked)[len(rows) - n_looked]
        order = _by_margin(rows[clear >= floor], margins)
        first = _first_of_each(labels[order], n)
        if len(first) == n:
            return order[first]
        n_looked *= 8
    order = _by_margin(rows, margins)
    first = _first_of_each(labels[order], n)
    others = np.delete(order, first)
    return np.concatenate([order[first], others])[:n]


def telling_bits(gallery: Gallery, concept: int) -> tuple[int, int]:
    """Two bits of a concept's sub-code that split the gallery most evenly: those with the largest joint entropy.

    Returns
    -------
    tuple of two ints
        Counted from 0 within the sub-code, in ascending order; the first pair where several are equal.

    Raises
    ------
    QueryError
        If the sub-code has only one bit.
    """
    size = gallery.bits_per_concept
    if size < 2:
        raise QueryError("A sub-code of one bit has no two bits to choose; look at both of its values instead.")
    bits = (gallery.code_logits[:, gallery.bits_of(concept)] > 0).astype(np.float32)  # (N, size)
    n, ones, both = len(bits), bits.sum(axis=0), bits.T @ bits  # both: (size, size)
    counts = np.stack([both, ones[:, None] - both, ones[None] - both, n - ones[:, None] - ones[None] + both])
    shares = counts / max(n, 1)  # (4, size, size)
    entropy = -(shares * np.log2(np.where(shares > 0, shares, 1))).sum(axis=0)  # (size, size)
    entropy[np.tril_indices(size)] = -1
    first, second = np.unravel_index(int(entropy.round(6).argmax()), entropy.shape)
    return int(first), int(second)


@dataclass(frozen=True, eq=False)
class CodeBook:
    """The sub-codes of one concept that a gallery uses, the most common first.

    Attributes
    ----------
    codes
        (U, K/M) bool.
    counts
        (U,) int64, images with each; they fall, and equal ones go by the first image.
    ranks
        (N,) int32, row of ``codes`` that each image has.
    """

    codes: np.ndarray
    counts: np.ndarray
    ranks: np.ndarray


def code_book(gallery: Gallery, concept: int) -> CodeBook:
    """List the sub-codes of one concept that a gallery uses."""
    part = gallery.bits_of(concept)
    keys = _subcode_keys(gallery, part)
    if (
        gallery.bits_per_concept <= _COUNTED and keys.dtype == np.int64 and len(keys)
    ):  # few enough to be counted, which beats sorting
        every = np.bincount(keys)
        kinds, counts = np.flatnonzero(every), every[every > 0]
        first = np.empty(len(every), dtype=np.int64)
        first[keys[::-1]] = np.arange(len(keys))[::-1]  # the last one written is the first image
        first, inverse = first[kinds], np.cumsum(every > 0)[keys] - 1
    else:
        _, first, inverse, counts = np.unique(keys, return_index=True, return_inverse=True, return_counts=True)
    order = np.lexsort((first, -counts))
    rank_of = np.empty(len(order), dtype=np.int32)
    rank_of[order] = np.arange(len(order), dtype=np.int32)
    codes = unpack_words(gallery.words[first[order]], gallery.n_bits)[:, part]
    return CodeBook(codes, counts[order], rank_of[inverse.reshape(-1)])


def _subcode_keys(gallery: Gallery, part: slice) -> np.ndarray:
    """(N,) equal where the bits of ``part`` are: whole numbers, or records where the bits lie in several words."""
    mask = np.zeros((1, gallery.n_bits), dtype=bool)
    mask[0, part] = True
    fixed = pack_words(mask)[0]  # (W,)
    own = np.ascontiguousarray(gallery.words[:, fixed != 0] & fixed[fixed != 0])  # (N, words of this sub-code)
    if own.shape[1] > 1:
        return own.view([("", own.dtype)] * own.shape[1])[:, 0]
    shift, size = part.start % _WORD_BITS, part.stop - part.start
    return (own[:, 0] >> shift) & ((1 << size) - 1) if size < _WORD_BITS else own[:, 0]


def _first_of_each(labels: np.ndarray, n: int) -> list[int]:
    """Positions of the first image of each class, at most n of them; stops as soon as it has them."""
    seen: dict[int, int] = {}
    for position, label in enumerate(labels.tolist()):
        if len(seen) == n:
            break
        seen.setdefault(label, position)
    return list(seen.values())


def _by_margin(rows: np.ndarray, margins: np.ndarray) -> np.ndarray:
    return rows[np.argsort(-margins[rows], kind="stable")]


def _check_bits(gallery: Gallery, bits: tuple[int, ...]) -> None:
    if not 1 <= len(bits) <= 16 or any(not 0 <= bit < gallery.n_bits for bit in bits):
        raise QueryError(
            f"The bits {', '.join(map(str, bits)) or 'none'} cannot be shown; choose 1 to 16 of the bits 0 to "
            f"{gallery.n_bits - 1}."
        )
