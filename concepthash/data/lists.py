"""Text lists of data sets, read with clear errors: lines of a key and a value, and paths that stay in their folder."""

import csv
import logging
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path, PurePosixPath, PureWindowsPath

import numpy as np

from ..errors import DataError
from .images import quoted_name

__all__ = ["inside", "keyed_boxes", "keyed_lines", "lines_of", "missing_files", "present_files", "table_rows"]

_log = logging.getLogger(__name__)


def lines_of(file: Path) -> list[str]:
    """Read the lines of a text that are not blank, without spaces around them.

    Raises
    ------
    DataError
        If the file is missing, cannot be read, or is no UTF-8.
    """
    try:
        text = file.read_text(encoding="utf-8-sig")
    except FileNotFoundError as error:
        raise DataError(f"{file.name} is missing; unpack the data set again.") from error
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{file.name} cannot be read as UTF-8 text; check the file and its permissions.") from error
    return [line.strip() for line in text.split("\n") if line.strip()]


def keyed_lines(file: Path) -> dict[str, str]:
    """Read lines ``key value``, where the value may have spaces, in the file's order.

    Raises
    ------
    DataError
        If a line has no value, or a key stands twice.
    """
    listed: dict[str, str] = {}
    for place, line in enumerate(lines_of(file), start=1):
        key, _, value = line.partition(" ")
        if not value.strip() or key in listed:
            raise DataError(f"Line {place} of {file.name} must be a new id, a space and a value; correct it.")
        listed[key] = value.strip()
    return listed


def keyed_boxes(file: Path, keys: Sequence[str]) -> np.ndarray:
    """Read lines ``key`` and four numbers, (n, 4) float32 in the order of ``keys``.

    Raises
    ------
    DataError
        If a line has something else, or a key none.
    """
    listed = keyed_lines(file)
    lost = [key for key in keys if key not in listed]
    if lost:
        raise DataError(
            f"{file.name} has no line for {len(lost)} images, such as {quoted_name(Path(lost[0]))}; add them."
        )
    rows = [listed[key].split() for key in keys]
    try:
        boxes = np.array([[float(value) for value in row] for row in rows], dtype=np.float32)
    except ValueError as error:  # no number, or rows of unequal length
        raise DataError(f"{file.name} must hold an id and 4 numbers a line; correct it.") from error
    if boxes.shape != (len(keys), 4) or not np.isfinite(boxes).all():
        raise DataError(f"{file.name} must hold an id and 4 finite numbers a line; correct it.")
    return boxes


def table_rows(file: Path, columns: Iterable[str]) -> list[dict[str, str]]:
    """Read a table with a header: a row at least, all as long as the header, and some columns that must be there.

    Raises
    ------
    DataError
        If it is otherwise, or the file cannot be read.
    """
    try:
        rows = list(csv.DictReader(lines_of(file), strict=True))
    except csv.Error as error:
        raise DataError(f"{file.name} cannot be read as a table; correct it.") from error
    if not rows:
        raise DataError(f"{file.name} has no rows; unpack the data set again.")
    absent = [name for name in columns if name not in rows[0]]
    if absent:
        raise DataError(f"{file.name} has no column {', '.join(absent)}; add it.")
    for place, row in enumerate(rows, start=2):
        if None in row or None in row.values():
            raise DataError(f"Line {place} of {file.name} has another number of columns than its header; correct it.")
    return rows


def inside(name: str, file: Path) -> PurePosixPath:
    """Give a relative path that ``file`` lists, once it is sure that it does not leave its folder.

    Raises
    ------
    DataError
        If it is absolute, has a ``..``, a drive, or a null character, or is empty.
    """
    path = PurePosixPath(name)
    parts = {*path.parts, *PureWindowsPath(name).parts}
    if not path.parts or path.is_absolute() or PureWindowsPath(name).anchor or ".." in parts or "\0" in name:
        raise DataError(f"{file.name} lists {quoted_name(Path(name))}, which leaves the folder of images; correct it.")
    return path


def present_files(root: Path, listed: Mapping[str, PurePosixPath], file: Path) -> dict[str, PurePosixPath]:
    """Keep those listed paths below ``root`` that exist, with a line in the log where some do not.

    A name that is too long for a file is none, as `os.path.isfile` says and `Path.is_file` does not.

    Raises
    ------
    DataError
        If none does.
    """
    present = {key: path for key, path in listed.items() if os.path.isfile(root / path)}
    if not present:
        raise DataError(f"{file.name} lists {len(listed)} images but none is there; unpack the data set again.")
    if len(present) < len(listed):
        _log.warning("%d of %d images listed in %s are missing", len(listed) - len(present), len(listed), file.name)
    return present


def missing_files(root: Path, names: Iterable[str], layout: str) -> None:
    """Make sure that files, or folders whose names end in a slash, are there.

    Raises
    ------
    DataError
        Naming the ones that are not, and the ``layout`` that needs them.
    """
    lost = [name for name in names if not ((root / name).is_dir() if name.endswith("/") else (root / name).is_file())]
    if lost:
        raise DataError(
            f"{quoted_name(root)} is not a complete {layout} layout, since it has no {', '.join(lost)}; "
            "unpack the data set again, or give a folder of images."
        )
