"""The images visitors look at: rows of a gallery by id, and uploads kept a while for the visitor who sent them."""

from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image

from concepthash.data.images import read_image
from concepthash.errors import ImageError, QueryError
from concepthash.gallery.gallery import Gallery
from concepthash.gallery.large_gallery import AnyGallery
from concepthash.gallery.matches import Matches
from concepthash.gallery.query import ConceptRule, Query
from concepthash.gallery.selection import Selection, selected_rows
from concepthash.gallery.stored_image import StoredImage

from ..records import Photo, Thumbnail, ThumbnailPage
from ..settings import Settings
from .cache import AnswerCache
from .galleries import GalleryShelf, ShownGallery
from .parts import selection_of
from .uploads import UploadStore, digest_of

__all__ = ["GUEST_PREFIX", "UNLABELED", "PhotoService", "thumbnail"]

DISPLAY_SIDE = 720  # longer side in pixels of what is sent to the browser
SMALL_SIDE = 224
GUEST_PREFIX = "guest:"  # names an image that came with a call by its content, so whoever asks about it has it
UNLABELED = "unlabeled"  # the class of an image that has none, for people
_SENT = ("upload", "guest")
_MISSING = "That image is not in the gallery of this model; choose another one."


class PhotoService:
    """Turns the name of an image in a session into pixels, a title and a thumbnail."""

    def __init__(self, settings: Settings, galleries: GalleryShelf) -> None:
        self._settings = settings
        self._galleries = galleries
        self._orders = AnswerCache(size=8)
        limits = settings.upload_memory_bytes, settings.upload_seconds
        self._uploads = UploadStore(settings.uploads_per_visitor, settings.visitors, *limits)
        self._guests = UploadStore(1, settings.images_in_calls, *limits)

    def keep_upload(self, visitor: str, path: Path) -> str:
        """Read an uploaded file with our own reader, keep it for this visitor, and return its content hash."""
        self._check_size(path.name, path.stat().st_size)
        read_image(path, self._settings.max_pixels)  # refuses what is no image before anything is kept
        return self._uploads.keep(visitor, path.name, path.read_bytes())

    def keep_guest(self, content: bytes) -> str:
        """Keep an image that came with a call, for that call and those that bring it again, and name it."""
        self._check_size("The image", len(content))
        return GUEST_PREFIX + self._guests.keep(digest_of(content), "image", content)

    def sweep(self) -> None:
        """Delete what visitors sent too long ago."""
        self._uploads.sweep()
        self._guests.sweep()

    def pixels(self, checkpoint: str, visitor: str, image: str) -> np.ndarray:
        """Return RGB uint8 (h, w, 3) of the original image, or of its thumbnail where the original is gone."""
        if image.partition(":")[0] in _SENT:
            return read_image(self._sent(visitor, image)[1], self._settings.max_pixels)
        gallery = self._galleries.of(checkpoint).gallery
        stored = stored_image(gallery, image)
        return read_image(gallery.image_path(stored.row) or Path(stored.thumbnail))

    def photo(self, checkpoint: str, visitor: str, image: str, rgb: np.ndarray) -> Photo:
        """Describe an image whose original pixels are ``rgb``."""
        height, width = rgb.shape[:2]
        shown = reduce_to(rgb, DISPLAY_SIDE)
        if image.partition(":")[0] in _SENT:
            return Photo(image, self._sent(visitor, image)[0], "", "your upload", width, height, shown)
        shelf = self._galleries.of(checkpoint)
        stored = stored_image(shelf.gallery, image)
        return Photo(image, class_of(stored), stored.family, shelf.name, width, height, shown)

    def small(self, checkpoint: str, visitor: str, image: str) -> Photo:
        """Describe an image with pixels just large enough for the panel above the tabs."""
        if image.startswith("upload:"):
            rgb = self.pixels(checkpoint, visitor, image)
            photo = self.photo(checkpoint, visitor, image, rgb)
            return replace(photo, rgb=reduce_to(rgb, SMALL_SIDE))
        shelf = self._galleries.of(checkpoint)
        stored = stored_image(shelf.gallery, image)
        small = Path(stored.thumbnail)  # not there while an object store is away
        seen = small if small.exists() else shelf.gallery.image_path(stored.row) or small
        rgb = reduce_to(read_image(seen), SMALL_SIDE)
        return Photo(image, class_of(stored), stored.family, shelf.name, *stored.size, rgb)

    def first_image(self, checkpoint: str) -> str:
        """Name the image a new visitor starts with; empty for an empty gallery."""
        gallery = self._galleries.of(checkpoint).gallery.sample
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
        where: tuple[str, ...] = (),
    ) -> ThumbnailPage:
        """Return one page of the selected part's images whose class name contains every word of ``search``."""
        gallery = self._galleries.of(checkpoint).gallery
        selection = selection_of(gallery, classes, family, patterns, where)
        if gallery is not gallery.sample and (search.split() or selection):
            return _found_page(gallery, search, selection, page, page_size)
        shown = gallery.sample
        rows = self._rows_like(shown, search, selection)
        page, n_pages = _page_of(page, page_size, len(rows))
        cards = thumbnails(shown, rows[page * page_size : (page + 1) * page_size])
        return ThumbnailPage(cards, page, n_pages, len(rows), search, len(gallery) if shown is not gallery else 0)

    def random_image(
        self,
        checkpoint: str,
        current: str,
        search: str = "",
        *,
        classes: tuple[str, ...] = (),
        family: str = "",
        patterns: tuple[str, ...] = (),
        where: tuple[str, ...] = (),
    ) -> str:
        """Name a random image of the selected part, another one than ``current`` where there is one."""
        gallery = self._galleries.of(checkpoint).gallery
        selection = selection_of(gallery, classes, family, patterns, where)
        random = np.random.default_rng()
        if gallery is not gallery.sample and (search.split() or selection):
            n = _search_like(gallery, search, selection, 0, 0).n_matching
            if not n:
                return current
            at = int(random.integers(n))
            rows = _search_like(gallery, search, selection, at, 2).rows
            if at == n - 1:  # behind the last image comes the first one
                rows = np.append(rows, _search_like(gallery, search, selection, 0, 1).rows)
            others = [f"gallery:{stored.image_id}" for stored in gallery.images(rows)]
            return next((name for name in others if name != current), current)
        shown = gallery.sample
        rows = self._rows_like(shown, search, selection)
        if not len(rows):
            return current
        at = int(random.integers(len(rows)))
        if len(rows) > 1 and f"gallery:{shown.image_ids[rows[at]]}" == current:
            at = (at + int(random.integers(1, len(rows)))) % len(rows)
        return f"gallery:{shown.image_ids[rows[at]]}"

    def _check_size(self, name: str, size: int) -> None:
        limit = self._settings.max_upload_bytes
        if size > limit:
            raise ImageError(f"{name} has {size / 1e6:.0f} MB; send an image of at most {limit // 1_000_000} MB.")

    def pins(self, checkpoint: str, visitor: str, images: tuple[str, ...]) -> tuple[Thumbnail | None, ...]:
        """Describe the images that concepts are held to, None for the image in hand; an upload has no file to show."""
        gallery = self._galleries.of(checkpoint).gallery
        return tuple(
            None
            if not image
            else Thumbnail(image, self._sent(visitor, image)[0], "", 0, 0)
            if image.partition(":")[0] in _SENT
            else thumbnail(stored_image(gallery, image))
            for image in images
        )

    def kept(self, visitor: str, image: str) -> bool:
        """Tell whether an image that a visitor sent is still here; one of a gallery always is."""
        try:
            if image.partition(":")[0] in _SENT:
                self._sent(visitor, image)
        except ImageError:
            return False
        return True

    def _sent(self, visitor: str, image: str) -> tuple[str, bytes]:
        """Return name and content of an image that a visitor sent, or that came with a call."""
        kind, _, key = image.partition(":")
        return self._uploads.find(visitor, key) if kind == "upload" else self._guests.find(key, key)

    def _rows_like(self, gallery: Gallery, search: str, selection: Selection) -> np.ndarray:
        """Return selected rows whose class name holds all words of ``search``, so that many classes come early."""
        words = search.lower().split()
        if not words and not selection:
            whole = np.arange(len(gallery))
            rows: np.ndarray = self._orders.get(
                (gallery.path, gallery.created), lambda: _many_classes_first(whole, gallery.labels)
            )
            return rows
        wanted = np.array([_is_like(name, words) for name in gallery.class_names] + [not words], dtype=bool)
        is_shown = wanted[gallery.labels] & selected_rows(gallery, selection)  # label -1 picks the last entry
        return _many_classes_first(np.flatnonzero(is_shown), gallery.labels)

    def shown_gallery(self, checkpoint: str) -> ShownGallery:
        """Return the gallery that belongs to a model."""
        return self._galleries.of(checkpoint)


def _is_like(name: str, words: list[str]) -> bool:
    """Tell whether a class name holds all words, in small letters."""
    return all(word in name.lower() for word in words)


def _search_like(gallery: AnyGallery, search: str, selection: Selection, offset: int, k: int) -> Matches:
    """Find images of a part, in the gallery's order, whose class name holds all words of ``search``."""
    words = search.lower().split()
    if words:
        among = selection.classes or gallery.class_names
        classes = tuple(name for name in among if _is_like(name, words))
        selection = replace(selection, classes=classes or ("",))  # a name no class has: nothing is found
    rules = (ConceptRule(),) * gallery.n_concepts
    return gallery.search(Query((False,) * gallery.n_bits, rules, "none", selection, k, offset))


def _found_page(gallery: AnyGallery, search: str, selection: Selection, page: int, page_size: int) -> ThumbnailPage:
    """Return a page of a large gallery's part, from its database."""
    asked = max(page, 0)
    found = _search_like(gallery, search, selection, asked * page_size, page_size)
    page, n_pages = _page_of(page, page_size, found.n_matching)
    if page != asked:
        found = _search_like(gallery, search, selection, page * page_size, page_size)
    return ThumbnailPage(thumbnails(gallery, found.rows), page, n_pages, found.n_matching, search)


def _page_of(page: int, page_size: int, n: int) -> tuple[int, int]:
    """Return the page that is there, and how many there are."""
    n_pages = max(1, -(-n // page_size))
    return min(max(page, 0), n_pages - 1), n_pages


def stored_row(gallery: AnyGallery, image: str) -> int | None:
    """Return the row of an image named as in a session, None where it is none of the gallery's."""
    return gallery.row_of(image.partition(":")[2]) if image.startswith("gallery:") else None


def row_of(gallery: AnyGallery, image: str) -> int:
    """Return the row of a gallery image named as in a session."""
    row = gallery.row_of(image.partition(":")[2])
    if row is None:
        raise QueryError(_MISSING)
    return row


def stored_image(gallery: AnyGallery, image: str) -> StoredImage:
    """Return what a gallery tells of an image named as in a session."""
    found = gallery.images(np.array([row_of(gallery, image)]))
    if not found:  # its row was known, and has gone since
        raise QueryError(_MISSING)
    return found[0]


def class_of(stored: StoredImage) -> str:
    """Name the class of an image for people."""
    return stored.class_name or UNLABELED


def thumbnail(stored: StoredImage) -> Thumbnail:
    """Describe the small picture of an image."""
    return Thumbnail(f"gallery:{stored.image_id}", class_of(stored), stored.thumbnail, *stored.size)


def thumbnails(gallery: AnyGallery, rows: np.ndarray) -> tuple[Thumbnail, ...]:
    """Describe the small pictures of some rows."""
    return tuple(thumbnail(stored) for stored in gallery.images(rows))


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
