"""The codes of a gallery in a database, read in small parts to where they stay."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np

from .mapped import mapped
from .sql_engine import SqlEngine

__all__ = ["read_codes"]


def read_codes(engine: SqlEngine, n_images: int, folder: Path) -> tuple[np.ndarray, np.ndarray | None]:
    """Read at most so many codes: a server may have got more since its images were counted.

    Returns
    -------
    tuple
        (N, W) int64 words, and the (N,) int64 rows they belong to, None where these are simply 0 to N - 1; mapped from
        files in ``folder``.
    """
    words, rows = mapped(partial(_parts, engine, n_images), folder)
    is_plain = len(rows) > 0 and rows[-1] == len(rows) - 1
    return words, None if is_plain else rows


def _parts(engine: SqlEngine, n_left: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    n_words = engine.layout.masks.shape[1]
    yield np.empty((0, n_words), dtype=np.int64), np.empty(0, dtype=np.int64)
    for part in engine.parts(", ".join(['"row"', *(f"code{word}" for word in range(n_words))])):
        row, *codes = (column[:n_left].astype(np.int64) for column in part.values())
        n_left -= len(row)
        yield np.stack(codes, axis=1), row
