"""How long a run will take on this computer: from the last one like it, or from a few steps that are timed."""

import json
import logging
import subprocess
import tempfile
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from concepthash.errors import QueryError

from ...settings import ROOT
from ...training_records import Plan
from .locks import try_lock, unlock
from .report import Progress
from .run_folder import RunRecord
from .storage import disk_errors, make_folder, read_object, remove, write_object
from .supervisor import GATE
from .worker import Command, be_nice

__all__ = ["Speeds"]

RETRY = 300.0  # seconds after which what could not be timed is tried again
BUSY = "How long this takes cannot be measured while another training runs; start it all the same, and it waits."
FAILED = "How long this takes could not be measured; start it all the same, and step Run tells the time left."
_log = logging.getLogger(__name__)


class Speeds:
    """Seconds an image takes in each phase, by the model that training starts from."""

    def __init__(self, root: Path, command: Command, timeout: float = 240.0) -> None:
        self._root, self._file, self._command, self._timeout = root, root / "speed.json", command, timeout
        self._lock, self._is_timing, self._failed = threading.Lock(), False, dict[str, float]()
        self._process: subprocess.Popen[bytes] | None = None

    def left(self, plan: Plan, n_images: int, n_train: int, phases: Sequence[str]) -> float | None:
        """Return the seconds that some phases of a run take; None where nothing like it ran here before."""
        kept = (read_object(self._file) or {}).get(plan.start)
        if not isinstance(kept, dict):
            return None
        sizes = {"preparing": n_images, "training": n_train * plan.epochs, "finishing": n_images}
        try:
            return sum(float(kept[phase]) * sizes[phase] for phase in phases)
        except (KeyError, TypeError, ValueError):
            return None

    def learn(self, record: RunRecord, progress: Progress) -> None:
        """Remember how long a run took that no stop broke in two."""
        n_images = progress.n_train + progress.n_test
        if progress.first_step == 0 and progress.epochs and {"training", "finishing"} <= set(progress.seconds):
            self._keep(record.plan, progress.seconds, n_images, progress.n_train)

    def ask(self, record: RunRecord) -> None:
        """Begin to time a few steps of a plan, unless something is being timed.

        Raises
        ------
        QueryError
            If a worker would be disturbed, or if the last attempt has just failed.
        """
        with self._lock, disk_errors("how long this takes cannot be measured"):
            if self._is_timing:
                return
            make_folder(self._root)
            gate = try_lock(self._root / GATE)
            if gate is None:
                raise QueryError(BUSY)
            if time.monotonic() < self._failed.get(record.plan.start, 0.0):
                unlock(gate)
                raise QueryError(FAILED)
            self._is_timing = True
        threading.Thread(target=self._time, args=(record, gate), name="estimate", daemon=True).start()

    def sweep(self) -> None:
        """Remove what a server that was killed while it timed something has left."""
        with suppress(OSError):
            left = list(self._root.glob("estimate-*"))
            gate = try_lock(self._root / GATE) if left else None
            if gate is not None:
                for folder in left:
                    remove(folder)
                unlock(gate)

    def close(self) -> None:
        """End what is being timed."""
        if self._process is not None:
            self._process.kill()

    def _time(self, record: RunRecord, gate: int) -> None:
        folder = None
        try:
            folder = Path(tempfile.mkdtemp(prefix="estimate-", dir=self._root))
            command = [*self._command(record, folder / "model", folder / "report.jsonl"), "--estimate"]
            said = json.loads(self._output(command).splitlines()[-1])
            seconds = {"preparing": said["features"], "training": said["training"], "finishing": said["finishing"]}
            self._keep(record.plan, seconds, record.n_images, record.n_train)
        except Exception as error:  # an estimate is worth having, and nothing more
            self._failed[record.plan.start] = time.monotonic() + RETRY
            _log.info("How long training takes could not be measured: %s", type(error).__name__)
        finally:
            if folder is not None:
                remove(folder)
            unlock(gate)
            self._is_timing = False

    def _output(self, command: Sequence[str]) -> str:
        pipe, none = subprocess.PIPE, subprocess.DEVNULL
        with subprocess.Popen(list(command), stdin=none, stdout=pipe, stderr=none, cwd=ROOT) as process:  # noqa: S603
            self._process = process
            be_nice(process.pid)
            try:
                return process.communicate(timeout=self._timeout)[0].decode()
            finally:
                process.kill()
                self._process = None

    def _keep(self, plan: Plan, seconds: dict[str, float], n_images: int, n_train: int) -> None:
        sizes = {"preparing": n_images, "training": n_train * plan.epochs, "finishing": n_images}
        rates = {phase: max(0.0, float(seconds[phase])) / max(1, size) for phase, size in sizes.items()}
        with self._lock, suppress(OSError):
            make_folder(self._root)
            write_object(self._file, (read_object(self._file) or {}) | {plan.start: rates})
