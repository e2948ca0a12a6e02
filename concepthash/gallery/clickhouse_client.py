"""Talking to a ClickHouse server: its address as a URL, and every failure as one sentence without the password."""

import re
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import numpy as np

from ..errors import GalleryError
from .reason import reason_of

__all__ = ["ClickHouseAddress", "ClickHouseClient"]

_FORM = "clickhouse://user:password@host:port/database, or clickhouses:// for TLS"
_PORTS = {"clickhouse": 8123, "clickhouses": 8443}
_NAME = re.compile(r"[A-Za-z0-9_.-]+")
_REFUSED = {192, 193, 194, 516}  # ClickHouse's codes for an unknown user and a wrong or missing password
_MISSING = {60, 81}  # and for an unknown table or database


@dataclass(frozen=True)
class ClickHouseAddress:
    """Where a gallery lies on a ClickHouse server.

    Attributes
    ----------
    host, port, is_encrypted
        The server's HTTP interface.
    database
        Name of the database, which holds one gallery.
    user, password
        As whom.
    cluster
        Name of the cluster whose machines share the rows; empty for one machine.
    """

    host: str
    port: int
    is_encrypted: bool
    database: str
    user: str = "default"
    password: str = field(default="", repr=False)
    cluster: str = ""

    @classmethod
    def from_url(cls, url: str) -> "ClickHouseAddress":
        """Read ``clickhouse://user:password@host:port/database?cluster=NAME``; ``clickhouses://`` is encrypted.

        Raises
        ------
        GalleryError
            If the URL has another form; the message does not repeat it, as a password may stand in it.
        """
        try:
            parts = urlsplit(url)
            port, options = parts.port, parse_qs(parts.query, keep_blank_values=True)
        except ValueError:
            parts, port, options = urlsplit(""), None, {}
        database, cluster = unquote(parts.path.removeprefix("/")), options.pop("cluster", [""])[0]
        is_known = parts.scheme in _PORTS and bool(parts.hostname) and not options
        if not is_known or not all(_NAME.fullmatch(name) for name in (database, cluster or "-")):
            raise GalleryError(f"The address of the gallery is none; write {_FORM}, and ?cluster=NAME for a cluster.")
        return cls(
            host=parts.hostname or "",
            port=port or _PORTS[parts.scheme],
            is_encrypted=parts.scheme == "clickhouses",
            database=database,
            user=unquote(parts.username or "default"),
            password=unquote(parts.password or ""),
            cluster=cluster,
        )

    def __str__(self) -> str:
        """Without user and password."""
        return f"clickhouse{'s' if self.is_encrypted else ''}://{self.host}:{self.port}/{self.database}"


class ClickHouseClient:
    """Statements for one server; connects when needed, and again after a failure. Threads may share it.

    Parameters
    ----------
    address
        The server and the database.

    Raises
    ------
    GalleryError
        From every method, if clickhouse-connect is not installed, or the server is away, refuses, or lacks something.
    """

    def __init__(self, address: ClickHouseAddress) -> None:
        self.address = address
        self._client: Any = None
        self._connecting = threading.Lock()

    def fetch(self, text: str, texts: Mapping[str, str] | None = None) -> dict[str, np.ndarray]:
        """Run a SELECT; columns by name, object where values can be missing, texts or lists."""
        bound = dict(texts or {}) or None
        with self._explained() as client:
            with client.query_column_block_stream(text, parameters=bound) as stream:
                names, kinds = stream.source.column_names, [kind.name for kind in stream.source.column_types]
                blocks = [[*map(_array, block, kinds)] for block in stream]  # not as lists, which are many times larger
            if not names:  # without a row, there is no header either
                names, kinds = client.query(f"DESCRIBE TABLE ({text})", parameters=bound).result_columns[:2]
        columns = zip(*blocks, strict=True) if blocks else ([_array([], kind)] for kind in kinds)
        return {name: np.concatenate(parts) for name, parts in zip(names, columns, strict=True)}

    def command(self, text: str) -> None:
        """Run a statement that returns nothing."""
        with self._explained() as client:
            client.command(text)

    def insert(self, table: str, types: Mapping[str, str], rows: Sequence[Sequence[object]]) -> None:
        """Insert rows as one block, on all machines of a cluster before this returns."""
        if not rows:
            return
        settings = {"async_insert": 0, "max_insert_block_size": max(len(rows), 1 << 20)}
        if self.address.cluster:
            settings["insert_distributed_sync"] = 1
        with self._explained() as client:
            client.insert(
                table, rows, column_names=list(types), column_type_names=list(types.values()), settings=settings
            )

    def close(self) -> None:
        """Let go of the connection; the next statement opens another."""
        with self._connecting:
            client, self._client = self._client, None
        if client is not None:
            client.close()

    @contextmanager
    def _explained(self) -> Iterator[Any]:
        try:
            from clickhouse_connect.driver.exceptions import ClickHouseError
            from urllib3.exceptions import HTTPError
        except ImportError as error:
            raise GalleryError(
                f"A gallery on ClickHouse needs clickhouse-connect, which is not installed ({error}); "
                "run pip install clickhouse-connect."
            ) from error
        try:
            yield self._connected()
        except (ClickHouseError, HTTPError, OSError) as error:
            self.close()
            raise GalleryError(self._sentence(error)) from None  # its chain may show how it was called

    def _connected(self) -> Any:
        import clickhouse_connect

        address = self.address
        with self._connecting:
            if self._client is None:
                self._client = clickhouse_connect.get_client(
                    host=address.host,
                    port=address.port,
                    secure=address.is_encrypted,
                    username=address.user,
                    password=address.password,
                    database=address.database,
                    connect_timeout=5,
                    autogenerate_session_id=False,  # threads could not share a session
                )
            return self._client

    def _sentence(self, error: Exception) -> str:
        code = getattr(error, "code", None)
        if code in _REFUSED:
            return f"ClickHouse at {self.address} refuses the user {self.address.user!r}; check user and password."
        if code in _MISSING:
            return f"There is no gallery at {self.address}; make one with python -m concepthash.encode --engine."
        reason = reason_of(error).split(" (for url")[0].split("DB::Exception: ")[-1].rstrip(".")[:300]
        if self.address.password:
            reason = reason.replace(self.address.password, "***")
        if code is None:
            return f"ClickHouse at {self.address} does not answer ({reason}); see that it runs there, and try again."
        return f"ClickHouse at {self.address} cannot do this ({reason}); see to it there, and try again."


def _array(values: Sequence[object], kind: str) -> np.ndarray:
    if kind.startswith(("Int", "UInt")):
        return np.array(values, dtype=np.int64)
    if kind.startswith("Float"):
        return np.array(values, dtype=np.float64)
    column = np.empty(len(values), dtype=object)
    column[:] = values
    return column
