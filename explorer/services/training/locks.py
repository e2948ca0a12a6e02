"""Locks that die with the processes that hold them, so that a killed server or worker never leaves one behind."""

import os
import sys
from pathlib import Path

if sys.platform != "win32":
    import fcntl

__all__ = ["is_held", "try_lock", "unlock"]


def try_lock(file: Path) -> int | None:
    """Take a lock and return its descriptor, which a child may inherit; None where somebody else holds it."""
    return _try(file, exclusive=True)


def is_held(file: Path) -> bool:
    """Whether any process holds a lock."""
    if not file.exists():
        return False
    descriptor = _try(file, exclusive=False)
    if descriptor is None:
        return True
    os.close(descriptor)
    return False


def unlock(descriptor: int | None) -> None:
    """Give a lock back; a child that inherited it goes on holding it."""
    if descriptor is not None:
        os.close(descriptor)


def _try(file: Path, *, exclusive: bool) -> int | None:
    if sys.platform == "win32":
        raise OSError("locks of files are not there on Windows")
    descriptor = os.open(file, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, (fcntl.LOCK_EX if exclusive else fcntl.LOCK_SH) | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor
