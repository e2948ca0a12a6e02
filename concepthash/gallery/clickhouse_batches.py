"""What counts of a gallery in the making on a ClickHouse server: batches that are signed, and nothing beyond them."""

from dataclasses import dataclass

from ..errors import GalleryError
from .clickhouse import read_provenance
from .clickhouse_client import ClickHouseClient
from .clickhouse_tables import (
    BATCH_TYPES,
    PROVENANCE_TYPES,
    TABLES,
    create_statements,
    drop_statements,
    local_name,
    on_cluster,
)
from .database import now
from .provenance import Provenance

__all__ = ["Counted", "GalleryTables"]


@dataclass(frozen=True)
class Counted:
    """How many signatures there are, and how many images and skipped files count by the last one."""

    number: int = 0
    n_images: int = 0
    n_skipped: int = 0


class GalleryTables:
    """The tables of one gallery; every method raises a GalleryError if the server is away or refuses."""

    def __init__(self, client: ClickHouseClient) -> None:
        self._client, self._address = client, client.address

    def facts(self) -> dict[str, str]:
        """Provenance of the gallery that is there; empty where there is none, or one that was just begun."""
        names = {"t0": self._address.database}
        found = self._client.fetch("SELECT name FROM system.tables WHERE database = {t0:String}", names)
        there = set(found["name"].tolist())
        if "provenance" in there:
            return read_provenance(self._client)
        ours = {name for table in TABLES for name in (table, local_name(table, self._address))}
        if foreign := there & (ours - {"provenance_local"}):
            raise GalleryError(
                f"The database {self._address} holds tables of something else ({', '.join(sorted(foreign))}); "
                "choose a database of its own for the gallery."
            )
        return {}

    def create(self, provenance: Provenance, thumbnail_folder: str) -> None:
        """Make all tables anew; the provenance is written last, as without it there is nothing to resume."""
        self.remove()
        for statement in create_statements(provenance, self._address):
            self._client.command(statement)
        facts = {**provenance.facts, "thumbnail_folder": thumbnail_folder, "created": now()}
        self._client.insert("provenance", PROVENANCE_TYPES, [[key, value] for key, value in facts.items()])

    def remove(self) -> None:
        """Drop all tables."""
        for statement in drop_statements(self._address):
            self._client.command(statement)

    def finish(self, counted: Counted) -> None:
        """Mark the gallery complete, if it holds every row that counts once, and no other."""
        found = self._client.fetch('SELECT count(*) AS n, uniqExact("row") AS kinds, max("row") AS last FROM images')
        n, kinds, last = (int(column[0]) for column in found.values())
        if (n, kinds, last) != (counted.n_images, counted.n_images, counted.n_images - 1):
            raise GalleryError(
                f"The gallery {self._address} has {n} rows, {kinds} of them different, instead of {counted.n_images}; "
                "encode the images again with --overwrite."
            )
        self._client.insert("provenance", PROVENANCE_TYPES, [["complete", "true"]])

    def counted(self) -> Counted:
        """Read the last signature."""
        found = self._client.fetch("SELECT max(number), max(n_images), max(n_skipped) FROM batches")
        return Counted(*(int(column[0]) for column in found.values()))

    def sign(self, counted: Counted, writer: str) -> None:
        """Say that so much counts now, by the word of a writer."""
        self._client.insert("batches", BATCH_TYPES, [[counted.n_images, counted.n_skipped, writer, counted.number]])

    def check_writer(self, writer: str) -> None:
        """Refuse a writer that is not the last one that signed."""
        found = self._client.fetch("SELECT argMax(writer, number) AS writer FROM batches")
        if found["writer"][0] != writer:
            raise GalleryError(f"Another process writes to {self._address} now; wait until it has ended.")

    def remove_beyond(self, counted: Counted) -> None:
        """Delete what does not count, after ending an insert that may still be under way."""
        on = on_cluster(self._address)
        ours = f"query_kind = 'Insert' AND current_database = '{self._address.database}'"
        self._client.command(f"KILL QUERY{on} WHERE {ours} SYNC")
        for table, key, n in (("images", "row", counted.n_images), ("skipped", "number", counted.n_skipped)):
            beyond = f'"{key}" >= {n}'
            if self._client.fetch(f"SELECT count(*) AS n FROM {table} WHERE {beyond}")["n"][0]:  # noqa: S608
                name = local_name(table, self._address)
                self._client.command(f"ALTER TABLE {name}{on} DELETE WHERE {beyond} SETTINGS mutations_sync = 2")
