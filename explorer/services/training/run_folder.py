"""What is kept of one run, and where its parts lie."""

from dataclasses import dataclass
from pathlib import Path

from ...training_records import Plan

__all__ = ["RunFolder", "RunRecord"]


@dataclass(frozen=True)
class RunRecord:
    """What is kept of a run; ``state`` is "queued", "running", "stopped", "failed" or "done"."""

    name: str
    plan: Plan
    data: str  # folder of the images
    images: str  # name of the intake's folder, which stays as long as this run; "" for a folder of the operator
    n_images: int
    n_train: int
    queued: float
    state: str = "queued"
    said: str = ""
    seconds: float = 0.0  # of all its workers until the last one ended


@dataclass(frozen=True)
class RunFolder:
    """Where the parts of one run lie."""

    path: Path

    @property
    def record(self) -> Path:
        """What `RunRecord` holds."""
        return self.path / "run.json"

    @property
    def report(self) -> Path:
        """Lines of JSON by the worker."""
        return self.path / "report.jsonl"

    @property
    def log(self) -> Path:
        """What the worker prints."""
        return self.path / "log.txt"

    @property
    def comparison(self) -> Path:
        """Codes and maps before and after."""
        return self.path / "comparison.npz"

    @property
    def pid(self) -> Path:
        """Process id of the worker that holds `worker_lock`."""
        return self.path / "worker.pid"

    @property
    def worker_lock(self) -> Path:
        """Held by the worker while it lives."""
        return self.path / "worker.lock"

    @property
    def server_lock(self) -> Path:
        """Held by the server that started the worker and will say how it ended."""
        return self.path / "server.lock"

    @property
    def stop_wanted(self) -> Path:
        """There while somebody wants the run to stop."""
        return self.path / "stop"

    @property
    def stop_sent(self) -> Path:
        """There when the worker was told to stop: a second time would cut it short."""
        return self.path / "stop-sent"

    @property
    def opened(self) -> Path:
        """There once the visitor has opened the model."""
        return self.path / "opened"

    @property
    def checkpoint(self) -> Path:
        """The trained model, with its gallery inside."""
        return self.path / "model"
