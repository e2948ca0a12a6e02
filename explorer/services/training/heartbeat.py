"""The thread that looks after training runs again and again."""

import atexit
import logging
import threading
import time
from collections.abc import Callable, Sequence

__all__ = ["Heartbeat"]

_log = logging.getLogger(__name__)
CHORES = 60.0  # seconds between two cleanings


class Heartbeat:
    """Calls ``look`` from when it is first woken: often while that says so, else ten times less often.

    ``at_exit`` is called when the program ends and nobody called `close`.
    """

    def __init__(
        self,
        look: Callable[[], bool],
        chores: Sequence[Callable[[], None]],
        at_exit: Callable[[], None],
        pause: float,
    ) -> None:
        self._look, self._chores, self._at_exit, self._pause = look, chores, at_exit, pause
        self._lock, self._news, self._next_chores = threading.Lock(), threading.Event(), 0.0
        self._thread: threading.Thread | None = None
        self.is_closed = False

    def wake(self) -> None:
        """Look now."""
        with self._lock:
            if self._thread is None and not self.is_closed:
                self._thread = threading.Thread(target=self._run, name="training", daemon=True)
                self._thread.start()
                atexit.register(self._at_exit)
        self._news.set()

    def close(self) -> None:
        """Never look again."""
        self.is_closed = True
        self._news.set()
        atexit.unregister(self._at_exit)

    def _run(self) -> None:
        while not self.is_closed:
            is_busy = True
            try:
                is_busy = self._look()
                if time.monotonic() >= self._next_chores:
                    self._next_chores = time.monotonic() + CHORES
                    for chore in self._chores:
                        chore()
            except Exception:  # whatever it is, the next run must still be looked after
                _log.exception("Looking after training runs failed")
            self._news.wait(self._pause if is_busy else 10 * self._pause)
            self._news.clear()
