"""Lay out a visitor's single files as one folder of images for each class."""

import unicodedata
from collections.abc import Mapping, Sequence
from itertools import count
from pathlib import Path, PurePath

from ..errors import DataError
from .images import quoted_name
from .intake_files import MAX_NAME_BYTES, folded, is_junk, new_folder, portable_name, refuse_other_kinds
from .intake_limits import IntakeLimits

__all__ = ["arrange"]

_CHUNK = 1 << 20
_MAX_CLASS_NAME = 100  # characters
_MAX_STEM_BYTES = 150  # of a file's name, without its ending


def arrange(files_by_class: Mapping[str, Sequence[Path]], folder: Path, limits: IntakeLimits | None = None) -> None:
    """Copy files into ``folder/class name/file name``.

    Files of one name in one class are numbered; characters that some file system cannot hold become underscores.

    Parameters
    ----------
    files_by_class
        For each class name, its image files. Spaces around a name do not count.
    folder
        To make; it must not exist.
    limits
        The defaults of `IntakeLimits` if None.

    Raises
    ------
    DataError
        If a class name is empty, too long, hidden, there twice, or cannot be the name of a folder; if a class has no
        files, or there are too many or too large ones; if a file is missing, a link, or not named like an image; or
        if the disk is full. Nothing stays of the folder then.
    """
    limits = limits or IntakeLimits()
    classes = _checked_classes(files_by_class, limits)
    with new_folder(folder):
        n_bytes = 0
        for name, files in classes.items():
            (folder / name).mkdir()
            taken: set[str] = set()
            for file in files:
                target = folder / name / _free_name(file.name, taken)
                n_bytes += _copy(file, target, limits.max_bytes - n_bytes, limits)


def _checked_classes(files_by_class: Mapping[str, Sequence[Path]], limits: IntakeLimits) -> dict[str, Sequence[Path]]:
    if not files_by_class:
        raise DataError("There are no images; choose some for each of at least two classes.")
    if len(files_by_class) > limits.max_classes:
        raise DataError(f"There are {len(files_by_class)} classes; choose at most {limits.max_classes}.")
    if sum(map(len, files_by_class.values())) > limits.max_images:
        raise DataError(f"There are more than {limits.max_images} images; choose fewer.")
    classes: dict[str, Sequence[Path]] = {}
    taken = set()
    for said, files in files_by_class.items():
        name = _class_name(said)
        readable = folded(name).replace("_", " ")  # as `read_image_folder` reads it
        if readable in taken:
            raise DataError(f"The class {_quoted(name)} is there twice; give each class a name of its own.")
        if not files:
            raise DataError(f"The class {_quoted(name)} has no images; choose some, or remove the class.")
        for file in files:
            _check_file(file)
        taken.add(readable)
        classes[name] = files
    return classes


def _class_name(said: str) -> str:
    name = unicodedata.normalize("NFC", said).strip()
    if not name:
        raise DataError("A class has no name; give it one.")
    if len(name) > _MAX_CLASS_NAME or len(name.encode(errors="replace")) > MAX_NAME_BYTES:
        raise DataError(
            f"The class name {_quoted(name)} has {len(name)} characters; shorten it to at most {_MAX_CLASS_NAME}, or "
            f"{MAX_NAME_BYTES} bytes."
        )
    if is_junk(name) or portable_name(name) != name:
        raise DataError(
            f"The class name {_quoted(name)} cannot be the name of a folder; use letters, digits, spaces and hyphens."
        )
    return name


def _check_file(file: Path) -> None:
    if file.is_symlink() or not file.is_file():
        raise DataError(f"{quoted_name(file)} is not there, or is no ordinary file; choose it again.")
    refuse_other_kinds(file.name, "Your choice")


def _free_name(name: str, taken: set[str]) -> str:
    """Make a name that is not ``taken``, whatever its capitals, and take it."""
    path = PurePath(portable_name(name))
    stem = path.stem.encode(errors="replace")[:_MAX_STEM_BYTES].decode(errors="ignore")
    names = (f"{stem}{f'-{number}' if number > 1 else ''}{path.suffix}" for number in count(1))
    free = next(name for name in names if folded(name) not in taken)
    taken.add(folded(free))
    return free


def _copy(source: Path, target: Path, n_left: int, limits: IntakeLimits) -> int:
    """Copy a file of at most ``n_left`` bytes, and return how many it has."""
    n_bytes = 0
    with source.open("rb") as content, target.open("xb") as stream:
        while chunk := content.read(_CHUNK):
            n_bytes += len(chunk)
            if n_bytes > n_left:
                most = f"{limits.max_bytes / 10**6:g} MB"
                raise DataError(f"The images have more than {most} together; make them smaller, or choose fewer.")
            stream.write(chunk)
    return n_bytes


def _quoted(name: str) -> str:
    return quoted_name(Path(name.replace("/", "\N{DIVISION SLASH}")))  # which takes only the last part of a path
