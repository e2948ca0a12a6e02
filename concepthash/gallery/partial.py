"""The folder ``OUT.partial`` of a gallery in the making: who may write to it, and how it becomes ``OUT`` at once."""

import errno
import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import duckdb

from ..errors import GalleryError
from .thumbnails import THUMBNAIL_FOLDER

if sys.platform != "win32":
    import fcntl

__all__ = [
    "DATABASE",
    "PartialFolder",
    "explain_disk_errors",
    "partial_path",
    "previous_path",
]

DATABASE = "gallery.duckdb"
_NEW_DATABASE = "creating.duckdb"
_LOCK = "writer.lock"
_OURS = (DATABASE, f"{DATABASE}.wal", _NEW_DATABASE, f"{_NEW_DATABASE}.wal", THUMBNAIL_FOLDER)
_FULL = {errno.ENOSPC, errno.EDQUOT}


def partial_path(out: Path) -> Path:
    """Where a gallery lies until it is complete."""
    return out.with_name(f"{out.name}.partial")


def previous_path(out: Path) -> Path:
    """Where the replaced gallery lies for the moment of the swap."""
    return out.with_name(f".{out.name}.replaced")


class PartialFolder:
    """``OUT.partial``, owned by one writer until `publish` or `release`; the lock dies with its process.

    Parameters
    ----------
    out
        Absolute path the gallery will have.
    overwrite
        Whether a gallery already at ``out`` may be replaced.

    Raises
    ------
    GalleryError
        If ``out`` is taken, ``OUT.partial`` holds foreign files, or another writer is at work on it.
    """

    def __init__(self, out: Path, *, overwrite: bool = False) -> None:
        if not out.name:
            raise GalleryError(f"{out} cannot be a gallery; name a folder that does not exist yet.")
        self.out, self.path, self._overwrite, self._lock = out, partial_path(out), overwrite, -1
        _check_free(out, overwrite)
        with explain_disk_errors(self.path):
            self.path.mkdir(parents=True, exist_ok=True)
            _check_ours(self.path)
            self._lock = _lock(self.path)
        try:
            with explain_disk_errors(out):
                _undo_broken_swap(out)
            _check_free(out, overwrite)
        except GalleryError:
            self.release()
            raise

    @property
    def database(self) -> Path:
        """The DuckDB file; it exists once its tables do."""
        return self.path / DATABASE

    @property
    def new_database(self) -> Path:
        """Where the DuckDB file is made, before it is renamed to `database`."""
        return self.path / _NEW_DATABASE

    def clear(self) -> None:
        """Remove all that was made so far, the database first, as nothing is resumed without it; the lock stays."""
        for name in _OURS:
            path = self.path / name
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)

    def publish(self) -> None:
        """Rename the folder to its final name; a gallery already there is moved aside and then deleted."""
        previous = previous_path(self.out)
        _check_free(self.out, self._overwrite)
        with explain_disk_errors(self.out):
            if self.out.exists():
                os.rename(self.out, previous)
            try:
                os.rename(self.path, self.out)
            except OSError:
                if previous.exists():
                    os.rename(previous, self.out)
                raise
        with suppress(OSError):
            (self.out / _LOCK).unlink()
        self._close_lock()
        _delete_replaced(previous)

    def release(self) -> None:
        """Let the next writer in; a folder without a database is removed, as there is nothing to resume."""
        if self._lock < 0:
            return
        if not self.database.exists():
            self.clear()
            (self.path / _LOCK).unlink(missing_ok=True)
            with suppress(OSError):  # somebody else's file, or the next writer, is in it already
                self.path.rmdir()
        self._close_lock()

    def _close_lock(self) -> None:
        if self._lock >= 0:
            os.close(self._lock)
        self._lock = -1


@contextmanager
def explain_disk_errors(path: Path) -> Iterator[None]:
    """Turn a full or refusing disk into one sentence; what is already stored stays and can be resumed.

    Raises
    ------
    GalleryError
        For any `OSError` and for DuckDB's errors of input, output and commit.
    """
    try:
        yield
    except (duckdb.IOException, duckdb.TransactionException, duckdb.FatalException) as error:
        raise GalleryError(_disk_sentence(path, str(error), "No space left" in str(error))) from error
    except OSError as error:
        raise GalleryError(_disk_sentence(path, error.strerror or str(error), error.errno in _FULL)) from error


def _disk_sentence(path: Path, reason: str, is_full: bool) -> str:
    if is_full:
        return (
            f"The disk is full: {path} cannot be written. Free some space and run the same command again; "
            "it goes on from the images already stored."
        )
    return (
        f"{path} cannot be written ({reason.splitlines()[0].rstrip('.')}); check the folder and run the same command "
        "again, or choose another place."
    )


def _check_free(out: Path, overwrite: bool) -> None:
    if not out.exists() or (out.is_dir() and not any(out.iterdir())):
        return
    if not out.is_dir() or not (out / DATABASE).is_file() or _foreign(out):
        raise GalleryError(f"{out} exists and is not a gallery; choose another place for the new gallery.")
    if not overwrite:
        raise GalleryError(f"{out} is already a gallery; choose another place, or replace it with --overwrite.")


def _check_ours(partial: Path) -> None:
    if foreign := _foreign(partial):
        raise GalleryError(
            f"{partial} holds files of something else ({', '.join(sorted(foreign)[:3])}); "
            "move them away, or choose another place for the new gallery."
        )


def _foreign(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()} - {*_OURS, _LOCK, ".DS_Store"}


def _undo_broken_swap(out: Path) -> None:
    """Finish or undo a swap during which the process died: the old gallery is never lost, nor left lying about."""
    previous = previous_path(out)
    if not previous.is_dir() or _foreign(previous):
        return
    if (previous / DATABASE).is_file() and not out.exists():
        os.rename(previous, out)
    else:
        _delete_replaced(previous)


def _delete_replaced(previous: Path) -> None:
    """Delete the database first, so that what is left after a kill is no gallery any more."""
    with suppress(OSError):
        (previous / DATABASE).unlink(missing_ok=True)
    shutil.rmtree(previous, ignore_errors=True)


def _lock(folder: Path) -> int:
    """Return a file descriptor that holds the folder's lock until it is closed or its process dies."""
    path = folder / _LOCK
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    if sys.platform == "win32":  # DuckDB itself lets only one process write there
        return descriptor
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        is_current = path.exists() and os.path.samestat(os.fstat(descriptor), path.stat())
    except BlockingIOError:
        is_current = False
    if not is_current:  # taken, or its owner has just renamed the folder
        os.close(descriptor)
        raise GalleryError(f"Another process is writing to {folder}; wait until it has ended, or choose another place.")
    return descriptor
