"""Which gallery a model searches: the visitor's own, else a bundled one, each if that model made it, else examples."""

import hashlib
import logging
import os
import tempfile
import time
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from concepthash.data.folder import read_image_folder
from concepthash.encode import encode_table
from concepthash.errors import GalleryError
from concepthash.gallery.gallery import Gallery
from concepthash.gallery.large_gallery import AnyGallery
from concepthash.gallery.opening import check_checkpoint, open_gallery
from concepthash.gallery.provenance import FORMAT_VERSION
from concepthash.gallery.thumbnails import THUMBNAIL_FOLDER

from ..records import GalleryKind
from ..settings import Settings
from .cache import AnswerCache
from .models import ModelShelf
from .own_gallery import OwnGallery
from .private_models import GALLERY

__all__ = ["GalleryShelf", "ShownGallery"]

_log = logging.getLogger(__name__)
WAITS = 30  # seconds for another process that encodes the same examples


@dataclass(frozen=True, eq=False)
class ShownGallery:
    """A gallery with where it comes from; ``foreign`` says why the visitor's own one is not used."""

    gallery: AnyGallery
    name: str
    kind: GalleryKind
    foreign: str = ""


class GalleryShelf:
    """Opens the gallery named on the command line and the bundled ones, and encodes example birds once per model."""

    def __init__(self, settings: Settings, models: ModelShelf) -> None:
        self._settings = settings
        self._models = models
        self._shown = AnswerCache(size=32)
        self._cache = _writable(settings.cache)
        self._own = OwnGallery(settings.gallery, self._cache, settings.gallery_memory_bytes)
        self._bundled = _open_bundled(settings.galleries, models)
        self._inner = _open_inner(models)
        self.default_model = self._default_model()

    def of(self, name: str) -> ShownGallery:
        """Return the gallery that the model called ``name`` searches."""
        checkpoint = self._models.checkpoint(name)
        if self._models.private.is_private(name):  # two visitors may have trained one model, each on images of theirs
            key = f"{checkpoint.fingerprint} {checkpoint.path}"
            return self._shown.get(key, lambda: self._open_private(name))
        self._own.get()  # one that did not answer may be back
        return self._shown.get((checkpoint.fingerprint, self._own.trouble), lambda: self._open(name))

    def ask_server(self) -> str:
        """Ask the visitor's own gallery whether its server answers: one sentence where it does not."""
        return self._own.ask()

    def thumbnail_folders(self) -> list[Path]:
        """List the folders that the pictures of all galleries lie in, those of opened private models included."""
        own = self._own.get()
        opened = [*([] if own is None else [own]), *self._bundled.values(), *self._inner.values()]
        folders = self._own.folders + [folder for gallery in opened for folder in gallery.thumbnail_folders()]
        folders += [gallery / THUMBNAIL_FOLDER for gallery in self._models.private.galleries()]
        return folders + [self._example_folder(name) / THUMBNAIL_FOLDER for name in self._models.names]

    def thumbnail_folders_of(self, name: str) -> list[Path]:
        """List those of one model, such as a private one that was opened just now."""
        return list(self.of(name).gallery.thumbnail_folders())

    def _default_model(self) -> str:
        """Choose the model to open with: the one that made the gallery, unless the command line names another."""
        own = self._own.get()
        if own is None:
            return self._models.default
        makers = [n for n in self._models.names if self._models.checkpoint(n).fingerprint == own.fingerprint]
        if not makers or (self._settings.checkpoint and self._models.default not in makers):
            check_checkpoint(own, self._models.checkpoint(self._models.default).fingerprint)
        return self._models.default if self._models.default in makers else makers[0]

    def _open(self, name: str) -> ShownGallery:
        own, fingerprint = self._own.get(), self._models.checkpoint(name).fingerprint
        if own is not None and own.fingerprint == fingerprint:
            return ShownGallery(own, own.path.name, "own")
        if name in self._inner:
            shown = ShownGallery(self._inner[name], f"the images of {name}", "own")
        elif fingerprint in self._bundled:
            bundled = self._bundled[fingerprint]
            shown = ShownGallery(bundled, f"the {_collection(bundled)}", "bundled")
        else:
            shown = ShownGallery(self._examples(name), "the example birds", "examples")
        if self._own.trouble:
            return replace(shown, foreign=f"{self._own.trouble} Until it is back, {name} shows {shown.name}.")
        if own is None:
            return shown
        made = f"The gallery {own.path.name} was made with {own.checkpoint_name}"
        return replace(shown, foreign=f"{made}, so {name} shows {shown.name}.")

    def _open_private(self, name: str) -> ShownGallery:
        checkpoint = self._models.checkpoint(name)
        gallery = open_gallery(checkpoint.path / GALLERY, fingerprint=checkpoint.fingerprint)
        return ShownGallery(gallery, f"the images of {self._models.title(name)}", "own")

    def _example_folder(self, name: str) -> Path:
        fingerprint = self._models.checkpoint(name).fingerprint
        return self._cache / f"examples{FORMAT_VERSION}-{fingerprint[:16]}-{_state_of(self._settings.examples)}"

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


def _open_bundled(folder: Path, models: ModelShelf) -> dict[str, Gallery]:
    """Open the bundled galleries by the fingerprint of their maker; one that cannot be used is logged and left out."""
    makers = {models.checkpoint(name).fingerprint for name in models.names}
    found: dict[str, Gallery] = {}
    for path in sorted(path for path in folder.glob("*") if path.is_dir()):
        try:
            gallery = open_gallery(path)
        except GalleryError as error:
            _log.warning("A bundled gallery is left out. %s", error)
            continue
        if gallery.fingerprint in makers:
            found[gallery.fingerprint] = gallery
        elif gallery.checkpoint_name in models.names:
            _log.warning("The bundled gallery %s is left out: %s has other weights now.", path, gallery.checkpoint_name)
    return found


def _open_inner(models: ModelShelf) -> dict[str, Gallery]:
    """Open the galleries that lie inside checkpoints on the menu, by name of the checkpoint."""
    found: dict[str, Gallery] = {}
    for name in models.names:
        checkpoint = models.checkpoint(name)
        if (checkpoint.path / GALLERY).is_dir():
            try:
                found[name] = open_gallery(checkpoint.path / GALLERY, fingerprint=checkpoint.fingerprint)
            except GalleryError as error:
                _log.warning("The gallery inside a checkpoint is left out. %s", error)
    return found


def _collection(gallery: Gallery) -> str:
    """Name what a gallery shows: the first folder on the way from what it shares with its images to them."""
    way = Path(os.path.relpath(gallery.data_root, gallery.path)).parts
    return next((part for part in way if part != os.pardir), gallery.path.name)


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
