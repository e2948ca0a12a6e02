"""Where the thumbnails of a large gallery are read from: its folder, or an object store through a folder of copies."""

import logging
import threading
import time
from collections import OrderedDict
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor, wait
from pathlib import Path

from ..errors import GalleryError
from ..files import write_atomically
from .thumbnail_store import ThumbnailStore
from .thumbnails import THUMBNAIL_FOLDER, thumbnail_file

__all__ = ["ThumbnailSource"]

_N_READERS = 8
_COPIES = 20_000  # that are kept of a store elsewhere
_MISSED = 1000  # of those that did not come that are asked for again
_PATIENCE = 5.0  # seconds that a page waits for its pictures
_PAUSE = 15.0  # seconds for which a store that is away is not asked again
_log = logging.getLogger(__name__)


class ThumbnailSource:
    """Thumbnails by row, as files on this machine.

    Parameters
    ----------
    place
        Folder with the folder of thumbnails in it, or a URL that fsspec knows.
    copies
        Folder for copies, of which the newest 20,000 of this process stay; None for thumbnails that are shown where
        they are.

    Attributes
    ----------
    trouble
        One sentence while the place does not answer, else empty; the log has it, too.
    """

    def __init__(self, place: str, copies: Path | None = None) -> None:
        self._is_copied, self._base = copies is not None, copies or Path(place)
        self._store = ThumbnailStore(place)
        self._copied: OrderedDict[int, None] = OrderedDict()
        self._lock = threading.Lock()
        self._readers = ThreadPoolExecutor(_N_READERS, "thumbnails")
        self.trouble, self._asked = "", 0.0
        self._missed: OrderedDict[int, None] = OrderedDict()

    @property
    def folder(self) -> Path:
        """The folder that all files lie in."""
        return self._base / THUMBNAIL_FOLDER

    def name(self, row: int) -> str:
        """Return the path that a row's thumbnail has, or will have once it is fetched."""
        return thumbnail_file(self._base, row)

    def fetch(self, rows: Iterable[int]) -> None:
        """Copy some rows' thumbnails from elsewhere, several at once, as far as they come within five seconds.

        One that cannot be read is left out: its path leads nowhere, and the page shows an empty frame. While nothing
        comes, the place is asked once in fifteen seconds, and pages do not wait for it.
        """
        if not self._is_copied:
            return
        self._ask([row for row in map(int, rows) if not self._is_there(row)])

    def ask(self) -> str:
        """One sentence while the place does not answer; asks it again for what did not come, as answers are kept."""
        with self._lock:
            missed = list(self._missed)
        self._ask(missed)
        return self.trouble

    def _ask(self, rows: list[int]) -> None:
        if self.trouble and time.monotonic() - self._asked < _PAUSE:
            return self._note(dict.fromkeys(rows, self.trouble))
        if not rows:
            return None
        self._asked = time.monotonic()
        asked = {row: self._readers.submit(self._copy, row) for row in rows}
        _, late = wait(asked.values(), _PATIENCE)
        for future in late:
            future.cancel()
        said = {row: future.result() for row, future in asked.items() if future not in late}
        self._tell(list(said.values()))
        self._note({row: said.get(row, "late") for row in rows})
        return self._forget()

    def _note(self, said: dict[int, str]) -> None:
        """Keep in mind the rows that did not come, of which something was said."""
        with self._lock:
            for row, words in said.items():
                self._missed.pop(row, None)
                if words:
                    self._missed[row] = None
            while len(self._missed) > _MISSED:
                self._missed.popitem(last=False)

    def _is_there(self, row: int) -> bool:
        if not Path(self.name(row)).exists():
            return False
        self._remember(row)
        return True

    def _copy(self, row: int) -> str:
        """Copy one that is there; a sentence if the place does not answer, or copies cannot be kept."""
        path = Path(self.name(row))
        try:
            thumbnail = self._store.read(row)
            path.parent.mkdir(parents=True, exist_ok=True)
            write_atomically(path, thumbnail)
        except GalleryError as error:
            return "" if isinstance(error.__cause__, FileNotFoundError) else str(error)
        except OSError as error:
            return f"Copies of thumbnails cannot be kept in {self._base} ({error.strerror}); see to that disk."
        self._remember(row)
        return ""

    def _tell(self, said: list[str]) -> None:
        """Note how the place stands by what came of asking it, and log what is new."""
        silent = f"Thumbnails at {self._store.place} do not come, so pages go without; see that the place answers."
        trouble = "" if "" in said else next(iter(said), silent)
        if bool(trouble) != bool(self.trouble):
            _log.warning("%s", trouble or f"Thumbnails at {self._store.place} can be read again.")
        self.trouble = trouble

    def _remember(self, row: int) -> None:
        with self._lock:
            self._copied[row] = None
            self._copied.move_to_end(row)

    def _forget(self) -> None:
        with self._lock:
            gone = [self._copied.popitem(last=False)[0] for _ in range(len(self._copied) - _COPIES)]
        for row in gone:
            Path(self.name(row)).unlink(missing_ok=True)
