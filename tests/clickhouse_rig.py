"""A ClickHouse server for tests: chDB behind the HTTP interface, in a process that can be stopped and started."""

import importlib.util
import subprocess
import sys
from pathlib import Path
from types import TracebackType

import pytest

from concepthash.gallery.clickhouse_client import ClickHouseAddress, ClickHouseClient

needs_chdb = pytest.mark.skipif(
    not all(importlib.util.find_spec(name) for name in ("chdb", "clickhouse_connect")),
    reason="chdb and clickhouse-connect are not installed; tests/requirements.txt names them",
)
PASSWORD = "p@ss/w:rd"
QUOTED_PASSWORD = "p%40ss%2Fw%3Ard"


class ChdbServer:
    """Answers at ``port`` while it runs; what it holds lies in ``folder`` and outlives it."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.port = folder, 0
        self.start()

    def __enter__(self) -> "ChdbServer":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.kill()

    def start(self) -> None:
        """Run it, at the port it had before."""
        command = [sys.executable, str(Path(__file__).with_name("chdb_server.py"))]
        self.process = subprocess.Popen(
            [*command, str(self.folder), str(self.port), PASSWORD], stdout=subprocess.PIPE, text=True
        )
        assert self.process.stdout is not None
        self.port = int(self.process.stdout.readline())

    def kill(self) -> None:
        """End it at once, as a crash would."""
        self.process.kill()
        self.process.communicate()

    def url(self, database: str) -> str:
        return f"clickhouse://tester:{QUOTED_PASSWORD}@127.0.0.1:{self.port}/{database}"

    def new_database(self, name: str) -> str:
        """Make a database; its URL."""
        client = ClickHouseClient(ClickHouseAddress.from_url(self.url("default")))
        client.command(f"DROP DATABASE IF EXISTS `{name}`")
        client.command(f"CREATE DATABASE `{name}`")
        client.close()
        return self.url(name)
