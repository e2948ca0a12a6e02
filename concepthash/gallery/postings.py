"""Inverted lists: the positions at which each value of a column stands."""

from typing import Protocol

import numpy as np

__all__ = ["Column", "Postings"]

_CHUNK = 1 << 16  # positions inside a chunk fit 16 bits


class Column(Protocol):
    """N values, of which slices are asked for."""

    def __len__(self) -> int: ...

    def __getitem__(self, rows: slice, /) -> np.ndarray: ...


class Postings:
    """Positions of each value, in 3 bytes a position up to 2**24 of them, else in 4.

    Parameters
    ----------
    values, n_values
        (N,) integers in [0, ``n_values``), or what gives them slice by slice.

    Examples
    --------
    >>> Postings(np.array([2, 0, 2, 1]), 3).positions(np.array([0, 2]))
    array([0, 1, 2])
    """

    def __init__(self, values: Column, n_values: int) -> None:
        chunks = [slice(start, start + _CHUNK) for start in range(0, len(values), _CHUNK)]
        self._low = np.empty(len(values), dtype=np.uint16)
        self._high = np.empty(len(values), dtype=np.min_scalar_type(len(chunks)))
        self._ends = np.zeros(n_values + 1, dtype=np.min_scalar_type(len(values)))  # of the lists, after a 0
        for chunk in chunks:
            self._ends[1:] += np.bincount(values[chunk], minlength=n_values).astype(self._ends.dtype)
        np.cumsum(self._ends, out=self._ends)
        free = self._ends[:-1].astype(np.int64)  # where the next position of each value goes
        for number, chunk in enumerate(chunks):
            some = values[chunk].astype(np.min_scalar_type(n_values - 1))  # numpy sorts 16 bits far quicker than 64
            order = np.argsort(some, kind="stable")
            lengths = np.bincount(some, minlength=n_values)
            places = np.arange(len(some)) + (free - np.cumsum(lengths) + lengths)[some[order]]
            self._low[places], self._high[places] = order, number
            free += lengths

    def lengths(self, values: np.ndarray) -> np.ndarray:
        """(v,) int64, how often each of some values (v,) stands in the column."""
        return self._ends[values + 1].astype(np.int64) - self._ends[values]

    def first(self, values: np.ndarray) -> np.ndarray:
        """(v,) int64, the first position of each of some values (v,), all of which stand in the column."""
        places = self._ends[values]
        return self._high[places].astype(np.int64) << 16 | self._low[places]

    def positions(self, values: np.ndarray, at_most: int | None = None) -> np.ndarray:
        """Return where any of some different values stands.

        Parameters
        ----------
        values
            (v,) integers in [0, n_values).
        at_most
            Only so many positions of each value, its first.

        Returns
        -------
        np.ndarray
            (n,) int64, ascending.
        """
        starts = self._ends[values].tolist()
        lengths = self.lengths(values) if at_most is None else np.minimum(self.lengths(values), at_most)
        spans = [slice(start, start + n) for start, n in zip(starts, lengths.tolist(), strict=True)]
        low, high = (np.concatenate([part[:0], *(part[span] for span in spans)]) for part in (self._low, self._high))
        positions = high.astype(np.int64)
        positions <<= 16
        positions |= low
        if len(spans) > 1:
            positions.sort()
        return positions
