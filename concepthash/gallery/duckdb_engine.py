"""Search in the DuckDB file of a gallery, for codes that should not be read into memory."""

import math
import threading
from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import cached_property
from pathlib import Path
from typing import Any

import duckdb
import numpy as np

from ..errors import GalleryError
from .database import INDEXED, connect, fetch_columns
from .metadata import Kind
from .sql import MACROS, Statement, duckdb_text, rows_statement
from .sql_engine import SqlEngine
from .sql_layout import Layout

__all__ = ["DuckDBEngine"]

_SETUP = ";".join(f"CREATE TEMP MACRO {macro}" for macro in MACROS)
_BLOCKS = 24_000_000  # bytes of the file that are kept while only single images are looked up
_INDEX = 12  # bytes an image that the index of rows may take beside them, all of which DuckDB must hold
_IN_LISTS = "in_clause"  # rewrites short lists into joins, which take longer to plan than to answer
_ROOM = "RESET memory_limit; RESET disabled_optimizers"
_HASH = "(hash({}) >> 32)::UINTEGER"
_KINDS: dict[str, Kind] = {"VARCHAR": "TEXT", "INTEGER": "BIGINT", "BIGINT": "BIGINT", "DOUBLE": "DOUBLE"}


class DuckDBEngine(SqlEngine):
    """The file of a complete gallery, opened read-only; nothing of it is held in memory but what DuckDB keeps.

    Parameters
    ----------
    path
        The DuckDB file.

    Raises
    ------
    GalleryError
        If the file is missing, locked by a writer, or no gallery.
    """

    def __init__(self, path: Path) -> None:
        super().__init__(lifetime_s=math.inf)  # nobody can write while the file is open
        self.path = path
        self._connection: duckdb.DuckDBPyConnection | None = None
        self._idle: deque[duckdb.DuckDBPyConnection] = deque()
        self._opening = threading.Lock()
        self._little: str | None = None  # settings for looking up single images
        self._n_reading = 0
        self.provenance = self._provenance()
        self.layout = self._layout()

    def fetch(self, text: str, texts: Mapping[str, str] | None = None) -> dict[str, np.ndarray]:
        """Run a SELECT; see `SqlEngine.fetch`."""
        with self._cursor() as cursor, self._room():
            return fetch_columns(cursor.execute(duckdb_text(text), dict(texts or {})))

    def tuples(self, statement: Statement) -> list[tuple[Any, ...]]:
        """Run a SELECT of a few rows, a tuple each, without arrays, which take longer to make than to find the rows."""
        with self._cursor() as cursor:
            return cursor.execute(duckdb_text(statement.text), statement.texts).fetchall()

    def look_up_only(self, n_images: int) -> None:
        """Take little memory, and one thread, since starting others takes longer than finding an image."""
        limit = _BLOCKS + _INDEX * min(n_images, INDEXED)
        self._little = f"SET threads = 1; SET memory_limit = '{limit}B'; SET disabled_optimizers = '{_IN_LISTS}'"
        self.close()

    def row_of(self, image_id: str) -> int | None:
        """Return the row of an image id; where single images are looked up, without the index of ids, which is large.

        DuckDB never lets go of what it has read of an index.
        """
        if self._little is None:
            return super().row_of(image_id)
        hashes, rows = self._hashed_ids
        own = self.tuples(Statement(f"SELECT {_HASH.format('{t0:String}')}", {"t0": image_id}))[0][0]
        places = np.flatnonzero(hashes == own)
        if not len(places):
            return None
        found = self.tuples(rows_statement(("row", "image_id"), rows[places] if len(rows) else places))
        return next((row for row, name in found if name == image_id), None)

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
            reason = str(error).strip().splitlines()[0].rstrip(".")
            raise GalleryError(
                f"The gallery {self.path} does not answer ({reason}); check the file, or wait until a command that "
                "writes to it has ended, and try again."
            ) from error

    def _opened(self) -> duckdb.DuckDBPyConnection:
        with self._opening:
            if self._connection is None:
                self._connection = connect(self.path, read_only=True)
                self._connection.execute(self._little or "SELECT 1")
            return self._connection

    @contextmanager
    def _room(self) -> Iterator[None]:
        """Let DuckDB take the memory it likes while whole columns are read, even where it is to take little."""
        if self._little is None:
            yield
            return
        self._count_reading(1, _ROOM)
        try:
            yield
        finally:
            with suppress(duckdb.OutOfMemoryException):  # too much is in use; the next time will do
                self._count_reading(-1, self._little)

    def _count_reading(self, more: int, settings: str) -> None:
        """Count who reads whole columns just now; the settings are for the first one and after the last one."""
        with self._opening:
            self._n_reading += more
            if self._connection is not None and (more > 0 or not self._n_reading):
                self._connection.execute(settings)

    @cached_property
    def _hashed_ids(self) -> tuple[np.ndarray, np.ndarray]:
        """(N,) uint32 of each image id, and the rows they belong to, none where these are simply 0 to N - 1."""
        found = self.fetch(f'SELECT "row", {_HASH.format("image_id")} AS hash FROM images ORDER BY "row"')  # noqa: S608
        rows = found["row"]
        return found["hash"], rows[:0] if len(rows) and rows[-1] == len(rows) - 1 else rows

    def _provenance(self) -> dict[str, str]:
        found = self.fetch("SELECT key, value FROM provenance")
        return dict(zip(found["key"].tolist(), found["value"].tolist(), strict=True))

    def _layout(self) -> Layout:
        described = self.fetch("DESCRIBE images")
        types = dict(zip(described["column_name"].tolist(), described["column_type"].tolist(), strict=True))
        return Layout.of(self.provenance, {name: _KINDS[kind] for name, kind in types.items() if kind in _KINDS})
