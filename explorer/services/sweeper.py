"""Deletes what visitors sent when its time is over, also while nobody asks anything."""

import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

__all__ = ["delete_older", "start_sweeping"]


def start_sweeping(*sweeps: Callable[[], None], seconds: float = 60.0) -> threading.Event:
    """Call every sweep now and then in a thread of its own, until the event that this returns is set."""
    is_over = threading.Event()

    def work() -> None:
        while not is_over.wait(seconds):
            for sweep in sweeps:
                sweep()

    threading.Thread(target=work, name="sweeper", daemon=True).start()
    return is_over


def delete_older(folder: Path, seconds: float, clock: Callable[[], float] = time.time) -> list[str]:
    """Delete the files below a folder that were written more than ``seconds`` ago, those cut short included.

    Returns
    -------
    list[str]
        The files that were deleted.
    """
    oldest = clock() - seconds
    deleted = []
    for path in sorted(folder.rglob("*"), reverse=True):  # what is in a folder before the folder
        with suppress(OSError):  # not empty, or gone already
            if path.is_dir() and not path.is_symlink():
                path.rmdir()
            elif path.lstat().st_mtime < oldest:
                path.unlink()
                deleted.append(str(path))
    return deleted
