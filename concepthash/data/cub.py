"""Read a data set in the layout of CUB-200-2011: any of its classes and images, split and parts where present."""

import logging
import os
import re
from pathlib import Path, PurePosixPath

import numpy as np

from ..errors import DataError
from .images import quoted_name
from .lists import missing_files
from .table import ImageTable, family_of

__all__ = ["is_cub_layout", "read_cub"]

_log = logging.getLogger(__name__)
_REQUIRED = ("images.txt", "image_class_labels.txt", "classes.txt")


def is_cub_layout(root: Path) -> bool:
    """Tell whether a folder is meant for `read_cub`, complete or not.

    Parameters
    ----------
    root
        Any path.

    Returns
    -------
    bool
        True if ``images/`` and one of ``images.txt`` and ``image_class_labels.txt`` are there.
    """
    return (root / "images").is_dir() and any((root / name).is_file() for name in _REQUIRED[:2])


def read_cub(root: Path) -> ImageTable:
    """Read the CUB-200-2011 layout.

    Needed are ``images/``, ``images.txt``, ``image_class_labels.txt`` and ``classes.txt``; ``train_test_split.txt``,
    ``bounding_boxes.txt`` and ``parts/`` are read where present. Images without a file are left out with a line in
    the log, and so are classes without an image.

    Parameters
    ----------
    root
        The folder.

    Returns
    -------
    ImageTable
        In the order of ``images.txt``; image ids are the paths listed there, classes are in the order of their
        numbers, and their names in lower case without number and underscores.

    Raises
    ------
    DataError
        If a file is missing or malformed, or no listed image is there.
    """
    root = Path(root).resolve()
    missing_files(root, (*_REQUIRED, "images/"), "CUB-200-2011")
    numbers, image_ids = _present_images(root)
    class_numbers = _per_image(root / "image_class_labels.txt", numbers, 1)[:, 0]
    used, labels = np.unique(class_numbers, return_inverse=True)
    class_names = _class_names(root, used)
    keypoint_names, keypoints = _keypoints(root / "parts", numbers)
    return ImageTable(
        name=root.name,
        root=root,
        image_ids=image_ids,
        paths=tuple(root / "images" / image_id for image_id in image_ids),
        labels=labels.astype(np.int64),
        class_names=class_names,
        families=tuple(map(family_of, class_names)),
        is_train=_split(root, numbers),
        boxes=_boxes(root, numbers),
        keypoints=keypoints,
        keypoint_names=keypoint_names,
    )


def _present_images(root: Path) -> tuple[np.ndarray, tuple[str, ...]]:
    """Image numbers (n,) int64 and relative paths of the listed images that exist."""
    listed = _numbered_lines(root / "images.txt")
    for image_id in listed.values():
        path = PurePosixPath(image_id)
        if path.is_absolute() or ".." in path.parts:
            raise DataError(f"images.txt lists {quoted_name(Path(image_id))} outside the images folder; correct it.")
    present = {number: image_id for number, image_id in listed.items() if os.path.isfile(root / "images" / image_id)}
    if not present:
        raise DataError(
            f"images.txt in {quoted_name(root)} lists {len(listed)} images but none is there; unpack them in images/."
        )
    if len(present) < len(listed):
        _log.warning("%d of %d images listed in images.txt are missing", len(listed) - len(present), len(listed))
    return np.array(list(present), dtype=np.int64), tuple(present.values())


def _class_names(root: Path, used: np.ndarray) -> tuple[str, ...]:
    listed = _numbered_lines(root / "classes.txt")
    unknown = [f"{number:g}" for number in used if number not in listed]
    if unknown:
        raise DataError(f"classes.txt has no class {', '.join(unknown[:5])}, but images belong to it; add it.")
    return tuple(re.sub(r"^\d+\.", "", listed[number]).replace("_", " ").strip().lower() for number in used)


def _split(root: Path, numbers: np.ndarray) -> np.ndarray | None:
    path = root / "train_test_split.txt"
    if not path.is_file():
        return None
    flags = _per_image(path, numbers, 1)[:, 0]
    if not np.isin(flags, (0, 1)).all():
        raise DataError("train_test_split.txt must hold an image number and 1 (train) or 0 (test) a line; correct it.")
    return flags == 1


def _boxes(root: Path, numbers: np.ndarray) -> np.ndarray | None:
    path = root / "bounding_boxes.txt"
    return _per_image(path, numbers, 4).astype(np.float32) if path.is_file() else None


def _keypoints(parts: Path, numbers: np.ndarray) -> tuple[tuple[str, ...], np.ndarray | None]:
    """Names (P,) and values (n, P, 3) float32; a key-point that is not listed is not visible."""
    if not (parts / "parts.txt").is_file() or not (parts / "part_locs.txt").is_file():
        return (), None
    names = _numbered_lines(parts / "parts.txt")
    located = _number_table(parts / "part_locs.txt", 5)  # image, part, x, y, visible
    located = located[np.isin(located[:, 0], numbers)]
    if not np.isin(located[:, 1], list(names)).all():
        raise DataError("part_locs.txt has a part that parts.txt does not name; add it there.")
    keypoints = np.zeros((len(numbers), len(names), 3), dtype=np.float32)
    keypoints[_positions(numbers, located[:, 0]), _positions(np.array(list(names)), located[:, 1])] = located[:, 2:]
    return tuple(names.values()), keypoints


def _per_image(path: Path, numbers: np.ndarray, n_values: int) -> np.ndarray:
    """Values (n, n_values) of the images ``numbers`` from a file of lines ``image value ...`` in any order."""
    table = _number_table(path, n_values + 1)
    if len(np.unique(table[:, 0])) < len(table):
        raise DataError(f"{path.name} has several lines for one image; keep one.")
    missing = ~np.isin(numbers, table[:, 0])
    if missing.any():
        raise DataError(
            f"{path.name} has no line for {int(missing.sum())} images, such as image {numbers[missing][0]}; add them."
        )
    return table[_positions(table[:, 0], numbers), 1:]


def _positions(values: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """Where each ``wanted`` number, all of them present, stands in ``values``."""
    order = np.argsort(values, kind="stable")
    return order[np.searchsorted(values, wanted, sorter=order)]


def _number_table(path: Path, n_columns: int) -> np.ndarray:
    """Read a file of numbers, (lines, n_columns) float64."""
    lines = [line for line in _text(path).split("\n") if line.strip()]
    try:
        table = np.loadtxt(lines, ndmin=2, comments=None) if lines else np.empty((0, n_columns))
    except ValueError as error:
        raise DataError(
            f"{path.name} must hold {n_columns} numbers a line ({str(error).rstrip('.')}); correct it."
        ) from error
    if table.shape[1] != n_columns or not np.isfinite(table).all():
        raise DataError(f"{path.name} must hold {n_columns} finite numbers a line, got {table.shape[1]}; correct it.")
    return table


def _numbered_lines(path: Path) -> dict[int, str]:
    """Read lines ``number text`` as a dictionary in the file's order; float64 holds all numbers of 15 digits."""
    listed: dict[int, str] = {}
    for place, line in enumerate(_text(path).split("\n"), start=1):
        fields = line.strip().split(maxsplit=1)
        if not fields:
            continue
        if len(fields) < 2 or not re.fullmatch(r"\d{1,15}", fields[0]) or int(fields[0]) in listed:
            raise DataError(
                f"Line {place} of {path.name} must be a new number of at most 15 digits, a space and a name; correct "
                "it."
            )
        listed[int(fields[0])] = fields[1]
    return listed


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path.name} cannot be read as UTF-8 text; check the file and its permissions.") from error
