"""A trained model as one zip: its folder with stem and gallery, that ``python app.py --checkpoint`` opens."""

import os
import threading
import zipfile
from contextlib import suppress
from pathlib import Path

from .storage import disk_errors, make_folder

__all__ = ["bundle"]

_making = threading.Lock()  # one after the other: each reads and writes a whole model
_README = """{name}: a ConceptHash model with its gallery.

Unpack this file and start the app with it: python app.py --checkpoint {folder}
"""
_LEFT_OUT = ("run",)  # of the checkpoint's folder


def bundle(checkpoint: Path, folder: Path, file_name: str, name: str) -> Path:
    """Return the zip of a checkpoint in ``folder``, which is made where it is not there yet or something is newer.

    Raises
    ------
    DataError
        If the disk is full; nothing of the zip stays then.
    """
    file = folder / f"{file_name}.zip"
    with _making, disk_errors("the zip cannot be made"):
        paths = [path for path in sorted(checkpoint.rglob("*")) if _is_wanted(path, checkpoint)]
        newest = max((path.stat().st_mtime_ns for path in paths), default=0)
        if file.is_file() and file.stat().st_mtime_ns == newest:
            return file
        make_folder(folder)
        partial = folder / f".{file_name}.partial"
        try:
            with zipfile.ZipFile(partial, "w", zipfile.ZIP_STORED, strict_timestamps=False) as archive:
                archive.writestr(f"{file_name}/README.txt", _README.format(name=name, folder=file_name))
                for path in paths:
                    is_text = path.suffix in (".json", ".md", ".duckdb")
                    method = zipfile.ZIP_DEFLATED if is_text else zipfile.ZIP_STORED
                    archive.write(path, f"{file_name}/{path.relative_to(checkpoint).as_posix()}", method)
            os.utime(partial, ns=(newest, newest))  # what is written meanwhile is newer than that
            os.replace(partial, file)
        finally:
            with suppress(OSError):
                partial.unlink()
    return file


def _is_wanted(path: Path, checkpoint: Path) -> bool:
    return path.is_file() and not path.is_symlink() and path.relative_to(checkpoint).parts[0] not in _LEFT_OUT
