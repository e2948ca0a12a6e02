"""What would change if bits of the image in hand were the other way: its neighbors, and the nearest real example."""

from dataclasses import replace

import numpy as np

from concepthash.codes import binarize, subcode_text
from concepthash.gallery.large_gallery import AnyGallery
from concepthash.gallery.query import ConceptRule, Query

from ..records import Match
from ..subcode_records import Flip
from .explain import ExplainService
from .match import matches_of
from .photos import PhotoService, stored_row

__all__ = ["FlipService"]

NEIGHBORS = 8


class FlipService:
    """Searches with an image's code and with bits of it turned over; the image itself is never among the answers."""

    def __init__(self, photos: PhotoService, explain: ExplainService) -> None:
        self._photos, self._explain = photos, explain

    def flip(self, checkpoint: str, visitor: str, image: str, concept: int, bits: tuple[int, ...]) -> Flip:
        """Compare neighbors as the image is and with those of ``bits`` turned that belong to ``concept``."""
        gallery = self._photos.shown_gallery(checkpoint).gallery
        own = tuple(range(gallery.n_bits)[gallery.bits_of(concept)])
        turned = tuple(bit for bit in own if bit in bits)
        logits = self._explain.code_logits(checkpoint, visitor, image)  # (K,)
        code = binarize(logits)
        other = code.copy()
        other[list(turned)] ^= True
        asked = _query(gallery, code, image)
        before = after = matches_of(gallery, gallery.search(asked))
        nearest, n_with_code = None, 0
        if turned:  # the page shows this part with nothing turned most of the time
            turned_query = _query(gallery, other, image)
            after = matches_of(gallery, gallery.search(turned_query))
            exact = gallery.search(_exactly(turned_query, concept))
            nearest, n_with_code = _first(matches_of(gallery, exact)), exact.n_matching
        values = tuple(float(logits[bit]) for bit in own)
        code_text = subcode_text(other[list(own)])
        return Flip(concept, own, values, turned, before, after, nearest, n_with_code, code_text)


def _query(gallery: AnyGallery, code: np.ndarray, image: str) -> Query:
    row = stored_row(gallery, image)
    rules = (ConceptRule(),) * gallery.n_concepts
    return Query(tuple(bool(bit) for bit in code), rules, k=NEIGHBORS, exclude_row=row)


def _exactly(query: Query, concept: int) -> Query:
    rules = tuple(ConceptRule("exact") if m == concept else rule for m, rule in enumerate(query.rules))
    return replace(query, rules=rules, k=1)


def _first(matches: tuple[Match, ...]) -> Match | None:
    return matches[0] if matches else None
