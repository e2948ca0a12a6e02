"""Search on a ClickHouse server, for galleries beyond one machine."""

from collections.abc import Mapping

import numpy as np

from ..errors import GalleryError
from .clickhouse_client import ClickHouseAddress, ClickHouseClient
from .metadata import Kind
from .provenance import FORMAT_VERSION
from .sql_engine import SqlEngine
from .sql_layout import Layout

__all__ = ["ClickHouseEngine", "open_clickhouse"]

_KINDS: dict[str, Kind] = {"String": "TEXT", "Int32": "BIGINT", "Int64": "BIGINT", "Float64": "DOUBLE"}
_LIFETIME_S = 60.0


class ClickHouseEngine(SqlEngine):
    """A complete gallery on a server; another program may change it, which counts show within a minute.

    Attributes
    ----------
    address
        Where it is.
    provenance
        What it was made with; ``thumbnail_folder`` is the folder or URL of its thumbnails.
    """

    def __init__(self, address: ClickHouseAddress) -> None:
        super().__init__(_LIFETIME_S)
        self.address, self._client = address, ClickHouseClient(address)
        self.provenance = read_provenance(self._client)
        _check_complete(self.provenance, address)
        described = self.fetch("DESCRIBE TABLE images")
        types = zip(described["name"].tolist(), map(_plain, described["type"].tolist()), strict=True)
        self.layout = Layout.of(self.provenance, {name: _KINDS[kind] for name, kind in types if kind in _KINDS})

    def fetch(self, text: str, texts: Mapping[str, str] | None = None) -> dict[str, np.ndarray]:
        """Run a SELECT; see `SqlEngine.fetch`."""
        return self._client.fetch(text, texts)

    def close(self) -> None:
        """Let go of the connection; the next call opens another."""
        self._client.close()


def open_clickhouse(url: str) -> ClickHouseEngine:
    """Open the gallery at ``clickhouse://user:password@host:port/database?cluster=NAME``.

    Raises
    ------
    GalleryError
        If the URL is none, clickhouse-connect is not installed, the server is away or refuses, or the gallery there is
        missing, unfinished or of a newer format.
    """
    return ClickHouseEngine(ClickHouseAddress.from_url(url))


def read_provenance(client: ClickHouseClient) -> dict[str, str]:
    """The table ``provenance``."""
    found = client.fetch("SELECT key, value FROM provenance")
    return dict(zip(found["key"].tolist(), found["value"].tolist(), strict=True))


def _check_complete(facts: Mapping[str, str], address: ClickHouseAddress) -> None:
    if facts.get("complete") != "true":
        raise GalleryError(f"The gallery {address} is unfinished; run the same encode command again to finish it.")
    if int(facts["format"]) > FORMAT_VERSION:
        raise GalleryError(
            f"The gallery {address} has format {facts['format']}, and this version reads up to {FORMAT_VERSION}; "
            "upgrade this program, or encode the images again."
        )


def _plain(kind: str) -> str:
    """Return the type without what says that values can be missing or are repeated."""
    for wrapper in ("LowCardinality(", "Nullable("):
        if kind.startswith(wrapper):
            kind = kind.removeprefix(wrapper).removesuffix(")")
    return kind
