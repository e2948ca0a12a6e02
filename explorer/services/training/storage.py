"""Files of visitors on disk: written whole or not at all, removed without a trace, and every failure one sentence."""

import errno
import json
import logging
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from concepthash.errors import DataError
from concepthash.files import write_atomically

__all__ = ["TRAINING", "disk_errors", "make_folder", "mark", "read_object", "remove", "write_object", "write_whole"]

TRAINING = "training"  # below the cache folder
_log = logging.getLogger(__name__)


@contextmanager
def disk_errors(what: str) -> Iterator[None]:
    """Turn what the disk refuses into a sentence; ``what`` says what could not be done."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise DataError(
                f"The disk of this server is full, so {what}; delete runs that are no longer needed, or try later."
            ) from error
        reason = error.strerror or type(error).__name__
        raise DataError(f"The disk of this server refuses ({reason}), so {what}; try again later.") from error


def make_folder(folder: Path) -> None:
    """Make a folder that no other user of this computer can look into."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)


def write_object(file: Path, content: dict[str, Any]) -> None:
    """Write a JSON object as `write_whole` does."""
    write_whole(file, json.dumps(content))


def write_whole(file: Path, content: str) -> None:
    """Write a file whole or not at all; a disk that is full leaves the old one and nothing else."""
    write_atomically(file, content.encode())


def read_object(file: Path) -> dict[str, Any] | None:
    """Read a JSON object; None where there is none."""
    with suppress(OSError, ValueError):
        content = json.loads(file.read_text(encoding="utf-8"))
        return content if isinstance(content, dict) else None
    return None


def mark(file: Path) -> bool:
    """Make an empty file; whether it was not there before."""
    try:
        file.open("xb").close()
    except FileExistsError:
        return False
    return True


def remove(folder: Path) -> None:
    """Remove a folder and all in it; what cannot be removed now is tried again by the next cleaning."""
    shutil.rmtree(folder, ignore_errors=True)
    if folder.exists():
        _log.warning("A folder of %s could not be removed and is tried again later.", TRAINING)
