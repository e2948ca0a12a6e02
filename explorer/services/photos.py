"""The images visitors look at: rows of a gallery by id, and uploads kept a while for the visitor who sent them."""

import hashlib
import threading
from collections import OrderedDict
from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image

from concepthash.data.images import read_image
from concepthash.errors import ImageError, QueryError
from concepthash.gallery.gallery import Gallery
from concepthash.gallery.selection import Selection, selected_rows

from ..records import Photo, Thumbnail, ThumbnailPage
from ..settings import Settings
from .cache import AnswerCache
from .galleries import GalleryShelf, ShownGallery

__all__ = ["PhotoService", "UploadStore", "thumbnail"]

DISPLAY_SIDE = 720  # longer side in pixels of what is sent to the browser
SMALL_SIDE = 224


class UploadStore:
    """Uploaded files by visitor and content hash; the oldest leave first, by count and by bytes."""

    def __init__(self, per_visitor: int, visitors: int, max_bytes: int) -> None:
        self._per_visitor, self._visitors, self._max_bytes = per_visitor, visitors, max_bytes
        self._files: OrderedDict[str, OrderedDict[str, tuple[str, bytes]]] = OrderedDict()
        self._lock = threading.Lock()

    def keep(self, visitor: str, name: str, content: bytes) -> str:
        """Keep a file for one visitor and return its content hash."""
        digest = hashlib.sha256(content).hexdigest()[:32]
        with self._lock:
            files = self._files.setdefault(visitor, OrderedDict())
            files[digest] = (name, content)
            files.move_to_end(digest)
            self._files.move_to_end(visitor)
            self._forget()
        return digest

    def find(self, visitor: str, digest: str) -> tuple[str, bytes]:
        """Return name and content of a file this visitor sent."""
        with self._lock:
            files = self._files.get(visitor, OrderedDict())
            if digest not in files:
                raise ImageError("That upload is no longer kept here; please upload the image again.")
            files.move_to_end(digest)
            self._files.move_to_end(visitor)
            return files[digest]

    def _forget(self) -> None:
        newest = next(reversed(self._files))
        while len(self._files[newest]) > self._per_visitor:
            self._files[newest].popitem(last=False)
        while len(self._files) > 1 and (len(self._files) > self._visitors or self.n_bytes > self._max_bytes):
            self._files.popitem(last=False)

    @property
    def n_bytes(self) -> int:
        """Bytes kept for all visitors together."""
        return sum(len(content) for files in self._files.values() for _, content in files.values())


class PhotoService:
    """Turns the name of an image in a session into pixels, a title and a thumbnail."""

    def __init__(self, settings: Settings, galleries: GalleryShelf) -> None:
        self._settings = settings
        self._galleries = galleries
        self._orders = AnswerCache(size=8)
        self._uploads = UploadStore(settings.uploads_per_visitor, settings.visitors, settings.upload_memory_bytes)

    def keep_upload(self, visitor: str, path: Path) -> str:
        """Read an uploaded file with our own reader, keep it for this visitor, and return its content hash."""
        size = path.stat().st_size
        if size > self._settings.max_upload_bytes:
            limit = self._settings.max_upload_bytes // 1_000_000
            raise ImageError(f"{path.name} has {size / 1e6:.0f} MB; send an image of at most {limit} MB.")
        read_image(path)  # refuses what is no image before anything is kept
        return self._uploads.keep(visitor, path.name, path.read_bytes())

    def pixels(self, checkpoint: str, visitor: str, image: str) -> np.ndarray:
        """Return RGB uint8 (h, w, 3) of the original image, or of its thumbnail where the original is gone."""
        kind, _, key = image.partition(":")
        if kind == "upload":
            return read_image(self._uploads.find(visitor, key)[1])
        gallery = self._galleries.of(checkpoint).gallery
        row = row_of(gallery, image)
        return read_image(gallery.image_path(row) or gallery.thumbnail_path(row))

    def photo(self, checkpoint: str, visitor: str, image: str, rgb: np.ndarray) -> Photo:
        """Describe an image whose original pixels are ``rgb``."""
        height, width = rgb.shape[:2]
        shown = reduce_to(rgb, DISPLAY_SIDE)
        kind, _, key = image.partition(":")
        if kind == "upload":
            return Photo(image, self._uploads.find(visitor, key)[0], "", "your upload", width, height, shown)
        shelf = self._galleries.of(checkpoint)
        row = row_of(shelf.gallery, image)
        title, family = class_of(shelf.gallery, row)
        return Photo(image, title, family, shelf.name, width, height, shown)

    def small(self, checkpoint: str, visitor: str, image: str) -> Photo:
        """Describe an image with pixels just large enough for the panel above the tabs."""
        if image.startswith("upload:"):
            rgb = self.pixels(checkpoint, visitor, image)
            photo = self.photo(checkpoint, visitor, image, rgb)
            return replace(photo, rgb=reduce_to(rgb, SMALL_SIDE))
        shelf = self._galleries.of(checkpoint)
        row = row_of(shelf.gallery, image)
        title, family = class_of(shelf.gallery, row)
        width, height = (int(v) for v in shelf.gallery.sizes[row])
        rgb = reduce_to(read_image(shelf.gallery.thumbnail_path(row)), SMALL_SIDE)
        return Photo(image, title, family, shelf.name, width, height, rgb)

    def first_image(self, checkpoint: str) -> str:
        """Name the image a new visitor starts with; empty for an empty gallery."""
        gallery = self._galleries.of(checkpoint).gallery
        return f"gallery:{gallery.image_ids[0]}" if len(gallery) else ""

    def image_or_first(self, checkpoint: str, image: str) -> str:
        """Name ``image`` where this model can show it, too: an upload, or in its gallery; else its first image."""
        key, gallery = image.partition(":")[2], self._galleries.of(checkpoint).gallery
        return image if image.startswith("upload:") or gallery.row_of(key) is not None else self.first_image(checkpoint)

    def strip(
        self,
        checkpoint: str,
        search: str,
        page: int,
        page_size: int,
        *,
        classes: tuple[str, ...] = (),
        family: str = "",
        patterns: tuple[str, ...] = (),
    ) -> ThumbnailPage:
        """Return one page of the selected part's images whose class name contains every word of ``search``."""
        gallery = self._galleries.of(checkpoint).gallery
        rows = self._rows_like(gallery, search, Selection(classes, family, patterns))
        n_pages = max(1, -(-len(rows) // page_size))
        page = min(max(page, 0), n_pages - 1)
        cards = tuple(thumbnail(gallery, int(r)) for r in rows[page * page_size : (page + 1) * page_size])
        return ThumbnailPage(cards, page, n_pages, len(rows), search)

    def random_image(
        self,
        checkpoint: str,
        current: str,
        search: str = "",
        *,
        classes: tuple[str, ...] = (),
        family: str = "",
        patterns: tuple[str, ...] = (),
    ) -> str:
        """Name a random image of the selected part, another one than ``current`` where there is one."""
        shelf = self._galleries.of(checkpoint)
        rows = self._rows_like(shelf.gallery, search, Selection(classes, family, patterns))
        if not len(rows):
            rows = np.arange(len(shelf.gallery))
        random = np.random.default_rng()
        at = int(random.integers(len(rows)))
        if len(rows) > 1 and f"gallery:{shelf.gallery.image_ids[rows[at]]}" == current:
            at = (at + int(random.integers(1, len(rows)))) % len(rows)
        return f"gallery:{shelf.gallery.image_ids[rows[at]]}"

    def _rows_like(self, gallery: Gallery, search: str, selection: Selection) -> np.ndarray:
        """Return selected rows whose class name holds all words of ``search``, so that many classes come early."""
        words = search.lower().split()
        if not words and not selection:
            whole = np.arange(len(gallery))
            rows: np.ndarray = self._orders.get(
                (gallery.path, gallery.created), lambda: _many_classes_first(whole, gallery.labels)
            )
            return rows
        names = [name.lower() for name in gallery.class_names]
        wanted = np.array([all(word in name for word in words) for name in names] + [not words], dtype=bool)
        is_shown = wanted[gallery.labels] & selected_rows(gallery, selection)  # label -1 picks the last entry
        return _many_classes_first(np.flatnonzero(is_shown), gallery.labels)

    def shown_gallery(self, checkpoint: str) -> ShownGallery:
        """Return the gallery that belongs to a model."""
        return self._galleries.of(checkpoint)


def row_of(gallery: Gallery, image: str) -> int:
    """Return the row of a gallery image named as in a session."""
    row = gallery.row_of(image.partition(":")[2])
    if row is None:
        raise QueryError("That image is not in the gallery of this model; choose another one.")
    return row


def class_of(gallery: Gallery, row: int) -> tuple[str, str]:
    """Return class name and family of a row; empty where they are unknown."""
    label, family = int(gallery.labels[row]), int(gallery.family_ids[row])
    return (
        gallery.class_names[label] if label >= 0 else "unlabeled",
        gallery.family_names[family] if family >= 0 else "",
    )


def thumbnail(gallery: Gallery, row: int) -> Thumbnail:
    """Describe the small picture of a row."""
    width, height = gallery.sizes[row].tolist()
    name = class_of(gallery, row)[0]
    return Thumbnail(f"gallery:{gallery.image_ids[row]}", name, gallery.thumbnail_name(row), width, height)


def reduce_to(rgb: np.ndarray, side: int) -> np.ndarray:
    """Shrink RGB uint8 (h, w, 3) so that its longer side is at most ``side`` pixels."""
    image = Image.fromarray(rgb)
    image.thumbnail((side, side), Image.Resampling.LANCZOS)
    return np.asarray(image)


def _many_classes_first(rows: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Order rows so that the first image of every class comes before the second of any."""
    return rows[np.lexsort((rows, _rank_inside(labels[rows])))]


def _rank_inside(labels: np.ndarray) -> np.ndarray:
    """Number each image within its class: 0 for the first of every class, 1 for the second, and so on."""
    order = np.argsort(labels, kind="stable")
    counts = np.zeros(len(labels), dtype=np.int64)
    starts = np.flatnonzero(np.r_[True, np.diff(labels[order]) != 0]) if len(labels) else np.array([], dtype=np.int64)
    lengths = np.diff(np.r_[starts, len(labels)])
    counts[order] = np.arange(len(labels)) - np.repeat(starts, lengths)
    return counts
