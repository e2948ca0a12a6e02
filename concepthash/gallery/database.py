"""The DuckDB file of a gallery: how it is opened, its tables, and rows into them."""

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime, timezone
from pathlib import Path

import duckdb
import numpy as np

from ..codes import pack_words, subcode_values
from ..errors import GalleryError
from .provenance import FORMAT_VERSION, Provenance

__all__ = [
    "FORMAT_VERSION",
    "INDEXED",
    "REMOVED_COLUMNS",
    "SKIPPED_COLUMNS",
    "Provenance",
    "code_columns",
    "connect",
    "create",
    "fetch_columns",
    "image_columns",
    "index",
    "insert",
    "now",
    "read_facts",
    "set_facts",
    "transaction",
]

INDEXED = 10_000_000  # images
_Settings = dict[str, str | bool | int | float | list[str]]
# A gallery from elsewhere may neither load extensions nor read other files; any DuckDB the project runs on can open it.
_SETTINGS: _Settings = {
    "storage_compatibility_version": "v1.2.0",
    "autoinstall_known_extensions": "false",
    "autoload_known_extensions": "false",
}
_ALONE: _Settings = {"enable_external_access": "false"}
_FILE_COLUMNS = {"file_bytes": "BIGINT", "file_modified": "BIGINT"}
REMOVED_COLUMNS = {'"row"': "BIGINT NOT NULL"}
SKIPPED_COLUMNS = {"path": "TEXT NOT NULL", "reason": "TEXT NOT NULL"} | _FILE_COLUMNS


def connect(path: Path, *, read_only: bool = False, attached: Sequence[Path] = ()) -> duckdb.DuckDBPyConnection:
    """Open a gallery's database file; without extensions and without access to any other file.

    Parameters
    ----------
    path
        The DuckDB file.
    read_only
        Whether nothing is written; any number of processes may read.
    attached
        Other galleries' files, to be read as ``part0``, ``part1`` and so on.

    Raises
    ------
    GalleryError
        If another process has the file open, and one of the two writes.
    """
    try:
        database = _open(path, read_only, _SETTINGS | ({} if attached else _ALONE))
        for number, other in enumerate(attached):
            name = str(other).replace("'", "''")
            database.execute(f"ATTACH '{name}' AS part{number} (READ_ONLY)")
        if attached:
            database.execute("SET enable_external_access = false")
    except (duckdb.IOException, duckdb.ConnectionException, duckdb.BinderException) as error:
        if not re.search("set lock|different configuration|file handle conflict", str(error)):
            raise
        process = re.search(r"PID \d+", str(error))
        raise GalleryError(
            f"The gallery {path.parent} is {'being changed' if read_only else 'in use'} by another process, such as "
            f"{'an encode command' if read_only else 'the app'} ({process[0] if process else 'maybe this one'}); "
            "end it or wait until it has ended, and try again."
        ) from error
    return database


def _open(path: Path, read_only: bool, settings: _Settings) -> duckdb.DuckDBPyConnection:
    """Open the file; a killed writer's log, which DuckDB 1 may not replay without writing, is replayed for writing."""
    try:
        return duckdb.connect(str(path), read_only=read_only, config=settings)
    except duckdb.IOException as error:
        if not read_only or "replaying WAL" not in str(error):
            raise
    duckdb.connect(str(path), config=settings).close()
    return duckdb.connect(str(path), read_only=True, config=settings)


def code_columns(code: np.ndarray, n_concepts: int) -> np.ndarray:
    """(n, K) bool -> (n, W [+ M]) int64: the words, then the sub-codes where each fits a signed integer."""
    words = pack_words(code)
    if code.shape[1] // n_concepts > 63:
        return words
    return np.concatenate([words, subcode_values(code, n_concepts)], axis=1)


def image_columns(made: Provenance) -> dict[str, str]:
    """Quoted names and types of the columns of the table ``images``, in the order of `rows.image_rows`.

    ``file_bytes`` and ``file_modified`` (nanoseconds since 1970) are those of the image's file when it was read, and
    tell whether it has changed since; ``encoded`` are the seconds since 1970 when its code was stored.
    """
    n_subcodes = made.n_concepts if made.n_bits // made.n_concepts <= 63 else 0
    facts = {"image_id": "TEXT NOT NULL", "path": "TEXT NOT NULL", "class": "TEXT", "label": "INTEGER NOT NULL"}
    facts |= {"family": "TEXT", "width": "INTEGER NOT NULL", "height": "INTEGER NOT NULL", "split": "TEXT"}
    codes = [f"code{word}" for word in range(-(-made.n_bits // 64))] + [f"sub{m}" for m in range(n_subcodes)]
    columns = {"row": "BIGINT NOT NULL"} | facts | dict.fromkeys(codes, "BIGINT NOT NULL")
    columns |= {"code_logits": "FLOAT[] NOT NULL", "attention": "FLOAT[] NOT NULL"}
    columns |= _FILE_COLUMNS | {"encoded": "BIGINT"}
    columns |= {column.name: column.kind for column in made.metadata}
    return {f'"{name}"': kind for name, kind in columns.items()}


def create(path: Path, provenance: Provenance) -> None:
    """Make the file with its tables: images, skipped, removed (rows whose thumbnails must go) and provenance.

    The rows have no index: none of 10^8 would fit the memory, and `row` ascends in the file, which serves as one.
    """
    tables = {
        "images": image_columns(provenance),
        "skipped": SKIPPED_COLUMNS,
        "removed": REMOVED_COLUMNS,
        "provenance": {"key": "TEXT PRIMARY KEY", "value": "TEXT NOT NULL"},
    }
    database = connect(path)
    try:
        with transaction(database):
            for table, columns in tables.items():
                described = ", ".join(f"{name} {kind}" for name, kind in columns.items())
                database.execute(f"CREATE TABLE {table} ({described})")
            set_facts(database, {**provenance.facts, "complete": "false", "next_row": "0", "created": now()})
        database.execute("CHECKPOINT")
    finally:
        database.close()


def index(database: duckdb.DuckDBPyConnection) -> None:
    """Let single images be found without a scan, unless they are so many that the indexes would fill the memory."""
    counted = database.execute("SELECT count(*) FROM images").fetchone()
    if counted and counted[0] <= INDEXED:
        for column in ('"row"', "image_id"):
            database.execute(f"CREATE INDEX IF NOT EXISTS images_{column.strip(chr(34))} ON images ({column})")


def now() -> str:
    """UTC, ISO 8601, in seconds."""
    return datetime.now(timezone.utc).isoformat(timespec="seconds")


def fetch_columns(result: duckdb.DuckDBPyConnection) -> dict[str, np.ndarray]:
    """All rows of an executed SELECT as (n,) columns, those with missing values as objects, None where one is."""
    return {name: _without_mask(column) for name, column in result.fetchnumpy().items()}


def _without_mask(column: np.ndarray) -> np.ndarray:
    if not isinstance(column, np.ma.MaskedArray):
        return column
    values = column.data.astype(object)
    values[np.ma.getmaskarray(column)] = None
    return values


def read_facts(database: duckdb.DuckDBPyConnection) -> dict[str, str]:
    """The table ``provenance``."""
    return dict(database.execute("SELECT key, value FROM provenance").fetchall())


def set_facts(database: duckdb.DuckDBPyConnection, facts: Mapping[str, str]) -> None:
    """Write facts into the table ``provenance``, over those it has."""
    marks = ", ".join(["(?, ?)"] * len(facts))
    values = [text for fact in facts.items() for text in fact]
    database.execute(f"INSERT OR REPLACE INTO provenance VALUES {marks}", values)  # noqa: S608, only marks


def insert(
    database: duckdb.DuckDBPyConnection, table: str, columns: Sequence[str], rows: Sequence[Sequence[object]]
) -> None:
    """Insert all rows with one statement, a list a column: of all ways the quickest; the names are quoted already."""
    if rows:
        lists = ", ".join(["unnest(?)"] * len(columns))
        statement = f"INSERT INTO {table} ({', '.join(columns)}) SELECT {lists}"
        database.execute(statement, [list(column) for column in zip(*rows, strict=True)])


@contextmanager
def transaction(database: duckdb.DuckDBPyConnection) -> Iterator[duckdb.DuckDBPyConnection]:
    """Commit what the block did, or undo all of it."""
    database.execute("BEGIN")
    try:
        yield database
        database.execute("COMMIT")
    except BaseException:
        with suppress(duckdb.Error):  # the transaction may have ended already, and the first error says more
            database.execute("ROLLBACK")
        raise
