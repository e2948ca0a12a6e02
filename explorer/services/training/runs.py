"""The runs of all visitors on disk: one folder each, whose name no run can be opened with."""

import dataclasses
import logging
import os
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from concepthash.errors import DataError, QueryError

from ...training_records import Plan
from .locks import is_held
from .names import folder_of_run
from .run_folder import RunFolder, RunRecord
from .storage import TRAINING, disk_errors, make_folder, read_object, remove, write_object

__all__ = ["LOST", "RunStore"]

LOST = "This training run is not here: it was deleted, or nobody asked for it for too long; start a new one."
_log = logging.getLogger(__name__)


class RunStore:
    """Reads and writes records; what a full disk refuses is kept in memory until it can be written."""

    def __init__(self, cache: Path, now: Callable[[], float] = time.time) -> None:
        self.root, self._now = cache / TRAINING / "runs", now
        self._unsaved: dict[Path, RunRecord] = {}
        self._lock = threading.RLock()

    def find(self, run: str) -> tuple[RunFolder, RunRecord]:
        """Return the run of a secret name.

        Raises
        ------
        QueryError
            If there is none.
        """
        folder = RunFolder(self.root / folder_of_run(run))
        record = self.load(folder)
        if record is None:
            raise QueryError(LOST)
        return folder, record

    def all(self) -> list[tuple[RunFolder, RunRecord]]:
        """Return every run, those that wait longest first."""
        with suppress(OSError):
            folders = [RunFolder(Path(entry.path)) for entry in os.scandir(self.root)]
            found = [(folder, record) for folder in folders if (record := self.load(folder)) is not None]
            return sorted(found, key=lambda pair: (pair[1].queued, pair[0].path.name))
        return []

    def waiting(self) -> list[RunFolder]:
        """Return the runs that wait for a worker, in their order."""
        return [folder for folder, record in self.all() if record.state == "queued"]

    def create(self, run: str, record: RunRecord) -> RunFolder:
        """Make the folder of a new run; a full disk leaves nothing behind."""
        folder = RunFolder(self.root / folder_of_run(run))
        with disk_errors("the run cannot be started"):
            try:
                make_folder(self.root)
                folder.path.mkdir(mode=0o700)
                write_object(folder.record, dataclasses.asdict(record))
            except OSError:
                remove(folder.path)
                raise
        return folder

    def load(self, folder: RunFolder) -> RunRecord | None:
        """Read a record; None where there is no run."""
        with self._lock:
            if folder.path in self._unsaved and folder.path.is_dir():
                return self._unsaved[folder.path]
        content = read_object(folder.record)
        if content is None:
            return None
        try:
            plan = content.pop("plan")
            weights = tuple((str(term), float(weight)) for term, weight in plan.pop("weights"))
            return RunRecord(plan=Plan(**plan, weights=weights), **content)
        except (KeyError, TypeError, ValueError):
            return None

    def save(self, folder: RunFolder, record: RunRecord) -> None:
        """Write a record, now or as soon as the disk takes it; a run that is gone stays gone."""
        with self._lock:
            if not folder.path.is_dir():
                self._unsaved.pop(folder.path, None)
                return
            self._unsaved[folder.path] = record
            try:
                write_object(folder.record, dataclasses.asdict(record))
            except OSError as error:
                _log.warning("The state of a training run cannot be written (%s); it is tried again.", error.strerror)
                return
            del self._unsaved[folder.path]

    def save_rest(self) -> None:
        """Write what could not be written before."""
        with self._lock:
            for path, record in list(self._unsaved.items()):
                self.save(RunFolder(path), record)

    def touch(self, folder: RunFolder) -> None:
        """Remember that the run was asked for now, so that it is kept for longer."""
        with suppress(OSError):
            os.utime(folder.record, (self._now(), self._now()))

    def images_in_use(self) -> set[str]:
        """Name the folders of images that a run still needs."""
        return {record.images for _, record in self.all() if record.images}

    def delete(self, folder: RunFolder) -> None:
        """Remove a run that no worker writes to."""
        if is_held(folder.worker_lock):
            raise DataError("This run still trains and cannot be deleted yet; try again in a moment.")
        with self._lock:
            self._unsaved.pop(folder.path, None)
            with suppress(OSError):  # first of all, so that nobody finds a half of it
                folder.record.unlink()
            remove(folder.path)

    def sweep(self, seconds: float) -> None:
        """Remove runs that ended and were not asked for within ``seconds``, and folders that are no runs."""
        with suppress(OSError):
            for entry in list(os.scandir(self.root)):
                folder = RunFolder(Path(entry.path))
                record, age = self.load(folder), self._now() - _changed(folder)
                is_left = record is None and age > 60  # one that another server makes at this moment is younger
                is_old = record is not None and record.state not in ("queued", "running") and age > seconds
                if (is_left or is_old) and not is_held(folder.worker_lock):
                    self.delete(folder)


def _changed(folder: RunFolder) -> float:
    for file in (folder.record, folder.path):
        with suppress(OSError):
            return file.stat().st_mtime
    return 0.0
