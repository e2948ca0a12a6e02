"""A bounded cache in which two visitors who ask the same thing at once wait for one computation."""

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable
from concurrent.futures import Future
from typing import Any, TypeVar

__all__ = ["AnswerCache"]

T = TypeVar("T")


class AnswerCache:
    """Keeps the ``size`` answers used last; a failed computation is forgotten, so asking again tries again.

    `sweep` forgets those that were computed more than ``seconds`` ago.
    """

    def __init__(self, size: int, seconds: float = float("inf"), clock: Callable[[], float] = time.monotonic) -> None:
        self._size, self.seconds, self._clock = size, seconds, clock
        self._answers: OrderedDict[Hashable, Future[Any]] = OrderedDict()
        self._asked: dict[Hashable, float] = {}
        self._lock = threading.Lock()

    def get(self, key: Hashable, compute: Callable[[], T]) -> T:
        """Return the answer for ``key``, from ``compute`` when nobody has asked or is asking."""
        with self._lock:
            future = self._answers.get(key)
            is_mine = future is None
            if future is None:
                future = self._answers[key] = Future()
                self._asked[key] = self._clock()
            self._answers.move_to_end(key)
            while len(self._answers) > self._size:
                self._forget(next(iter(self._answers)))
        if is_mine:
            self._fill(key, future, compute)
        answer: T = future.result()
        return answer

    def _fill(self, key: Hashable, future: "Future[Any]", compute: Callable[[], Any]) -> None:
        try:
            future.set_result(compute())
        except BaseException as error:
            with self._lock:
                if self._answers.get(key) is future:
                    self._forget(key)
            future.set_exception(error)

    def sweep(self) -> None:
        """Forget what was computed too long ago."""
        oldest = self._clock() - self.seconds
        with self._lock:
            for key in [key for key, asked in self._asked.items() if asked < oldest]:
                self._forget(key)

    def _forget(self, key: Hashable) -> None:
        del self._answers[key], self._asked[key]

    def __contains__(self, key: Hashable) -> bool:
        return key in self._answers

    def __len__(self) -> int:
        return len(self._answers)
