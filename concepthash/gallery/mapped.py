"""Arrays in files without a name: the system reads of them what is asked for, and may let go of it again."""

from collections.abc import Callable, Iterable
from contextlib import ExitStack, suppress
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO

import numpy as np

__all__ = ["mapped"]


def mapped(parts: Callable[[], Iterable[tuple[np.ndarray, ...]]], folder: Path | None = None) -> tuple[np.ndarray, ...]:
    """Join arrays, given a part after the other, on the disk until they are gone; in memory if there is no room there.

    Parameters
    ----------
    parts
        Gives, whenever it is called, one part or more: some arrays each, whose rows follow those of the part before.
    folder
        Where the files lie, though nobody sees them; made if it is missing. That of temporary files if not given.

    Returns
    -------
    tuple of np.ndarray
        As many as a part has, C-contiguous; read-only where they are mapped.
    """
    with suppress(OSError), ExitStack() as opened:  # what is written, not mapped, tells that a disk is full
        if folder is not None:
            folder.mkdir(parents=True, exist_ok=True)
        files: list[IO[bytes]] = []
        for part in parts():
            files = files or [opened.enter_context(TemporaryFile(dir=folder)) for _ in part]
            for file, array in zip(files, part, strict=True):
                file.write(array.tobytes())
        return tuple(_map(file, array) for file, array in zip(files, part, strict=True))
    return tuple(np.ascontiguousarray(np.concatenate(arrays)) for arrays in zip(*parts(), strict=True))


def _map(file: IO[bytes], last: np.ndarray) -> np.ndarray:
    """The rows of a file, which are like those of its last part."""
    file.flush()
    if not file.tell():
        return last  # nothing cannot be mapped
    return np.asarray(np.memmap(file, last.dtype, "r")).reshape(-1, *last.shape[1:])
