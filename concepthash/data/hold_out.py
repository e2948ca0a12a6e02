"""Hold out test images of a data set that has no split."""

from dataclasses import replace
from pathlib import Path

import numpy as np

from ..errors import DataError
from .images import quoted_name
from .intake_files import content_digest
from .table import ImageTable

__all__ = ["hold_out"]

_MIN_TRAIN = 3  # images of each class


def hold_out(table: ImageTable, share: float = 0.2, seed: int = 0) -> ImageTable:
    """Split a table that has no split into training and test images, class by class.

    Files of the same content lie on the same side, and those that lie in several classes in the training part, as do
    images of no class. The same files in the same order give the same split.

    Parameters
    ----------
    table
        n images. With a split, it is returned as it is.
    share
        Of test images in each class, in (0, 1); their number is rounded, is at least one, and leaves at least three.
    seed
        Another one holds out other images.

    Returns
    -------
    ImageTable
        The same images in the same order, with ``is_train``.

    Raises
    ------
    DataError
        If a class has too few different images, a file cannot be read, or ``share`` is out of range.
    """
    if table.is_train is not None:
        return table
    if not 0 < share < 1:
        raise DataError(f"The share of images to hold out is {share}; give one between 0 and 1, such as 0.2.")
    contents = _contents(table)
    generator = np.random.default_rng(seed)
    is_train = np.ones(len(table), dtype=bool)
    for label, name in enumerate(table.class_names):
        rows = np.flatnonzero(table.labels == label)
        if not len(rows):
            continue
        n_test = min(max(round(share * len(rows)), 1), len(rows) - _MIN_TRAIN)
        test = _chosen(contents[rows], n_test, len(rows) - _MIN_TRAIN, generator)  # (n,) bool
        if not test.any():
            raise DataError(
                f"{quoted_name(Path(name))} has too few different images, {len(set(contents[rows]))}, to hold "
                f"one out and train on {_MIN_TRAIN}; add images to it."
            )
        is_train[rows[test]] = False
    return replace(table, is_train=is_train)


def _contents(table: ImageTable) -> np.ndarray:
    """Number the files' contents, (n,) int64; -1 for a content that lies in several classes."""
    digests = [content_digest(path) for path in table.paths]
    classes: dict[bytes, set[int]] = {}
    for digest, label in zip(digests, table.labels.tolist(), strict=True):
        classes.setdefault(digest, set()).add(label)
    numbers = {digest: number if len(labels) == 1 else -1 for number, (digest, labels) in enumerate(classes.items())}
    return np.array([numbers[digest] for digest in digests], dtype=np.int64)


def _chosen(contents: np.ndarray, n_wanted: int, n_most: int, generator: np.random.Generator) -> np.ndarray:
    """Choose ``n_wanted`` images of a class, (n,) bool, all of a content or none; at most ``n_most`` where one must."""
    numbers, counts = np.unique(contents[contents >= 0], return_counts=True)
    order = generator.permutation(len(numbers))
    numbers, counts = numbers[order], counts[order]
    chosen: list[int] = []
    n_left = n_wanted
    for number, count in zip(numbers.tolist(), counts.tolist(), strict=True):
        if count <= n_left:
            chosen.append(number)
            n_left -= count
    if not chosen and len(numbers) and counts.min() <= n_most:
        chosen = [int(numbers[counts.argmin()])]
    return np.isin(contents, chosen)
