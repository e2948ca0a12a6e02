"""How many images have each class, family or other value, where a filter does not count against its own values."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from .metadata import Value
from .selection import Selection

__all__ = ["MANY", "MOST", "Facets", "Groups", "few_values", "grouped", "without_facets"]

MANY = 24  # different values up to which a column beside class and family is counted by value
MOST = 3  # so many such columns at most, the first ones


@dataclass(frozen=True)
class Facets:
    """How many images have each value; those without a value are in none.

    Each column is counted among the images that satisfy the rules and all filters but those on the column itself.

    Attributes
    ----------
    classes, families
        Images by name, in order of names.
    others
        The same for each other column that has few values.
    """

    classes: dict[str, int]
    families: dict[str, int]
    others: dict[str, dict[str | int, int]]


@dataclass(frozen=True, eq=False)
class Groups:
    """The combinations of values that images have, so that one count of them gives the facets of every filter.

    Attributes
    ----------
    columns
        Names of F columns: class, family, and others with few values.
    values
        G different combinations of one value a column, None where there is none.
    """

    columns: tuple[str, ...]
    values: tuple[tuple[Value, ...], ...]

    def facets(self, n_images: np.ndarray, selection: Selection) -> Facets:
        """Count the values of each column, given how many images (G,) satisfy all but what a selection says of them."""
        kept = [self._kept(column, selection) for column in range(len(self.columns))]  # F of (G,) bool
        classes, families, *others = (
            self._totals(column, n_images * np.logical_and.reduce([*kept[:column], *kept[column + 1 :]]))
            for column in range(len(self.columns))
        )
        return Facets(classes, families, dict(zip(self.columns[2:], others, strict=True)))

    @cached_property
    def place(self) -> Mapping[tuple[Value, ...], int]:
        """Where each combination stands."""
        return {values: place for place, values in enumerate(self.values)}

    @cached_property
    def _tables(self) -> list[tuple[list[Value], np.ndarray]]:
        """Sorted values of each column, and (G,) int64 indices into them; one past the last where there is none."""
        return [_table([values[column] for values in self.values]) for column in range(len(self.columns))]

    def _kept(self, column: int, selection: Selection) -> np.ndarray:
        """(G,) bool: the combination passes the filters on a column."""
        names, ids = self._tables[column]
        passes = np.array([*(_passes(self.columns[column], name, selection) for name in names), False])
        return passes[ids] if _is_filtered(self.columns[column], selection) else np.ones(len(ids), dtype=bool)

    def _totals(self, column: int, n_images: np.ndarray) -> dict[Any, int]:
        names, ids = self._tables[column]
        totals = np.bincount(ids, weights=n_images, minlength=len(names) + 1).astype(np.int64).tolist()
        return {name: n for name, n in zip(names, totals, strict=False) if n}


def grouped(columns: tuple[str, ...], parts: Iterable[Sequence[Sequence[Value]]]) -> tuple[Groups, np.ndarray]:
    """Find the combinations of values that images have.

    Parameters
    ----------
    columns
        Class, family and other columns with few values.
    parts
        For some images after the other, the values of each column, None where there is none.

    Returns
    -------
    tuple
        The combinations, and (N,) unsigned which of them each image has.
    """
    places: dict[tuple[Value, ...], int] = {}
    ids = [
        np.array([places.setdefault(values, len(places)) for values in zip(*part, strict=True)]).astype(
            np.min_scalar_type(len(places))
        )
        for part in parts
    ]
    return Groups(columns, tuple(places)), np.concatenate([np.empty(0, dtype=np.uint8), *ids])


def without_facets(selection: Selection, columns: Iterable[str]) -> Selection:
    """Take away the filters that only choose values of some columns, class and family among them."""
    rest = tuple(c for c in selection.conditions if c.comparison != "=" or c.column not in columns)
    return replace(selection, classes=(), family="", conditions=rest)


def few_values(columns: Mapping[str, np.ndarray]) -> dict[str, tuple[str | int, ...]]:
    """Return the sorted values of the first columns that have few of them, and no fractions; None is no value."""
    found = {name: {value for value in column.tolist() if value is not None} for name, column in columns.items()}
    few = [name for name, values in found.items() if 1 < len(values) <= MANY and not _has_fractions(columns[name])]
    return {name: tuple(sorted(found[name])) for name in few[:MOST]}


def _has_fractions(column: np.ndarray) -> bool:
    return any(isinstance(value, float) for value in column.tolist())


def _is_filtered(column: str, selection: Selection) -> bool:
    chosen = {"class": selection.classes, "family": selection.family}
    return bool(chosen.get(column) or _wanted(column, selection))


def _passes(column: str, value: Value, selection: Selection) -> bool:
    if column == "class" and selection.classes and value not in selection.classes:
        return False
    if column == "family" and selection.family and value != selection.family:
        return False
    return all(value == wanted for wanted in _wanted(column, selection))


def _wanted(column: str, selection: Selection) -> list[str | int | float]:
    return [c.value for c in selection.conditions if c.column == column and c.comparison == "="]


def _table(values: Sequence[Value]) -> tuple[list[Value], np.ndarray]:
    names: list[Any] = sorted({value for value in values if value is not None})
    ids: dict[Value, int] = {name: i for i, name in enumerate(names)}
    return names, np.array([ids.get(value, len(names)) for value in values], dtype=np.int64)
