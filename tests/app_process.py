"""The app as a process of its own, and the browser to look at it."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from types import TracebackType
from typing import Any

ROOT = Path(__file__).parents[1]


def find_chromium() -> str | None:
    names = ("chromium", "chromium-browser", "google-chrome")
    return os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, names)), None)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_for(address: str, process: subprocess.Popen[bytes], logs: Path, seconds: float = 120) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        assert process.poll() is None, logs.read_text()
        try:
            with urllib.request.urlopen(address, timeout=5):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.2)
    raise AssertionError(f"the app did not answer in {seconds} s: {logs.read_text()}")


class AppProcess:
    """The app at one port, to be started, ended and started again; log and cache lie in ``folder``."""

    def __init__(self, folder: Path, *arguments: str, script: str = "app.py", **environ: str) -> None:
        self.port, self.log = free_port(), folder / "app.log"
        self.address = f"http://127.0.0.1:{self.port}/"
        self._command = [sys.executable, script, "--port", str(self.port), "--device", "cpu", *arguments]
        self._environ = os.environ | {"CONCEPTHASH_CACHE": str(folder / "cache")} | environ
        self.process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> "AppProcess":
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.kill()
        if error is None:
            assert "Traceback" not in self.log.read_text(), self.log.read_text()

    def start(self) -> None:
        with self.log.open("a") as log:
            self.process = subprocess.Popen(self._command, cwd=ROOT, env=self._environ, stdout=log, stderr=log)

    def wait(self) -> None:
        """Wait until the app itself answers, and not the page that stands there while it loads."""
        assert self.process is not None
        wait_for(f"{self.address}health", self.process, self.log)

    def kill(self) -> None:
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    def ask_to_end(self) -> None:
        """Send SIGTERM, as a service manager does."""
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)

    def health(self) -> tuple[int, dict[str, Any]]:
        """Return status and content of ``/health``."""
        try:
            with urllib.request.urlopen(f"{self.address}health", timeout=5) as answer:
                return answer.status, json.load(answer)
        except urllib.error.HTTPError as error:
            return error.code, json.load(error)
