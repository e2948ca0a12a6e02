"""The codes of a gallery in a database, read in small parts to where they stay."""

import numpy as np

from .sql_engine import SqlEngine

__all__ = ["read_codes"]


def read_codes(engine: SqlEngine, n_images: int) -> tuple[np.ndarray, np.ndarray | None]:
    """Read at most so many codes: a server may have got more since its images were counted.

    Returns
    -------
    tuple
        (N, W) int64 words, and the (N,) int64 rows they belong to, None where these are simply 0 to N - 1.
    """
    n_words, n = engine.layout.masks.shape[1], 0
    rows, words = np.empty(n_images, dtype=np.int64), np.empty((n_images, n_words), dtype=np.int64)
    for part in engine.parts(", ".join(['"row"', *(f"code{word}" for word in range(n_words))])):
        found, *codes = (column[: n_images - n] for column in part.values())
        here = slice(n, n + len(found))
        rows[here], words[here] = found, np.stack(codes, axis=1)
        n += len(found)
    is_plain = bool(n) and rows[n - 1] == n - 1
    return words[:n], None if is_plain else rows[:n]
