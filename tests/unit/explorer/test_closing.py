"""How the app ends: what runs is answered, who still waits is told, and nothing holds it up for long."""

import threading
from queue import Queue as Messages
from types import SimpleNamespace
from typing import Any

import pytest

from explorer.closing import close_page


class Queue:
    """The queue of a page, with one question that runs and one visitor who waits for it."""

    def __init__(self) -> None:
        self.active_jobs: list[Any] = [None, ["question"]]
        self.messages: Messages[object] = Messages()
        self.pending_messages_per_session = {"visitor": self.messages}
        self.log: list[str] = []

    def __len__(self) -> int:
        return 0

    def close(self) -> None:
        self.log.append("running" if any(self.active_jobs) else "answered")


def page_of(queue: Queue) -> Any:
    return SimpleNamespace(_queue=queue, close=lambda verbose: queue.log.append("closed"))


def test_a_running_question_is_answered_first() -> None:
    queue = Queue()
    threading.Timer(0.2, lambda: queue.active_jobs.__setitem__(1, None)).start()
    close_page(page_of(queue), patience=60)
    assert queue.log == ["answered", "closed"]


@pytest.mark.parametrize("patience", [0.0, 0.1])
def test_who_waits_for_a_question_that_does_not_end_is_told(patience: float) -> None:
    queue = Queue()
    close_page(page_of(queue), patience=patience)
    assert queue.log == ["running", "closed"] and queue.messages.get_nowait() is None
