"""What is stored of an image, and its row in the database: facts, code and where each concept looks."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from ..codes import binarize
from ..errors import GalleryError
from .database import Provenance, code_columns
from .metadata import Value

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
    file_bytes, file_modified
        Size of the image's file and when it was modified (nanoseconds since 1970), before it was read; or None.
    metadata
        Values of columns of the user's own by name; a column without one has NULL.
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
    file_bytes: int | None = None
    file_modified: int | None = None
    metadata: Mapping[str, Value] = field(default_factory=dict)


@dataclass(frozen=True)
class Skipped:
    """A file that could not be read, why, and its size and time of modification if it has them."""

    path: str
    reason: str
    file_bytes: int | None = None
    file_modified: int | None = None


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
        What the gallery is made with: it gives K and M, and the metadata.

    Raises
    ------
    GalleryError
        If the code logits or attention centers have another shape, are not finite or out of range, or an image has
        metadata that the gallery has no column for.
    """
    n, encoded = len(images), int(time.time())
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
            *(im.file_bytes, im.file_modified, encoded, *_metadata_values(im, made)),
        ]
        for i, im in enumerate(images)
    ]


def _metadata_values(image: NewImage, made: Provenance) -> list[Value]:
    unknown = sorted(set(image.metadata) - {column.name for column in made.metadata})
    if unknown:
        raise GalleryError(
            f"The image {image.image_id} has a value for {unknown[0]!r}, which is no column of the gallery; "
            "name its columns when the gallery is made."
        )
    return [image.metadata.get(column.name) for column in made.metadata]


def _checked(what: str, values: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Values as float32, if they have the shape and are finite."""
    if values.shape != shape or not np.isfinite(values).all():
        raise GalleryError(
            f"The model gave {what} of shape {values.shape}, not all of them finite or not {shape}; "
            "use a checkpoint that gives finite numbers of that shape."
        )
    return values.astype(np.float32)
