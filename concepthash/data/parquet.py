"""Read a table of images in Parquet files, as data sets lie on the Hugging Face Hub."""

import glob
import logging
import re
from dataclasses import dataclass
from pathlib import Path

import duckdb
import numpy as np

from ..errors import DataError
from .folder import SPLITS, image_files
from .images import quoted_name
from .parquet_images import unpacked_images
from .parquet_labels import class_label_names
from .table import ImageTable, family_of

__all__ = ["is_parquet_layout", "read_parquet"]

_log = logging.getLogger(__name__)
_PLACES = ("*.parquet", "*/*.parquet", "*/*/*.parquet")
_LABEL_NAMES = ("label", "labels", "class", "class_name", "label_name", "fine_label", "species", "variant", "category")
# A table from elsewhere may not load extensions.
_SETTINGS: dict[str, str | bool | int | float | list[str]] = {
    "autoinstall_known_extensions": "false",
    "autoload_known_extensions": "false",
    "threads": "1",  # each would hold images of its own
}


@dataclass(frozen=True)
class _Columns:
    """Which columns hold the images and the labels, and their types."""

    image: str
    image_type: str
    label: str
    label_type: str


def is_parquet_layout(root: Path) -> bool:
    """Tell whether a folder is meant for `read_parquet`.

    Parameters
    ----------
    root
        Any path.

    Returns
    -------
    bool
        True if Parquet files lie in it or at most two folders deeper, other than the ``metadata.parquet`` that
        describes a folder of images. Where image files lie there, too, one must be a table of images.
    """
    files = _files(root)
    if not files or _any_of_images(files) or not image_files(root):
        return bool(files)
    _log.warning("%d Parquet files beside the images are left out, since none is a table of images", len(files))
    return False


def read_parquet(root: Path) -> ImageTable:
    """Read Parquet files with a column of images and one of labels.

    An image is a struct of ``bytes`` and ``path``, or the bytes alone; where it has no bytes its path names a file in
    the folder. A label is the name of a class, or its number, with names in the metadata of the files, in
    ``dataset_infos.json`` or in ``README.md``. The split is the word ``train``, ``test``, ``validation`` or the like
    in the name of a file or of its folder. Since readers want files, the images are unpacked once, into the hidden
    folder ``.images``.

    Parameters
    ----------
    root
        The folder.

    Returns
    -------
    ImageTable
        In the order of the files' names and of their rows; image ids are such as ``"train-00000-of-00001/000012.jpg"``.
        Rows without an image are left out with a line in the log; null and negative labels are unknown (-1).

    Raises
    ------
    DataError
        If a file cannot be read or lacks a column, a label has no class, or the folder cannot be written to.
    """
    root = Path(root).resolve()
    files = _files(root)
    with duckdb.connect(config=_SETTINGS) as connection:
        columns = _same_columns(connection, files)
        names = () if columns.label_type == "VARCHAR" else class_label_names(connection, root, files, columns.label)
        labels_of = [_labels(connection, file, columns) for file in files]
        images_of = [unpacked_images(connection, root, file, columns.image, columns.image_type) for file in files]
    kept = [(path, label) for paths, labels in zip(images_of, labels_of, strict=True)
            for path, label in zip(paths, labels, strict=True) if path is not None]  # fmt: skip
    if not kept:
        raise DataError(f"The Parquet files in {quoted_name(root)} hold no images; give another folder.")
    labels, class_names = _numbered([label for _, label in kept], names)
    flags = [_is_train(file, root) for file, paths in zip(files, images_of, strict=True) for path in paths if path]
    return ImageTable(
        name=root.name,
        root=root,
        image_ids=tuple(_image_id(path, root) for path, _ in kept),
        paths=tuple(path for path, _ in kept),
        labels=labels,
        class_names=class_names,
        families=tuple(map(family_of, class_names)),
        is_train=None if None in flags or len(set(flags)) < 2 else np.array(flags, dtype=bool),
    )


def _files(root: Path) -> list[Path]:
    found = (path for place in _PLACES for path in root.glob(place) if path.name != "metadata.parquet")
    return sorted(p for p in found if p.is_file() and not any(part[0] in "._" for part in p.relative_to(root).parts))


def _any_of_images(files: list[Path]) -> bool:
    with duckdb.connect(config=_SETTINGS) as connection:
        for file in files:
            try:
                _columns(connection, file)
            except DataError:
                continue
            return True
    return False


def _same_columns(connection: duckdb.DuckDBPyConnection, files: list[Path]) -> _Columns:
    all_columns = [_columns(connection, file) for file in files]
    for file, columns in zip(files, all_columns, strict=True):
        if columns != all_columns[0]:
            raise DataError(
                f"{quoted_name(files[0])} and {quoted_name(file)} have different columns; give the folder of one "
                "configuration of the data set."
            )
    return all_columns[0]


def _columns(connection: duckdb.DuckDBPyConnection, file: Path) -> _Columns:
    try:
        relation = connection.read_parquet(glob.escape(str(file)))
        types = dict(zip(relation.columns, map(str, relation.types), strict=True))
    except duckdb.Error as error:
        raise DataError(f"{quoted_name(file)} cannot be read as a Parquet file; download it again.") from error
    images = [name for name, kind in types.items() if _is_image(kind)]
    images.sort(key=lambda name: (name not in ("image", "img"), types[name] == "BLOB"))
    labels = [name for name in _LABEL_NAMES if name in types]
    if not images or not labels:
        lack = "no column of images (bytes and path)" if not images else f"no column {' or '.join(_LABEL_NAMES[:4])}"
        raise DataError(f"{quoted_name(file)} has {lack}, only {', '.join(types)[:200]}; rename one.")
    if not re.fullmatch(r"VARCHAR|U?(TINY|SMALL|BIG|HUGE)?INT(EGER)?", types[labels[0]]):
        raise DataError(f"The column {labels[0]} of {quoted_name(file)} must hold names or whole numbers.")
    return _Columns(images[0], types[images[0]], labels[0], types[labels[0]])


def _is_image(kind: str) -> bool:
    return kind == "BLOB" or (kind.startswith("STRUCT(") and "bytes BLOB" in kind.replace('"', ""))


def _labels(connection: duckdb.DuckDBPyConnection, file: Path, columns: _Columns) -> list[str | int | None]:
    column = columns.label.replace('"', '""')
    query = f'SELECT "{column}" FROM read_parquet(?, hive_partitioning=false)'  # noqa: S608
    try:
        return [label for (label,) in connection.execute(query, [glob.escape(str(file))]).fetchall()]
    except duckdb.Error as error:
        raise DataError(f"{quoted_name(file)} is damaged; download it again.") from error


def _numbered(labels: list[str | int | None], names: tuple[str, ...]) -> tuple[np.ndarray, tuple[str, ...]]:
    """Labels (n,) int64 and the names of the classes; numbers without names stand for themselves."""
    if names:
        numbers = [-1 if label is None or int(label) < 0 else int(label) for label in labels]
        if max(numbers) >= len(names):
            raise DataError(
                f"A label is {max(numbers)}, but the data set names {len(names)} classes; download it again."
            )
        return np.array(numbers, dtype=np.int64), names
    known = sorted({label for label in labels if label is not None and not (isinstance(label, int) and label < 0)})
    place: dict[str | int | None, int] = {label: number for number, label in enumerate(known)}
    return np.array([place.get(label, -1) for label in labels], dtype=np.int64), tuple(map(str, known))


def _is_train(file: Path, root: Path) -> bool | None:
    """Whether a file belongs to the train split, None where neither its name nor its folder tells."""
    for name in reversed(file.relative_to(root).with_suffix("").parts):
        told = {SPLITS[word] for word in re.split(r"[^a-z]+", name.lower()) if word in SPLITS}
        if len(told) == 1:
            return told.pop()
    return None


def _image_id(path: Path, root: Path) -> str:
    return re.sub(r"^\.images/(.+)\.parquet/", r"\1/", path.relative_to(root).as_posix())
