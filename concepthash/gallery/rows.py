"""What is stored of an image, and its row in the database: facts, code and where each concept looks."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..codes import binarize
from ..errors import GalleryError
from .database import Provenance, code_columns

__all__ = ["NewImage", "Skipped", "image_rows"]


@dataclass(frozen=True)
class NewImage:
    """One image to be stored, except for its code and attention centers.

    Attributes
    ----------
    image_id, path
        Unique id; path relative to the data root, or absolute.
    class_name, label, family
        None, -1 and None where unknown.
    width, height
        Pixels of the original image, upright.
    split
        ``"train"``, ``"test"`` or None.
    thumbnail
        A WebP file; None where the gallery shows the originals.
    """

    image_id: str
    path: str
    class_name: str | None
    label: int
    family: str | None
    width: int
    height: int
    split: str | None
    thumbnail: bytes | None


@dataclass(frozen=True)
class Skipped:
    """A file that could not be read, and why."""

    path: str
    reason: str


def image_rows(
    first: int, images: Sequence[NewImage], code_logits: np.ndarray, attention_centers: np.ndarray, made: Provenance
) -> list[list[object]]:
    """Rows of the table ``images``, numbered from ``first``.

    Parameters
    ----------
    first
        Number of the first row.
    images
        n images.
    code_logits
        (n, K) float32, one row an image.
    attention_centers
        (n, M, 2) float32, x and y as shares of the image in [0, 1].
    made
        What the gallery is made with: it gives K and M.

    Raises
    ------
    GalleryError
        If the code logits or attention centers have another shape, are not finite or out of range.
    """
    n = len(images)
    logits = _checked("code logits", code_logits, (n, made.n_bits))
    centers = _checked("attention centers", attention_centers, (n, made.n_concepts, 2))
    if not ((centers >= 0) & (centers <= 1)).all():
        raise GalleryError(
            f"The model gave attention centers from {centers.min()} to {centers.max()}; "
            "give shares of the image, from 0 to 1."
        )
    columns = code_columns(binarize(logits), made.n_concepts)
    return [
        [
            *(first + i, im.image_id, im.path, im.class_name, im.label, im.family, im.width, im.height, im.split),
            *columns[i].tolist(),
            logits[i].tolist(),
            centers[i].ravel().tolist(),
        ]
        for i, im in enumerate(images)
    ]


def _checked(what: str, values: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Values as float32, if they have the shape and are finite."""
    if values.shape != shape or not np.isfinite(values).all():
        raise GalleryError(
            f"The model gave {what} of shape {values.shape}, not all of them finite or not {shape}; "
            "use a checkpoint that gives finite numbers of that shape."
        )
    return values.astype(np.float32)
