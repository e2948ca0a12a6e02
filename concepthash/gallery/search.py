"""Exact search: one popcount scan over the codes of a gallery, then rules, filters, ranking and paging."""

from dataclasses import dataclass

import numpy as np

from ..codes import concept_distances
from ..errors import QueryError
from .gallery import Gallery
from .query import Query
from .selection import selected_rows

__all__ = ["Matches", "search"]


@dataclass(frozen=True, eq=False)
class Matches:
    """One page of matches, best first, and how many there are in all.

    Attributes
    ----------
    rows
        (k,) int64, rows of the gallery.
    distance
        (k,) int64, Hamming distance over all K bits.
    concept_distances
        (k, M) int64, Hamming distance inside each concept's sub-code.
    score
        (k,) float64, the value ranked by: lower is better, equal scores go by row.
    n_matching
        Rows of the selected part that satisfy the rules, before paging.
    n_filtered
        Rows of the selected part, before the rules. Neither counts ``exclude_row``.
    n_agreeing
        Rows of the whole gallery, selected or not, that satisfy the rules, again without ``exclude_row``.
    """

    rows: np.ndarray
    distance: np.ndarray
    concept_distances: np.ndarray
    score: np.ndarray
    n_matching: int
    n_filtered: int
    n_agreeing: int


def search(gallery: Gallery, query: Query) -> Matches:
    """Find the images of a gallery that satisfy a query; exact, ordered by score, then row.

    Parameters
    ----------
    gallery
        Codes, labels and families of N images.
    query
        Code, rules, ranking, selection and paging.

    Returns
    -------
    Matches
        At most ``query.k`` of them.

    Raises
    ------
    QueryError
        If the code, the rules or ``exclude_row`` do not fit the gallery.
    """
    _check_sizes(gallery, query)
    code = np.asarray(query.code, dtype=bool)
    distances = concept_distances(code, gallery.words, gallery.n_bits, gallery.n_concepts)  # (N, M)
    agrees = _satisfies_rules(distances, gallery, query)
    kept = _is_searched(gallery, query)
    candidates = np.flatnonzero(agrees & kept)  # (n,) ascending, so that equal scores stay in order of rows
    score = _score(distances, candidates, query)  # (n,)
    order = _page(score, query)
    page = candidates[order]
    found = distances[page].astype(np.int64)  # (k, M)
    return Matches(
        rows=page.astype(np.int64),
        distance=found.sum(axis=1),
        concept_distances=found,
        score=score[order].astype(np.float64),
        n_matching=len(candidates),
        n_filtered=int(np.count_nonzero(kept)),
        n_agreeing=int(np.count_nonzero(agrees)) - (query.exclude_row is not None and bool(agrees[query.exclude_row])),
    )


def _check_sizes(gallery: Gallery, query: Query) -> None:
    if len(query.code) != gallery.n_bits or len(query.rules) != gallery.n_concepts:
        raise QueryError(
            f"The query has {len(query.code)} bits and {len(query.rules)} concepts, but the gallery has "
            f"{gallery.n_bits} bits and {gallery.n_concepts} concepts; use the gallery's own model for both."
        )
    if query.exclude_row is not None and not 0 <= query.exclude_row < len(gallery):
        raise QueryError(
            f"exclude_row is {query.exclude_row}, but the gallery has {len(gallery)} images; "
            "give one of its rows, counted from 0, or None."
        )


def _satisfies_rules(distances: np.ndarray, gallery: Gallery, query: Query) -> np.ndarray:
    """(N,) bool: every concept is as near, or as far, as its rule asks."""
    agrees = np.ones(len(distances), dtype=bool)
    for concept, rule in enumerate(query.rules):
        if rule.agree != "ignore":
            allowed = rule.distances(gallery.bits_per_concept)
            agrees &= (distances[:, concept] >= allowed.start) & (distances[:, concept] < allowed.stop)
    return agrees


def _is_searched(gallery: Gallery, query: Query) -> np.ndarray:
    """(N,) bool: the row is selected, and not the excluded one."""
    kept = selected_rows(gallery, query.selection)
    if query.exclude_row is not None:
        kept[query.exclude_row] = False
    return kept


def _score(distances: np.ndarray, rows: np.ndarray, query: Query) -> np.ndarray:
    """(n,) of uint16 or float64; summed concept by concept, so that every engine rounds alike and ties are the same."""
    score: np.ndarray = np.zeros(len(distances), dtype=np.float64 if query.rank == "weighted" else np.uint16)
    for concept, rule in enumerate(query.rules):
        if query.rank == "weighted":
            score += rule.weight * distances[:, concept].astype(np.float64)
        elif query.rank == "hamming" and rule.agree != "exact":
            score += distances[:, concept]
    return score if len(rows) == len(score) else score[rows]


def _page(score: np.ndarray, query: Query) -> np.ndarray:
    """Positions of one page in the order (score, position); sorts only what can be on it."""
    end = query.offset + query.k
    near = np.arange(len(score))
    if 0 < end < len(score):
        near = np.flatnonzero(score <= _nth_smallest(score, end))
    order = near[np.argsort(score[near], kind="stable")]
    return order[query.offset : end]


def _nth_smallest(score: np.ndarray, n: int) -> float:
    """Return the n-th smallest score, n from 1; distances are small whole numbers, which counting beats sorting at."""
    if score.dtype == np.uint16:
        return int(np.searchsorted(np.cumsum(np.bincount(score)), n))
    return float(np.partition(score, n - 1)[n - 1])
