"""Families of classes: by the last word of the name, or by a table that knows the birds of CUB-200-2011."""

import csv
from collections import Counter
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

from ..errors import ConfigError
from .table import family_of

__all__ = ["GROUPINGS", "families_of", "largest_families", "plain_name", "share_in_taxonomy"]

GROUPINGS = ("name", "taxonomy")
TAXONOMY = Path(__file__).with_name("cub200_taxonomy.csv")
# The paper's figure takes the ten most frequent last words; of those with four classes it takes this one.
PREFERRED = ("oriole",)


def families_of(class_names: Sequence[str], grouping: str = "name") -> tuple[str, ...]:
    """Name the family of each class.

    Parameters
    ----------
    class_names
        C names; case, underscores and a leading number such as ``"001."`` make no difference.
    grouping
        ``"name"`` takes the last word, ``"taxonomy"`` looks the class up in the table of CUB's birds.

    Returns
    -------
    tuple of str
        C families; empty where the table does not know the class.

    Raises
    ------
    ConfigError
        For another grouping.

    Examples
    --------
    >>> families_of(["036.Northern_Flicker", "downy woodpecker"])
    ('flicker', 'woodpecker')
    >>> families_of(["036.Northern_Flicker", "downy woodpecker"], "taxonomy")
    ('Picidae', 'Picidae')
    """
    if grouping not in GROUPINGS:
        raise ConfigError(f"There is no grouping {grouping!r}; choose one of {', '.join(GROUPINGS)}.")
    plain = [plain_name(name) for name in class_names]
    if grouping == "name":
        return tuple(map(family_of, plain))
    return tuple(_taxonomy().get(name, "") for name in plain)


def share_in_taxonomy(class_names: Sequence[str]) -> float:
    """Tell which share of the classes, in [0, 1], the table knows."""
    return sum(map(bool, families_of(class_names, "taxonomy"))) / max(1, len(class_names))


def largest_families(families: Sequence[str], count: int = 10) -> tuple[str, ...]:
    """Name the families with most classes, largest first; unknown ones (empty) do not count.

    Families of equal size stand in alphabetical order, but one that the paper's figure shows stands first.

    Examples
    --------
    >>> largest_families(["wren", "tern", "", "gull", "wren"], 2)
    ('wren', 'gull')
    """
    sizes = Counter(family for family in families if family)
    return tuple(sorted(sizes, key=lambda family: (-sizes[family], family not in PREFERRED, family))[:count])


def plain_name(name: str) -> str:
    """Write a class name in small letters and spaces, without a leading number.

    Examples
    --------
    >>> plain_name("022.Chuck_will_Widow")
    'chuck will widow'
    """
    head, dot, tail = name.partition(".")
    return " ".join((tail if dot and head.strip().isdigit() else name).replace("_", " ").lower().split())


@lru_cache(maxsize=1)
def _taxonomy() -> dict[str, str]:
    lines = TAXONOMY.read_text(encoding="utf-8").splitlines()
    return {row["class_name"]: row["family"] for row in csv.DictReader(line for line in lines if line[:1] != "#")}
