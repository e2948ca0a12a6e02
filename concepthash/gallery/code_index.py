"""Exact search in memory: by distinct short codes, by inverted lists where few of very many match, else by a scan."""

from functools import cached_property

import numpy as np

from ..codes import pack_words, unpack_words
from ..errors import QueryError
from .block_scan import BlockScan
from .criteria import Criteria, mask_of
from .few_codes import FewCodes
from .matches import Matches
from .query import Query
from .subcode_lists import SubcodeLists

__all__ = ["BLOCK_ROWS", "CodeIndex"]

BLOCK_ROWS = 1 << 17  # large enough that calls cost little, small enough that a block stays in the cache
_FEW = 1 << 15  # codes that are ranked at once: scoring all of them takes no longer than finding which need not be
_LISTED = 1 << 22  # codes from which on lists pay: they save some 15 ms of a scan then, for 3 bytes a code and concept
_DISTINCT_BITS = 20  # codes up to this long are searched as distinct codes


class CodeIndex:
    """N codes, searched exactly; several threads may search at once.

    Parameters
    ----------
    words
        (N, W) int64, from `concepthash.codes.pack_words`; not copied.
    n_bits, n_concepts
        K and M.
    block_rows
        Codes scanned at a time.
    """

    def __init__(self, words: np.ndarray, n_bits: int, n_concepts: int, block_rows: int = BLOCK_ROWS) -> None:
        self.n_bits, self.n_concepts, self._block_rows = n_bits, n_concepts, block_rows
        self._words = np.asarray(words, dtype=np.int64).view(np.uint64)
        masks = pack_words(np.repeat(np.eye(n_concepts, dtype=bool), n_bits // n_concepts, axis=1))
        self._masks = masks.view(np.uint64)
        self._parts = tuple(map(mask_of, self._masks))
        self._is_distinct = n_bits <= _DISTINCT_BITS and len(words) > block_rows
        self._lists, self._few = SubcodeLists(self._words), FewCodes(self._words)

    def __len__(self) -> int:
        """Count the codes."""
        return len(self._words)

    def search(self, query: Query, kept: np.ndarray | None = None) -> Matches:
        """Find the codes that satisfy a query, ordered by score, then position.

        Parameters
        ----------
        query
            Rules, ranking and paging; ``exclude_row`` is a position. The selection is not read.
        kept
            (n,) int64, ascending positions of the selection; None for all.

        Returns
        -------
        Matches
            Its rows are positions.

        Raises
        ------
        QueryError
            If the code, the rules or ``exclude_row`` do not fit the codes.
        """
        self.check_fit(query)
        criteria = Criteria.of(query, self._masks, self._parts)
        excluded = -1 if query.exclude_row is None else query.exclude_row
        end = query.offset + query.k
        size = min(end + (excluded >= 0), len(self)) if query.k else 0
        n_matching, n_agreeing, rows = self._find(criteria, size, kept)
        agrees, was_kept = self._weigh(excluded, criteria, kept)
        rows = (rows if excluded < 0 else rows[rows != excluded])[query.offset : end]
        distances = criteria.distances((self._words.take(rows, axis=0) ^ criteria.code).T).astype(np.int64)  # (M, k)
        return Matches(
            rows=rows,
            distance=np.add.reduce(distances),
            concept_distances=distances.T,
            score=criteria.score(distances),
            n_matching=n_matching - (agrees and was_kept),
            n_filtered=(len(self) if kept is None else len(kept)) - was_kept,
            n_agreeing=n_agreeing - agrees,
        )

    def codes_of(self, positions: np.ndarray) -> np.ndarray:
        """(n, K) bool, codes at some positions (n,)."""
        return unpack_words(self._words[positions].view(np.int64), self.n_bits)

    def agreeing(self, query: Query, kept: np.ndarray | None = None) -> np.ndarray | slice:
        """Return the (n,) ascending positions of all codes, or of the kept ones, that satisfy a query's rules.

        Nothing else of the query is read; a slice stands for all codes.

        Raises
        ------
        QueryError
            If the code or the rules do not fit the codes.
        """
        self.check_fit(query)
        criteria = Criteria.of(query, self._masks, self._parts)
        listed, unlisted = self._narrow(criteria)
        rows, left = self._among(criteria, unlisted, listed, kept)
        return BlockScan(self._words, rows, None, left, 0, self._block_rows).agreeing()

    def _weigh(self, row: int, criteria: Criteria, kept: np.ndarray | None) -> tuple[bool, bool]:
        """Tell whether one row agrees and whether it is kept; row -1 does and is neither."""
        if row < 0:
            return False, False
        rows = np.array([row])
        return bool(self._scan(criteria, 0, rows)[0]), kept is None or bool(_is_in(rows, kept)[0])

    def _find(self, criteria: Criteria, size: int, kept: np.ndarray | None) -> tuple[int, int, np.ndarray]:
        """Return how many kept codes agree, how many of all do, and the positions of the best kept ones."""
        listed, unlisted = self._narrow(criteria)
        if kept is None:
            n, rows = self._scan(unlisted, size, listed)
            return n, n, rows
        n_agreeing, _ = self._scan(unlisted, 0, listed)
        among, left = self._among(criteria, unlisted, listed, kept)
        n_matching, rows = self._scan(left, size, among)
        return n_matching, n_agreeing, rows

    def _among(
        self, criteria: Criteria, unlisted: Criteria, listed: np.ndarray | None, kept: np.ndarray | None
    ) -> tuple[np.ndarray | None, Criteria]:
        """Return the positions that are both listed and kept, and the criteria that are left to check there."""
        if kept is None or listed is None:
            return (listed, unlisted) if kept is None else (kept, criteria)
        return (kept, criteria) if len(kept) <= len(listed) else (listed[_is_in(listed, kept)], unlisted)

    def _narrow(self, criteria: Criteria) -> tuple[np.ndarray | None, Criteria]:
        if len(self) < _LISTED or self._is_distinct:
            return None, criteria
        return self._lists.narrow(criteria)

    def _scan(self, criteria: Criteria, size: int, rows: np.ndarray | None) -> tuple[int, np.ndarray]:
        """Return how many of some rows, or of all, agree, and the positions of the best ones."""
        if rows is None and self._is_distinct:
            return self._scan_distinct(criteria, size)
        few = min(_FEW, self._block_rows)
        if rows is None and len(self) <= few:
            return self._few.first(criteria, size)
        if rows is not None and len(rows) <= few:
            n, places = FewCodes(self._words.take(rows, axis=0)).first(criteria, size)
            return n, rows[places]
        return BlockScan(self._words, rows, None, criteria, size, self._block_rows).run()

    def _scan_distinct(self, criteria: Criteria, size: int) -> tuple[int, np.ndarray]:
        """Rank the distinct codes; they lie in the order of their first row, so that the best rows are of the best."""
        words, repeats = self._distinct
        n, best = BlockScan(words, None, repeats, criteria, size, self._block_rows).run()
        rows = self._lists.of(0, self.n_bits).positions(words[best, 0].astype(np.int64), at_most=size)
        return n, self._scan(criteria, size, rows)[1]

    @cached_property
    def _distinct(self) -> tuple[np.ndarray, np.ndarray]:
        """(U, 1) uint64 distinct codes in the order of their first row, and (U,) int64 how many rows have each."""
        codes = self._lists.of(0, self.n_bits)
        lengths = codes.lengths(np.arange(2**self.n_bits))
        present = np.flatnonzero(lengths)
        present = present[np.argsort(codes.first(present))]
        return present.astype(np.uint64)[:, None], lengths[present]

    def check_fit(self, query: Query) -> None:
        """Make sure that a query is one for these codes.

        Raises
        ------
        QueryError
            If the code, the rules or ``exclude_row`` do not fit them.
        """
        if len(query.code) != self.n_bits or len(query.rules) != self.n_concepts:
            raise QueryError(
                f"The query has {len(query.code)} bits and {len(query.rules)} concepts, but the gallery has "
                f"{self.n_bits} bits and {self.n_concepts} concepts; use the gallery's own model for both."
            )
        if query.exclude_row is not None and not 0 <= query.exclude_row < len(self):
            raise QueryError(
                f"exclude_row is {query.exclude_row}, but the gallery has {len(self)} images; "
                "give one of its rows, counted from 0, or None."
            )


def _is_in(rows: np.ndarray, ascending: np.ndarray) -> np.ndarray:
    """(n,) bool: the row is among the ascending ones."""
    if not len(ascending):
        return np.zeros(len(rows), dtype=bool)
    return ascending.take(np.searchsorted(ascending, rows), mode="clip") == rows
