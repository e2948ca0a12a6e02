"""The frozen records of how many matches have each class, family or other value."""

from dataclasses import dataclass

__all__ = ["Facet", "FacetValue"]


@dataclass(frozen=True)
class FacetValue:
    """A class, family or other value, and how many images that satisfy the rules have it."""

    value: str
    n_matching: int
    is_chosen: bool


@dataclass(frozen=True)
class Facet:
    """The most common values of a column, counted without the filter on this column; ``n_values`` there are in all."""

    column: str
    values: tuple[FacetValue, ...]
    n_values: int
