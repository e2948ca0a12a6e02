"""Search by SQL, whatever database answers: pages, counts, facets and rows of a gallery too large for memory."""

import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any, TypeVar

import numpy as np

from ..codes import concept_distances
from .code_reading import Codes, read_codes
from .facets import MANY, MOST, Facets, Groups, grouped, without_facets
from .image_facts import IMAGE_COLUMNS, ImageFacts
from .matches import Matches
from .query import Query
from .recent import Recent
from .sql import (
    Statement,
    columns_statement,
    count_statement,
    facet_statement,
    page_statement,
    rows_statement,
    values_statement,
)
from .sql_conditions import quoted
from .sql_layout import Layout, is_whole

__all__ = ["SqlEngine"]

T = TypeVar("T")

_REMEMBERED = 1024  # counts of so many queries
_ROWS = 1 << 14  # that are read at a time
_UNCOUNTED = {"image_id", "path", "class", "family", "width", "height", "file_bytes", "file_modified", "encoded"}


class SqlEngine(ABC):
    """A gallery behind SQL; any number of threads may search at once.

    Parameters
    ----------
    lifetime_s
        Seconds for which counts are remembered, so that the next page of a query does not count again.

    Attributes
    ----------
    layout
        What the table of images looks like.
    provenance
        What the gallery was made with, as the table ``provenance`` keeps it.
    """

    layout: Layout
    provenance: dict[str, str]

    def __init__(self, lifetime_s: float) -> None:
        self._lifetime_s = lifetime_s
        self._counts: Recent[Query, tuple[float, tuple[int, int, int]]] = Recent(_REMEMBERED)
        self._groups: Recent[Query, tuple[float, tuple[Groups, np.ndarray]]] = Recent(_REMEMBERED // 8)

    @abstractmethod
    def fetch(self, text: str, texts: Mapping[str, str] | None = None) -> dict[str, np.ndarray]:
        """Run a SELECT.

        Parameters
        ----------
        text
            The statement, with a placeholder such as ``{t0:String}`` for each text.
        texts
            What stands for ``t0`` and so on.

        Returns
        -------
        dict of str to np.ndarray
            (n,) a column; object where values can be missing, texts or lists.

        Raises
        ------
        GalleryError
            If the database does not answer, in a sentence.
        """

    def search(self, query: Query) -> Matches:
        """Find the images that satisfy a query; exact, ordered by score, then row.

        Raises
        ------
        QueryError
            If the query does not fit the gallery.
        GalleryError
            If the database does not answer.
        """
        n_matching, n_filtered, n_agreeing = self._count(query)
        if query.k and query.offset < n_matching:
            page = self._run(page_statement(query, self.layout))
        else:
            page = {}
        rows = page.get("row", np.empty(0)).astype(np.int64)  # (k,)
        words = [page.get(f"code{w}", rows) for w in range(self.layout.masks.shape[1])]
        code = np.asarray(query.code, dtype=bool)
        stored = np.stack(words, axis=1).astype(np.int64)  # (k, W)
        found = concept_distances(code, stored, self.layout.n_bits, self.layout.n_concepts).astype(np.int64)  # (k, M)
        score = page.get("#score", rows).astype(np.float64)
        return Matches(rows, found.sum(axis=1), found, score, n_matching, n_filtered, n_agreeing)

    def facets(self, query: Query) -> Facets:
        """Count a query's matching images by the values they have, with one scan that serves all filters by value."""
        asked = replace(query.counted, selection=without_facets(query.selection, self.facet_columns))
        asked = replace(asked, exclude_row=None)
        groups, n_images = self._remembered(self._groups, asked, lambda: self._count_groups(asked))
        if query.exclude_row is not None:
            (own,) = self._count_groups(asked, query.exclude_row)[0].values or (None,)
            n_images = n_images - (np.arange(len(n_images)) == groups.place.get(own, -1)) if own else n_images
        return groups.facets(n_images, query.selection)

    @cached_property
    def facet_columns(self) -> tuple[str, ...]:
        """Class, family, and the first other columns that have few values."""
        others = [name for name, kind in self.layout.columns.items() if kind != "DOUBLE" and name not in _UNCOUNTED]
        counts = [n.tolist()[0] for n in self._run(values_statement(self.layout, others)).values()] if others else []
        few = [name for name, n in zip(others, counts, strict=True) if 1 < n <= MANY]
        return ("class", "family", *few[:MOST])

    @property
    def _facet_names(self) -> str:
        return ", ".join(quoted(column, self.layout.columns) for column in self.facet_columns)

    def parts(self, columns: str) -> Iterator[dict[str, np.ndarray]]:
        """Give columns, written as SQL by the program, of some images after the other, in order of rows."""
        start, end = self.span()
        while start < end:
            part = self._run(columns_statement(columns, range(start, start + _ROWS)))
            start += _ROWS
            if len(next(iter(part.values()))):
                yield part
            else:  # a gap, of whatever width
                start = max(start, self.span(start)[0])

    def span(self, start: int = 0) -> tuple[int, int]:
        """Return the first row that is ``start`` or more, and where the rows end; nothing where there are none."""
        lowest = f'coalesce(min("row"), {int(start)}) AS lowest'
        found = self.fetch(f'SELECT {lowest}, coalesce(max("row") + 1, 0) AS n FROM images WHERE "row" >= {int(start)}')  # noqa: S608
        return int(found["lowest"][0]), int(found["n"][0])

    def grouped(self) -> tuple[Groups, np.ndarray]:
        """Return the combinations of values in the columns that are counted, and which of them each image has.

        Returns
        -------
        tuple
            The combinations, and (N,) unsigned their places, in order of rows.
        """
        parts = ([column.tolist() for column in part.values()] for part in self.parts(self._facet_names))
        return grouped(self.facet_columns, parts)

    def images(self, rows: Sequence[int] | np.ndarray) -> list[ImageFacts]:
        """Facts of images, in the order of ``rows``; rows that the gallery lacks are left out."""
        found = {facts[0]: ImageFacts(*facts) for facts in self._of_rows(IMAGE_COLUMNS, rows)}
        return [found[row] for row in map(int, rows) if row in found]

    def code_logits(self, rows: Sequence[int] | np.ndarray) -> np.ndarray:
        """(n, K) float32 in the order of ``rows``; rows that the gallery lacks are left out."""
        found = dict(self._of_rows(("row", "code_logits"), rows))
        logits = [found[row] for row in map(int, rows) if row in found]
        return np.array(logits, dtype=np.float32).reshape(-1, self.layout.n_bits)

    def row_of(self, image_id: str) -> int | None:
        """Return the row of an image id, or None where the gallery lacks it."""
        if not is_whole(image_id):
            return None
        found = self.fetch('SELECT "row" FROM images WHERE image_id = {t0:String} LIMIT 1', {"t0": image_id})
        return int(found["row"][0]) if len(found["row"]) else None

    def codes(self, n_images: int) -> Codes:
        """Read the codes of all images, of so many at most."""
        return read_codes(self._code_parts(), n_images, self.layout.masks.shape[1])

    def look_up_only(self, n_images: int) -> None:  # noqa: B027  # a server has nothing to do
        """Expect no searches any more, only single images, and take little memory."""

    def forget(self) -> None:
        """Forget all counts, since the gallery has changed."""
        self._counts.clear()
        self._groups.clear()
        vars(self).pop("facet_columns", None)  # they may have other values now

    def _code_parts(self) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Rows (n,) and words (n, W) of some images after the other."""
        words = (f"code{word}" for word in range(self.layout.masks.shape[1]))
        for part in self.parts(", ".join(['"row"', *words])):
            rows, *columns = (column.astype(np.int64, copy=False) for column in part.values())
            yield rows, np.stack(columns, axis=1)

    def _run(self, statement: Statement) -> dict[str, np.ndarray]:
        return self.fetch(statement.text, statement.texts)

    def _of_rows(self, columns: Sequence[str], rows: Sequence[int] | np.ndarray) -> list[tuple[Any, ...]]:
        """Columns of some rows, a tuple each, in any order."""
        found = self._run(rows_statement(columns, rows)).values()
        return list(zip(*(column.tolist() for column in found), strict=True))

    def _count(self, query: Query) -> tuple[int, int, int]:
        def count() -> tuple[int, int, int]:
            found = self._run(count_statement(query, self.layout))
            return int(found["#matching"][0]), int(found["#filtered"][0]), int(found["#agreeing"][0])

        return self._remembered(self._counts, query.counted, count)

    def _count_groups(self, query: Query, row: int | None = None) -> tuple[Groups, np.ndarray]:
        *columns, n_images = self._run(facet_statement(query, self.layout, self.facet_columns, row)).values()
        values = zip(*(column.tolist() for column in columns), strict=True)
        return Groups(self.facet_columns, tuple(values)), n_images.astype(np.int64)

    def _remembered(self, known: Recent[Query, tuple[float, T]], query: Query, count: Callable[[], T]) -> T:
        found, now = known.get(query), time.monotonic()
        if found is None or now - found[0] > self._lifetime_s:
            found = now, count()
        known.keep(query, found)
        return found[1]
