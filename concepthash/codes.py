"""Binary codes in numpy: sign rule, 64-bit words, sub-codes and Hamming distances.

Bit ``j`` (0-based) of a code of K bits belongs to concept ``j // (K/M)``. In words it is bit ``j % 64`` of word
``j // 64``, and a word is a signed 64-bit integer (two's complement), as databases store it.
"""

from typing import Any

import numpy as np

from .errors import ConfigError, QueryError

__all__ = [
    "binarize",
    "concept_distances",
    "hamming",
    "pack_words",
    "subcode_text",
    "subcode_values",
    "subcodes",
    "unpack_words",
]

_WORD_BITS = 64
_BLOCK = 1 << 18  # distances computed at once: the 64-bit intermediate then stays in the processor's cache


def binarize(code_logits: np.ndarray) -> np.ndarray:
    """Turn code logits into bits: a bit is 1 where its logit is greater than 0.

    Parameters
    ----------
    code_logits
        (..., K) float.

    Returns
    -------
    np.ndarray
        (..., K) bool. A logit of exactly 0, or not a number, gives 0.

    Examples
    --------
    >>> binarize(np.array([0.3, -1.2, 0.0]))
    array([ True, False, False])
    """
    return np.asarray(code_logits) > 0


def pack_words(code: np.ndarray) -> np.ndarray:
    """Pack bits into signed 64-bit words; the unused high bits of the last word are 0.

    Parameters
    ----------
    code
        (n, K) bool.

    Returns
    -------
    np.ndarray
        (n, ceil(K/64)) int64.

    Raises
    ------
    TypeError
        If ``code`` is not boolean: codes of -1 and +1 would all become ones.

    Examples
    --------
    >>> pack_words(np.array([[True, False, True]]))
    array([[5]])
    """
    code = _as_code(code)
    packed = np.packbits(code, axis=-1, bitorder="little")  # (n, ceil(K/8)) uint8
    n_words = -(-code.shape[-1] // _WORD_BITS)
    padded = np.zeros((*code.shape[:-1], n_words * 8), dtype=np.uint8)  # (n, 8 W)
    padded[..., : packed.shape[-1]] = packed
    return padded.view("<i8").astype(np.int64, copy=False)  # (n, W)


def unpack_words(words: np.ndarray, n_bits: int) -> np.ndarray:
    """Give back the bits that `pack_words` packed.

    Parameters
    ----------
    words, n_bits
        (n, W) int64, and K, at most 64 W.

    Returns
    -------
    np.ndarray
        (n, K) bool.

    Raises
    ------
    ConfigError
        If the words do not hold ``n_bits`` bits each.

    Examples
    --------
    >>> unpack_words(np.array([[5]]), 3)
    array([[ True, False,  True]])
    """
    words = np.ascontiguousarray(words, dtype="<i8")
    if not 0 < n_bits <= words.shape[-1] * _WORD_BITS:
        raise ConfigError(
            f"{words.shape[-1]} words of 64 bits do not hold {n_bits} bits; use the bits they were packed from."
        )
    return np.unpackbits(words.view(np.uint8), axis=-1, count=n_bits, bitorder="little").view(bool)  # (n, K)


def subcodes(code: np.ndarray, n_concepts: int) -> np.ndarray:
    """Cut codes (or code logits) into the sub-codes of their concepts.

    Parameters
    ----------
    code
        (..., K) of any dtype.
    n_concepts
        M, a divisor of K.

    Returns
    -------
    np.ndarray
        (..., M, K/M), a view where numpy can give one.

    Raises
    ------
    ConfigError
        If K is not a multiple of M.

    Examples
    --------
    >>> subcodes(np.array([1, 0, 0, 1]), 2)
    array([[1, 0],
           [0, 1]])
    """
    code = np.asarray(code)
    return code.reshape(*code.shape[:-1], n_concepts, _bits_per_concept(code.shape[-1], n_concepts))


def subcode_values(code: np.ndarray, n_concepts: int) -> np.ndarray:
    """Read every sub-code as a binary number, its first bit the most significant, as it is printed.

    Parameters
    ----------
    code
        (n, K) bool.
    n_concepts
        M, a divisor of K.

    Returns
    -------
    np.ndarray
        (n, M) int64 in [0, 2**(K/M)).

    Raises
    ------
    ConfigError
        If K is not a multiple of M, or a sub-code is longer than 63 bits.
    TypeError
        If ``code`` is not boolean.

    Examples
    --------
    >>> subcode_values(np.array([[False, True, True, False]]), 2)
    array([[1, 2]])
    """
    bits = subcodes(_as_code(code), n_concepts)  # (n, M, K/M)
    length = bits.shape[-1]
    if length > _WORD_BITS - 1:
        raise ConfigError(f"Sub-codes of {length} bits do not fit a signed 64-bit number; use at most 63 bits each.")
    packed = np.packbits(bits, axis=-1)  # (n, M, ceil(K/M / 8)), the first bit on top
    padded = np.zeros((*bits.shape[:-1], 8), dtype=np.uint8)
    padded[..., : packed.shape[-1]] = packed
    return (padded.view(">u8")[..., 0] >> np.uint64(_WORD_BITS - length)).astype(np.int64)  # (n, M)


def subcode_text(bits: np.ndarray) -> str:
    """Print a sub-code: its bits in order as ``0`` and ``1``.

    Parameters
    ----------
    bits
        (K/M,) bool.

    Returns
    -------
    str
        One character a bit.

    Examples
    --------
    >>> subcode_text(np.array([False, True, True, False]))
    '0110'
    """
    return "".join("1" if bit else "0" for bit in bits)


def hamming(words_a: np.ndarray, words_b: np.ndarray) -> np.ndarray:
    """Count the differing bits between every code of ``a`` and every code of ``b``.

    Parameters
    ----------
    words_a, words_b
        (n, W) and (m, W) int64, from `pack_words`.

    Returns
    -------
    np.ndarray
        (n, m) uint16, distances in bits.

    Raises
    ------
    QueryError
        If the numbers of words differ.

    Examples
    --------
    >>> hamming(np.array([[0b110]]), np.array([[0b110], [0b011], [-1]]))
    array([[ 0,  2, 62]], dtype=uint16)
    """
    a, b = _unsigned(words_a), _unsigned(words_b)
    if a.shape[1] != b.shape[1]:
        raise QueryError(f"Codes of {a.shape[1]} and of {b.shape[1]} words do not match; encode both with one model.")
    columns = np.ascontiguousarray(b.T)  # (W, m)
    distances = np.zeros((len(a), len(b)), dtype=np.uint16)
    step = max(1, _BLOCK // max(1, len(b)))
    for start in range(0, len(a), step):
        rows = slice(start, start + step)
        for word, column in enumerate(columns):
            distances[rows] += np.bitwise_count(a[rows, word, None] ^ column)  # (rows, m)
    return distances


def concept_distances(query_code: np.ndarray, codes_words: np.ndarray, n_bits: int, n_concepts: int) -> np.ndarray:
    """Count the differing bits inside each sub-code, between one code and many.

    Parameters
    ----------
    query_code
        (K,) bool.
    codes_words
        (n, W) int64, from `pack_words`.
    n_bits, n_concepts
        K and M.

    Returns
    -------
    np.ndarray
        (n, M), distances in bits; uint8, or uint16 where a sub-code has more than 255 bits. Its rows sum to
        `hamming`, and its columns lie in memory one after another.

    Raises
    ------
    ConfigError
        If K is not a multiple of M.
    QueryError
        If the query, or the words, are not made for K bits.
    TypeError
        If ``query_code`` is not boolean.

    Examples
    --------
    >>> concept_distances(np.array([True, False, False, False]), np.array([[0b0001], [0b1110]]), 4, 2)
    array([[0, 0],
           [2, 2]], dtype=uint8)
    """
    bits_per_concept = _bits_per_concept(n_bits, n_concepts)
    query = _unsigned(pack_words(np.asarray(query_code)[None]))[0]  # (W,)
    words = _unsigned(codes_words)  # (n, W)
    if len(query_code) != n_bits or words.shape[1] != len(query):
        raise QueryError(
            f"A query of {len(query_code)} bits and stored codes of {words.shape[1]} words do not match codes of "
            f"{n_bits} bits; encode both with the same model."
        )
    masks = _unsigned(pack_words(np.repeat(np.eye(n_concepts, dtype=bool), bits_per_concept, axis=1)))  # (M, W)
    differing = words ^ query  # (n, W)
    distances = np.zeros((n_concepts, len(words)), dtype=np.min_scalar_type(bits_per_concept))
    for concept, word in np.argwhere(masks):  # a sub-code touches few of the words
        distances[concept] += np.bitwise_count(differing[:, word] & masks[concept, word])
    return distances.T


def _as_code(code: Any) -> np.ndarray:
    code = np.asarray(code)
    if code.dtype != bool:
        raise TypeError(f"a code must be boolean, not {code.dtype}; use binarize on code logits first")
    return code


def _unsigned(words: np.ndarray) -> np.ndarray:
    """View signed words as unsigned, since numpy counts the bits of a negative number's absolute value."""
    return np.ascontiguousarray(words, dtype=np.int64).view(np.uint64)


def _bits_per_concept(n_bits: int, n_concepts: int) -> int:
    if n_concepts < 1 or n_bits < 1 or n_bits % n_concepts:
        raise ConfigError(f"{n_bits} bits do not split over {n_concepts} concepts; use a multiple of the concepts.")
    return n_bits // n_concepts
