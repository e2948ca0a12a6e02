"""What the sub-codes of a concept hold: cells with their images and classes, a plane of values, a dictionary."""

from itertools import islice

import numpy as np

from concepthash.codes import subcode_text
from concepthash.errors import QueryError
from concepthash.gallery.cells import CodeBook, cells_of, code_book, margins_of, representatives, telling_bits
from concepthash.gallery.gallery import Gallery
from concepthash.gallery.selection import ANY

from ..subcode_records import CellGrid, Crop, Dictionary, Plane, Share, SubcodeCell
from .cache import AnswerCache
from .explain import ExplainService
from .photos import UNLABELED, PhotoService, thumbnail

__all__ = ["CROPS", "MAP_BITS", "SubcodeService"]

MAP_BITS = 4  # sub-codes up to this length are shown whole, longer ones by two bits
CROPS = {1: 20, 2: 20, 3: 6, 4: 3}  # of a cell by number of bits; 20 as in the paper's figure, few so that a map fits
ENTRY_CROPS = 8
ENTRIES = 12  # of a page of the dictionary
POINTS = 800  # of a plane
TOP = 3
_MEDOID_OF = 2000  # images of a code among which its medoid is looked for


class SubcodeService:
    """Looks through the gallery that belongs to the model named in each request."""

    def __init__(self, photos: PhotoService, explain: ExplainService) -> None:
        self._photos, self._explain = photos, explain
        self._kept = AnswerCache(size=64)  # code books and choices of two bits

    def axes(self, checkpoint: str, concept: int, chosen: tuple[int, ...] = ()) -> tuple[int, ...]:
        """Return the bits of the sub-code that span its cells, counted from 0 within it: chosen, all, or two."""
        gallery, concept = self._gallery(checkpoint, concept)
        size = gallery.bits_per_concept
        if len(set(chosen)) == 2 and all(0 <= bit < size for bit in chosen):
            return chosen
        if size <= MAP_BITS:
            return tuple(range(size))
        return self.telling(checkpoint, concept)

    def telling(self, checkpoint: str, concept: int) -> tuple[int, int]:
        """Return the two bits of a sub-code that split the gallery most evenly, counted from 0 within it."""
        gallery, concept = self._gallery(checkpoint, concept)
        key = ("bits", gallery.path, gallery.created, concept)
        pair: tuple[int, int] = self._kept.get(key, lambda: telling_bits(gallery, concept))
        return pair

    def grid(self, checkpoint: str, visitor: str, image: str, concept: int, axes: tuple[int, ...]) -> CellGrid:
        """Return the cells that the bits ``axes`` of a concept's sub-code make."""
        gallery, concept = self._gallery(checkpoint, concept)
        size = gallery.bits_per_concept
        bits = tuple(concept * size + axis for axis in axes)
        cells, margins = cells_of(gallery, bits), margins_of(gallery, bits)
        texts = [format(value, f"0{len(axes)}b") for value in range(2 ** len(axes))]
        patterns = [_pattern(size, axes, text) for text in texts]
        counted = _Counts(gallery, cells, len(texts))
        rows = _rows_of_cells(cells, counted.sizes)
        best = [representatives(some, gallery.labels, margins, CROPS[len(axes)]) for some in rows]
        crops = _crops(gallery, concept, best, [margins[some] for some in best])
        found = tuple(counted.cell(i, texts[i], patterns[i], crops[i]) for i in range(len(texts)))
        query = self._text(checkpoint, visitor, image, bits)
        return CellGrid(concept, bits, found, len(gallery), query)

    def plane(self, checkpoint: str, visitor: str, image: str, concept: int, axes: tuple[int, int]) -> Plane:
        """Return images at their values of two bits before the sign; of a large gallery, every so many-th image."""
        gallery, concept = self._gallery(checkpoint, concept)
        if gallery.bits_per_concept < 2:
            raise QueryError("A sub-code of one bit spans no plane; look at its two cells instead.")
        first, second = (concept * gallery.bits_per_concept + axis for axis in axes)
        rows = np.unique(np.linspace(0, len(gallery) - 1, min(POINTS, len(gallery))).astype(np.int64))
        class_names = [name or UNLABELED for name in (*gallery.class_names, "")]  # -1 picks the last
        family_names = (*gallery.family_names, "")
        logits = self._explain.code_logits(checkpoint, visitor, image)
        return Plane(
            concept,
            (first, second),
            tuple(f"gallery:{gallery.image_ids[row]}" for row in rows.tolist()),
            tuple(class_names[label] for label in gallery.labels[rows].tolist()),
            tuple(family_names[family] for family in gallery.family_ids[rows].tolist()),
            np.stack([gallery.code_logits[rows, first], gallery.code_logits[rows, second]], axis=1),
            (float(logits[first]), float(logits[second])),
            len(gallery),
        )

    def dictionary(self, checkpoint: str, visitor: str, image: str, concept: int, page: int) -> Dictionary:
        """Return one page of the sub-codes that the gallery uses, each with its medoid first among its crops."""
        gallery, concept = self._gallery(checkpoint, concept)
        book = self._book(gallery, concept)
        n_used = len(book.codes)
        n_pages = max(1, -(-n_used // ENTRIES))
        page = min(max(page, 0), n_pages - 1)
        first, last = page * ENTRIES, min((page + 1) * ENTRIES, n_used)
        shown = np.flatnonzero((book.ranks >= first) & (book.ranks < last))
        counted = _Counts(gallery, book.ranks[shown] - first, last - first, shown)
        codes = [subcode_text(code) for code in book.codes[first:last]]
        best = [_best_of_entry(gallery, concept, shown[book.ranks[shown] == rank]) for rank in range(first, last)]
        crops = _crops(gallery, concept, [rows for rows, _ in best], [margins for _, margins in best])
        entries = tuple(counted.cell(i, code, code, crops[i]) for i, code in enumerate(codes))
        own = self._text(checkpoint, visitor, image, tuple(range(gallery.n_bits)[gallery.bits_of(concept)]))
        n_once = int((book.counts == 1).sum())
        return Dictionary(concept, entries, n_used, gallery.bits_per_concept, n_once, page, n_pages, own)

    def _text(self, checkpoint: str, visitor: str, image: str, bits: tuple[int, ...]) -> str:
        """Write some bits of an image's code; nothing where there is no image."""
        if not image:
            return ""
        return subcode_text(self._explain.code_logits(checkpoint, visitor, image)[list(bits)] > 0)

    def _gallery(self, checkpoint: str, concept: int) -> tuple[Gallery, int]:
        gallery = self._photos.shown_gallery(checkpoint).gallery.sample
        return gallery, min(max(concept, 0), gallery.n_concepts - 1)

    def _book(self, gallery: Gallery, concept: int) -> CodeBook:
        key = ("book", gallery.path, gallery.created, concept)
        book: CodeBook = self._kept.get(key, lambda: code_book(gallery, concept))
        return book


class _Counts:
    """Classes and families of all cells, counted together; ``rows`` are the images that ``cells`` speak of."""

    def __init__(self, gallery: Gallery, cells: np.ndarray, n_cells: int, rows: np.ndarray | None = None) -> None:
        chosen = slice(None) if rows is None else rows
        classes = _cross(cells, gallery.labels[chosen], n_cells, len(gallery.class_names))
        families = _cross(cells, gallery.family_ids[chosen], n_cells, len(gallery.family_names))
        self.sizes, self._n_gallery = classes.sum(axis=1).tolist(), max(len(gallery), 1)
        known = classes[:, 1:]  # without the unlabeled
        shares = known / np.maximum(known.sum(axis=1, keepdims=True), 1)
        self._entropies = -(shares * np.log2(np.where(shares > 0, shares, 1))).sum(axis=1) + 0.0
        self._purities = shares.max(axis=1, initial=0)
        self._classes, self._families = _top(known, gallery.class_names), _top(families[:, 1:], gallery.family_names)

    def cell(self, i: int, text: str, pattern: str, crops: tuple[Crop, ...]) -> SubcodeCell:
        n = self.sizes[i]
        return SubcodeCell(
            text, pattern, n, n / self._n_gallery, float(self._entropies[i]), float(self._purities[i]),
            self._classes[i], self._families[i], crops,
        )  # fmt: skip


def _rows_of_cells(cells: np.ndarray, sizes: list[int]) -> list[np.ndarray]:
    """List the images of every cell, in order of rows; at most 16 cells, of which it is known how many each has."""
    if len(sizes) <= 4:
        return [np.flatnonzero(cells == cell) for cell in range(len(sizes))]
    order = np.argsort(cells, kind="stable")  # numpy sorts numbers of 8 bits by counting them
    return np.split(order, np.cumsum(sizes)[:-1])


def _cross(cells: np.ndarray, ids: np.ndarray, n_cells: int, n_names: int) -> np.ndarray:
    """Count images by cell and name: (n_cells, 1 + n_names), those without a name (id -1) in the first column."""
    places = cells * np.int64(n_names + 1)
    places += ids
    places += 1
    return np.bincount(places, minlength=n_cells * (n_names + 1)).reshape(n_cells, n_names + 1)


def _top(counts: np.ndarray, names: tuple[str, ...]) -> list[tuple[Share, ...]]:
    """Name the most common of every cell, from counts (n_cells, n_names)."""
    order = np.argsort(-counts, axis=1, kind="stable")[:, :TOP]
    most = np.take_along_axis(counts, order, axis=1)
    return [
        tuple(Share(names[i], n) for i, n in zip(*row, strict=True) if n)
        for row in zip(order.tolist(), most.tolist(), strict=True)
    ]


def _best_of_entry(gallery: Gallery, concept: int, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Put the medoid before the clearest images: the one whose values are nearest to the mean of its code.

    Returns rows and margins.
    """
    some = rows[:: max(1, len(rows) // _MEDOID_OF)]
    logits = gallery.code_logits[some, gallery.bits_of(concept)]  # (n, K/M)
    margins = np.abs(logits).min(axis=1)
    medoid = int(np.square(logits - logits.mean(axis=0)).sum(axis=1).argmin())
    best = representatives(np.arange(len(some)), gallery.labels[some], margins, ENTRY_CROPS)
    order = [medoid, *(i for i in best.tolist() if i != medoid)][:ENTRY_CROPS]
    return some[order], margins[order]


def _crops(gallery: Gallery, concept: int, rows: list[np.ndarray], margins: list[np.ndarray]) -> list[tuple[Crop, ...]]:
    """Describe the crops of all cells; their pictures are fetched together, since each may be a round trip."""
    every = np.concatenate([np.empty(0, dtype=np.int64), *rows])
    centers = gallery.attention_centers
    looks = [None] * len(every) if centers is None else map(tuple, centers[every, concept].tolist())
    crops = map(Crop, map(thumbnail, gallery.images(every)), looks, np.concatenate([[], *margins]).tolist())
    return [tuple(islice(crops, len(some))) for some in rows]


def _pattern(size: int, axes: tuple[int, ...], text: str) -> str:
    """Write the chosen bits into a sub-code that is open elsewhere."""
    pattern = [ANY] * size
    for axis, bit in zip(axes, text, strict=True):
        pattern[axis] = bit
    return "".join(pattern)
