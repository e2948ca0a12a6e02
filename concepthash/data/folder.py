"""Read a folder of images, one folder a class."""

import logging
import os
from pathlib import Path, PurePosixPath

import numpy as np

from ..errors import DataError
from .images import IMAGE_SUFFIXES, quoted_name
from .table import ImageTable, family_of

__all__ = ["SPLITS", "existing_folder", "image_files", "read_image_folder", "valid_text"]

_log = logging.getLogger(__name__)
_UNLABELED = "unlabeled"
SPLITS = {"train": True, "training": True} | dict.fromkeys(  # word -> whether it is the train split
    ("test", "testing", "eval", "evaluation", "val", "valid", "validation", "dev"), False
)


def read_image_folder(root: Path) -> ImageTable:
    """Read ``root/class/.../image.jpg``: the folder right below ``root`` is the class.

    Images right in ``root`` form the class ``"unlabeled"``. Where ``root`` has nothing but ``train`` and ``test`` (or
    other words of `SPLITS`, in any case) with class folders in them, these are the split. Hidden files and folders are
    left out.

    Parameters
    ----------
    root
        The folder.

    Returns
    -------
    ImageTable
        In the order of the image ids, which are paths relative to ``root``; class names are folder names with spaces
        for underscores, in alphabetical order.

    Raises
    ------
    DataError
        If the folder is missing, is a file, or holds no file that is named like an image.
    """
    root = existing_folder(root)
    files = image_files(root)
    if not files:
        raise DataError(
            f"{quoted_name(root)} holds no images; put JPEG, PNG or WebP files in it, or one folder of them for each "
            "class."
        )
    files = sorted(files, key=lambda file: file.as_posix())
    is_train = _train_flags(files)
    names = [_class_name(file.parts if is_train is None else file.parts[1:]) for file in files]
    class_names, labels = np.unique(names, return_inverse=True)
    if all(str(name).casefold() in SPLITS for name in class_names):
        _log.warning(
            "the classes are called %s, like the parts of a split; if they are, put class folders into each",
            ", ".join(class_names),
        )
    return ImageTable(
        name=root.name,
        root=root,
        image_ids=tuple(valid_text(file.as_posix()) for file in files),
        paths=tuple(root / file for file in files),
        labels=labels.astype(np.int64),
        class_names=tuple(map(str, class_names)),
        families=tuple(family_of(str(name)) for name in class_names),
        is_train=is_train,
    )


def existing_folder(root: str | Path) -> Path:
    """Give the absolute path of a folder.

    Raises
    ------
    DataError
        If it is missing, or a file.
    """
    path = Path(root).expanduser()
    if os.path.isdir(path):  # which is also false for a name that is too long
        return path.resolve()
    if os.path.exists(path):
        raise DataError(f"{quoted_name(path)} is a file; give the folder of images that it lies in.")
    raise DataError(f"The folder {quoted_name(path)} does not exist; check the path.")


def image_files(root: Path, folder: Path | None = None, above: frozenset[Path] = frozenset()) -> list[PurePosixPath]:
    """Give the paths relative to ``root`` of all files in a folder that are named like images and not hidden.

    Parameters
    ----------
    root
        The top folder.
    folder
        Where to look, ``root`` if None.
    above
        Folders above that one; a link back to one of them is not followed.
    """
    folder = folder or root
    real = folder.resolve()
    if real in above:
        return []
    try:
        entries = [entry for entry in os.scandir(folder) if not entry.name.startswith((".", "__MACOSX"))]
    except OSError:
        _log.warning("the folder %s cannot be opened and is left out", quoted_name(folder))
        return []
    found: list[PurePosixPath] = []
    for entry in entries:
        path = Path(entry.path)
        if entry.is_dir():
            found += image_files(root, path, above | {real})
        elif path.suffix.lower() in IMAGE_SUFFIXES and entry.is_file():
            found.append(PurePosixPath(path.relative_to(root)))
    return found


def _train_flags(files: list[PurePosixPath]) -> np.ndarray | None:
    told = [SPLITS.get(file.parts[0].casefold()) for file in files]
    if set(told) != {True, False} or any(len(file.parts) < 3 for file in files):
        return None
    return np.array(told)


def _class_name(parts: tuple[str, ...]) -> str:
    if len(parts) == 1:
        return _UNLABELED
    return valid_text(parts[0]).replace("_", " ").strip() or valid_text(parts[0])


def valid_text(name: str) -> str:
    """Spell out bytes of a file name that are no UTF-8, so that the name can be stored and shown."""
    return name.encode("utf-8", "backslashreplace").decode("utf-8")
