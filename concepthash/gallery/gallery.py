"""A gallery in memory: ids, labels and codes of many images; thumbnails stay on disk."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np

from ..codes import binarize
from ..errors import QueryError
from .code_index import CodeIndex
from .code_shape import CodeShape
from .facet_index import FacetIndex
from .facets import Facets, few_values, grouped
from .matches import Matches
from .query import Query
from .rows import Skipped
from .selection import Selection, selected_rows
from .stored_image import StoredImage
from .thumbnail_source import ThumbnailSource
from .thumbnails import THUMBNAIL_FOLDER, thumbnail_file

__all__ = ["Gallery"]


@dataclass(frozen=True, eq=False)
class Gallery(CodeShape):
    """N images with their codes; row i of every array, and the row i in every question, is the i-th image.

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
    rows
        (N,) int64, ascending: the number each image has in the store, which names its thumbnail and is never given
        again; 0 to N - 1 if not given.
    columns
        (N,) values of the split and of the user's own metadata by name, None where there is none.
    thumbnails
        Where the pictures are found if not in its folder.
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
    rows: np.ndarray = None  # type: ignore[assignment]
    columns: Mapping[str, np.ndarray] = field(default_factory=dict)
    thumbnails: ThumbnailSource | None = None

    def __post_init__(self) -> None:
        """Number the rows where nobody did."""
        if self.rows is None:
            object.__setattr__(self, "rows", np.arange(len(self.image_ids), dtype=np.int64))

    def __len__(self) -> int:
        """Count the images."""
        return len(self.image_ids)

    @property
    def sample(self) -> "Gallery":
        """The images to look at where all would be too many: here all of them."""
        return self

    def search(self, query: Query) -> Matches:
        """Find the images that satisfy a query; exact, ordered by score, then row.

        Raises
        ------
        QueryError
            If the code, the rules, the selection or ``exclude_row`` do not fit the gallery.
        """
        return self._index.search(query, self._positions(query.selection))

    def facets(self, query: Query) -> Facets:
        """Count the images that satisfy a query by class, by family, and by other columns with few values."""
        return self._facet_index.facets(query, self._positions)

    @cached_property
    def facet_values(self) -> dict[str, tuple[str | int, ...]]:
        """The sorted values of each column that facets count, but for class and family."""
        return few_values(self.columns)

    def images(self, rows: np.ndarray) -> tuple[StoredImage, ...]:
        """Describe the images of some rows (n,), in their order."""
        if self.thumbnails:
            self.thumbnails.fetch(self.rows[rows])
        return tuple(self._image(int(row)) for row in rows)

    def codes_of(self, rows: np.ndarray) -> np.ndarray:
        """(n, K) bool, codes of some rows (n,)."""
        return binarize(self.code_logits_of(rows))

    def code_logits_of(self, rows: np.ndarray) -> np.ndarray:
        """(n, K) float32, code logits of some rows (n,)."""
        return self.code_logits[rows]

    def _image(self, row: int) -> StoredImage:
        label, family, size = int(self.labels[row]), int(self.family_ids[row]), self.sizes[row].tolist()
        names = (self.class_names[label] if label >= 0 else "", self.family_names[family] if family >= 0 else "")
        return StoredImage(row, self.image_ids[row], *names, (size[0], size[1]), self.thumbnail_name(row))

    def column(self, name: str) -> np.ndarray:
        """(N,) values of a column that a condition may name, None where there is none.

        Raises
        ------
        QueryError
            If there is no such column.
        """
        known = {"image_id": self.image_ids, "path": self.image_paths, "width": self.sizes[:, 0]}
        known |= {"height": self.sizes[:, 1], **self.columns}
        if name not in known:
            raise QueryError(f"The gallery has no column {name[:80]!r} to compare; choose one of {', '.join(known)}.")
        return np.asarray(known[name])

    def _positions(self, selection: Selection) -> np.ndarray | None:
        """Ascending rows (n,) of a part, None for all."""
        return np.flatnonzero(selected_rows(self, selection)) if selection else None

    @cached_property
    def _facet_index(self) -> FacetIndex:
        ids = ((self.class_names, self.labels), (self.family_names, self.family_ids))
        names = [[(*table, None)[i] for i in column.tolist()] for table, column in ids]  # -1 picks the last
        others = [self.columns[column].tolist() for column in self.facet_values]
        return FacetIndex(self._index, *grouped(("class", "family", *self.facet_values), [[*names, *others]]))

    @cached_property
    def _index(self) -> CodeIndex:
        return CodeIndex(self.words, self.n_bits, self.n_concepts)

    def thumbnail_path(self, row: int) -> Path:
        """Return the path of what is shown of a row: a JPEG, PNG or WebP, longer side at most 256 pixels."""
        return Path(self.thumbnail_name(row))

    def thumbnail_name(self, row: int) -> str:
        """Return the same path as text, which is quicker to make."""
        if self.shows_originals:
            return f"{self.data_root}/{self.image_paths[row]}"
        number = int(self.rows[row])
        return self.thumbnails.name(number) if self.thumbnails else thumbnail_file(self.path, number)

    def thumbnail_folders(self) -> tuple[Path, ...]:
        """List the folders that all thumbnails lie in, none of them inside another one."""
        if not self.shows_originals:
            return (self.path / THUMBNAIL_FOLDER,)
        folders = {self.thumbnail_path(row).parent for row in range(len(self))}
        return tuple(sorted(folder for folder in folders if folders.isdisjoint(folder.parents)))

    def image_path(self, row: int) -> Path | None:
        """Return the path of the original image of a row, or None where it is gone or out of reach."""
        path = self.data_root / self.image_paths[row]
        return path if os.path.isfile(path) else None

    def row_of(self, image_id: str) -> int | None:
        """Return the row of an image id, or None where the gallery lacks it."""
        return self._row_of_id.get(image_id)

    @cached_property
    def _row_of_id(self) -> dict[str, int]:
        return {image_id: row for row, image_id in enumerate(self.image_ids)}
