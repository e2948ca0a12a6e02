"""Unpack the images of a Parquet file once into files, whole or not at all."""

import glob
import logging
import os
import shutil
from contextlib import suppress
from pathlib import Path, PurePosixPath

import duckdb

from ..errors import DataError
from .images import IMAGE_SUFFIXES, quoted_name
from .lists import inside

__all__ = ["unpacked_images"]

_log = logging.getLogger(__name__)
_FOLDER = ".images"
_STAMP = ".source"  # size and time of the Parquet file that the images came from
_N_ROWS = 256  # held in memory at a time, since DuckDB holds the whole answer
_SIGNATURES = {b"\xff\xd8\xff": ".jpg", b"\x89PNG": ".png", b"GIF8": ".gif", b"RIFF": ".webp", b"BM": ".bmp"}


def unpacked_images(
    connection: duckdb.DuckDBPyConnection, root: Path, file: Path, column: str, kind: str
) -> list[Path | None]:
    """Give a file for each row's image, and unpack those that lie within the Parquet file unless that was done.

    Parameters
    ----------
    connection
        Any; it need not be open on a database.
    root
        The folder of the data set; images go to ``.images`` in it.
    file
        The Parquet file.
    column, kind
        Name and DuckDB type of the column of images.

    Returns
    -------
    list
        A path a row, None where a row has no image.

    Raises
    ------
    DataError
        If the Parquet file is damaged, names a path outside ``root``, or the images cannot be written.
    """
    content, name = _fields(column, kind)
    folder = root / _FOLDER / file.relative_to(root)  # named like a file, so that it cannot lie in another such folder
    stamp = f"{file.stat().st_size} {file.stat().st_mtime_ns}"
    try:
        if _stamp_of(folder) != stamp:
            _unpack(connection, file, (content, name), folder, stamp)
        names = _names(connection, file, name)
        unpacked = {int(path.stem): path for path in folder.iterdir() if path.stem.isdecimal()}
    except duckdb.Error as error:
        raise DataError(f"{quoted_name(file)} is damaged; download it again.") from error
    except OSError as error:
        reason = error.strerror or "writing failed"
        raise DataError(
            f"The images of {quoted_name(file)} cannot be unpacked into {_FOLDER} in its folder ({reason}); free some "
            "space or copy the data set to where you may write."
        ) from error
    return [unpacked.get(row) or _beside(root, file, path) for row, path in enumerate(names)]


def _fields(column: str, kind: str) -> tuple[str, str]:
    """What to select for the bytes of an image and for its path."""
    quoted = '"' + column.replace('"', '""') + '"'
    has_path = "path VARCHAR" in kind.replace('"', "")
    return quoted if kind == "BLOB" else f"{quoted}.bytes", f"{quoted}.path" if has_path else "NULL"


def _stamp_of(folder: Path) -> str:
    try:
        return (folder / _STAMP).read_text()
    except FileNotFoundError:
        return ""


def _unpack(
    connection: duckdb.DuckDBPyConnection, file: Path, fields: tuple[str, str], folder: Path, stamp: str
) -> None:
    """Several processes may do this at once: the first to end gives the folder, and the others leave it alone."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    partial = folder.with_name(f".partial-{folder.name}-{os.getpid()}")
    shutil.rmtree(partial, ignore_errors=True)  # of a process that was killed
    with suppress(FileNotFoundError):
        folder.replace(partial)  # of an older Parquet file: out of the way before another process can have ended
        shutil.rmtree(partial)
    _log.info("unpacking the images of %s", file.name)
    try:
        partial.mkdir()
        query = (
            f"SELECT {', '.join(fields)} FROM read_parquet(?, hive_partitioning=false, file_row_number=true) "  # noqa: S608
            "WHERE file_row_number >= ? AND file_row_number < ? ORDER BY file_row_number"
        )
        n_rows, source = len(_names(connection, file, fields[1])), glob.escape(str(file))
        for first in range(0, n_rows, _N_ROWS):
            rows = connection.execute(query, [source, first, first + _N_ROWS]).fetchall()
            for number, (content, name) in enumerate(rows, start=first):
                if content:
                    (partial / f"{number:06d}{_suffix(content, name)}").write_bytes(content)
        (partial / _STAMP).write_text(stamp)
        try:
            partial.replace(folder)
        except OSError:
            if _stamp_of(folder) != stamp:  # otherwise another process was faster
                raise
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _suffix(content: bytes, name: str | None) -> str:
    suffix = PurePosixPath(name or "").suffix.lower()
    told = next((kind for signature, kind in _SIGNATURES.items() if content.startswith(signature)), "")
    return told or (suffix if suffix in IMAGE_SUFFIXES else ".bin")


def _names(connection: duckdb.DuckDBPyConnection, file: Path, name: str) -> list[str | None]:
    """Paths written in the rows; the images themselves are not read."""
    query = f"SELECT {name} FROM read_parquet(?, hive_partitioning=false)"  # noqa: S608
    return [path for (path,) in connection.execute(query, [glob.escape(str(file))]).fetchall()]


def _beside(root: Path, file: Path, name: str | None) -> Path | None:
    """Path of an image that lies beside the Parquet file and not in it."""
    if not name:
        return None
    path = root / inside(name, file)
    if not os.path.isfile(path):  # which is also false for a name that is too long
        _log.warning("%s in %s has no content and is no file", quoted_name(path), file.name)
        return None
    return path
