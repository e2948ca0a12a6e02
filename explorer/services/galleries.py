"""Which gallery a model searches: the visitor's own where it was made by that model, else the drawn examples."""

import hashlib
import os
import tempfile
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from concepthash.data.folder import read_image_folder
from concepthash.encode import encode_table
from concepthash.errors import GalleryError
from concepthash.gallery.gallery import Gallery, open_gallery

from ..settings import Settings
from .cache import AnswerCache
from .models import ModelShelf

__all__ = ["GalleryShelf", "ShownGallery"]

WAITS = 30  # seconds for another process that encodes the same examples


@dataclass(frozen=True, eq=False)
class ShownGallery:
    """A gallery with where it comes from; ``foreign`` says why the visitor's own one is not used."""

    gallery: Gallery
    name: str
    is_example: bool
    foreign: str = ""


class GalleryShelf:
    """Opens the gallery named on the command line, and encodes the example birds once per model."""

    def __init__(self, settings: Settings, models: ModelShelf) -> None:
        self._settings = settings
        self._models = models
        self._shown = AnswerCache(size=32)
        self._cache = _writable(settings.cache)
        self._own = open_gallery(settings.gallery) if settings.gallery else None
        self.default_model = self._default_model()

    def of(self, name: str) -> ShownGallery:
        """Return the gallery that the model called ``name`` searches."""
        fingerprint = self._models.checkpoint(name).fingerprint
        return self._shown.get(fingerprint, lambda: self._open(name))

    def thumbnail_folders(self) -> list[Path]:
        """List the folders that hold nothing but thumbnails of the galleries shown here."""
        own = [self._own.path / "thumbnails"] if self._own is not None else []
        return own + [self._example_folder(name) / "thumbnails" for name in self._models.names]

    def _default_model(self) -> str:
        """Choose the model to open with: the one that made the gallery, unless the command line names another."""
        if self._own is None:
            return self._models.default
        makers = [n for n in self._models.names if self._models.checkpoint(n).fingerprint == self._own.fingerprint]
        if not makers or (self._settings.checkpoint and self._models.default not in makers):
            asked = self._models.checkpoint(self._models.default)
            open_gallery(self._own.path, fingerprint=asked.fingerprint)  # raises, and says which model made it
        return self._models.default if self._models.default in makers else makers[0]

    def _open(self, name: str) -> ShownGallery:
        own, fingerprint = self._own, self._models.checkpoint(name).fingerprint
        if own is not None and own.fingerprint == fingerprint:
            return ShownGallery(own, own.path.name, is_example=False)
        foreign = ""
        if own is not None:
            made = f"The gallery {own.path.name} was made with {own.checkpoint_name}"
            foreign = f"{made}, so {name} shows the example birds."
        return ShownGallery(self._examples(name), "example birds", is_example=True, foreign=foreign)

    def _example_folder(self, name: str) -> Path:
        fingerprint = self._models.checkpoint(name).fingerprint
        return self._cache / f"examples-{fingerprint[:16]}-{_state_of(self._settings.examples)}"

    def _examples(self, name: str) -> Gallery:
        """Open the encoded examples, or encode them; where another process is doing that, wait for it."""
        folder, encoder = self._example_folder(name), self._models.encoder(name)
        table = read_image_folder(self._settings.examples)
        for _ in range(WAITS):
            with suppress(GalleryError):  # not there yet, or a damaged copy of what can be made again in seconds
                return open_gallery(folder, fingerprint=encoder.checkpoint.fingerprint)
            with suppress(GalleryError):
                return encode_table(encoder, table, folder, progress=False, overwrite=True)
            time.sleep(1)
        return encode_table(encoder, table, folder, progress=False, overwrite=True)


def _state_of(folder: Path) -> str:
    """Hash names and sizes of the example images, so that new drawings are encoded anew."""
    files = [file for file in sorted(folder.rglob("*.webp")) if file.is_file()]
    parts = [f"{file.relative_to(folder).as_posix()}:{file.stat().st_size}" for file in files]
    return hashlib.sha256("\n".join([str(folder), *parts]).encode()).hexdigest()[:12]


def _writable(folder: Path) -> Path:
    """Return ``folder`` made, or a temporary one where it cannot be written."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if os.access(folder, os.W_OK):
            return folder.resolve()
    except OSError:
        pass
    return Path(tempfile.mkdtemp(prefix="concepthash-")).resolve()
