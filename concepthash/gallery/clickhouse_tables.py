"""The tables of a gallery on a ClickHouse server, with the columns they have in DuckDB."""

from collections.abc import Iterator, Mapping

from .clickhouse_client import ClickHouseAddress
from .database import SKIPPED_COLUMNS, image_columns
from .provenance import Provenance

__all__ = ["BATCH_TYPES", "PROVENANCE_TYPES", "SKIPPED_TYPES", "TABLES", "create_statements", "image_types"]

_TYPES = {"TEXT": "String", "BIGINT": "Int64", "INTEGER": "Int32", "DOUBLE": "Float64", "FLOAT[]": "Array(Float32)"}
_REPEATED = {"class", "family", "split"}  # few values, stored once each
_REQUIRED = " NOT NULL"


def _clickhouse_type(name: str, kind: str) -> str:
    stored = _TYPES[kind.removesuffix(_REQUIRED)]
    if not kind.endswith(_REQUIRED):
        stored = f"Nullable({stored})"
    return f"LowCardinality({stored})" if name in _REPEATED else stored


def _types(columns: Mapping[str, str]) -> dict[str, str]:
    return {name.strip('"'): _clickhouse_type(name.strip('"'), kind) for name, kind in columns.items()}


PROVENANCE_TYPES = {"key": "String", "value": "String"}
SKIPPED_TYPES = {"number": "Int64", **_types(SKIPPED_COLUMNS)}
BATCH_TYPES = {"n_images": "Int64", "n_skipped": "Int64", "writer": "String", "number": "Int64"}
TABLES = ("provenance", "batches", "skipped", "images")  # the first one shows that the others are a gallery's


def image_types(made: Provenance) -> dict[str, str]:
    """Names and ClickHouse's types of the columns of the table ``images``."""
    return _types(image_columns(made))


def create_statements(made: Provenance, address: ClickHouseAddress) -> Iterator[str]:
    """Make all tables; on a cluster each machine has its share of the rows, and a table that stands for all of them."""
    types = {
        "provenance": PROVENANCE_TYPES,
        "batches": BATCH_TYPES,
        "skipped": SKIPPED_TYPES,
        "images": image_types(made),
    }
    keys = {"provenance": "key", "batches": "number", "skipped": "number", "images": "row"}
    for table in TABLES:
        parts = [f'"{name}" {kind}' for name, kind in types[table].items()]
        parts += _projections(made) if table == "images" else []
        engine = f'MergeTree ORDER BY "{keys[table]}"'
        if table == "images":
            engine += " SETTINGS allow_nullable_key = 1"
        yield f"CREATE TABLE {local_name(table, address)}{on_cluster(address)} ({', '.join(parts)}) ENGINE = {engine}"
        if address.cluster:
            everywhere = f"'{address.cluster}', currentDatabase(), '{local_name(table, address)}'"
            shard = f'cityHash64("{keys[table]}")'
            yield (
                f"CREATE TABLE {table}{on_cluster(address)} AS {local_name(table, address)} "
                f"ENGINE = Distributed({everywhere}, {shard})"
            )


def drop_statements(address: ClickHouseAddress) -> Iterator[str]:
    """Remove all tables, that with the provenance last, so that what is left after a kill is still known as ours."""
    for table in reversed(TABLES):
        for name in dict.fromkeys((table, local_name(table, address))):
            yield f"DROP TABLE IF EXISTS {name}{on_cluster(address)} SYNC"


def local_name(table: str, address: ClickHouseAddress) -> str:
    """Name of the table that holds rows itself."""
    return f"{table}_local" if address.cluster else table


def on_cluster(address: ClickHouseAddress) -> str:
    """Say that all machines of the cluster do it."""
    return f" ON CLUSTER `{address.cluster}`" if address.cluster else ""


def _projections(made: Provenance) -> list[str]:
    """Copies of what is searched, ordered by each sub-code and by class, so that few rows are read; ids by name."""
    names = [name for name in image_types(made) if name.startswith(("code", "sub")) and name != "code_logits"]
    searched = ", ".join(f'"{name}"' for name in ("row", "class", "family", *names))
    subcodes = [name for name in names if name.startswith("sub")]
    ordered = [f'PROJECTION by_{name} (SELECT {searched} ORDER BY "{name}")' for name in (*subcodes, "class")]
    return [*ordered, 'PROJECTION by_image_id (SELECT "row", "image_id" ORDER BY "image_id")']
