"""How the app ends: it waits for a signal, lets what runs be finished, tells those who still wait, and goes."""

import os
import signal
import sys
import threading
import time
from typing import Any, NoReturn

__all__ = ["close_page", "leave", "leave_when_asked", "wait_for_the_end"]

ASKED = (signal.SIGINT, signal.SIGTERM)
PATIENCE = 6.0  # seconds for questions that run or wait
DELIVERY = 0.3  # seconds for the last answers to leave


def leave_when_asked() -> None:
    """Let Ctrl-C and SIGTERM end the process at once, as long as there is nobody to answer.

    No exception would do: libraries that are being imported may catch it, or abort the process because of it.
    """
    for asked in ASKED:
        signal.signal(asked, lambda *_: leave())


def wait_for_the_end() -> None:
    """Sleep until Ctrl-C or SIGTERM, and let a second one interrupt what follows."""
    try:
        for asked in ASKED:
            signal.signal(asked, signal.default_int_handler)
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


def leave(status: int = 0) -> NoReturn:
    """End the process at once: a call of the model that still runs in a thread would hold up an orderly end."""
    try:
        sys.stdout.flush()
        sys.stderr.flush()
    finally:
        os._exit(status)


def _is_busy(queue: Any) -> bool:
    """Tell whether a question runs or waits."""
    return len(queue) > 0 or any(queue.active_jobs)
