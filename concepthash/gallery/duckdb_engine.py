"""Search in the DuckDB file of a gallery, for codes that should not be read into memory."""

import math
import threading
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import cached_property
from pathlib import Path
from typing import Any

import duckdb
import numpy as np

from ..errors import GalleryError
from .code_reading import Codes, KeptCodes
from .database import INDEXED, connect, fetch_columns
from .facets import Groups
from .fact_file import FactFile
from .image_facts import IMAGE_COLUMNS, ImageFacts
from .metadata import Kind
from .reason import reason_of
from .sql import MACROS, duckdb_text, rows_statement
from .sql_engine import SqlEngine
from .sql_layout import Layout, is_whole

__all__ = ["DuckDBEngine"]

_SETUP = ";".join(f"CREATE TEMP MACRO {macro}" for macro in MACROS)
_LITTLE = "SET memory_limit = '1MB'"  # between questions, where only single images are asked for
_SPREAD = 8  # numbers of rows an image up to which their facts are copied, where each number takes room
_HASH = "(hash({}) >> 32)::UINTEGER"
_KINDS: dict[str, Kind] = {"VARCHAR": "TEXT", "INTEGER": "BIGINT", "BIGINT": "BIGINT", "DOUBLE": "DOUBLE"}


class DuckDBEngine(SqlEngine):
    """The file of a complete gallery, opened read-only; nothing of it is held in memory but what DuckDB keeps.

    Parameters
    ----------
    path
        The DuckDB file.
    scratch
        Folder for its codes, and for facts of its images that are then found quicker, where only single ones are
        asked for.

    Raises
    ------
    GalleryError
        If the file is missing, locked by a writer, or no gallery; later, if another one has taken its place.
    """

    def __init__(self, path: Path, scratch: Path | None = None) -> None:
        super().__init__(lifetime_s=math.inf)  # nobody can write while the file is open
        self.path = path
        self._connection: duckdb.DuckDBPyConnection | None = None
        self._idle: deque[duckdb.DuckDBPyConnection] = deque()
        self._opening = threading.Lock()
        self._is_little = self._keeps_facts = False
        self._much = "SELECT 1"  # until the file is open
        self._created: list[tuple[str]] = []
        self._n_reading = 0
        self._scratch, self._writing = scratch, threading.Lock()
        self.provenance = self._provenance()
        self.layout = self._layout()

    def fetch(self, text: str, texts: Mapping[str, str] | None = None) -> dict[str, np.ndarray]:
        """Run a SELECT; see `SqlEngine.fetch`."""
        with self._cursor() as cursor, self._room():
            return fetch_columns(cursor.execute(duckdb_text(text), dict(texts or {})))

    def images(self, rows: Sequence[int] | np.ndarray) -> list[ImageFacts]:
        """Facts of images, in the order of ``rows``; rows that the gallery lacks are left out."""
        file = self._kept_facts()
        return super().images(rows) if file is None else [ImageFacts(*facts) for _, *facts in file.facts(rows)]

    def row_of(self, image_id: str) -> int | None:
        """Return the row of an image id, or None where the gallery lacks it."""
        file = self._kept_facts()
        if file is None or not is_whole(image_id):
            return super().row_of(image_id)
        with self._cursor() as cursor:
            (number,) = cursor.execute(f"SELECT {_HASH.format('$id')}", {"id": image_id}).fetchall()[0]
        alike = self.images(list(file.rows_of(number)))
        return next((one.row for one in alike if one.image_id == image_id), None)

    def codes(self, n_images: int) -> Codes:
        """Map the codes of all images from files of their own, which are made from the database once."""
        if self._scratch is None:
            return super().codes(n_images)
        has_rows = self.span()[1] > n_images  # asked first, as nobody can write once the file is open
        kept = KeptCodes(self._scratch, self.path, n_images, self.layout.masks.shape[1], has_rows=has_rows)
        with suppress(OSError, ValueError):
            return kept.mapped()
        with suppress(OSError):  # no room there: memory will do
            kept.make((words for _, words in self._code_parts()), (part["row"] for part in self.parts('"row"')))
            return kept.mapped()
        return super().codes(n_images)

    def grouped(self) -> tuple[Groups, np.ndarray]:
        """Return them as `SqlEngine.grouped` does, from hashes: numbers are read in a fraction of the time of texts."""
        names = self._facet_names
        *values, hashes = self.fetch(f"SELECT {names}, hash({names}) AS h FROM images GROUP BY ALL").values()  # noqa: S608
        order = np.argsort(hashes)
        ascending, places = hashes[order], order.astype(np.min_scalar_type(len(hashes)))
        if (ascending[1:] == ascending[:-1]).any():  # two combinations have one hash: the texts themselves, then
            return super().grouped()
        ids = [places[np.searchsorted(ascending, part["h"])] for part in self.parts(f"hash({names}) AS h")]
        groups = Groups(self.facet_columns, tuple(zip(*(column.tolist() for column in values), strict=True)))
        return groups, np.concatenate([np.empty(0, dtype=np.uint8), *ids])

    def look_up_only(self, n_images: int) -> None:
        """Take hardly any memory, and one thread, since starting others takes longer than finding an image."""
        self._is_little, self._keeps_facts = True, n_images <= INDEXED and self.span()[1] <= _SPREAD * n_images
        self.close()

    def close(self) -> None:
        """Let go of the file; the next call opens it again."""
        with self._opening:
            while self._idle:
                self._idle.pop().close()
            if self._connection is not None:
                self._connection.close()
            self._connection = None
        self.forget()

    @contextmanager
    def _cursor(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """Lend a cursor that knows the macros to one thread, and take it back unless something broke."""
        try:
            try:
                cursor = self._idle.pop()
            except IndexError:
                cursor = self._opened().cursor()
                cursor.execute(_SETUP)
            yield cursor
            self._idle.append(cursor)
        except duckdb.Error as error:
            self.close()
            reason = reason_of(error)
            raise GalleryError(
                f"The gallery {self.path} does not answer ({reason}); check the file, or wait until a command that "
                "writes to it has ended, and try again."
            ) from error

    def _opened(self) -> duckdb.DuckDBPyConnection:
        with self._opening:
            if self._connection is None:
                self._check_same()
                self._connection = connect(self.path, read_only=True)
                ((limit,),) = self._connection.execute("SELECT current_setting('memory_limit')").fetchall()
                self._much = f"SET memory_limit = '{limit}'"  # to RESET it tells DuckDB 1 nothing
                self._connection.execute(f"SET threads = 1; {_LITTLE}" if self._is_little else "SELECT 1")
            return self._connection

    def _check_same(self) -> None:
        """Refuse a file that took the place of the first one: rows, and so thumbnails, are others there."""
        with connect(self.path, read_only=True) as database:  # closed again, as what it reads takes memory
            created = database.execute("SELECT value FROM provenance WHERE key = 'created'").fetchall()
        self._created = self._created or created
        if created != self._created:
            raise GalleryError(f"The gallery {self.path.parent} was made anew while it was open; restart the app.")

    @contextmanager
    def _room(self) -> Iterator[None]:
        """Let DuckDB take the memory it likes while it reads, even where it is to take little between questions."""
        if not self._is_little:
            yield
            return
        self._count_reading(1, self._much)
        try:
            yield
        finally:
            with suppress(duckdb.OutOfMemoryException):  # too much is in use; the next time will do
                self._count_reading(-1, _LITTLE)

    def _count_reading(self, more: int, settings: str) -> None:
        """Count who reads just now; the settings are for the first one and after the last one."""
        with self._opening:
            self._n_reading += more
            if self._connection is not None and (more > 0 or not self._n_reading):
                self._connection.execute(settings)

    def _of_rows(self, columns: Sequence[str], rows: Sequence[int] | np.ndarray) -> list[tuple[Any, ...]]:
        file = self._kept_facts()
        text = rows_statement(columns, rows).text if file is None else _placed(columns, file.facts(rows))
        with self._cursor() as cursor, self._room():  # arrays take longer to make than the rows to find
            return cursor.execute(text).fetchall()

    def _kept_facts(self) -> FactFile | None:
        """Return the facts of all images, read at the first question; None where they are not kept, or not now."""
        with self._writing:
            return self._facts

    @cached_property
    def _facts(self) -> FactFile | None:
        if self._scratch is None or not self._keeps_facts:
            return None
        line = f"json_array(rowid, {_quoted(IMAGE_COLUMNS)})::VARCHAR"
        facts = f'"row", {line} AS line, strlen({line}) AS size, {_HASH.format("image_id")} AS hash'
        with suppress(OSError):  # no room there: the database will do
            return FactFile(self._scratch, self.parts(facts))
        return None

    def _provenance(self) -> dict[str, str]:
        found = self.fetch("SELECT key, value FROM provenance")
        return dict(zip(found["key"].tolist(), found["value"].tolist(), strict=True))

    def _layout(self) -> Layout:
        described = self.fetch("DESCRIBE images")
        types = dict(zip(described["column_name"].tolist(), described["column_type"].tolist(), strict=True))
        return Layout.of(self.provenance, {name: _KINDS[kind] for name, kind in types.items() if kind in _KINDS})


def _placed(columns: Sequence[str], facts: Iterable[list[Any]]) -> str:
    """Select columns of some images by their places in the file: DuckDB never lets go of what it has read of an index.

    It turns a list of places into a scan of all, but not a join with them.
    """
    places = f"unnest([{', '.join(str(place) for place, *_ in facts)}]::BIGINT[])"
    return f'SELECT {_quoted(columns)} FROM images JOIN (SELECT {places} AS "#place") ON images.rowid = "#place"'  # noqa: S608


def _quoted(columns: Sequence[str]) -> str:
    return ", ".join(f'"{column}"' for column in columns)
