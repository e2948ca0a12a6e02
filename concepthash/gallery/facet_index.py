"""Facets in memory: which combination of values each image has, counted among the images that satisfy the rules."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from .code_index import BLOCK_ROWS, CodeIndex
from .facets import Facets, Groups, without_facets
from .query import Query
from .recent import Recent
from .selection import Selection

__all__ = ["FacetIndex"]

_REMEMBERED = 256  # questions


class FacetIndex:
    """N images with their codes and, in a byte or two each, the combination of values they have.

    Parameters
    ----------
    codes
        Their codes.
    groups
        The combinations.
    ids
        (N,) unsigned, which of them each image has.
    """

    def __init__(self, codes: CodeIndex, groups: Groups, ids: np.ndarray) -> None:
        self._codes, self.groups, self._ids = codes, groups, ids
        self._counts: Recent[Query, np.ndarray] = Recent(_REMEMBERED)

    def facets(self, query: Query, kept_of: Callable[[Selection], np.ndarray | None]) -> Facets:
        """Count the images that satisfy a query by the values they have.

        Parameters
        ----------
        query
            Its ``exclude_row`` is a position.
        kept_of
            Gives the ascending positions (n,) of a part of the gallery, None for all.

        Raises
        ------
        QueryError
            If the code, the rules or ``exclude_row`` do not fit the codes.
        """
        self._codes.check_fit(query)
        asked = replace(query.counted, selection=without_facets(query.selection, self.groups.columns))
        asked, excluded = replace(asked, exclude_row=None), query.exclude_row
        counts = self._counts.get(asked)
        if counts is None:
            counts = self._count(asked, kept_of(asked.selection))
            self._counts.keep(asked, counts)
        if excluded is not None:
            kept = kept_of(asked.selection)
            is_kept = kept is None or bool(np.isin(excluded, kept))
            counts = counts - self._count(asked, np.array([excluded] if is_kept else [], dtype=np.int64))
        return self.groups.facets(counts, query.selection)

    def _count(self, query: Query, kept: np.ndarray | None) -> np.ndarray:
        """(G,) images of each combination that satisfy the rules."""
        ids, n_groups = self._ids[self._codes.agreeing(query, kept)], len(self.groups.values)
        blocks = (ids[start : start + BLOCK_ROWS] for start in range(0, len(ids), BLOCK_ROWS))  # numpy widens each
        return sum((np.bincount(block, minlength=n_groups) for block in blocks), start=np.zeros(n_groups, np.int64))
