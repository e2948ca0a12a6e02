"""How the app ends: it waits for a signal, lets what runs be finished, tells those who still wait, and goes."""

import os
import sys
import threading
import time
from typing import Any, NoReturn

__all__ = ["close_page", "leave", "wait_for_the_end"]

PATIENCE = 6.0  # seconds for questions that run or wait
DELIVERY = 0.3  # seconds for the last answers to leave


def wait_for_the_end() -> None:
    """Sleep until the main thread is interrupted, by Ctrl-C or by SIGTERM."""
    try:
        threading.Event().wait()
    except KeyboardInterrupt:
        return


def close_page(page: Any, patience: float = PATIENCE) -> None:
    """Answer what was asked of a launched ``gr.Blocks``, tell those who still wait that it ends, and free the port."""
    queue, end = page._queue, time.monotonic() + patience
    while _is_busy(queue) and time.monotonic() < end:
        time.sleep(0.05)
    time.sleep(DELIVERY)
    queue.close()
    for messages in list(queue.pending_messages_per_session.values()):
        messages.put_nowait(None)  # who still waits is told that the server stopped now, and not after a timeout
    page.close(verbose=False)


def leave() -> NoReturn:
    """End the process with 0 at once: a call of the model that still runs in a thread would hold up an orderly end."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)


def _is_busy(queue: Any) -> bool:
    """Tell whether a question runs or waits."""
    return len(queue) > 0 or any(queue.active_jobs)
