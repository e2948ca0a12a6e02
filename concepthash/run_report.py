"""How a long run tells others how it stands, and hears that it is to stop."""

import json
import signal
import time
from pathlib import Path
from typing import Any

from .errors import ConceptHashError

__all__ = ["STOPPED", "RunReport", "RunStoppedError"]

STOPPED = 75  # exit status of a run that was asked to stop and can go on: EX_TEMPFAIL
_PAUSE = 0.5  # seconds between two lines of `RunReport.tick`


class RunStoppedError(ConceptHashError):
    """The run was asked to stop; its state is kept."""


class RunReport:
    """Lines of JSON in a file, each with ``event`` and ``time``; nothing where there is no file.

    Parameters
    ----------
    file
        Appended to, so that a resumed run goes on in it; None writes nothing.
    """

    def __init__(self, file: Path | None) -> None:
        self.file = file
        self.is_to_stop = False
        self._last_tick = 0.0
        if file:
            file.parent.mkdir(parents=True, exist_ok=True)

    def listen(self) -> None:
        """Take SIGTERM as the wish to stop at the next good moment; a second one ends the process at once."""

        def stop(*_: object) -> None:
            self.is_to_stop = True
            signal.signal(signal.SIGTERM, signal.SIG_DFL)

        signal.signal(signal.SIGTERM, stop)

    def tell(self, event: str, **fields: Any) -> None:
        """Write one line."""
        if self.file:
            with self.file.open("a", encoding="utf-8") as opened:
                opened.write(json.dumps({"event": event, "time": time.time()} | fields) + "\n")

    def tick(self, event: str, **fields: Any) -> None:
        """Write one line, unless the last one is fresh.

        Raises
        ------
        RunStoppedError
            If the run is to stop, which this is a good moment for.
        """
        if time.monotonic() - self._last_tick >= _PAUSE:
            self._last_tick = time.monotonic()
            self.tell(event, **fields)
        if self.is_to_stop:
            raise RunStoppedError("Stopped as asked; run the same command again to go on.")
