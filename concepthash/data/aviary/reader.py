"""Read a rendered aviary: its pictures, split, boxes, parts and attributes, from its tables alone."""

import csv
from pathlib import Path, PurePosixPath

import numpy as np

from ...errors import DataError
from ..images import quoted_name
from ..table import ImageTable

__all__ = ["is_aviary_layout", "read_aviary"]

_TABLES = ("images.csv", "species.csv", "parts.csv", "attributes.csv")
_BOX = ("x", "y", "width", "height")
_RENDER = "render the aviary again with python -m concepthash.data.aviary"


def is_aviary_layout(root: Path) -> bool:
    """Tell whether a folder is meant for `read_aviary`, complete or not.

    Parameters
    ----------
    root
        Any path.

    Returns
    -------
    bool
        True if ``images.csv`` and ``species.csv`` are there.
    """
    return (root / "images.csv").is_file() and (root / "species.csv").is_file()


def read_aviary(root: str | Path) -> ImageTable:
    """Read a folder that ``python -m concepthash.data.aviary`` has rendered; no picture and no mask is opened.

    Parameters
    ----------
    root
        The folder.

    Returns
    -------
    ImageTable
        In the order of ``images.csv``, classes in that of ``species.csv``, with a split, boxes, paths of masks, names
        of parts, and attributes.

    Raises
    ------
    DataError
        If a file is missing or a table malformed.
    """
    root = Path(root).expanduser().resolve()
    missing = [name for name in _TABLES if not (root / name).is_file()]
    if missing:
        raise DataError(
            f"{quoted_name(root)} is not a complete aviary, since it has no {', '.join(missing)}; {_RENDER}."
        )
    images = _rows(root / "images.csv", ("image", "species", "split", *_BOX))
    species = _rows(root / "species.csv", ("species", "family"))
    attributes = _rows(root / "attributes.csv", ("attribute", "part"))
    part_names = _part_names(root / "parts.csv")
    class_names = tuple(row["species"] for row in species)
    image_ids = tuple(row["image"] for row in images)
    paths = tuple(root / _relative(image_id) for image_id in image_ids)
    mask_paths = tuple(root / "parts" / path.relative_to(root / "images").with_suffix(".png") for path in paths)
    _check_files(root, (*paths, *mask_paths))
    return ImageTable(
        name=root.name,
        root=root,
        image_ids=image_ids,
        paths=paths,
        labels=_labels(images, class_names),
        class_names=class_names,
        families=tuple(row["family"] for row in species),
        is_train=_split(images),
        boxes=_boxes(images),
        part_names=part_names,
        mask_paths=mask_paths,
        attributes=_attributes(species, attributes),
        attribute_names=tuple(row["attribute"] for row in attributes),
        attribute_parts=tuple(row["part"] for row in attributes),
    )


def _rows(path: Path, columns: tuple[str, ...]) -> list[dict[str, str]]:
    """Read a table that must have some columns and a row at least."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as stream:
            rows = list(csv.DictReader(stream, strict=True))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path.name} cannot be read as a table in UTF-8; {_RENDER}.") from error
    absent = [name for name in columns if not rows or name not in rows[0]]
    if absent or any(None in row or None in row.values() for row in rows):
        lack = f"has no column {', '.join(absent)}" if absent and rows else "has no rows, or some of another length"
        raise DataError(f"{path.name} {lack}; {_RENDER}.")
    return rows


def _relative(image_id: str) -> PurePosixPath:
    path = PurePosixPath(image_id)
    if path.is_absolute() or ".." in path.parts or path.parts[:1] != ("images",):
        raise DataError(f"images.csv lists {quoted_name(Path(image_id))} outside the images folder; correct it.")
    return path


def _check_files(root: Path, paths: tuple[Path, ...]) -> None:
    lost = [path for path in paths if not path.is_file()]
    if lost:
        example = lost[0].relative_to(root).as_posix()
        raise DataError(f"{quoted_name(root)} lacks {len(lost)} of its files, such as {example}; {_RENDER}.")


def _part_names(path: Path) -> tuple[str, ...]:
    rows = _rows(path, ("part", "name"))
    if [row["part"] for row in rows] != [str(k + 1) for k in range(len(rows))]:
        raise DataError(f"parts.csv must number the parts 1, 2, 3 and so on; {_RENDER}.")
    return tuple(row["name"] for row in rows)


def _labels(images: list[dict[str, str]], class_names: tuple[str, ...]) -> np.ndarray:
    place = {name: k for k, name in enumerate(class_names)}
    unknown = sorted({row["species"] for row in images} - set(place))
    if unknown or len(place) < len(class_names):
        what = f"has no {unknown[0]}, but images.csv has" if unknown else "lists a species twice"
        raise DataError(f"species.csv {what}; {_RENDER}.")
    return np.array([place[row["species"]] for row in images], dtype=np.int64)


def _split(images: list[dict[str, str]]) -> np.ndarray:
    split = np.array([row["split"] for row in images])
    if not np.isin(split, ("train", "test")).all():
        raise DataError(f"images.csv must say train or test for each image; {_RENDER}.")
    return split == "train"


def _boxes(images: list[dict[str, str]]) -> np.ndarray:
    try:
        boxes = np.array([[float(row[name]) for name in _BOX] for row in images], dtype=np.float32)  # (n, 4)
    except ValueError as error:
        raise DataError(f"images.csv must give four numbers for each box ({error}); {_RENDER}.") from error
    if not np.isfinite(boxes).all():
        raise DataError(f"images.csv has a box that is not finite; {_RENDER}.")
    return boxes


def _attributes(species: list[dict[str, str]], attributes: list[dict[str, str]]) -> np.ndarray:
    absent = [row["attribute"] for row in attributes if row["attribute"] not in species[0]]
    if absent:
        raise DataError(f"species.csv has no column {absent[0]}, but attributes.csv names it; {_RENDER}.")
    return np.array([[kind[row["attribute"]] for row in attributes] for kind in species])  # (C, A)
