"""The DuckDB file of a gallery: how it is opened, its tables, and rows into them."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from datetime import datetime, timezone
from pathlib import Path

import duckdb
import numpy as np

from ..codes import pack_words, subcode_values

__all__ = ["FORMAT_VERSION", "Provenance", "code_columns", "connect", "create", "insert", "transaction"]

# 1 knew neither galleries of originals nor a data root relative to the gallery; 1 and 2 knew no attention centers
FORMAT_VERSION = 3
# A gallery from elsewhere may neither load extensions nor read other files; any DuckDB the project runs on can open it.
_SETTINGS: dict[str, str | bool | int | float | list[str]] = {
    "storage_compatibility_version": "v1.2.0",
    "autoinstall_known_extensions": "false",
    "autoload_known_extensions": "false",
    "enable_external_access": "false",
}


@dataclass(frozen=True)
class Provenance:
    """What a gallery is made with; a partial gallery is resumed only by a writer with the same.

    Attributes
    ----------
    fingerprint, checkpoint_name
        SHA-256 of the weights, and the name people know the checkpoint by.
    n_bits, n_concepts
        K and M; M divides K.
    transform
        Name of what is done to an image before the model, such as ``"squash-320x320"``.
    data_root
        Folder the images' paths are relative to; absolute, or relative to the gallery's own folder.
    images
        Digest of which images, with which labels, in which order.
    thumbnails
        ``"own"``, or ``"originals"`` where the images themselves are shown.
    """

    fingerprint: str
    checkpoint_name: str
    n_bits: int
    n_concepts: int
    transform: str
    data_root: str
    images: str
    thumbnails: str = "own"


def connect(path: Path, *, read_only: bool = False) -> duckdb.DuckDBPyConnection:
    """Open a gallery's database file; without extensions and without access to any other file."""
    return duckdb.connect(str(path), read_only=read_only, config=_SETTINGS)


def code_columns(code: np.ndarray, n_concepts: int) -> np.ndarray:
    """(n, K) bool -> (n, W [+ M]) int64: the words, then the sub-codes where each fits a signed integer."""
    words = pack_words(code)
    if code.shape[1] // n_concepts > 63:
        return words
    return np.concatenate([words, subcode_values(code, n_concepts)], axis=1)


def create(path: Path, provenance: Provenance) -> None:
    """Make the file with its tables: images, skipped and provenance."""
    n_words = -(-provenance.n_bits // 64)
    n_subcodes = provenance.n_concepts if provenance.n_bits // provenance.n_concepts <= 63 else 0
    codes = [f"code{word} BIGINT NOT NULL" for word in range(n_words)]
    codes += [f"sub{concept} BIGINT NOT NULL" for concept in range(n_subcodes)]
    facts = {"format": FORMAT_VERSION, **asdict(provenance), "complete": "false"}
    facts["created"] = datetime.now(timezone.utc).isoformat(timespec="seconds")
    database = connect(path)
    try:
        database.execute(
            'CREATE TABLE images ("row" BIGINT PRIMARY KEY, image_id TEXT NOT NULL, path TEXT NOT NULL, class TEXT, '
            "label INTEGER NOT NULL, family TEXT, width INTEGER NOT NULL, height INTEGER NOT NULL, split TEXT, "
            f"{', '.join(codes)}, code_logits FLOAT[] NOT NULL, attention FLOAT[] NOT NULL)"
        )
        database.execute("CREATE TABLE skipped (path TEXT NOT NULL, reason TEXT NOT NULL)")
        database.execute("CREATE TABLE provenance (key TEXT PRIMARY KEY, value TEXT NOT NULL)")
        insert(database, "provenance", [[key, str(value)] for key, value in facts.items()])
        database.execute("CHECKPOINT")
    finally:
        database.close()


def insert(database: duckdb.DuckDBPyConnection, table: str, rows: Sequence[Sequence[object]]) -> None:
    """Insert all rows with one statement, many times quicker than one statement a row."""
    if rows:
        marks = f"({', '.join('?' * len(rows[0]))})"
        values = [value for row in rows for value in row]
        statement = f"INSERT INTO {table} VALUES {', '.join([marks] * len(rows))}"  # noqa: S608, values are bound
        database.execute(statement, values)


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
