"""Bringing a gallery of an older format to this one, where that needs no encoding."""

from pathlib import Path

import duckdb

from ..errors import GalleryError
from .database import REMOVED_COLUMNS, read_facts, set_facts, transaction
from .provenance import FORMAT_VERSION, Provenance

__all__ = ["upgrade"]


def upgrade(database: duckdb.DuckDBPyConnection, folder: Path) -> None:
    """Give the tables what format 3 did not have; of its files nothing is known, so that all count as changed.

    Parameters
    ----------
    database
        Open for writing.
    folder
        The gallery, for the sentences.

    Raises
    ------
    GalleryError
        If the gallery is unfinished, newer, or so old that the images must be encoded again.
    """
    facts = read_facts(database)
    version = int(facts["format"])
    if version > FORMAT_VERSION or facts["complete"] != "true":
        raise GalleryError(
            f"The gallery {folder} is unfinished, or of a newer format ({version}) than this version writes "
            f"({FORMAT_VERSION}); upgrade this program, or encode the images again."
        )
    if version < 3:
        raise GalleryError(
            f"The gallery {folder} has format {version}, which kept no attention centers, so it cannot be changed; "
            "encode the images again with --overwrite."
        )
    if version == FORMAT_VERSION:
        return
    with transaction(database):
        for table in ("images", "skipped"):
            for column in ("file_bytes", "file_modified", *(["encoded"] if table == "images" else [])):
                database.execute(f"ALTER TABLE {table} ADD COLUMN {column} BIGINT")
        database.execute(f"CREATE TABLE removed ({', '.join(map(' '.join, REMOVED_COLUMNS.items()))})")
        ((last,),) = database.execute('SELECT coalesce(max("row"), -1) FROM images').fetchall()
        set_facts(database, {**Provenance.from_facts(facts).facts, "next_row": str(last + 1)})
