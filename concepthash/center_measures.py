"""How well hash centers keep families together, and how far a picture of them can be trusted."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from .center_maps import checked_centers, unit_rows
from .codes import binarize, hamming, pack_words

__all__ = [
    "NearClass",
    "Purity",
    "false_links",
    "family_purity",
    "family_silhouette",
    "nearest_classes",
    "picture_trust",
]


class Purity(NamedTuple):
    """Shares in [0, 1]: neighbors of the same family, as chance would have it, and at best; over ``n_classes``."""

    share: float
    chance: float
    best: float
    n_classes: int


class NearClass(NamedTuple):
    """A class near another one: its row, the bits in which the two centers' signs differ, and their cosine."""

    class_index: int
    distance: int
    cosine: float


def family_purity(centers: np.ndarray, families: Sequence[str], k: int = 5) -> Purity | None:
    """Measure which share of a class's k nearest centers (by cosine) is of its own family.

    Parameters
    ----------
    centers
        (C, K) float.
    families
        C names; empty where unknown. Only classes whose family has another member are asked.

    Returns
    -------
    Purity or None
        None where no two classes share a family.
    """
    cosines = _cosines(centers)
    k = min(k, len(centers) - 1)
    is_same = _same_family(families)  # (C, C)
    others = is_same.sum(axis=1) - 1  # (C,) members besides the class itself; -1 where the family is unknown
    asked = np.flatnonzero(others > 0)
    if not len(asked):
        return None
    nearest = np.argsort(-cosines, axis=1, kind="stable")[:, :k]  # (C, k)
    share = np.take_along_axis(is_same, nearest, axis=1)[asked].mean()
    chance = (others[asked] / (len(centers) - 1)).mean()
    best = (np.minimum(others[asked], k) / k).mean()
    return Purity(float(share), float(chance), float(best), len(asked))


def family_silhouette(centers: np.ndarray, families: Sequence[str]) -> float | None:
    """Give the mean silhouette, in [-1, 1], of families of two classes and more in code space, by cosine distance.

    Returns
    -------
    float or None
        None where there are fewer than two such families.
    """
    from sklearn.metrics import silhouette_score

    members = np.flatnonzero(_same_family(families).sum(axis=1) > 1)
    names = [families[int(index)] for index in members]
    if len(set(names)) < 2:
        return None
    return float(silhouette_score(unit_rows(checked_centers(centers))[members], names, metric="cosine"))


def picture_trust(centers: np.ndarray, positions: np.ndarray, k: int = 5) -> float | None:
    """Give the trustworthiness of a picture, in [0, 1]: 1 = whoever is a neighbor in it is one in code space, too.

    Returns
    -------
    float or None
        None for fewer than four classes, where the measure has no meaning.

    References
    ----------
    Venna, Kaski: Neighborhood preservation in nonlinear projection methods, ICANN 2001.
    """
    from sklearn.manifold import trustworthiness

    k = min(k, (len(centers) - 1) // 2)
    if len(centers) < 4:
        return None
    return float(trustworthiness(unit_rows(checked_centers(centers)), positions, n_neighbors=k))


def false_links(centers: np.ndarray, positions: np.ndarray, k: int = 5) -> np.ndarray:
    """List where a picture lies: each class with its nearest center, if that is not among its k nearest dots.

    Returns
    -------
    np.ndarray
        (L, 2) int64, class and its nearest one in code space.
    """
    if len(centers) < 2:
        return np.empty((0, 2), dtype=np.int64)
    nearest = _cosines(centers).argmax(axis=1)  # (C,)
    apart = np.linalg.norm(positions[:, None] - positions[None], axis=2)  # (C, C)
    np.fill_diagonal(apart, np.inf)
    classes = np.arange(len(centers))
    nearer = (apart < apart[classes, nearest][:, None]).sum(axis=1)  # dots that stand nearer than that one
    return np.stack([classes, nearest], axis=1)[nearer >= k]


def nearest_classes(centers: np.ndarray, index: int, count: int = 6) -> tuple[NearClass, ...]:
    """List the classes whose centers are nearest to that of class ``index`` by cosine, nearest first."""
    cosines = _cosines(centers)[index]
    words = pack_words(binarize(centers))
    distances = hamming(words[index][None], words)[0]
    order = np.argsort(-cosines, kind="stable")[: min(count, len(centers) - 1)]
    return tuple(NearClass(int(c), int(distances[c]), float(cosines[c])) for c in order)


def _cosines(centers: np.ndarray) -> np.ndarray:
    """(C, C) cosines of centers, -inf on the diagonal, so that no class is its own neighbor."""
    unit = unit_rows(checked_centers(centers))
    cosines = unit @ unit.T
    np.fill_diagonal(cosines, -np.inf)
    return np.asarray(cosines)


def _same_family(families: Sequence[str]) -> np.ndarray:
    """(C, C) bool; a class of unknown family (empty) shares it with nobody, not even itself."""
    names = np.array(list(families), dtype=object)
    return np.asarray((names[:, None] == names[None]) & (names[:, None] != ""), dtype=bool)
