"""Concepts against what a rendered data set knows of its own pictures: masks of parts, and attributes of classes."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from .data import ImageTable
from .localization import best_parts, part_table, peaks_in_parts
from .metrics import distances_per_concept, listed, precision_at

__all__ = ["attribute_agreement", "looks_of_classes", "part_figures"]

N_NEIGHBORS = 10


def part_figures(maps: np.ndarray, masks: Sequence[np.ndarray], part_names: Sequence[str]) -> dict[str, Any]:
    """Where concepts look, part by part.

    Parameters
    ----------
    maps, masks
        Of n images, as for `part_table`.
    part_names
        P names.

    Returns
    -------
    dict
        ``part_table``: for each concept, part → share of its map's mass over the part's share of the area (1 is
        chance; None for a part that is in no image); ``best_part``: the part with the largest, and
        ``best_part_ratio``: that; ``pointing_game``: share of images in which the concept's map peaks in it.
    """
    table = part_table(maps, masks, len(part_names))  # (M, P)
    best = best_parts(table)
    return {
        "part_table": [dict(zip(part_names, row, strict=True)) for row in listed(table)],
        "best_part": [part_names[part] for part in best],
        "best_part_ratio": table[np.arange(len(best)), best].tolist(),
        "pointing_game": peaks_in_parts(maps, masks, best).mean(axis=0).tolist(),
    }


def attribute_agreement(
    query_code: np.ndarray,
    gallery_code: np.ndarray,
    query_labels: np.ndarray,
    gallery_labels: np.ndarray,
    table: ImageTable,
    best_part: Sequence[str],
) -> list[dict[str, Any]]:
    """Whether a match by one concept agrees on what stands on that concept's part.

    An image's neighbors by a concept are the 10 images with the nearest sub-codes, ties in random order. Two images
    agree on a part if their classes have the same value in all attributes of that part.

    Parameters
    ----------
    query_code, gallery_code
        (Q, K) and (S, K) bool.
    query_labels, gallery_labels
        (Q,) and (S,) int, classes of ``table``.
    table
        With attributes.
    best_part
        M names, from `part_figures`.

    Returns
    -------
    list of dict
        For each concept its ``part``; ``own``: the share of its neighbors that agree on that part; ``others``: the same
        for neighbors by another concept, mean over the others; and their ``ratio``. Empty of figures (None) where the
        part has no attributes.
    """
    m = len(best_part)
    distances = list(distances_per_concept(query_code, gallery_code, m))
    rows: list[dict[str, Any]] = []
    for concept, part in enumerate(best_part):
        looks = looks_of_classes(table, part)  # (C,)
        if looks is None or m == 1:
            rows.append({"part": part, "own": None, "others": None, "ratio": None})
            continue
        shares = [precision_at(d, looks[query_labels], looks[gallery_labels], N_NEIGHBORS) for d in distances]
        own = shares.pop(concept)
        others = float(np.mean(shares))
        rows.append({"part": part, "own": own, "others": others, "ratio": own / others if others else None})
    return rows


def looks_of_classes(table: ImageTable, part: str) -> np.ndarray | None:
    """A number for each class, equal where two classes look alike on a part: (C,) int; None without attributes."""
    columns = [column for column, owner in enumerate(table.attribute_parts) if owner == part]
    if table.attributes is None or not columns:
        return None
    return np.unique(table.attributes[:, columns], axis=0, return_inverse=True)[1].reshape(-1)
