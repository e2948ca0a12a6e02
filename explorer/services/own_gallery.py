"""The gallery named on the command line, in a folder or on a server that may be away for a while."""

import threading
import time
from pathlib import Path

from concepthash.errors import GalleryError
from concepthash.gallery.large_gallery import AnyGallery, LargeGallery
from concepthash.gallery.opening import open_any_gallery

__all__ = ["OwnGallery"]

PAUSE = 10.0  # seconds between two attempts to reach a server


class OwnGallery:
    """Opened at once; a server that is away is asked again while the app goes on with what else it has.

    ``place`` is a folder, an address, or empty for none. Raises GalleryError for a folder that cannot be opened.
    """

    def __init__(self, place: str, cache: Path, memory: int) -> None:
        self._place, self._cache, self._memory = place, cache, memory
        self._opened: AnyGallery | None = None
        self._asked, self._lock = -PAUSE, threading.Lock()
        self.trouble = ""  # one sentence while the server is away
        self.get()
        if self.trouble and not self._is_served:
            raise GalleryError(self.trouble)

    @property
    def folders(self) -> list[Path]:
        """The folders that copies of thumbnails will lie in, before there are any."""
        return [self._cache / "copies"] if self._is_served else []

    def get(self) -> AnyGallery | None:
        """Return the gallery; None where there is none, or not now."""
        if self._opened is None and self._place and self._lock.acquire(blocking=False):
            try:
                if time.monotonic() - self._asked >= PAUSE:
                    self._try()
            finally:
                self._lock.release()
        return self._opened

    def ask(self) -> str:
        """Ask the server whether it answers now; one sentence where it does not, or did not when last asked to open."""
        opened = self.get()
        if isinstance(opened, LargeGallery) and self._is_served:
            try:
                opened.engine.fetch("SELECT 1")
                if pictures := opened.sample.thumbnails:
                    return pictures.ask()
            except GalleryError as error:
                return str(error)
        return self.trouble

    @property
    def _is_served(self) -> bool:
        return "://" in self._place

    def _try(self) -> None:
        try:
            self._opened = open_any_gallery(self._place, self._cache, memory=self._memory)
            self.trouble = ""
        except GalleryError as error:
            self.trouble = str(error)
        self._asked = time.monotonic()
