"""Look through the images that somebody wants to train on: which can be read, which are the same, what forbids it."""

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..errors import DataError, ImageError
from .folder import existing_folder
from .images import quoted_name, read_image
from .intake_files import content_digest
from .intake_findings import Look, find_problems, find_warnings
from .intake_limits import IntakeLimits
from .layouts import read_dataset
from .table import ImageTable

__all__ = ["ClassImages", "Inspection", "inspect_images"]

_N_EXAMPLES = 3
_MAX_THREADS = 4  # each may hold one image of `MAX_PIXELS`


@dataclass(frozen=True)
class ClassImages:
    """One class: ``n_images`` that can be read, ``n_broken`` that cannot, and up to three files of the former."""

    name: str
    n_images: int
    n_broken: int
    examples: tuple[Path, ...]


@dataclass(frozen=True)
class Inspection:
    """What `inspect_images` found; with ``problems`` the images cannot be trained on.

    Parameters
    ----------
    classes
        In alphabetical order; empty where there are too many images or classes to look at.
    broken
        Files that cannot be read, each with a sentence that says why.
    duplicates
        Files that have the content of an earlier one, and that one.
    problems, warnings
        One sentence each, for people.
    """

    classes: tuple[ClassImages, ...] = ()
    broken: tuple[tuple[Path, str], ...] = ()
    duplicates: tuple[tuple[Path, Path], ...] = ()
    problems: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()

    @property
    def n_images(self) -> int:
        """Images that can be read."""
        return sum(images.n_images for images in self.classes)


def inspect_images(root: Path, limits: IntakeLimits | None = None) -> Inspection:
    """Read every image of a data set folder, and say whether a model can be trained on them.

    Parameters
    ----------
    root
        What `read_dataset` reads, most often one folder of images for each class.
    limits
        The defaults of `IntakeLimits` if None.

    Returns
    -------
    Inspection
        Without looking at any image where there are more, or more classes, than the limits allow.

    Raises
    ------
    DataError
        If the folder is missing, or is a file.
    """
    limits = limits or IntakeLimits()
    root = existing_folder(root)
    if not any(any(files) for _, _, files in os.walk(root)):
        return Inspection(problems=("There are no images; give JPEG, PNG or WebP files in one folder for each class.",))
    try:
        table = read_dataset(root)
    except DataError as error:
        return Inspection(problems=(str(error),))
    too_much = _too_much(table, limits)
    if too_much:
        return Inspection(problems=too_much)
    n_threads = min(os.cpu_count() or 1, _MAX_THREADS)
    with ThreadPoolExecutor(n_threads) as pool:
        looks = list(pool.map(lambda path: _look(path, limits), table.paths))
    return Inspection(
        classes=tuple(_class_images(table, looks, label) for label in range(len(table.class_names))),
        broken=tuple((path, look.reason) for path, look in zip(table.paths, looks, strict=True) if look.reason),
        duplicates=_duplicates(table.paths, looks),
        problems=find_problems(table, looks, limits),
        warnings=find_warnings(table, looks),
    )


def _too_much(table: ImageTable, limits: IntakeLimits) -> tuple[str, ...]:
    counts = (("images", len(table), limits.max_images), ("classes", len(table.class_names), limits.max_classes))
    return tuple(
        f"There are {count} {things}, more than the {limit} that can be trained on; leave some out."
        for things, count, limit in counts
        if count > limit
    )


def _look(path: Path, limits: IntakeLimits) -> Look:
    try:
        height, width, _ = read_image(path).shape
        digest = content_digest(path)
    except (ImageError, DataError) as error:
        return Look(reason=str(error))
    if height * width > limits.max_pixels:
        most = f"{limits.max_pixels / 10**6:g} million"
        return Look(
            reason=f"{quoted_name(path)} has {width} x {height} pixels; make it smaller, at most {most} pixels."
        )
    return Look(digest)


def _class_images(table: ImageTable, looks: Sequence[Look], label: int) -> ClassImages:
    rows = np.flatnonzero(table.labels == label).tolist()
    readable = [row for row in rows if not looks[row].reason]
    examples = tuple(table.paths[row] for row in readable[:_N_EXAMPLES])
    return ClassImages(table.class_names[label], len(readable), len(rows) - len(readable), examples)


def _duplicates(paths: Sequence[Path], looks: Sequence[Look]) -> tuple[tuple[Path, Path], ...]:
    first: dict[bytes, Path] = {}
    pairs = []
    for path, look in zip(paths, looks, strict=True):
        if not look.reason and first.setdefault(look.digest, path) is not path:
            pairs.append((path, first[look.digest]))
    return tuple(pairs)
