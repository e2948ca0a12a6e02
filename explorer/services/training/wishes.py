"""Which runs are to stop, and how their workers are told: once, since a second time cuts them short."""

import time
from contextlib import suppress
from pathlib import Path

from .run_folder import RunFolder
from .storage import mark
from .worker import kill, send_stop

__all__ = ["StopWishes"]


class StopWishes:
    """Wishes lie on disk, for other servers and later ones; with a full disk this server still knows its own."""

    def __init__(self, patience: float) -> None:
        self._patience = patience
        self._told: dict[Path, float] = {}  # by folder of the run, when its worker was told; 0 = not yet

    def add(self, folder: RunFolder) -> None:
        """Want a run to stop."""
        with suppress(OSError):
            mark(folder.stop_wanted)
        self._told.setdefault(folder.path, 0.0)

    def has(self, folder: RunFolder) -> bool:
        """Whether somebody wants a run to stop."""
        return folder.path in self._told or folder.stop_wanted.exists()

    def tell(self, folder: RunFolder) -> None:
        """Tell a run's worker to save and end; one that does not answer for long is ended."""
        told = self._told.get(folder.path, 0.0)
        if told:
            if time.monotonic() - told > self._patience:
                kill(folder, 0.0)
            return
        self._told[folder.path] = time.monotonic()
        is_first = True
        with suppress(OSError):
            is_first = mark(folder.stop_sent)
        if is_first:
            send_stop(folder)

    def forget(self, folder: RunFolder) -> None:
        """Let a run go on when it is started again."""
        self._told.pop(folder.path, None)
        for file in (folder.stop_wanted, folder.stop_sent):
            with suppress(OSError):
                file.unlink(missing_ok=True)
