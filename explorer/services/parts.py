"""The part of a gallery that a visitor looks at, and how many matches have each value outside it."""

from concepthash.errors import QueryError
from concepthash.gallery.facets import Facets
from concepthash.gallery.large_gallery import AnyGallery
from concepthash.gallery.query import Query
from concepthash.gallery.selection import Condition, Selection

from ..facet_records import Facet, FacetValue

__all__ = ["facets_of", "selection_of"]

SHOWN = 20  # values of a facet


def selection_of(
    gallery: AnyGallery,
    classes: tuple[str, ...] = (),
    family: str = "",
    patterns: tuple[str, ...] = (),
    where: tuple[str, ...] = (),
) -> Selection:
    """Return the part with the chosen values; ``where`` has texts such as ``split=test``."""
    return Selection(classes, family, patterns, tuple(_condition(gallery, text) for text in where))


def facets_of(gallery: AnyGallery, query: Query) -> tuple[Facet, ...]:
    """Count what a question finds by class, family and other values, the most common ones first."""
    counts, chosen = gallery.facets(query), query.selection
    return (
        _facet("class", counts.classes, {*chosen.classes}),
        _facet("family", counts.families, {chosen.family} - {""}),
        *(_facet(column, values, _chosen(chosen, column)) for column, values in _others(counts).items()),
    )


def _condition(gallery: AnyGallery, text: str) -> Condition:
    column, _, value = text.partition("=")
    known = {str(one): one for one in gallery.facet_values.get(column, ())}
    if value not in known:
        columns = ", ".join(gallery.facet_values) or "none"
        raise QueryError(
            f"No image of the gallery has {text[:80]!r}; give column=value with a value of one of these: {columns}."
        )
    return Condition(column, "=", known[value])


def _chosen(selection: Selection, column: str) -> set[str]:
    return {str(condition.value) for condition in selection.conditions if condition.column == column}


def _others(counts: Facets) -> dict[str, dict[str, int]]:
    """Counts by the texts of values; the empty text is no value that could be chosen."""
    return {
        column: {str(value): n for value, n in values.items() if str(value)} for column, values in counts.others.items()
    }


def _facet(column: str, counts: dict[str, int], chosen: set[str]) -> Facet:
    """Sort by numbers, then names; what is chosen stays in sight."""
    named = {value: n for value, n in counts.items() if value} | dict.fromkeys(chosen - {*counts}, 0)
    order = sorted(named, key=lambda value: (-named[value], value))
    shown = order[:SHOWN] + [value for value in order[SHOWN:] if value in chosen]
    return Facet(column, tuple(FacetValue(value, named[value], value in chosen) for value in shown), len(named))
