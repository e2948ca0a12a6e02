"""A bounded cache in which two visitors who ask the same thing at once wait for one computation."""

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from concurrent.futures import Future
from typing import Any, TypeVar

__all__ = ["AnswerCache"]

T = TypeVar("T")


class AnswerCache:
    """Keeps the ``size`` answers used last; a failed computation is forgotten, so asking again tries again."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._answers: OrderedDict[Hashable, Future[Any]] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: Hashable, compute: Callable[[], T]) -> T:
        """Return the answer for ``key``, from ``compute`` when nobody has asked or is asking."""
        with self._lock:
            future = self._answers.get(key)
            is_mine = future is None
            if future is None:
                future = self._answers[key] = Future()
            self._answers.move_to_end(key)
            while len(self._answers) > self._size:
                self._answers.popitem(last=False)
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
                    del self._answers[key]
            future.set_exception(error)

    def __len__(self) -> int:
        return len(self._answers)
