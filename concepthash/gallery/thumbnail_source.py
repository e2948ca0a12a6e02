"""Where the thumbnails of a large gallery are read from: its folder, or an object store through a folder of copies."""

import threading
from collections import OrderedDict
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

from ..errors import GalleryError
from ..files import write_atomically
from .thumbnail_store import ThumbnailStore
from .thumbnails import THUMBNAIL_FOLDER, thumbnail_file

__all__ = ["ThumbnailSource"]

_N_READERS = 8
_COPIES = 20_000  # that are kept of a store elsewhere


class ThumbnailSource:
    """Thumbnails by row, as files on this machine.

    Parameters
    ----------
    place
        Folder with the folder of thumbnails in it, or a URL that fsspec knows.
    copies
        Folder for copies, of which the newest 20,000 of this process stay; None for thumbnails that are shown where
        they are.
    """

    def __init__(self, place: str, copies: Path | None = None) -> None:
        self._is_copied, self._base = copies is not None, copies or Path(place)
        self._store = ThumbnailStore(place)
        self._copied: OrderedDict[int, None] = OrderedDict()
        self._lock = threading.Lock()

    @property
    def folder(self) -> Path:
        """The folder that all files lie in."""
        return self._base / THUMBNAIL_FOLDER

    def name(self, row: int) -> str:
        """Return the path that a row's thumbnail has, or will have once it is fetched."""
        return thumbnail_file(self._base, row)

    def fetch(self, rows: Iterable[int]) -> None:
        """Copy some rows' thumbnails from elsewhere, several at once.

        One that cannot be read is left out: its path leads nowhere, and the page shows an empty frame.
        """
        if self._is_copied:
            with ThreadPoolExecutor(_N_READERS) as readers:
                list(readers.map(self._copy, map(int, rows)))
            self._forget()

    def _copy(self, row: int) -> None:
        path = Path(self.name(row))
        if not path.exists():
            with suppress(GalleryError, OSError):
                path.parent.mkdir(parents=True, exist_ok=True)
                write_atomically(path, self._store.read(row))
        with self._lock:
            self._copied[row] = None
            self._copied.move_to_end(row)

    def _forget(self) -> None:
        with self._lock:
            gone = [self._copied.popitem(last=False)[0] for _ in range(len(self._copied) - _COPIES)]
        for row in gone:
            Path(self.name(row)).unlink(missing_ok=True)
