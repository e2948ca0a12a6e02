"""What is known of single images, in files without a name: found as quickly as in memory, and taking none."""

import json
import threading
import weakref
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any

import numpy as np

__all__ = ["FactFile"]

_ENTRY = np.dtype([("start", np.int64), ("size", np.uint32), ("hash", np.uint32)])  # of a row; those not there are 0
_CHUNK = 1 << 16  # entries


class FactFile:
    """A text a row, on the disk until this object is gone; several threads may ask at once.

    Parameters
    ----------
    folder
        Where the files lie, though nobody sees them; made if it is missing.
    parts
        For some images after the other, in order of rows: ``row``, a JSON text ``line``, its ``size`` in bytes, and
        ``hash``, a number below 2**32.

    Raises
    ------
    OSError
        If there is no room for them.
    """

    def __init__(self, folder: Path, parts: Iterable[Mapping[str, np.ndarray]]) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        opened = ExitStack()
        weakref.finalize(self, opened.close)
        self._entries = opened.enter_context(TemporaryFile(dir=folder))  # noqa: SIM115
        self._lines = opened.enter_context(TemporaryFile(dir=folder))  # noqa: SIM115
        self._lock = threading.Lock()
        self._n_rows = 0
        for part in parts:
            self._append(**part)

    def facts(self, rows: Sequence[int] | np.ndarray) -> Iterator[Any]:
        """Give what the JSON texts of some rows hold, in their order; rows that are not there are left out."""
        for row in map(int, rows):
            with self._lock:
                start, size, _ = self._read(row, 1)[0].tolist() if 0 <= row < self._n_rows else (0, 0, 0)
                self._lines.seek(start)
                line = self._lines.read(size)
            if line:
                yield json.loads(line)

    def rows_of(self, number: int) -> Iterator[int]:
        """Give the rows that have a hash, ascending."""
        for first in range(0, self._n_rows, _CHUNK):
            with self._lock:
                entries = self._read(first, _CHUNK)
            yield from (first + np.flatnonzero((entries["hash"] == number) & (entries["size"] > 0))).tolist()

    def _append(self, row: np.ndarray, line: np.ndarray, size: np.ndarray, hash: np.ndarray) -> None:
        entries = np.zeros(row.max(initial=self._n_rows - 1) + 1 - self._n_rows, dtype=_ENTRY)
        places = row - self._n_rows
        entries["start"][places] = self._lines.tell() + np.cumsum(size) - size
        entries["size"][places], entries["hash"][places] = size, hash
        self._lines.write("".join(line.tolist()).encode())
        self._entries.write(entries.tobytes())
        self._n_rows += len(entries)

    def _read(self, first: int, n: int) -> np.ndarray:
        """Return the entries (n,) of rows, or as many as there are."""
        self._entries.seek(first * _ENTRY.itemsize)
        return np.frombuffer(self._entries.read(n * _ENTRY.itemsize), dtype=_ENTRY)
