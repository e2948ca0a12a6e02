"""How many calls may run and wait at once, and for how long: whoever comes later, or waits longer, is told so."""

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, TypeVar

from concepthash.errors import ConceptHashError

__all__ = ["BusyError", "Gate", "TooLateError"]

T = TypeVar("T")


class BusyError(ConceptHashError):
    """Too many calls wait already."""


class TooLateError(ConceptHashError):
    """A call was not answered in time."""


class Gate:
    """Runs calls in ``n_running`` threads of its own; ``n_waiting`` more may wait, each for ``seconds`` in all.

    A call that is running when its time is over is left to end, so no more than ``n_running`` ever run.
    """

    def __init__(self, n_running: int, n_waiting: int, seconds: float) -> None:
        self._n_running, self._n_waiting, self._seconds = n_running, n_waiting, seconds
        self._pool = ThreadPoolExecutor(n_running, "call")
        self._n_inside = 0
        self._lock = threading.Lock()

    @property
    def running(self) -> int:
        """Calls that are at work."""
        return min(self._n_inside, self._n_running)

    @property
    def waiting(self) -> int:
        """Calls that wait for one of them to end."""
        return self._n_inside - self.running

    @property
    def is_full(self) -> bool:
        """Whether the next call would be refused."""
        return self._n_inside >= self._n_running + self._n_waiting

    async def run(self, call: Callable[[], T]) -> T:
        """Return what ``call`` returns, or raise what it raises.

        Raises
        ------
        BusyError, TooLateError
            If too many wait, or it took too long.
        """
        self._enter()
        future = self._pool.submit(_survive, call)
        future.add_done_callback(self._leave)
        try:
            return await asyncio.wait_for(asyncio.wrap_future(future), self._seconds)
        except asyncio.TimeoutError as error:  # one that still waits is cancelled by this, and never runs
            raise TooLateError(
                f"This took longer than {self._seconds:g} s; try again when less is going on."
            ) from error

    def _enter(self) -> None:
        with self._lock:
            if self.is_full:
                raise BusyError(f"{self.waiting} calls are waiting already; try again in some seconds.")
            self._n_inside += 1

    def _leave(self, _: "Future[Any]") -> None:
        with self._lock:
            self._n_inside -= 1


def _survive(call: Callable[[], T]) -> T:
    """Keep what would end the thread from ending the server, which waits for the answer."""
    try:
        return call()
    except Exception:
        raise
    except BaseException as error:
        raise RuntimeError(f"A call ended with {type(error).__name__}") from error
