"""Files that visitors sent, in memory, for a while and each for its own visitor."""

import hashlib
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import NamedTuple

from concepthash.errors import ImageError

__all__ = ["UploadStore", "digest_of"]


class _Sent(NamedTuple):
    name: str
    content: bytes
    at: float


class UploadStore:
    """Uploaded files by visitor and content hash; the oldest leave first, by count and by bytes.

    `sweep` deletes those that were sent more than ``seconds`` ago, and so does every visit.
    """

    def __init__(
        self,
        per_visitor: int,
        visitors: int,
        max_bytes: int,
        seconds: float = float("inf"),
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._per_visitor, self._visitors, self._max_bytes = per_visitor, visitors, max_bytes
        self._seconds, self._clock = seconds, clock
        self._files: OrderedDict[str, OrderedDict[str, _Sent]] = OrderedDict()
        self._lock = threading.Lock()

    def keep(self, visitor: str, name: str, content: bytes) -> str:
        """Keep a file for one visitor and return its content hash."""
        digest = digest_of(content)
        with self._lock:
            files = self._files.setdefault(visitor, OrderedDict())
            files[digest] = _Sent(name, content, self._clock())
            files.move_to_end(digest)
            self._files.move_to_end(visitor)
            self._forget()
        self.sweep()
        return digest

    def find(self, visitor: str, digest: str) -> tuple[str, bytes]:
        """Return name and content of a file this visitor sent."""
        self.sweep()
        with self._lock:
            files = self._files.get(visitor, OrderedDict())
            if digest not in files:
                raise ImageError("That upload is no longer kept here; please upload the image again.")
            files.move_to_end(digest)
            self._files.move_to_end(visitor)
            return files[digest].name, files[digest].content

    def sweep(self) -> None:
        """Delete what was sent too long ago."""
        oldest = self._clock() - self._seconds
        with self._lock:
            for visitor, files in list(self._files.items()):
                for digest in [digest for digest, sent in files.items() if sent.at < oldest]:
                    del files[digest]
                if not files:
                    del self._files[visitor]

    def _forget(self) -> None:
        newest = next(reversed(self._files))
        while len(self._files[newest]) > self._per_visitor:
            self._files[newest].popitem(last=False)
        while len(self._files) > 1 and (len(self._files) > self._visitors or self.n_bytes > self._max_bytes):
            self._files.popitem(last=False)

    @property
    def n_bytes(self) -> int:
        """Bytes kept for all visitors together."""
        return sum(len(sent.content) for files in self._files.values() for sent in files.values())


def digest_of(content: bytes) -> str:
    """Name a file by its content."""
    return hashlib.sha256(content).hexdigest()[:32]
