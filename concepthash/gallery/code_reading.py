"""The codes of a gallery in a database, read in small parts to where they stay: memory, or a file mapped to it."""

import hashlib
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from ..files import write_atomically

__all__ = ["Codes", "KeptCodes", "read_codes"]

Codes = tuple[np.ndarray, np.ndarray | None]  # (N, W) int64 words, and the (N,) int64 rows if not 0 to N - 1


def read_codes(parts: Iterable[tuple[np.ndarray, np.ndarray]], n_images: int, n_words: int) -> Codes:
    """Read at most so many codes into memory: a server may have got more since its images were counted.

    Parameters
    ----------
    parts
        Rows (n,) and words (n, W) of some images after the other, in order of rows.
    n_images, n_words
        N and W.
    """
    n = 0
    rows, words = np.empty(n_images, dtype=np.int64), np.empty((n_images, n_words), dtype=np.int64)
    for some_rows, some_words in parts:
        here = slice(n, min(n + len(some_rows), n_images))
        n = here.stop
        rows[here], words[here] = some_rows[: n - here.start], some_words[: n - here.start]
    is_plain = bool(n) and rows[n - 1] == n - 1
    return words[:n], None if is_plain else rows[:n]


class KeptCodes:
    """Files that the codes of a gallery are mapped from; whoever is first makes them.

    Parameters
    ----------
    folder
        Where they lie; made if it is missing.
    database
        The gallery's file, which nobody can write now. Files of its earlier states are deleted where new ones are made.
    n_images, n_words, has_rows
        N, W, and whether the rows are others than 0 to N - 1.
    """

    def __init__(self, folder: Path, database: Path, n_images: int, n_words: int, *, has_rows: bool) -> None:
        stat = database.stat()
        self._place, state = map(_digest, (str(database), (stat.st_size, stat.st_mtime_ns, n_images, n_words)))
        self._folder, self._shape = folder, (n_images, n_words)
        self._words = folder / f"{self._place}-{state}.words"
        self._rows = folder / f"{self._place}-{state}.rows" if has_rows else None

    def mapped(self) -> Codes:
        """Map them.

        Raises
        ------
        OSError, ValueError
            If they are not there, or hold fewer codes.
        """
        words = np.asarray(np.memmap(self._words, np.int64, "r", shape=self._shape))
        return words, np.asarray(np.memmap(self._rows, np.int64, "r", shape=self._shape[:1])) if self._rows else None

    def make(self, words: Iterable[np.ndarray], rows: Iterable[np.ndarray]) -> None:
        """Write them, part by part: words (n, W) and, where these are wanted, rows (n,).

        Raises
        ------
        OSError
            If there is no room for them.
        """
        self._folder.mkdir(parents=True, exist_ok=True)
        for earlier in self._folder.glob(f"*{self._place}-*"):
            earlier.unlink(missing_ok=True)
        if self._rows:
            write_atomically(self._rows, (part.tobytes() for part in rows))
        write_atomically(self._words, (part.tobytes() for part in words))


def _digest(facts: object) -> str:
    return hashlib.sha256(repr(facts).encode()).hexdigest()[:16]
