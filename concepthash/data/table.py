"""One data set as a table: a row is an image."""

from collections.abc import Sized
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from ..errors import DataError

__all__ = ["ImageTable", "family_of"]


@dataclass(frozen=True, eq=False)
class ImageTable:
    """The images of one data set with what is known about them.

    Parameters
    ----------
    name
        Of the data set, for people.
    root
        Absolute path of its folder.
    image_ids
        (n,) stable and unique: relative paths with forward slashes.
    paths
        (n,) absolute paths of the files.
    labels
        (n,) int64, index into ``class_names``; -1 where unknown.
    class_names
        (C,) readable, such as ``"black footed albatross"``.
    families
        (C,) the family of each class.
    is_train
        (n,) bool, or None where the data set has no split.
    boxes
        (n, 4) float32: x, y, width, height in pixels of the original image, or None.
    keypoints
        (n, P, 3) float32: x, y in pixels of the original image and visible (1 or 0), or None.
    keypoint_names
        (P,) names of the key-points.
    part_names
        Names of the parts in the masks: the part k of a mask, from 1, is ``part_names[k - 1]``, and 0 is background.
    mask_paths
        (n,) absolute paths of the part masks, or None; `concepthash.data.read_part_mask` reads one.
    attributes
        (C, A) str, what each class looks like, or None.
    attribute_names, attribute_parts
        (A,) name of each attribute, and the part that shows it, one of ``part_names``.

    Raises
    ------
    DataError
        If the columns do not fit together.
    """

    name: str
    root: Path
    image_ids: tuple[str, ...]
    paths: tuple[Path, ...]
    labels: np.ndarray
    class_names: tuple[str, ...]
    families: tuple[str, ...]
    is_train: np.ndarray | None
    boxes: np.ndarray | None = None
    keypoints: np.ndarray | None = None
    keypoint_names: tuple[str, ...] = ()
    part_names: tuple[str, ...] = ()
    mask_paths: tuple[Path, ...] | None = None
    attributes: np.ndarray | None = None
    attribute_names: tuple[str, ...] = ()
    attribute_parts: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        columns: dict[str, Sized | None] = {
            "paths": self.paths,
            "labels": self.labels,
            "is_train": self.is_train,
            "boxes": self.boxes,
            "keypoints": self.keypoints,
            "mask_paths": self.mask_paths,
        }
        for name, column in columns.items():
            if column is not None and len(column) != len(self):
                raise DataError(f"{name} has {len(column)} rows for {len(self)} images; give one a row.")
        if len(set(self.image_ids)) != len(self):
            raise DataError(f"{len(self) - len(set(self.image_ids))} images are listed twice; list each image once.")
        if len(self.families) != len(self.class_names):
            raise DataError(f"{len(self.families)} families for {len(self.class_names)} classes; give one a class.")
        if len(self) and not -1 <= self.labels.min() <= self.labels.max() < len(self.class_names):
            raise DataError(
                f"Labels run from {self.labels.min()} to {self.labels.max()} for {len(self.class_names)} classes; "
                "use an index into the class names, or -1."
            )
        self._check_attributes()

    def _check_attributes(self) -> None:
        shape = (len(self.class_names), len(self.attribute_names))
        if self.attributes is not None and self.attributes.shape != shape:
            raise DataError(f"Attributes have the shape {self.attributes.shape}; give classes times names, {shape}.")
        if len(self.attribute_parts) != len(self.attribute_names):
            raise DataError(
                f"{len(self.attribute_parts)} parts for {len(self.attribute_names)} attributes; give each its part."
            )
        unknown = sorted(set(self.attribute_parts) - set(self.part_names))
        if unknown:
            raise DataError(f"An attribute belongs to {unknown[0]}, which is no part; name the part.")

    def __len__(self) -> int:
        """Count the images."""
        return len(self.image_ids)

    def subset(self, rows: np.ndarray) -> "ImageTable":
        """Keep some rows, in the order given; the classes stay all.

        Parameters
        ----------
        rows
            Row numbers (k,) int, or a mask (n,) bool.

        Returns
        -------
        ImageTable
            Of k rows, or as many as the mask has set.
        """
        rows = np.arange(len(self))[rows]  # (k,) int64, a mask included
        return replace(
            self,
            image_ids=tuple(self.image_ids[row] for row in rows),
            paths=tuple(self.paths[row] for row in rows),
            labels=self.labels[rows],
            is_train=None if self.is_train is None else self.is_train[rows],
            boxes=None if self.boxes is None else self.boxes[rows],
            keypoints=None if self.keypoints is None else self.keypoints[rows],
            mask_paths=None if self.mask_paths is None else tuple(self.mask_paths[row] for row in rows),
        )


def family_of(class_name: str) -> str:
    """Give the last word of a class name, which names the family of most birds; what is in parentheses does not count.

    Parameters
    ----------
    class_name
        Readable, words separated by spaces.

    Returns
    -------
    str
        The last word; empty for an empty name.

    Examples
    --------
    >>> family_of("black footed albatross")
    'albatross'
    >>> family_of("bald eagle (adult, subadult)")
    'eagle'
    """
    words = class_name.partition("(")[0].split()
    return words[-1] if words else ""
