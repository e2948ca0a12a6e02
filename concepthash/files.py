"""Small files of a checkpoint, read with clear errors and written whole or not at all."""

import json
import os
import threading
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from .errors import CheckpointError

__all__ = ["read_json", "write_atomically", "write_json"]


def read_json(file: Path) -> dict[str, Any]:
    """Give the JSON object of a checkpoint's file.

    Raises
    ------
    CheckpointError
        If the file is missing, or holds something else.
    """
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise CheckpointError(f"{file.parent.name!r} has no {file.name}; is it a whole checkpoint folder?") from error
    except (OSError, ValueError) as error:
        raise CheckpointError(f"{file.name} of {file.parent.name!r} cannot be read: {error}.") from error
    if not isinstance(content, dict):
        raise CheckpointError(f"{file.name} of {file.parent.name!r} must hold a JSON object.")
    return content


def write_json(file: Path, content: dict[str, Any], indent: int | None = 1) -> None:
    """Write a JSON object as `write_atomically` does."""
    write_atomically(file, (json.dumps(content, indent=indent, ensure_ascii=False) + "\n").encode())


def write_atomically(file: Path, content: bytes | Iterable[bytes]) -> None:
    """Write content, or parts of it, so that the file holds either the old or the new one, whatever happens."""
    temporary = file.with_name(f".{file.name}.{os.getpid()}.{threading.get_ident()}.tmp")
    try:
        with temporary.open("wb") as opened:
            opened.writelines([content] if isinstance(content, bytes) else content)
            opened.flush()
            os.fsync(opened.fileno())
        os.replace(temporary, file)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
