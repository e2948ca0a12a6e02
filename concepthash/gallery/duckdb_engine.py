"""Search in the DuckDB file of a gallery, for codes that should not be read into memory."""

import math
import threading
from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import duckdb
import numpy as np

from ..errors import GalleryError
from .database import connect, fetch_columns
from .metadata import Kind
from .sql import MACROS, Statement, duckdb_text
from .sql_engine import SqlEngine
from .sql_layout import Layout

__all__ = ["DuckDBEngine"]

_SETUP = ";".join(f"CREATE TEMP MACRO {macro}" for macro in MACROS)
_LITTLE = "128MB"
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
        self._settings = "SELECT 1"
        self.provenance = self._provenance()
        self.layout = self._layout()

    def fetch(self, text: str, texts: Mapping[str, str] | None = None) -> dict[str, np.ndarray]:
        """Run a SELECT; see `SqlEngine.fetch`."""
        with self._cursor() as cursor:
            return fetch_columns(cursor.execute(duckdb_text(text), dict(texts or {})))

    def tuples(self, statement: Statement) -> list[tuple[Any, ...]]:
        """Run a SELECT of a few rows, a tuple each, without arrays, which take longer to make than to find the rows."""
        with self._cursor() as cursor:
            return cursor.execute(duckdb_text(statement.text), statement.texts).fetchall()

    def look_up_only(self) -> None:
        """Take little memory, and one thread, since starting others takes longer than finding an image."""
        self._settings = f"SET memory_limit = '{_LITTLE}'; SET threads = 1"
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
            reason = str(error).strip().splitlines()[0].rstrip(".")
            raise GalleryError(
                f"The gallery {self.path} does not answer ({reason}); check the file, or wait until a command that "
                "writes to it has ended, and try again."
            ) from error

    def _opened(self) -> duckdb.DuckDBPyConnection:
        with self._opening:
            if self._connection is None:
                self._connection = connect(self.path, read_only=True)
                self._connection.execute(self._settings)
            return self._connection

    def _provenance(self) -> dict[str, str]:
        found = self.fetch("SELECT key, value FROM provenance")
        return dict(zip(found["key"].tolist(), found["value"].tolist(), strict=True))

    def _layout(self) -> Layout:
        described = self.fetch("DESCRIBE images")
        types = dict(zip(described["column_name"].tolist(), described["column_type"].tolist(), strict=True))
        return Layout.of(self.provenance, {name: _KINDS[kind] for name, kind in types.items() if kind in _KINDS})
