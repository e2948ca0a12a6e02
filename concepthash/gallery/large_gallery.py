"""A gallery too large to be read whole: its codes in memory where they fit, all else asked of its database."""

import math
import os
from dataclasses import replace
from functools import cached_property
from pathlib import Path

import numpy as np

from ..codes import binarize
from ..errors import GalleryError, QueryError
from .code_index import CodeIndex
from .code_shape import CodeShape
from .facet_index import FacetIndex
from .facets import Facets
from .gallery import Gallery
from .gallery_columns import gallery_of_columns
from .image_facts import ImageFacts
from .matches import Matches
from .provenance import Provenance
from .query import ConceptRule, Query
from .reason import reason_of
from .recent import Recent
from .rows import Skipped
from .selection import Selection
from .sql import rows_of_selection
from .sql_engine import SqlEngine
from .stored_image import StoredImage
from .thumbnail_source import ThumbnailSource

__all__ = ["AnyGallery", "LargeGallery"]

SAMPLE = 10_000  # images
_SELECTIONS = 8  # whose rows are remembered
_IDS = 10_000  # of images whose rows are remembered


class LargeGallery(CodeShape):
    """N images behind a database, with the face of `Gallery` but for its arrays, which only `sample` has.

    Parameters
    ----------
    engine
        The gallery's database.
    place
        Its folder, absolute; of a gallery on a server, its address.
    thumbnails
        Where the pictures of its images are found.
    memory
        Bytes that its codes may take in memory; where they take more, the database searches.

    Raises
    ------
    GalleryError
        From every method, if the database does not answer.
    """

    def __init__(self, engine: SqlEngine, place: Path, thumbnails: ThumbnailSource, memory: int) -> None:
        self.engine, self.path, self._thumbnails, facts = engine, place, thumbnails, engine.provenance
        self.made = Provenance.from_facts(facts)
        self.created = facts["created"]
        self.n_bits, self.n_concepts = self.made.n_bits, self.made.n_concepts
        self.fingerprint, self.checkpoint_name = self.made.fingerprint, self.made.checkpoint_name
        self.data_root = (place / self.made.data_root).resolve()
        self.shows_originals = self.made.thumbnails == "originals"
        whole = self._whole(Selection())
        every, self._n_images = engine.facets(whole), engine.search(whole).n_matching
        self.class_names, self.family_names = tuple(every.classes), tuple(every.families)
        self.facet_values = {column: tuple(counts) for column, counts in every.others.items()}
        self.has_codes = self._n_images * engine.layout.masks.shape[1] * 8 <= memory
        if self.has_codes:
            engine.look_up_only(self._n_images)
        self._selected: Recent[Selection, np.ndarray] = Recent(_SELECTIONS)
        self._rows_of_ids: Recent[str, int] = Recent(_IDS)

    def __len__(self) -> int:
        """Count the images."""
        return self._n_images

    @property
    def skipped(self) -> tuple[Skipped, ...]:
        """Files that could not be read when the gallery was made."""
        found = self.engine.fetch("SELECT path, reason FROM skipped")
        return tuple(map(Skipped, found["path"].tolist(), found["reason"].tolist()))

    @cached_property
    def sample(self) -> Gallery:
        """At most 10,000 of the images, spread evenly over all, in memory."""
        columns = self.engine.fetch(f'SELECT * FROM images WHERE {self._is_in_sample()} ORDER BY "row"')  # noqa: S608
        try:
            gallery = gallery_of_columns(columns, self.engine.provenance, self.path, ())
        except (KeyError, ValueError) as error:
            raise GalleryError(
                f"The gallery {self.path} cannot be read ({reason_of(error)}); encode the images again."
            ) from error
        return replace(gallery, thumbnails=self._thumbnails)

    def search(self, query: Query) -> Matches:
        """Find the images that satisfy a query; exact, ordered by score, then row.

        Raises
        ------
        QueryError
            If the code, the rules, the selection or ``exclude_row`` do not fit the gallery.
        """
        if not self.has_codes:
            return self.engine.search(query)
        codes, rows = self._index
        found = codes.search(self._placed(query), self._positions(query.selection))
        return found if rows is None else replace(found, rows=rows[found.rows])

    def facets(self, query: Query) -> Facets:
        """Count the images that satisfy a query by class, by family, and by other columns with few values."""
        if not self.has_codes:
            return self.engine.facets(query)
        return self._facet_index.facets(self._placed(query), self._positions)

    def images(self, rows: np.ndarray) -> tuple[StoredImage, ...]:
        """Describe the images of some rows (n,), in their order."""
        if not len(rows):
            return ()
        found = self.engine.images(rows)
        for one in found:
            self._rows_of_ids.keep(one.image_id, one.row)  # what is shown is often asked for next
        if not self.shows_originals:
            self._thumbnails.fetch(one.row for one in found)
        return tuple(map(self._described, found))

    def codes_of(self, rows: np.ndarray) -> np.ndarray:
        """(n, K) bool, codes of some rows (n,), from memory where they are there.

        Raises
        ------
        QueryError
            If the gallery lacks one of the rows.
        """
        if self.has_codes:
            codes, known = self._index
            found = codes.codes_of(_inside(_places(known, rows), len(codes)))
        else:
            found = binarize(self.code_logits_of(rows))
        if len(found) < len(rows):
            raise QueryError(f"The gallery lacks {len(rows) - len(found)} of the rows asked for; name rows it has.")
        return found

    def code_logits_of(self, rows: np.ndarray) -> np.ndarray:
        """(n, K) float32, code logits of some rows (n,)."""
        return self.engine.code_logits(rows) if len(rows) else np.empty((0, self.n_bits), dtype=np.float32)

    def row_of(self, image_id: str) -> int | None:
        """Return the row of an image id, or None where the gallery lacks it."""
        row = self._rows_of_ids.get(image_id)
        if row is None:
            row = self.engine.row_of(image_id)
            if row is not None:
                self._rows_of_ids.keep(image_id, row)
        return row

    def image_path(self, row: int) -> Path | None:
        """Return the path of the original image of a row, or None where it, or the row, is gone or out of reach."""
        paths = [self.data_root / one.path for one in self.engine.images([row])]
        return next((path for path in paths if os.path.isfile(path)), None)

    def thumbnail_folders(self) -> tuple[Path, ...]:
        """List the folders that all thumbnails lie in, none of them inside another one."""
        if not self.shows_originals:
            return (self._thumbnails.folder,)
        found = self.engine.fetch(_FOLDERS)["folder"].tolist()
        if outside := [name for name in found if name.startswith("/") or ".." in Path(name).parts]:
            raise GalleryError(
                f"The gallery {self.path} shows images in {outside[0]}, outside the folder of its images; encode again."
            )
        folders = {self.data_root / name for name in found}
        return tuple(sorted(folder for folder in folders if folders.isdisjoint(folder.parents)))

    def _described(self, one: ImageFacts) -> StoredImage:
        shown = f"{self.data_root}/{one.path}" if self.shows_originals else self._thumbnails.name(one.row)
        size = (one.width, one.height)
        return StoredImage(one.row, one.image_id, one.class_name or "", one.family or "", size, shown)

    def _is_in_sample(self) -> str:
        """Say in SQL which rows are: by number where no number is missing, else by place."""
        step = max(1, math.ceil(self._n_images / SAMPLE))
        if self.engine.span()[1] == self._n_images:
            return f'"row" % {step} = 0'
        places = 'SELECT "row", row_number() OVER (ORDER BY "row") - 1 AS "#place" FROM images'
        chosen = self.engine.fetch(f'SELECT "row" FROM ({places}) AS placed WHERE "#place" % {step} = 0')  # noqa: S608
        return f'"row" IN ({", ".join(map(str, chosen["row"].tolist()))})'

    def _whole(self, selection: Selection) -> Query:
        return Query((False,) * self.n_bits, (ConceptRule(),) * self.n_concepts, "none", selection, k=0)

    def _placed(self, query: Query) -> Query:
        """The same query with the position of the row that it leaves out."""
        if query.exclude_row is None:
            return query
        return replace(query, exclude_row=int(_places(self._index[1], np.array([query.exclude_row]))[0]))

    def _positions(self, selection: Selection) -> np.ndarray | None:
        """Ascending positions (n,) of a part, None for all; the database is not asked again for the same part."""
        if not selection:
            return None
        known = self._selected.get(selection)
        if known is None:
            statement = rows_of_selection(self._whole(selection), self.engine.layout)
            rows = self.engine.fetch(statement.text, statement.texts)["row"].astype(np.int64)
            codes, present = self._index
            known = _inside(_places(present, rows), len(codes))  # others may have been added since
        self._selected.keep(selection, known)
        return known

    @cached_property
    def _facet_index(self) -> FacetIndex:
        codes, _ = self._index
        return FacetIndex(codes, *self.engine.grouped())

    @cached_property
    def _index(self) -> tuple[CodeIndex, np.ndarray | None]:
        """The codes, and the rows they belong to where these are not simply 0 to N - 1."""
        words, rows = self.engine.codes(len(self))
        return CodeIndex(words, self.n_bits, self.n_concepts), rows


AnyGallery = Gallery | LargeGallery
_FOLDERS = "SELECT DISTINCT regexp_replace(path, '[^/]*$', '') AS folder FROM images"


def _places(rows: np.ndarray | None, wanted: np.ndarray) -> np.ndarray:
    """Positions (n,) of rows; of a row that is not there, -1."""
    if rows is None:
        return wanted
    places = np.searchsorted(rows, wanted)
    return np.where(rows.take(places, mode="clip") == wanted, places, -1)


def _inside(places: np.ndarray, n: int) -> np.ndarray:
    """Those positions that are among the first n."""
    return places[(places >= 0) & (places < n)]
