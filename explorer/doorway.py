"""What stands at the port while the app is loading: a page that waits, and ``/health``; the standard library only."""

import errno
import json
import socket
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from socketserver import TCPServer
from types import TracebackType
from typing import Any

from concepthash.errors import ConceptHashError, ConfigError

__all__ = ["Doorway"]

PAGE = Path(__file__).resolve().parent.parent / "assets" / "loading.html"
UNEXPECTED = "Something unexpected failed; the server's log says what."
LINGERS = 4.0  # seconds that a failed start waits for the open pages to be told why
POLLED = 5.0  # seconds since its last question for which a page counts as open


class Doorway:
    """Answers every visitor with a page that says what is being loaded, until the block is left and the port is free.

    An error that leaves the block is told to the pages that wait, and goes on. Raises ConfigError for a port that
    cannot be listened on.
    """

    def __init__(self, host: str, port: int) -> None:
        self.doing, self.failed = "Starting", ""
        self._asked, self._told = -POLLED, threading.Event()
        self._server = _listen(host, port, self)

    def __enter__(self) -> "Doorway":
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if isinstance(error, Exception):
            self.failed = str(error) if isinstance(error, ConceptHashError) else UNEXPECTED
            if time.monotonic() - self._asked < POLLED:
                self._told.wait(LINGERS)
        self._server.shutdown()
        self._server.server_close()

    def state(self) -> dict[str, str]:
        """Return what ``/health`` says."""
        self._asked = time.monotonic()
        if not self.failed:
            return {"status": "loading", "doing": self.doing}
        self._told.set()
        return {"status": "failed", "doing": self.failed}


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, family: socket.AddressFamily, address: Any, doorway: Doorway) -> None:
        self.address_family, self.doorway, self.page = family, doorway, PAGE.read_bytes()
        super().__init__(address, _Answer)

    def server_bind(self) -> None:
        """Bind without asking a name server for the own name, which can take seconds."""
        TCPServer.server_bind(self)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Pass over visitors who leave before they are answered; tell the log of everything else."""
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)


class _Answer(BaseHTTPRequestHandler):
    """Says 503 to everything, so that nobody takes the page for the app: proxies, monitors, Gradio's own script.

    Only the page itself, which asks for ``/health?page``, is spared a line of error in the browser's console.
    """

    server: _Server
    timeout = 5  # seconds for a visitor who says nothing

    def do_GET(self) -> None:
        path, _, query = self.path.partition("?")
        is_health = path.rstrip("/").endswith("/health")
        content = json.dumps(self.server.doorway.state()).encode() if is_health else self.server.page
        self.send_response(200 if is_health and query == "page" else 503)
        self.send_header("Content-Type", "application/json" if is_health else "text/html; charset=utf-8")
        self.send_header("Content-Length", str(len(content)))
        self.send_header("Cache-Control", "no-store")
        self.send_header("Retry-After", "3")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    do_HEAD = do_POST = do_GET  # noqa: N815  # the names that the standard library looks for

    def log_message(self, format: str, *args: Any) -> None:
        """Keep the log for what matters."""


def _listen(host: str, port: int, doorway: Doorway) -> _Server:
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        return _Server(family, address, doorway)
    except OSError as error:
        taken = error.errno == errno.EADDRINUSE
        reason = "is in use" if taken else f"cannot be listened on ({error.strerror or error})"
        raise ConfigError(f"Port {port} on {host} {reason}; choose another one with --port or --host.") from error
