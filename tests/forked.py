"""Processes to be killed, forked from one that has imported what takes seconds."""

from collections.abc import Callable
from contextlib import suppress
from multiprocessing import get_context
from typing import Any

HEAVY = [
    "torch.distributed",
    "torch._dynamo",
    "concepthash.encode_update",
    "concepthash.gallery.merging",
    "concepthash.train",
]
_context = get_context("forkserver")
_context.set_forkserver_preload(HEAVY)


class Forked:
    """``target`` in a process of its own, which is handed what sends words back, and then ``arguments``."""

    def __init__(self, target: Callable[..., None], *arguments: Any) -> None:
        self._words, send = _context.Pipe(duplex=False)
        self._process = _context.Process(target=target, args=(send.send, *arguments))
        self._process.start()
        send.close()

    def end(self, seconds: float = 120) -> tuple[int | None, str]:
        """Wait for the end; exit code (the signal's, negative, of one that was killed) and what was sent last."""
        self._process.join(seconds)
        assert self._process.exitcode is not None, f"it has not ended within {seconds} s"
        said = ""
        with self._words, suppress(EOFError):
            while True:
                said = self._words.recv()
        return self._process.exitcode, said
