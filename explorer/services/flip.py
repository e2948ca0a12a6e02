"""What would change if bits of the image in hand were the other way: its neighbors, and the nearest real example."""

from dataclasses import replace

import numpy as np

from concepthash.codes import binarize, subcode_text
from concepthash.gallery.gallery import Gallery
from concepthash.gallery.query import ConceptRule, Query
from concepthash.gallery.search import search

from ..records import Match
from ..subcode_records import Flip
from .explain import ExplainService
from .match import matches_of
from .photos import PhotoService

__all__ = ["FlipService"]

NEIGHBORS = 8


class FlipService:
    """Searches with an image's code and with bits of it turned over; the image itself is never among the answers."""

    def __init__(self, photos: PhotoService, explain: ExplainService) -> None:
        self._photos, self._explain = photos, explain

    def flip(self, checkpoint: str, visitor: str, image: str, concept: int, bits: tuple[int, ...]) -> Flip:
        """Compare neighbors as the image is and with those of ``bits`` turned that belong to ``concept``."""
        gallery = self._photos.shown_gallery(checkpoint).gallery
        size = gallery.n_bits // gallery.n_concepts
        own = tuple(range(concept * size, (concept + 1) * size))
        turned = tuple(bit for bit in own if bit in bits)
        logits = self._explain.code_logits(checkpoint, visitor, image)  # (K,)
        code = binarize(logits)
        other = code.copy()
        other[list(turned)] ^= True
        asked = _query(gallery, code, image)
        with_code = _exactly(_query(gallery, other, image), concept)
        before, exact = search(gallery, asked), search(gallery, with_code)
        after = search(gallery, replace(asked, code=with_code.code)) if turned else before
        return Flip(
            concept, own, tuple(float(logits[bit]) for bit in own), turned,
            matches_of(gallery, before), matches_of(gallery, after),
            _first(matches_of(gallery, exact)) if turned else None, exact.n_matching, subcode_text(other[list(own)]),
        )  # fmt: skip


def _query(gallery: Gallery, code: np.ndarray, image: str) -> Query:
    row = gallery.row_of(image.partition(":")[2]) if image.startswith("gallery:") else None
    rules = (ConceptRule(),) * gallery.n_concepts
    return Query(tuple(bool(bit) for bit in code), rules, k=NEIGHBORS, exclude_row=row)


def _exactly(query: Query, concept: int) -> Query:
    rules = tuple(ConceptRule("exact") if m == concept else rule for m, rule in enumerate(query.rules))
    return replace(query, rules=rules, k=1)


def _first(matches: tuple[Match, ...]) -> Match | None:
    return matches[0] if matches else None
