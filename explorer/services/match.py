"""Neighbors by any choice of concepts: exact, within r bits, or ignored, with how common that is by chance."""

from dataclasses import replace

import numpy as np

from concepthash.codes import subcode_text, subcodes
from concepthash.gallery.large_gallery import AnyGallery
from concepthash.gallery.matches import Matches
from concepthash.gallery.query import ConceptRule, Query
from concepthash.gallery.selection import WHOLE

from ..records import DIFFER, IGNORE, Chip, Match, MatchResult, Relaxation
from .explain import ExplainService
from .parts import facets_of, selection_of
from .photos import PhotoService, stored_row, thumbnail

__all__ = ["MatchService", "matches_of", "result_of"]

FEW = 5  # with fewer matches than this, looser questions are offered as well


class MatchService:
    """Searches the gallery that belongs to the model named in each request."""

    def __init__(self, photos: PhotoService, explain: ExplainService) -> None:
        self._photos, self._explain = photos, explain

    def match(
        self,
        checkpoint: str,
        visitor: str,
        image: str,
        *,
        agree: tuple[int, ...] = (),
        rank: str = "hamming",
        weights: tuple[float, ...] = (),
        classes: tuple[str, ...] = (),
        family: str = "",
        patterns: tuple[str, ...] = (),
        where: tuple[str, ...] = (),
        page: int = 0,
        page_size: int = 24,
        names: tuple[str, ...] = (),
    ) -> MatchResult:
        """Return one page of neighbors of ``image``; ``agree`` has one radius per concept, or `IGNORE` or `DIFFER`."""
        gallery = self._photos.shown_gallery(checkpoint).gallery
        code = self._explain.code(checkpoint, visitor, image)  # (K,)
        agree = agree if len(agree) == gallery.n_concepts else (IGNORE,) * gallery.n_concepts
        query = Query(
            code=tuple(bool(bit) for bit in code),
            rules=_rules(agree, weights),
            rank=rank,  # type: ignore[arg-type]
            selection=selection_of(gallery, classes, family, patterns, where),
            k=page_size,
            offset=max(page, 0) * page_size,
            exclude_row=stored_row(gallery, image),
        )
        result = result_of(gallery, query)
        if result.n_matching >= FEW:
            return result
        return replace(result, relaxations=_relaxations(gallery, query, agree, names, result.n_matching))


def result_of(gallery: AnyGallery, query: Query) -> MatchResult:
    """Search, and describe the page asked for, or the last one there is."""
    found = gallery.search(query)
    page, n_pages = query.offset // query.k, max(1, -(-found.n_matching // query.k))
    if page >= n_pages:
        page = n_pages - 1
        found = gallery.search(replace(query, offset=page * query.k))
    return MatchResult(
        matches=matches_of(gallery, found),
        n_matching=found.n_matching,
        n_filtered=found.n_filtered,
        n_gallery=len(gallery) - (query.exclude_row is not None),
        n_carrying=found.n_agreeing,
        page=page,
        n_pages=n_pages,
        subcodes=tuple(map(subcode_text, subcodes(np.array(query.code), gallery.n_concepts))),
        facets=facets_of(gallery, query),
        has_query=query.exclude_row is None,
    )


def _rules(agree: tuple[int, ...], weights: tuple[float, ...]) -> tuple[ConceptRule, ...]:
    weights = weights if len(weights) == len(agree) else (10,) * len(agree)
    return tuple(_rule(radius, weight / 10) for radius, weight in zip(agree, weights, strict=True))


def _rule(radius: int, weight: float) -> ConceptRule:
    if radius == DIFFER:
        return ConceptRule("differ", 0, weight)
    if radius == IGNORE:
        return ConceptRule("ignore", 0, weight)
    return ConceptRule("within" if radius else "exact", radius, weight)


def matches_of(gallery: AnyGallery, found: Matches) -> tuple[Match, ...]:
    """Describe the rows that a search found."""
    size, place = gallery.bits_per_concept, {row: i for i, row in enumerate(found.rows.tolist())}
    described = [(place[stored.row], stored) for stored in gallery.images(found.rows)]  # a server may have lost some
    return tuple(
        Match(
            thumbnail(stored),
            stored.family,
            int(found.distance[i]),
            float(found.score[i]),
            tuple(Chip(m, int(d), size) for m, d in enumerate(found.concept_distances[i])),
        )
        for i, stored in described
    )


def _relaxations(
    gallery: AnyGallery, query: Query, agree: tuple[int, ...], names: tuple[str, ...], n_now: int
) -> tuple[Relaxation, ...]:
    """Find the tightest looser questions that have answers: other radius, one concept less, no filter."""
    found = []
    size = gallery.bits_per_concept
    asked = [m for m, radius in enumerate(agree) if radius >= 0]
    for extra in range(1, size + 1) if asked else ():
        looser = tuple(min(r + extra, size) if r >= 0 else r for r in agree)
        n = _count(gallery, query, looser)
        if n > n_now:
            bits = f"{extra} more bit" + ("s" if extra > 1 else "")
            found.append(Relaxation(f"Allow {bits}" + (" per concept" if len(asked) > 1 else ""), looser, n))
            break
    ruled = [m for m, radius in enumerate(agree) if radius != IGNORE]
    for m in ruled if len(ruled) > 1 else ():
        without = tuple(IGNORE if m == i else r for i, r in enumerate(agree))
        n = _count(gallery, query, without)
        if n > n_now:
            found.append(Relaxation(f"Ignore {names[m] if m < len(names) else f'concept {m + 1}'}", without, n))
    if query.selection:
        n = _count(gallery, replace(query, selection=WHOLE), agree)
        if n > n_now:
            found.append(Relaxation("Search the whole gallery", agree, n, keeps_filter=False))
    return tuple(sorted(found, key=lambda r: r.n_matching)[:3])


def _count(gallery: AnyGallery, query: Query, agree: tuple[int, ...]) -> int:
    rules = tuple(_rule(radius, rule.weight) for radius, rule in zip(agree, query.rules, strict=True))
    return gallery.search(replace(query, rules=rules, k=0, offset=0)).n_matching
