"""A gallery in memory: ids, labels and codes of many images; thumbnails stay on disk."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from .rows import Skipped
from .thumbnails import THUMBNAIL_FOLDER, thumbnail_file

__all__ = ["Gallery"]


@dataclass(frozen=True, eq=False)
class Gallery:
    """N images with their codes; row i of every array is the image with row number i.

    Attributes
    ----------
    path
        Folder of the gallery, absolute.
    n_bits, n_concepts
        K and M.
    fingerprint, checkpoint_name, transform, created
        What it was made with, and when (UTC, ISO 8601).
    data_root
        Folder the original images were read from, absolute; it may be gone, unless ``shows_originals``.
    image_ids, image_paths
        N unique ids; N paths, relative to ``data_root`` or absolute.
    class_names, labels
        Sorted names, and (N,) int64 indices into them; -1 where the class is unknown.
    family_names, family_ids
        The same for families.
    words
        (N, W) int64, codes as signed 64-bit words, W = ceil(K / 64).
    code_logits
        (N, K) float32 in Fortran order: the N values of one bit lie side by side.
    sizes
        (N, 2) int64, width and height of the original images in pixels.
    skipped
        Files that could not be read when the gallery was made.
    shows_originals
        Whether the original images are their own thumbnails.
    attention_centers
        (N, M, 2) float32, where each concept looks: x and y as shares of the image's width and height in [0, 1]; None
        for a gallery of format 1 or 2, which did not store them.
    """

    path: Path
    n_bits: int
    n_concepts: int
    fingerprint: str
    checkpoint_name: str
    transform: str
    created: str
    data_root: Path
    image_ids: tuple[str, ...]
    image_paths: tuple[str, ...]
    class_names: tuple[str, ...]
    labels: np.ndarray
    family_names: tuple[str, ...]
    family_ids: np.ndarray
    words: np.ndarray
    code_logits: np.ndarray
    sizes: np.ndarray
    skipped: tuple[Skipped, ...] = ()
    shows_originals: bool = False
    attention_centers: np.ndarray | None = None

    def __len__(self) -> int:
        """Count the images."""
        return len(self.image_ids)

    @property
    def bits_per_concept(self) -> int:
        """Length K/M of one sub-code."""
        return self.n_bits // self.n_concepts

    def bits_of(self, concept: int) -> slice:
        """Return where in the code the sub-code of a concept stands."""
        return slice(concept * self.bits_per_concept, (concept + 1) * self.bits_per_concept)

    def thumbnail_path(self, row: int) -> Path:
        """Return the path of what is shown of a row: a JPEG, PNG or WebP, longer side at most 256 pixels."""
        return Path(self.thumbnail_name(row))

    def thumbnail_name(self, row: int) -> str:
        """Return the same path as text, which is quicker to make."""
        if self.shows_originals:
            return f"{self.data_root}/{self.image_paths[row]}"
        return thumbnail_file(self.path, row)

    def thumbnail_folders(self) -> tuple[Path, ...]:
        """List the folders that all thumbnails lie in, none of them inside another one."""
        if not self.shows_originals:
            return (self.path / THUMBNAIL_FOLDER,)
        folders = {self.thumbnail_path(row).parent for row in range(len(self))}
        return tuple(sorted(folder for folder in folders if folders.isdisjoint(folder.parents)))

    def image_path(self, row: int) -> Path | None:
        """Return the path of the original image of a row, or None where it is gone."""
        path = self.data_root / self.image_paths[row]
        return path if path.is_file() else None

    def row_of(self, image_id: str) -> int | None:
        """Return the row of an image id, or None where the gallery lacks it."""
        return self._row_of_id.get(image_id)

    @cached_property
    def _row_of_id(self) -> dict[str, int]:
        return {image_id: row for row, image_id in enumerate(self.image_ids)}
