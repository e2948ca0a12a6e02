"""Read Stanford Cars, as tables (``index.csv`` and ``classes.csv``) or as its authors packed it (see `car_kit`)."""

import re
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from ..errors import ConfigError, DataError
from .car_kit import is_car_kit, read_car_kit
from .lists import inside, missing_files, present_files, table_rows
from .table import ImageTable

__all__ = ["CAR_FAMILIES", "is_cars_layout", "read_cars"]

CAR_FAMILIES = {"make": "make", "body": "body_type"}  # choice -> column of classes.csv
_INDEX = ("path", "class_id", "split")  # columns of index.csv
_MAX_HEADER = 1000  # characters


def is_cars_layout(root: Path) -> bool:
    """Tell whether a folder is meant for `read_cars`, complete or not.

    Parameters
    ----------
    root
        Any path.

    Returns
    -------
    bool
        True if an ``index.csv`` or a ``classes.csv`` of cars is there, or annotations of the authors.
    """
    is_of_cars = _has(root / "index.csv", _INDEX) or _has(root / "classes.csv", CAR_FAMILIES.values())
    return is_of_cars or is_car_kit(root)


def read_cars(root: Path, families: str = "make") -> ImageTable:
    """Read Stanford Cars.

    Needed are ``index.csv`` (path, class_id, split) and ``classes.csv`` (class_id, class_name, make, body_type), or
    the folders and annotations of the authors. Images without a file are left out with a line in the log.

    Parameters
    ----------
    root
        The folder.
    families
        ``"make"`` or ``"body"``.

    Returns
    -------
    ImageTable
        In the order of the index; image ids are the paths listed there, classes are in the order of their numbers.

    Raises
    ------
    ConfigError
        For other families.
    DataError
        If a file is missing or malformed, or no listed image is there.

    References
    ----------
    Krause et al., 3D object representations for fine-grained categorization, 3DRR 2013.
    """
    if families not in CAR_FAMILIES:
        raise ConfigError(f"Cars have no families {families!r}; choose one of {', '.join(CAR_FAMILIES)}.")
    root = Path(root).resolve()
    if not _has(root / "index.csv", _INDEX) and is_car_kit(root):
        return read_car_kit(root, by_make=families == "make")
    missing_files(root, ("index.csv", "classes.csv"), "cars")
    index, column = root / "index.csv", CAR_FAMILIES[families]
    rows = table_rows(index, _INDEX)
    present = present_files(root, {row["path"]: inside(row["path"], index) for row in rows}, index)
    rows = [row for row in rows if row["path"] in present]
    classes = _classes(root / "classes.csv", column)
    place = {number: label for label, number in enumerate(classes)}
    unknown = sorted({row["class_id"] for row in rows} - set(place))
    if unknown:
        raise DataError(f"classes.csv has no class {', '.join(unknown[:5])}, but images belong to it; add it.")
    return ImageTable(
        name=root.name,
        root=root,
        image_ids=tuple(row["path"] for row in rows),
        paths=tuple(root / present[row["path"]] for row in rows),
        labels=np.array([place[row["class_id"]] for row in rows], dtype=np.int64),
        class_names=tuple(row["class_name"] for row in classes.values()),
        families=tuple(row[column] for row in classes.values()),
        is_train=_split(rows),
    )


def _has(file: Path, columns: Iterable[str]) -> bool:
    """Whether a table has these columns: other folders may have an ``index.csv`` or a ``classes.csv``, too."""
    try:
        with file.open(encoding="utf-8", errors="replace") as stream:
            found = re.findall(r"\w+", stream.readline(_MAX_HEADER))
    except OSError:
        return False
    return set(columns) <= set(found)


def _classes(file: Path, column: str) -> dict[str, dict[str, str]]:
    """Rows of the classes by their number, in its order."""
    rows = table_rows(file, ("class_id", "class_name", column))
    if not all(row["class_id"].isdecimal() for row in rows):
        raise DataError(f"{file.name} must number its classes; correct its column class_id.")
    by_number = {row["class_id"]: row for row in sorted(rows, key=lambda row: int(row["class_id"]))}
    if len(by_number) < len(rows):
        raise DataError(f"{file.name} lists a class twice; list each once.")
    return by_number


def _split(rows: list[dict[str, str]]) -> np.ndarray:
    split = np.array([row["split"] for row in rows])
    if not np.isin(split, ("train", "test")).all():
        raise DataError("index.csv must say train or test for each image; correct its column split.")
    return split == "train"
