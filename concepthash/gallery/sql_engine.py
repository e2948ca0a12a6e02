"""Search by SQL, whatever database answers: pages, counts, facets and rows of a gallery too large for memory."""

import time
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np

from ..codes import concept_distances
from .matches import Matches
from .query import ConceptRule, Query
from .recent import Recent
from .sql import Statement, count_statement, facet_statement, page_statement, rows_statement
from .sql_layout import Layout

__all__ = ["Facets", "ImageFacts", "SqlEngine"]

_REMEMBERED = 1024  # counts of so many queries
_IMAGE_COLUMNS = ("row", "image_id", "path", "class", "family", "width", "height")


class ImageFacts(NamedTuple):
    """What is known of one image; class and family are None where unknown, width and height in pixels."""

    row: int
    image_id: str
    path: str
    class_name: str | None
    family: str | None
    width: int
    height: int


@dataclass(frozen=True)
class Facets:
    """How many matching images there are of each class and of each family; the unknown ones are in neither.

    Attributes
    ----------
    classes, families
        Images by name, in order of names.
    """

    classes: dict[str, int]
    families: dict[str, int]


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
        """Count a query's matching images by class and by family, with one scan."""
        found = self._run(facet_statement(query, self.layout))
        n_images = found["#images"].tolist()
        return Facets(_totals(found["class"], n_images), _totals(found["family"], n_images))

    def images(self, rows: Sequence[int] | np.ndarray) -> list[ImageFacts]:
        """Facts of images, in the order of ``rows``; rows that the gallery lacks are left out."""
        found = {facts[0]: ImageFacts(*facts) for facts in self.tuples(rows_statement(_IMAGE_COLUMNS, rows))}
        return [found[row] for row in map(int, rows) if row in found]

    def tuples(self, statement: Statement) -> list[tuple[Any, ...]]:
        """Run a SELECT of a few rows, a tuple each."""
        return list(zip(*(column.tolist() for column in self._run(statement).values()), strict=True))

    def code_logits(self, rows: Sequence[int] | np.ndarray) -> np.ndarray:
        """(n, K) float32 in the order of ``rows``; rows that the gallery lacks are left out."""
        found = dict(self.tuples(rows_statement(("row", "code_logits"), rows)))
        logits = [found[row] for row in map(int, rows) if row in found]
        return np.array(logits, dtype=np.float32).reshape(-1, self.layout.n_bits)

    def row_of(self, image_id: str) -> int | None:
        """Return the row of an image id, or None where the gallery lacks it."""
        found = self.fetch('SELECT "row" FROM images WHERE image_id = {t0:String} LIMIT 1', {"t0": image_id})
        return int(found["row"][0]) if len(found["row"]) else None

    def look_up_only(self) -> None:  # noqa: B027  # a server has nothing to do
        """Expect no searches any more, only single images, and take little memory."""

    def forget(self) -> None:
        """Forget all counts, since the gallery has changed."""
        self._counts.clear()

    def _run(self, statement: Statement) -> dict[str, np.ndarray]:
        return self.fetch(statement.text, statement.texts)

    def _count(self, query: Query) -> tuple[int, int, int]:
        key, now = _counted(query), time.monotonic()
        known = self._counts.get(key)
        if known is None or now - known[0] > self._lifetime_s:
            found = self._run(count_statement(query, self.layout))
            known = now, (int(found["#matching"][0]), int(found["#filtered"][0]), int(found["#agreeing"][0]))
        self._counts.keep(key, known)
        return known[1]


def _counted(query: Query) -> Query:
    """What of a query its counts depend on."""
    rules = tuple(ConceptRule(rule.agree, rule.radius) for rule in query.rules)
    is_free = all(rule.agree == "ignore" for rule in rules)
    code = (False,) * len(query.code) if is_free else query.code
    return replace(query, code=code, rules=rules, rank="none", k=0, offset=0)


def _totals(names: np.ndarray, n_images: list[int]) -> dict[str, int]:
    totals: dict[str, int] = {}
    for name, n in zip(names.tolist(), n_images, strict=True):
        if name is not None:
            totals[name] = totals.get(name, 0) + n
    return dict(sorted(totals.items()))
