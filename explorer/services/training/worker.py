"""One training process: how it is started, told to stop, and found again by a later server."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

from ...settings import ROOT, Settings
from .locks import is_held
from .run_folder import RunFolder, RunRecord

__all__ = ["Command", "be_nice", "kill", "launch", "note_launch", "pid_of", "send_stop", "train_command"]

NICE = 10
HOLD_OUT = 0.2  # of the images of each class
N_VIEWS = 8  # augmented views of an image: half of what the command takes, and half of the wait before the first epoch
Command = Callable[[RunRecord, Path, Path], Sequence[str]]  # of a run, its checkpoint to be, and its report


def train_command(settings: Settings, start_of: Callable[[str], Path]) -> Command:
    """Return what trains a run with ``python -m concepthash.train``; ``start_of`` finds a checkpoint by name."""

    def command(record: RunRecord, out: Path, report: Path) -> Sequence[str]:
        plan = record.plan
        words = [sys.executable, "-m", "concepthash.train", "--from", str(start_of(plan.start).resolve())]
        words += ["--data", record.data, "--out", str(out), "--report", str(report), "--gallery"]
        words += ["--hold-out", f"{HOLD_OUT:g}", "--concepts", str(plan.n_concepts), "--bits", str(plan.n_bits)]
        words += ["--epochs", str(plan.epochs), "--device", settings.device]
        words += ["--cache-gb", f"{settings.training_cache_gb:g}", "--views", str(N_VIEWS)]
        if plan.language == "none":
            words += ["--centers", "learnable"]
        else:
            words += ["--centers", "language", "--text-encoder", plan.language]
        for term, weight in plan.weights:
            words += [f"--{term}-weight", f"{weight:g}"]
        return words

    return command


def launch(folder: RunFolder, command: Sequence[str], locks: Sequence[int]) -> "subprocess.Popen[bytes]":
    """Start the worker in a session of its own; it holds ``locks`` until it ends, whatever becomes of this server."""
    with folder.log.open("ab") as log:
        process = subprocess.Popen(  # noqa: S603  # a fixed program; a visitor's words are only ever values of options
            list(command),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,  # figures for programs, which the report has, too
            stderr=log,
            cwd=ROOT,
            pass_fds=tuple(locks),
            start_new_session=True,
        )
    be_nice(process.pid)
    try:
        folder.pid.write_text(str(process.pid))
    except OSError:
        _kill_group(process.pid)
        process.wait()
        raise
    return process


def note_launch(report: Path) -> None:
    """Write into the report that a new worker begins."""
    with report.open("a", encoding="utf-8") as opened:
        opened.write("\n" + json.dumps({"event": "launch", "time": time.time()}) + "\n")  # behind half a line, maybe


def be_nice(pid: int) -> None:
    """Let everybody else go first; in a session of its own, Linux weighs the session, not the process."""
    with suppress(OSError, AttributeError):
        os.setpriority(os.PRIO_PROCESS, pid, NICE)
    with suppress(OSError):
        if _leads_its_session(pid):  # the session of another process is that of the server itself
            Path(f"/proc/{pid}/autogroup").write_text(str(NICE))


def pid_of(folder: RunFolder) -> int | None:
    """Return the process id of a run's worker; None where none is alive."""
    if not is_held(folder.worker_lock):
        return None
    with suppress(OSError, ValueError):
        pid = int(folder.pid.read_text())
        return pid if pid > 1 and _leads_its_session(pid) else None
    return None


def send_stop(folder: RunFolder) -> None:
    """Ask the worker to save and end."""
    pid = pid_of(folder)
    if pid is not None:
        with suppress(ProcessLookupError, PermissionError):
            os.kill(pid, signal.SIGTERM)


def kill(folder: RunFolder, seconds: float = 5.0) -> None:
    """End the worker and all it started at once, and wait until it is gone."""
    pid = pid_of(folder)
    if pid is None:
        return
    _kill_group(pid)
    for _ in range(round(seconds / 0.05)):
        if not is_held(folder.worker_lock):
            return
        time.sleep(0.05)


def _kill_group(pid: int) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)


def _leads_its_session(pid: int) -> bool:
    """Whether a process was started as `launch` does; one that merely got the same number later hardly was."""
    with suppress(OSError):
        return os.getpgid(pid) == pid and os.getsid(pid) == pid
    return False
