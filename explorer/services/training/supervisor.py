"""What starts waiting runs one at a time, tells workers to stop, and says how each of them ended."""

import subprocess
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from concepthash.errors import ConceptHashError, QueryError

from .endings import ending
from .heartbeat import Heartbeat
from .locks import is_held, try_lock, unlock
from .report import Progress, ReportReader
from .run_folder import RunFolder, RunRecord
from .runs import RunStore
from .storage import disk_errors
from .wishes import StopWishes
from .worker import Command, kill, launch, note_launch

__all__ = ["GATE", "Supervisor"]

GATE = "worker.lock"  # held by the one worker of all servers that share a cache folder


@dataclass(frozen=True)
class _Own:
    """A worker that this server started, and the lock that says that this server looks after it."""

    process: "subprocess.Popen[bytes]"
    server_lock: int


class Supervisor:
    """Looks after the runs of a store; whatever is on disk is enough for another server to go on."""

    def __init__(
        self,
        store: RunStore,
        reports: ReportReader,
        command: Command,
        on_done: Callable[[RunRecord, Progress], None],
        chores: Sequence[Callable[[], None]],
        *,
        pause: float,
        patience: float,
    ) -> None:
        self._store, self._reports, self._command, self._on_done = store, reports, command, on_done
        self._wishes = StopWishes(patience)
        self._own: dict[Path, _Own] = {}
        self._lock = threading.RLock()
        self._heartbeat = Heartbeat(self.tick, chores, self.close, pause)

    def wake(self) -> None:
        """Look at the runs now; the first time, begin to look at them at all."""
        self._heartbeat.wake()

    def stop(self, folder: RunFolder) -> None:
        """Want a run to stop; its worker is told by the server that looks after it."""
        with self._lock:
            record = self._store.load(folder)
            if record is not None and record.state == "queued":
                self._finish(folder, replace(record, state="stopped", said=""))
            elif record is not None and record.state == "running":
                self._wishes.add(folder)
        self.wake()

    def resume(self, folder: RunFolder, now: float) -> None:
        """Let a run that was stopped or has failed wait for a worker again."""
        with self._lock:
            record = self._store.load(folder)
            if record is None or record.state not in ("stopped", "failed"):
                raise QueryError("This run needs no resuming: it waits, trains or is done.")
            self._finish(folder, replace(record, state="queued", said="", queued=now))
        self.wake()

    def delete(self, folder: RunFolder) -> None:
        """End a run's worker at once, and remove all there is of the run."""
        with self._lock:
            kill(folder)
            with suppress(KeyError, subprocess.TimeoutExpired):
                self._own[folder.path].process.wait(5)
            self._let_go(folder.path)
            self._store.delete(folder)
            self._wishes.forget(folder)

    def close(self) -> None:
        """Stop looking; workers of this server save and end, for another server to go on with."""
        self._heartbeat.close()
        with self._lock:
            for path in list(self._own):
                self._wishes.add(RunFolder(path))
                self._wishes.tell(RunFolder(path))
            for path, own in list(self._own.items()):
                with suppress(subprocess.TimeoutExpired):
                    own.process.wait(10)
                    self._tend(RunFolder(path), self._store.load(RunFolder(path)))
                self._let_go(path)

    def tick(self) -> bool:
        """Look at every run once; whether there is something to look at again soon."""
        with self._lock:
            if self._heartbeat.is_closed:
                return False
            self._store.save_rest()
            runs = self._store.all()
            for folder, record in runs:
                self._tend(folder, record)
            for path in set(self._own) - {folder.path for folder, _ in runs}:  # another server deleted it
                self._let_go(path)
            self._launch_next()
            return any(record.state in ("queued", "running") for _, record in runs)

    def _tend(self, folder: RunFolder, record: RunRecord | None) -> None:
        own = self._own.get(folder.path)
        code = own.process.poll() if own else None
        is_alive = code is None if own else is_held(folder.worker_lock)
        if record is None or record.state != "running" or (not own and is_held(folder.server_lock)):
            return  # the server that started it looks after it
        if not is_alive:
            self._settle(folder, record, code)
        elif self._wishes.has(folder):
            self._wishes.tell(folder)

    def _settle(self, folder: RunFolder, record: RunRecord, code: int | None) -> None:
        progress = self._reports.progress(folder.report)
        state, said = ending(folder, progress, code, is_asked=self._wishes.has(folder))
        seconds = record.seconds + max(0.0, progress.last - progress.launched)
        self._finish(folder, replace(record, state=state, said=said, seconds=seconds))
        if state == "done":
            self._on_done(record, progress)

    def _finish(self, folder: RunFolder, record: RunRecord) -> None:
        self._store.save(folder, record)
        self._wishes.forget(folder)
        with suppress(OSError):
            folder.pid.unlink(missing_ok=True)
        self._let_go(folder.path)

    def _let_go(self, path: Path) -> None:
        """Leave a run to whichever server wants to look after it."""
        own = self._own.pop(path, None)
        unlock(own.server_lock if own else None)

    def _launch_next(self) -> None:
        """Start the run that waits longest, unless a worker is at work anywhere."""
        waiting = self._store.waiting()
        gate = try_lock(self._store.root.parent / GATE) if waiting else None
        if gate is None:
            return
        folder, locks = waiting[0], [gate]
        try:
            record = self._store.load(folder)
            if record is not None and record.state == "queued":
                with disk_errors("this run cannot go on"):
                    self._launch(folder, record, locks)
        except ConceptHashError as error:
            assert record is not None
            self._finish(folder, replace(record, state="failed", said=str(error)))
        finally:
            for lock in locks:
                unlock(lock)

    def _launch(self, folder: RunFolder, record: RunRecord, locks: list[int]) -> None:
        if self._wishes.has(folder):
            self._finish(folder, replace(record, state="stopped", said=""))
            return
        command = self._command(record, folder.checkpoint, folder.report)
        server, worker = try_lock(folder.server_lock), try_lock(folder.worker_lock)
        if worker is not None:
            locks.append(worker)
        if server is None or worker is None:  # somebody looks whether they are held; soon nobody does
            return unlock(server)
        try:
            note_launch(folder.report)
            self._store.save(folder, replace(record, state="running", said=""))
            process = launch(folder, command, locks)
        except BaseException:
            unlock(server)
            raise
        self._own[folder.path] = _Own(process, server)
