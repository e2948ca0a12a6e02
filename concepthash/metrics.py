"""How well codes retrieve: mean average precision and precision with ties averaged exactly; how well bits are used.

Codes of few bits put many images at the same distance, and any fixed order inside such a tie favors somebody. The
figures here are the expected values when every tie is put in random order, computed in closed form, so they do not
depend on how the gallery is sorted. `mean_average_precision_topk` is the exception, kept for comparison.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np

from .codes import hamming, pack_words, subcodes
from .errors import QueryError

__all__ = [
    "average_precision",
    "bit_balance",
    "bootstrap_mean",
    "distances_per_concept",
    "listed",
    "map_per_concept",
    "mean_average_precision",
    "mean_average_precision_topk",
    "precision_at",
    "repeated_subcodes",
    "resample_counts",
    "subcode_redundancy",
]

_BLOCK = 1 << 20  # distances handled at once, so that memory does not grow with the number of queries


def mean_average_precision(distances: np.ndarray, query_labels: np.ndarray, gallery_labels: np.ndarray) -> float:
    r"""Mean over queries of the expected average precision when ties are in random order.

    Parameters
    ----------
    distances
        (Q, S) whole numbers >= 0, from every query to every stored image, in bits.
    query_labels, gallery_labels
        (Q,) and (S,) integers; an image is relevant to the queries of its own label. A stored image with label -1
        (unknown) is relevant to none.

    Returns
    -------
    float
        In [0, 1]; a query without any relevant image scores 0.

    Raises
    ------
    QueryError
        If shapes do not match, nothing is there to rank, distances are not whole numbers, or a query's label is
        unknown.

    Notes
    -----
    Take a tie of n images, r of them relevant, with N images and R relevant ones at smaller distances. Place j of
    the tie holds a relevant image with probability r/n, and then :math:`(j-1)(r-1)/(n-1)` of those before it are
    expected to be relevant. With :math:`a = (r-1)/(n-1)` and harmonic numbers H the tie adds

    .. math:: \frac{r}{n} \sum_{j=1}^{n} \frac{R + 1 + a(j-1)}{N + j}
              = \frac{r}{n} \left( a n + (R + 1 - a(N+1)) (H_{N+n} - H_N) \right)

    to the sum of precisions, which is then divided by the number of relevant images. The whole gallery is ranked.

    References
    ----------
    McSherry and Najork, "Computing information retrieval performance measures efficiently in the presence of tied
    scores", ECIR 2008.

    Examples
    --------
    One relevant image tied with another stands first or second, equally often:

    >>> mean_average_precision(np.array([[3, 3]]), np.array([7]), np.array([7, 8]))
    0.75
    """
    return float(average_precision(distances, query_labels, gallery_labels).mean())


def average_precision(distances: np.ndarray, query_labels: np.ndarray, gallery_labels: np.ndarray) -> np.ndarray:
    """Expected average precision of every query, (Q,) in [0, 1]; see `mean_average_precision`."""
    return _expected_average_precision(*_tie_sizes(distances, query_labels, gallery_labels))


def bootstrap_mean(values: np.ndarray, *, n_resamples: int = 1000, seed: int = 0) -> tuple[float, float, float]:
    """Mean of values (n,), and the 95 % percentile interval of the means of samples with replacement: mean, low, high.

    Examples
    --------
    >>> bootstrap_mean(np.full(5, 0.25))
    (0.25, 0.25, 0.25)
    """
    counts = resample_counts(len(values), n_resamples, seed)
    low, high = np.percentile(counts @ values / len(values), (2.5, 97.5))
    return float(values.mean()), float(low), float(high)


def resample_counts(n: int, n_resamples: int, seed: int) -> np.ndarray:
    """How often each of n images is in each bootstrap sample of n images with replacement: (R, n)."""
    return np.random.default_rng(seed).multinomial(n, np.full(n, 1 / n), size=n_resamples)


def mean_average_precision_topk(distances: np.ndarray, query_labels: np.ndarray, gallery_labels: np.ndarray) -> float:
    """Mean average precision with ties in the order of the gallery, for comparison with published figures.

    A gallery sorted by class makes this figure too high or too low; `mean_average_precision` is free of that.
    Released code ranks by ``torch.topk``, whose order inside a tie is arbitrary; here the order is stable.

    Parameters
    ----------
    distances, query_labels, gallery_labels
        As for `mean_average_precision`.

    Returns
    -------
    float
        In [0, 1]; a query without any relevant image scores 0.

    Raises
    ------
    QueryError
        As for `mean_average_precision`.

    Examples
    --------
    >>> mean_average_precision_topk(np.array([[3, 3]]), np.array([7]), np.array([7, 8]))
    1.0
    """
    distances, query_labels, gallery_labels = _checked(distances, query_labels, gallery_labels)
    ranks = np.arange(1, distances.shape[1] + 1)
    total = 0.0
    for rows in _row_blocks(distances.shape):
        order = np.argsort(distances[rows], axis=1, kind="stable")  # (rows, S)
        relevant = gallery_labels[order] == query_labels[rows, None]  # (rows, S)
        precision = np.cumsum(relevant, axis=1) / ranks  # (rows, S)
        total += float(((precision * relevant).sum(axis=1) / np.maximum(relevant.sum(axis=1), 1)).sum())
    return total / len(distances)


def precision_at(distances: np.ndarray, query_labels: np.ndarray, gallery_labels: np.ndarray, k: int) -> float:
    """Precision among the first ``k`` results: the expected relevant share when ties are in random order.

    Parameters
    ----------
    distances, query_labels, gallery_labels
        As for `mean_average_precision`.
    k
        Number of results, at least 1; a gallery with fewer images is taken whole.

    Returns
    -------
    float
        In [0, 1], the mean over queries.

    Raises
    ------
    QueryError
        If ``k`` is less than 1, and as for `mean_average_precision`.

    Examples
    --------
    >>> precision_at(np.array([[0, 3, 3]]), np.array([7]), np.array([7, 7, 8]), k=2)
    0.75
    """
    if k < 1:
        raise QueryError(f"Precision among the first {k} results has no meaning; use 1 or more.")
    n_tied, n_relevant = _tie_sizes(distances, query_labels, gallery_labels)
    k = min(k, int(n_tied[0].sum()))
    before = np.cumsum(n_tied, axis=1) - n_tied  # (Q, D)
    shown = np.clip(k - before, 0, n_tied)  # how many of each tie are among the first k
    return float((n_relevant * shown / np.maximum(n_tied, 1)).sum(axis=1).mean() / k)


def bit_balance(code: np.ndarray) -> float:
    """How evenly the bits are used: the mean over bits of ``1 - |2 p - 1|`` with p the share of codes that have it set.

    Parameters
    ----------
    code
        (n, K) bool.

    Returns
    -------
    float
        1 when every bit is set in half the codes, 0 when every bit is constant.

    Raises
    ------
    QueryError
        If there is no code.

    Examples
    --------
    >>> bit_balance(np.array([[True, True], [False, True]]))
    0.5
    """
    code = np.asarray(code)
    if code.ndim != 2 or not code.size:
        raise QueryError(f"Bit balance needs codes of shape (n, K), got {code.shape}; give at least one code.")
    return float((1 - np.abs(2 * code.mean(axis=0) - 1)).mean())


def map_per_concept(
    query_code: np.ndarray,
    gallery_code: np.ndarray,
    query_labels: np.ndarray,
    gallery_labels: np.ndarray,
    n_concepts: int,
) -> np.ndarray:
    """Mean average precision when only the sub-code of one concept is compared, for each concept in turn.

    Parameters
    ----------
    query_code, gallery_code
        (Q, K) and (S, K) bool.
    query_labels, gallery_labels
        As for `mean_average_precision`.
    n_concepts
        M, a divisor of K.

    Returns
    -------
    np.ndarray
        (M,) float64 in [0, 1], ties averaged.

    Raises
    ------
    ConfigError
        If K is not a multiple of M.
    QueryError
        As for `mean_average_precision`, or if the codes differ in length.

    Examples
    --------
    >>> code = np.array([[True, False], [False, False]])
    >>> map_per_concept(code, code, np.array([0, 1]), np.array([0, 1]), n_concepts=2)
    array([1.  , 0.75])
    """
    query_code, gallery_code = np.asarray(query_code), np.asarray(gallery_code)
    if query_code.shape[1:] != gallery_code.shape[1:]:
        raise QueryError(
            f"Queries of shape {query_code.shape} and a gallery of shape {gallery_code.shape} cannot be compared; "
            "encode both with the same model."
        )
    distances = distances_per_concept(query_code, gallery_code, n_concepts)
    return np.array([mean_average_precision(d, query_labels, gallery_labels) for d in distances])


def distances_per_concept(query_code: np.ndarray, gallery_code: np.ndarray, n_concepts: int) -> Iterator[np.ndarray]:
    """Bits that differ between the sub-codes of one concept after another: M times (Q, S), computed when asked for.

    Parameters
    ----------
    query_code, gallery_code
        (Q, K) and (S, K) bool.
    n_concepts
        M, a divisor of K.

    Raises
    ------
    ConfigError
        If K is not a multiple of M.
    """
    queries, gallery = subcodes(query_code, n_concepts), subcodes(gallery_code, n_concepts)  # (Q, M, K/M), (S, M, K/M)
    for concept in range(n_concepts):
        yield hamming(pack_words(queries[:, concept]), pack_words(gallery[:, concept]))


def subcode_redundancy(code: np.ndarray, n_concepts: int) -> float:
    """How far bits of different concepts are correlated: mean linear centered kernel alignment over pairs.

    Parameters
    ----------
    code
        (n, K) bool.
    n_concepts
        M, a divisor of K.

    Returns
    -------
    float
        1 where the sub-codes of all concepts are the same but for order and signs of bits; 0 where no bit of one is
        correlated with a bit of another, though both may tell the same class, and for one that never changes; nan
        where M = 1.

    Raises
    ------
    ConfigError
        If K is not a multiple of M.

    References
    ----------
    Kornblith, Norouzi, Lee, Hinton: Similarity of Neural Network Representations Revisited, ICML 2019, section 3.

    Examples
    --------
    >>> code = np.array([[0, 0, 0, 1], [0, 1, 1, 1], [1, 0, 0, 0], [1, 1, 1, 0]], dtype=bool)
    >>> round(subcode_redundancy(code, n_concepts=2), 6)  # the same two bits, swapped, and one of them flipped
    1.0
    >>> round(subcode_redundancy(code[:, :2], n_concepts=2), 6)
    0.0
    """
    parts = subcodes(code, n_concepts).astype(np.float64)  # (n, M, K/M)
    parts -= parts.mean(axis=0)
    first, second = np.triu_indices(n_concepts, k=1)
    shared = np.einsum("nma,npb->mpab", parts, parts)  # (M, M, K/M, K/M) covariances, times n
    kernel = (shared**2).sum(axis=(2, 3))  # (M, M)
    if len(first) == 0:
        return float("nan")
    sizes = np.sqrt(np.outer(np.diag(kernel), np.diag(kernel)))  # (M, M)
    return float(np.divide(kernel, sizes, out=np.zeros_like(kernel), where=sizes > 0)[first, second].mean())


def repeated_subcodes(code: np.ndarray, n_concepts: int) -> float:
    """Share of codes that say the same M times: all of their sub-codes are the same bits.

    Parameters
    ----------
    code
        (n, K) bool, such as the signs of class centers.
    n_concepts
        M, a divisor of K.

    Returns
    -------
    float
        In [0, 1]; nan where M = 1.

    Raises
    ------
    ConfigError
        If K is not a multiple of M.

    Examples
    --------
    >>> repeated_subcodes(np.array([[0, 1, 0, 1], [0, 1, 1, 1]], dtype=bool), n_concepts=2)
    0.5
    """
    parts = subcodes(code, n_concepts)  # (n, M, K/M)
    return float((parts == parts[:, :1]).all(axis=(1, 2)).mean()) if n_concepts > 1 else float("nan")


def _expected_average_precision(n_tied: np.ndarray, n_relevant: np.ndarray) -> np.ndarray:
    """Apply the closed form of `mean_average_precision` to tie sizes (Q, D); gives (Q,)."""
    before = np.cumsum(n_tied, axis=1) - n_tied  # N
    relevant_before = np.cumsum(n_relevant, axis=1) - n_relevant  # R
    harmonic = np.append(0.0, np.cumsum(1.0 / np.arange(1, n_tied[0].sum() + 1)))
    spread = harmonic[before + n_tied] - harmonic[before]  # H_{N+n} - H_N
    slope = (n_relevant - 1) / np.maximum(n_tied - 1, 1)  # a; irrelevant where r = 0, and 0 where n = r = 1
    gain = slope * n_tied + (relevant_before + 1 - slope * (before + 1)) * spread  # (Q, D)
    gain *= n_relevant / np.maximum(n_tied, 1)
    return gain.sum(axis=1) / np.maximum(n_relevant.sum(axis=1), 1)


def _tie_sizes(distances: np.ndarray, query_labels: np.ndarray, gallery_labels: np.ndarray) -> tuple[np.ndarray, ...]:
    """Count, per query and distance, all stored images and the relevant ones: twice (Q, largest distance + 1)."""
    distances, query_labels, gallery_labels = _checked(distances, query_labels, gallery_labels)
    n_queries, n_values = len(distances), int(distances.max()) + 1
    n_tied = np.empty((n_queries, n_values), dtype=np.int64)
    n_relevant = np.empty_like(n_tied)
    for rows in _row_blocks(distances.shape):
        block = distances[rows].astype(np.int64)  # (rows, S)
        shape = (len(block), n_values)
        bins = block + np.arange(len(block))[:, None] * n_values  # one histogram a query, laid end to end
        relevant = bins[query_labels[rows, None] == gallery_labels]
        n_tied[rows] = np.bincount(bins.ravel(), minlength=shape[0] * shape[1]).reshape(shape)
        n_relevant[rows] = np.bincount(relevant, minlength=shape[0] * shape[1]).reshape(shape)
    return n_tied, n_relevant


def _row_blocks(shape: tuple[int, ...]) -> Iterator[slice]:
    step = max(1, _BLOCK // shape[1])
    for start in range(0, shape[0], step):
        yield slice(start, min(start + step, shape[0]))


def _checked(distances: np.ndarray, query_labels: np.ndarray, gallery_labels: np.ndarray) -> tuple[np.ndarray, ...]:
    distances, query_labels, gallery_labels = map(np.asarray, (distances, query_labels, gallery_labels))
    if (
        query_labels.ndim != 1
        or gallery_labels.ndim != 1
        or distances.shape != (len(query_labels), len(gallery_labels))
    ):
        raise QueryError(
            f"Distances of shape {distances.shape} do not match {query_labels.shape} query labels and "
            f"{gallery_labels.shape} gallery labels; give one row a query and one column a stored image."
        )
    if not distances.size:
        raise QueryError(
            f"Nothing to rank: {len(query_labels)} queries, {len(gallery_labels)} stored images; add some."
        )
    if not np.issubdtype(distances.dtype, np.integer) or distances.min() < 0:
        raise QueryError(f"Distances of type {distances.dtype} must be whole numbers of bits, 0 or more.")
    n_unknown = int((query_labels < 0).sum())
    if n_unknown:
        raise QueryError(f"{n_unknown} of {len(query_labels)} queries have no known class; leave them out.")
    return distances, query_labels, gallery_labels


def listed(values: np.ndarray) -> Any:
    """Nested lists for JSON, of four decimals, None for nan."""
    rounded = values.round(4).astype(object)
    rounded[np.isnan(values)] = None
    return rounded.tolist()
