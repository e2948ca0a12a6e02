"""Exact search: one popcount scan over the codes of a gallery, then rules, filters, ranking and paging."""

from dataclasses import dataclass

import numpy as np

from ..codes import concept_distances
from ..errors import QueryError
from .gallery import Gallery
from .query import Query

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
        Rows that satisfy rules and filters, before paging.
    n_filtered
        Rows left by the class and family filters, before the rules. Neither counts ``exclude_row``.
    expected_by_chance
        Share of all rows of the gallery, before any filter, that satisfy the rules: in [0, 1].
    """

    rows: np.ndarray
    distance: np.ndarray
    concept_distances: np.ndarray
    score: np.ndarray
    n_matching: int
    n_filtered: int
    expected_by_chance: float


def search(gallery: Gallery, query: Query) -> Matches:
    """Find the images of a gallery that satisfy a query; exact, ordered by score, then row.

    Parameters
    ----------
    gallery
        Codes, labels and families of N images.
    query
        Code, rules, ranking, filters and paging.

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
    kept = _passes_filters(gallery, query)
    candidates = np.flatnonzero(agrees & kept)  # (n,) ascending, so that equal scores stay in order of rows
    score = _score(distances[candidates], query)
    page = _page(score, query)
    rows = candidates[page]
    found = distances[rows].astype(np.int64)  # (k, M)
    return Matches(
        rows=rows.astype(np.int64),
        distance=found.sum(axis=1),
        concept_distances=found,
        score=score[page],
        n_matching=len(candidates),
        n_filtered=int(kept.sum()),
        expected_by_chance=float(agrees.mean()) if len(gallery) else 0.0,
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
    """(N,) bool: every concept is as near as its rule asks."""
    agrees = np.ones(len(distances), dtype=bool)
    for concept, rule in enumerate(query.rules):
        if rule.agree != "ignore":
            agrees &= distances[:, concept] <= rule.max_distance(gallery.n_bits // gallery.n_concepts)
    return agrees


def _passes_filters(gallery: Gallery, query: Query) -> np.ndarray:
    """(N,) bool: class and family are as asked, and the row is not the excluded one."""
    kept = np.ones(len(gallery), dtype=bool)
    for wanted, names, ids in (
        (query.class_name, gallery.class_names, gallery.labels),
        (query.family, gallery.family_names, gallery.family_ids),
    ):
        if wanted is not None:
            kept &= (ids == names.index(wanted)) if wanted in names else False
    if query.exclude_row is not None:
        kept[query.exclude_row] = False
    return kept


def _score(distances: np.ndarray, query: Query) -> np.ndarray:
    """(n,) float64; summed concept by concept, so that every engine rounds alike and ties are the same."""
    score = np.zeros(len(distances))
    for concept, rule in enumerate(query.rules):
        if query.rank == "weighted":
            score += rule.weight * distances[:, concept].astype(np.float64)
        elif query.rank == "hamming" and rule.agree != "exact":
            score += distances[:, concept]
    return score


def _page(score: np.ndarray, query: Query) -> np.ndarray:
    """Positions of one page in the order (score, position); sorts only what can be on it."""
    end = query.offset + query.k
    near = np.arange(len(score))
    if 0 < end < len(score):
        near = np.flatnonzero(score <= np.partition(score, end - 1)[end - 1])
    order = near[np.argsort(score[near], kind="stable")]
    return order[query.offset : end]
