"""The folder ``OUT.partial`` of a gallery in the making: who may write to it, and how it becomes ``OUT`` at once."""

import os
import re
import shutil
from contextlib import suppress
from pathlib import Path

from ..errors import GalleryError
from .thumbnails import THUMBNAIL_FOLDER
from .writing import LOCK, explain_disk_errors, lock_folder

__all__ = ["DATABASE", "PartialFolder", "part_path", "partial_path", "previous_path"]

DATABASE = "gallery.duckdb"
_NEW_DATABASE = "creating.duckdb"
# DuckDB's own files beside a database begin with its name: .wal and, while it tidies up, others
_OURS = re.compile(
    rf"(?:{re.escape(DATABASE)}|{re.escape(_NEW_DATABASE)})(?:\..*)?|{THUMBNAIL_FOLDER}|part-\d+-of-\d+(?:\.partial)?"
)
_SYSTEM = {LOCK, ".DS_Store"}


def partial_path(out: Path) -> Path:
    """Where a gallery lies until it is complete."""
    return out.with_name(f"{out.name}.partial")


def part_path(out: Path, number: int, count: int) -> Path:
    """Where the part of one of several processes lies until all are put together; the first has the number 0."""
    return partial_path(out) / f"part-{number + 1}-of-{count}"


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
        If ``out`` is taken or ends in ``.partial`` itself, ``OUT.partial`` holds foreign files, or another writer is at
        work on it.
    """

    def __init__(self, out: Path, *, overwrite: bool = False) -> None:
        if not out.name:
            raise GalleryError(f"{out} cannot be a gallery; name a folder that does not exist yet.")
        self.out, self.path, self._overwrite, self._lock = out, partial_path(out), overwrite, -1
        if out.suffix == partial_path(out).suffix:
            raise GalleryError(f"{out} is named like an unfinished gallery; choose a name without .partial.")
        _check_free(out, overwrite)
        with explain_disk_errors(self.path):
            self.path.mkdir(parents=True, exist_ok=True)
            _check_ours(self.path)
            self._lock = lock_folder(self.path)
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
        """Remove all that was made so far, the database first, as nothing is resumed without it; the lock stays.

        Raises
        ------
        GalleryError
            If another process is writing a part of it.
        """
        for part in self.path.glob("part-*"):
            os.close(lock_folder(part))
        self.database.unlink(missing_ok=True)
        for path in _ours(self.path):
            _delete(path)

    def publish(self) -> None:
        """Rename the folder to its final name; a gallery already there is moved aside and then deleted.

        Raises
        ------
        GalleryError
            If the place has been taken meanwhile, somebody changes the gallery there, or the disk refuses.
        """
        _check_free(self.out, self._overwrite)
        with explain_disk_errors(self.out):
            replaced = lock_folder(self.out) if (self.out / DATABASE).exists() else -1
            try:
                for part in self.path.glob("part-*"):
                    _delete(part)
                has_moved = self._swap()
            finally:
                if replaced >= 0:
                    os.close(replaced)
        with suppress(OSError):
            (self.out / LOCK).unlink()
        self._close_lock()
        if has_moved:
            _delete_replaced(previous_path(self.out))

    def _swap(self) -> bool:
        """Whether there was something to move aside; only that may be deleted."""
        previous, has_moved = previous_path(self.out), self.out.exists()
        if has_moved:
            os.rename(self.out, previous)
        try:
            os.rename(self.path, self.out)
        except OSError:
            if has_moved:
                os.rename(previous, self.out)
            raise
        return has_moved

    def release(self) -> None:
        """Let the next writer in; a folder without a database is removed, as there is nothing to resume."""
        if self._lock < 0:
            return
        if not self.database.exists():
            with suppress(GalleryError, OSError):  # somebody else's file, or the next writer, is in it already
                self.clear()
                (self.path / LOCK).unlink(missing_ok=True)
                self.path.rmdir()
        self._close_lock()

    def _close_lock(self) -> None:
        if self._lock >= 0:
            os.close(self._lock)
        self._lock = -1


def _check_free(out: Path, overwrite: bool) -> None:
    with explain_disk_errors(out):
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


def _ours(folder: Path) -> list[Path]:
    return [path for path in folder.iterdir() if _OURS.fullmatch(path.name)]


def _delete(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _foreign(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()} - {path.name for path in _ours(folder)} - _SYSTEM


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
