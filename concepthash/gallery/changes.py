"""The one way images get into a gallery's tables or out of them: a transaction, with thumbnails around it.

Thumbnails of new rows are written before the commit and those of removed rows deleted after it, so that every row there
is has its own; a row's number is never given again, so that none can show another image's. What a kill leaves over is
found at the next opening by a writer: rows to come have no thumbnails yet, and rows that went are in ``removed``.
"""

from collections.abc import Collection, Sequence
from contextlib import suppress
from itertools import count, takewhile
from pathlib import Path

import duckdb
import numpy as np

from ..errors import GalleryError
from .database import SKIPPED_COLUMNS, Provenance, image_columns, insert, now, read_facts, set_facts, transaction
from .rows import NewImage, Skipped, image_rows
from .thumbnails import thumbnail_file

__all__ = ["change", "find_rows", "next_row", "rows_of", "sweep"]


def next_row(database: duckdb.DuckDBPyConnection) -> int:
    """The number the next image gets."""
    return int(read_facts(database)["next_row"])


def change(
    database: duckdb.DuckDBPyConnection,
    folder: Path,
    made: Provenance,
    images: Sequence[NewImage],
    code_logits: np.ndarray,
    attention_centers: np.ndarray,
    skipped: Sequence[Skipped] = (),
    *,
    removed: Sequence[int] = (),
    forgotten: Sequence[str] = (),
) -> None:
    """Store a batch and remove rows, all of it or nothing.

    Parameters
    ----------
    database, folder
        The gallery.
    made
        What it is made with.
    images, code_logits, attention_centers, skipped
        As in `GalleryWriter.append`.
    removed
        Numbers of rows that go.
    forgotten
        Paths that ``skipped`` lists no longer.
    """
    first = next_row(database)
    rows = image_rows(first, images, code_logits, attention_centers, made)
    for row, image in enumerate(images, start=first):
        if image.thumbnail is not None:
            path = Path(thumbnail_file(folder, row))
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(image.thumbnail)
    listed = [[entry.path, entry.reason, entry.file_bytes, entry.file_modified] for entry in skipped]
    with transaction(database):
        _delete(database, "skipped", "path", forgotten)
        _delete(database, "images", '"row"', removed)
        insert(database, "removed", ['"row"'], [[row] for row in removed])
        insert(database, "images", list(image_columns(made)), rows)
        insert(database, "skipped", list(SKIPPED_COLUMNS), listed)
        set_facts(database, {"next_row": str(first + len(images)), "changed": now()})
    if removed:
        _delete_thumbnails(database, folder)


def find_rows(database: duckdb.DuckDBPyConnection, image_ids: Collection[str]) -> dict[str, int]:
    """Numbers of the rows of images by id; those that are not there are left out."""
    wanted = 'SELECT image_id, "row" FROM images WHERE image_id IN (SELECT unnest(?))'
    return dict(database.execute(wanted, [list(image_ids)]).fetchall()) if image_ids else {}


def rows_of(database: duckdb.DuckDBPyConnection, folder: Path, image_ids: Collection[str]) -> list[int]:
    """Numbers of the rows of images, in their order.

    Raises
    ------
    GalleryError
        If one of them is not there.
    """
    found = find_rows(database, image_ids)
    if missing := [name for name in image_ids if name not in found]:
        more = f" and lacks {len(missing) - 1} more" if len(missing) > 1 else ""
        raise GalleryError(f"The gallery {folder} has no image {missing[0]!s:.200}{more}; name images that it has.")
    return [found[name] for name in image_ids]


def sweep(database: duckdb.DuckDBPyConnection, folder: Path) -> None:
    """Delete what a killed writer left: thumbnails of rows that were not committed, or are no more."""
    _delete_thumbnails(database, folder)
    uncommitted = (Path(thumbnail_file(folder, row)) for row in count(next_row(database)))
    for path in reversed(list(takewhile(Path.exists, uncommitted))):  # a kill here leaves no gap to stop at
        path.unlink()


def _delete_thumbnails(database: duckdb.DuckDBPyConnection, folder: Path) -> None:
    rows = [row for (row,) in database.execute('SELECT "row" FROM removed').fetchall()]
    for row in rows:
        with suppress(FileNotFoundError):
            Path(thumbnail_file(folder, row)).unlink()
    if rows:
        database.execute("DELETE FROM removed")


def _delete(database: duckdb.DuckDBPyConnection, table: str, column: str, values: Sequence[object]) -> None:
    if values:
        database.execute(f"DELETE FROM {table} WHERE {column} IN (SELECT unnest(?))", [list(values)])  # noqa: S608
