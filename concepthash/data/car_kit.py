"""Read Stanford Cars as its authors packed it: folders of photos and annotations as MATLAB files."""

import logging
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import DataError
from .car_names import body_of, make_of
from .images import quoted_name
from .lists import inside, missing_files, present_files
from .table import ImageTable

__all__ = ["is_car_kit", "read_car_kit"]

_log = logging.getLogger(__name__)
_CORNERS = ("bbox_x1", "bbox_y1", "bbox_x2", "bbox_y2")
_TEST = "cars_test_annos_withlabels.mat"
_LISTS = ("devkit/cars_meta.mat", "devkit/cars_train_annos.mat", "cars_annos.mat", _TEST)
_FAULTS = (
    ArithmeticError,
    AttributeError,
    LookupError,
    MemoryError,
    NotImplementedError,  # MATLAB 7.3, which is HDF5
    OSError,
    TypeError,
    ValueError,
    struct.error,
    zlib.error,
)


def is_car_kit(root: Path) -> bool:
    """Tell whether a folder is meant for `read_car_kit`, complete or not.

    Parameters
    ----------
    root
        Any path.

    Returns
    -------
    bool
        True if one of the authors' annotations is there.
    """
    return any((root / name).is_file() for name in _LISTS)


def read_car_kit(root: Path, by_make: bool = True) -> ImageTable:
    """Read the folders of the authors.

    These are ``devkit/`` (``cars_meta.mat``, ``cars_train_annos.mat``), ``cars_train/``, ``cars_test/`` and
    ``cars_test_annos_withlabels.mat``, without which the test photos have no class and are left out; or ``car_ims/``
    with ``cars_annos.mat``, which numbers the same photos throughout.

    Parameters
    ----------
    root
        The folder.
    by_make
        Whether families are makes; otherwise they are types of body. Both are taken from the name of the class.

    Returns
    -------
    ImageTable
        In the order of the annotations, train photos first; classes in the order of the authors.

    Raises
    ------
    DataError
        If a file is missing or cannot be read, or no photo is there.
    """
    root = Path(root).resolve()
    one_list = (root / "cars_annos.mat").is_file() and (
        (root / "car_ims").is_dir() or not (root / "devkit/cars_train_annos.mat").is_file()
    )
    rows = _rows_of_one_list(root) if one_list else _rows_of_devkit(root)
    meta = root / ("cars_annos.mat" if one_list else "devkit/cars_meta.mat")
    class_names = tuple(str(name) for name in np.atleast_1d(_read(meta, "class_names")))
    present = present_files(root, {path: inside(path, meta) for path, *_ in rows}, meta)
    rows = [row for row in rows if row[0] in present]
    labels = np.array([label for _, label, *_ in rows], dtype=np.int64)
    if labels.min() < 0 or labels.max() >= len(class_names):
        raise DataError(f"The annotations have a class that {meta.name} does not name; unpack the data set again.")
    return ImageTable(
        name=root.name,
        root=root,
        image_ids=tuple(path for path, *_ in rows),
        paths=tuple(root / present[path] for path, *_ in rows),
        labels=labels,
        class_names=class_names,
        families=tuple((make_of if by_make else body_of)(name) for name in class_names),
        is_train=np.array([is_train for _, _, is_train, _ in rows]),
        boxes=np.array([box for *_, box in rows], dtype=np.float32),
    )


_Row = tuple[str, int, bool, tuple[float, ...]]  # path, label, whether it is a train photo, box


def _rows_of_devkit(root: Path) -> list[_Row]:
    missing_files(root, ("devkit/cars_meta.mat", "devkit/cars_train_annos.mat", "cars_train/"), "Stanford Cars")
    rows = _rows(root / "devkit" / "cars_train_annos.mat", "fname", "cars_train/", True)
    labeled = [file for file in (root / _TEST, root / "devkit" / _TEST) if file.is_file()]
    if not labeled:
        _log.warning("%s is missing, so that the test photos have no class and are left out", _TEST)
        return rows
    return rows + _rows(labeled[0], "fname", "cars_test/", False)


def _rows_of_one_list(root: Path) -> list[_Row]:
    missing_files(root, ("car_ims/",), "Stanford Cars")
    return sorted(_rows(root / "cars_annos.mat", "relative_im_path", "", None), key=lambda row: not row[2])


def _rows(file: Path, path_field: str, folder: str, is_train: bool | None) -> list[_Row]:
    """Annotations of one file; its own field ``test`` tells the split where ``is_train`` is None."""
    rows: list[_Row] = []
    try:
        for entry in np.atleast_1d(_read(file, "annotations")):
            x1, y1, x2, y2 = (float(entry[name]) for name in _CORNERS)  # first and last pixel, counted from 1
            train = not int(entry["test"]) if is_train is None else is_train
            path, box = f"{folder}{entry[path_field]}", (x1 - 1, y1 - 1, x2 - x1 + 1, y2 - y1 + 1)
            rows.append((path, int(entry["class"]) - 1, train, box))
    except _FAULTS as error:
        if isinstance(error, DataError):
            raise
        raise DataError(f"{quoted_name(file)} lacks a field of the annotations of Stanford Cars ({error}).") from error
    if not rows:
        raise DataError(f"{quoted_name(file)} annotates no photo; unpack the data set again.")
    return rows


def _read(file: Path, name: str) -> Any:
    from scipy.io import loadmat  # comes with scikit-learn; slow to load, and nothing else needs it
    from scipy.io.matlab import MatReadError

    try:
        return loadmat(file, squeeze_me=True, variable_names=[name])[name]
    except (*_FAULTS, MatReadError) as error:
        raise DataError(
            f"{quoted_name(file)} cannot be read as a MATLAB file with {name}; unpack the data set again."
        ) from error
