"""What all who write to a gallery's folder share: one writer at a time, and a sentence for what is refused."""

import errno
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb

from ..errors import GalleryError
from .reason import reason_of

if sys.platform != "win32":
    import fcntl

__all__ = ["LOCK", "explain_disk_errors", "explain_values", "lock_folder"]

LOCK = "writer.lock"
_FULL = {errno.ENOSPC, errno.EDQUOT}


@contextmanager
def explain_disk_errors(path: Path) -> Iterator[None]:
    """Turn a full or refusing disk, or too little memory, into one sentence; what is already stored stays.

    Raises
    ------
    GalleryError
        For any `OSError` and for DuckDB's errors of input, output, commit and memory.
    """
    try:
        yield
    except duckdb.OutOfMemoryException as error:
        raise GalleryError(
            f"There is too little memory to write {path} ({reason_of(error)}); end other programs and run the same "
            "command again."
        ) from error
    except (duckdb.IOException, duckdb.TransactionException, duckdb.FatalException) as error:
        raise GalleryError(_disk_sentence(path, reason_of(error), "No space left" in str(error))) from error
    except OSError as error:
        raise GalleryError(_disk_sentence(path, error.strerror or reason_of(error), error.errno in _FULL)) from error


@contextmanager
def explain_values(path: Path) -> Iterator[None]:
    """Turn a value that the tables of a gallery cannot hold into one sentence.

    Raises
    ------
    GalleryError
        For DuckDB's errors of conversion, constraints and input.
    """
    try:
        yield
    except (duckdb.DataError, duckdb.IntegrityError, duckdb.InvalidInputException, UnicodeError) as error:
        raise GalleryError(
            f"The gallery {path} cannot hold one of the values ({reason_of(error):.200}); mend it and try again."
        ) from error


def lock_folder(folder: Path) -> int:
    """Return a file descriptor that holds the folder's lock until it is closed or its process dies.

    Raises
    ------
    GalleryError
        If another one holds it.
    OSError
        If the folder cannot be written.
    """
    path = folder / LOCK
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    if sys.platform == "win32":  # DuckDB itself lets only one process write there
        return descriptor
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        is_current = path.exists() and os.path.samestat(os.fstat(descriptor), path.stat())
    except BlockingIOError:
        is_current = False
    if not is_current:  # taken, or its owner has just renamed or left the folder
        os.close(descriptor)
        raise GalleryError(f"Another process is writing to {folder}; wait until it has ended, or choose another place.")
    return descriptor


def _disk_sentence(path: Path, reason: str, is_full: bool) -> str:
    if is_full:
        return (
            f"The disk is full: {path} cannot be written. Free some space and run the same command again; "
            "it goes on from the images already stored."
        )
    return (
        f"{path} cannot be written ({reason}); check the folder and run the same command "
        "again, or choose another place."
    )
