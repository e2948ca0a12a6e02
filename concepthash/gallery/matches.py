"""What a search answers: one page of matches, and how many there are in all."""

from dataclasses import dataclass

import numpy as np

__all__ = ["Matches"]


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
