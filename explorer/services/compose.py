"""Neighbors of a code put together from several images: the head of one, the wing of another, not that tail."""

from concepthash.errors import QueryError
from concepthash.gallery.large_gallery import AnyGallery
from concepthash.gallery.query import ConceptRule, Query

from ..api_records import ComposedPart
from ..records import MatchResult
from .explain import ExplainService
from .match import result_of
from .parts import selection_of
from .photos import PhotoService

__all__ = ["ComposeService"]


class ComposeService:
    """Searches the gallery that belongs to the model named in each request."""

    def __init__(self, photos: PhotoService, explain: ExplainService) -> None:
        self._photos, self._explain = photos, explain

    def compose(
        self,
        checkpoint: str,
        visitor: str,
        parts: tuple[ComposedPart, ...],
        image: str,
        *,
        classes: tuple[str, ...] = (),
        family: str = "",
        patterns: tuple[str, ...] = (),
        where: tuple[str, ...] = (),
        page: int = 0,
        page_size: int = 24,
    ) -> MatchResult:
        """Return one page of the images that satisfy every part, those that differ least in the wanted ones first.

        The other concepts are compared with those of ``image``, and need not agree.

        Raises
        ------
        QueryError
            If nothing is asked, or a concept is asked twice or does not exist.
        """
        gallery = self._photos.shown_gallery(checkpoint).gallery
        _check(gallery, parts)
        code = self._explain.code(checkpoint, visitor, image or parts[0].image)  # (K,)
        rules = [ConceptRule(weight=0.0)] * gallery.n_concepts
        for part in parts:
            bits = gallery.bits_of(part.concept)
            code[bits] = self._explain.code(checkpoint, visitor, part.image)[bits]
            rules[part.concept] = _rule(part)
        part_of_gallery = selection_of(gallery, classes, family, patterns, where)
        offset = page * page_size
        asked = Query(tuple(map(bool, code)), tuple(rules), "weighted", part_of_gallery, page_size, offset)
        return result_of(gallery, asked)


def _rule(part: ComposedPart) -> ConceptRule:
    if part.differs:
        return ConceptRule("differ", part.radius, weight=0.0)
    return ConceptRule("within" if part.radius else "exact", part.radius)


def _check(gallery: AnyGallery, parts: tuple[ComposedPart, ...]) -> None:
    concepts = [part.concept for part in parts]
    if not parts:
        raise QueryError("No part is asked for; give at least one image and the concept to take from it.")
    for concept in concepts:
        if not 0 <= concept < gallery.n_concepts:
            raise QueryError(f"Concept {concept} does not exist; this model has 0 to {gallery.n_concepts - 1}.")
    if len(set(concepts)) < len(concepts):
        raise QueryError(f"The concepts {concepts} are not all different; ask for each concept once.")
