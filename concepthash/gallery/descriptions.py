"""What is known about the images of a gallery beside their codes: written over, and given columns of its own."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import duckdb

from ..errors import GalleryError
from .database import set_facts, transaction
from .metadata import MetadataColumn, Value, columns_to_text
from .provenance import Provenance

__all__ = ["add_columns", "describe"]

_DESCRIBED = {"path", "class", "label", "family", "split"}


def describe(
    database: duckdb.DuckDBPyConnection, made: Provenance, rows: Sequence[int], values: Sequence[Mapping[str, Value]]
) -> None:
    """Write values into rows, all of them or none.

    Parameters
    ----------
    database, made
        The gallery, and what it is made with.
    rows
        Numbers of n rows.
    values
        n times values by column: path, class, label, family, split or metadata; the same columns each.

    Raises
    ------
    GalleryError
        If there is no such column, or the images have values of different ones.
    """
    if not rows:
        return
    columns = sorted(values[0])
    unknown = sorted(set(columns) - _DESCRIBED - {column.name for column in made.metadata})
    if unknown or not columns:
        raise GalleryError(f"{unknown[0] if unknown else 'Nothing'!r} is no column to write to; name one there is.")
    if any(facts.keys() != values[0].keys() for facts in values):
        raise GalleryError("The images have values of different columns; give the same columns for each.")
    lists = [list(rows), *([facts[column] for facts in values] for column in columns)]
    given = ", ".join(f'unnest(${i}) AS "{name}"' for i, name in enumerate(["row", *columns], start=1))
    changes = ", ".join(f'"{column}" = given."{column}"' for column in columns)
    statement = f'UPDATE images SET {changes} FROM (SELECT {given}) AS given WHERE images."row" = given."row"'  # noqa: S608
    with transaction(database):
        database.execute(statement, lists)


def add_columns(database: duckdb.DuckDBPyConnection, made: Provenance, columns: Sequence[MetadataColumn]) -> Provenance:
    """Add columns of metadata, with no value yet in any row; those that are there are left alone.

    Returns
    -------
    Provenance
        With the columns.

    Raises
    ------
    GalleryError
        If a column is there with another type or other capitals.
    """
    there = {column.name.lower(): column for column in made.metadata}
    for column in columns:
        had = there.get(column.name.lower(), column)
        if had != column:
            raise GalleryError(
                f"The column {column.name} would be {column.kind}, and the gallery has {had.name} as {had.kind}; "
                "mend the values, choose another name, or encode the images again."
            )
    new = [column for column in columns if column.name.lower() not in there]
    made = replace(made, metadata=(*made.metadata, *new))
    if new:
        with transaction(database):
            for column in new:
                database.execute(f"ALTER TABLE images ADD COLUMN {column.quoted} {column.kind}")
            set_facts(database, {"metadata": columns_to_text(made.metadata)})
    return made
