"""Concept maps against what is known of an image: where a map peaks, and whether that lies on the object."""

import math
from collections.abc import Sequence

import numpy as np

from .data import to_original_coordinates
from .errors import DataError

__all__ = ["best_parts", "concept_overlap", "part_table", "peak_xy", "peaks_in_boxes", "peaks_in_parts"]


def peak_xy(maps: np.ndarray, image_sizes: np.ndarray) -> np.ndarray:
    """Where each map is largest, in pixels of the original image.

    Inside the largest cell, a parabola through it and its two neighbors gives the peak along each axis, at most half
    a cell from the middle; a cell at the border of the grid keeps its middle.

    The model sees the whole image squashed to its input size, so cell (row, column) of an (h, w) map covers the same
    shares of the original's height and width.

    Parameters
    ----------
    maps
        (n, M, h, w).
    image_sizes
        (n, 2) height and width of the original images in pixels.

    Returns
    -------
    ndarray of shape (n, M, 2), float64
        x and y from the top left.

    Examples
    --------
    >>> maps = np.zeros((1, 1, 2, 4)); maps[0, 0, 1, 2] = 1
    >>> peak_xy(maps, np.array([[100, 200]])).tolist()
    [[[125.0, 75.0]]]
    """
    n, m, h, w = maps.shape
    row, column = np.unravel_index(maps.reshape(n, m, -1).argmax(axis=2), (h, w))  # each (n, M)
    y = row + _vertex(maps, row, column, axis=2)
    x = column + _vertex(maps, row, column, axis=3)
    return to_original_coordinates(np.stack([x + 0.5, y + 0.5], axis=2), image_sizes[:, None], (h, w))


def _vertex(maps: np.ndarray, row: np.ndarray, column: np.ndarray, axis: int) -> np.ndarray:
    """Offset in cells, within ±0.5, of the parabola's top at each peak along axis 2 or 3."""
    last = maps.shape[axis] - 1
    index = row if axis == 2 else column
    pictures, concepts = np.indices(row.shape)

    def value(step: int) -> np.ndarray:
        shifted = np.clip(index + step, 0, last)
        place = (shifted, column) if axis == 2 else (row, shifted)
        return maps[(pictures, concepts, *place)].astype(np.float64)

    before, top, after = value(-1), value(0), value(1)
    curvature = 2 * top - before - after
    inside = (index > 0) & (index < last) & (curvature > 0)
    return np.where(inside, (after - before) / np.where(inside, 2 * curvature, 1), 0.0)


def peaks_in_boxes(maps: np.ndarray, image_sizes: np.ndarray, boxes: np.ndarray) -> np.ndarray:
    """Whether each map peaks inside the object's box: (n, M) bool.

    Parameters
    ----------
    maps, image_sizes
        As in `peak_xy`.
    boxes
        (n, 4): x, y, width, height in pixels of the original image.
    """
    offset = peak_xy(maps, image_sizes) - boxes[:, None, :2]  # (n, M, 2)
    return np.asarray(((offset >= 0) & (offset <= boxes[:, None, 2:])).all(axis=2))


def concept_overlap(maps: np.ndarray) -> float:
    """Mean cosine between the maps of two concepts on one image, over all pairs and images; nan where M = 1.

    Parameters
    ----------
    maps
        (n, M, h, w), non-negative; 0 means disjoint, 1 the same everywhere.
    """
    flat = maps.reshape(*maps.shape[:2], -1).astype(np.float64)
    flat /= np.maximum(np.linalg.norm(flat, axis=2, keepdims=True), np.finfo(float).tiny)
    first, second = np.triu_indices(maps.shape[1], k=1)
    if len(first) == 0:
        return float("nan")
    return float((flat[:, first] * flat[:, second]).sum(axis=2).mean())


def part_table(maps: np.ndarray, masks: Sequence[np.ndarray], n_parts: int) -> np.ndarray:
    """How much more a concept looks at each part than chance would: (M, P) float64, 1 is chance.

    The share of the concept maps' mass that lies in a part, over the part's share of the area; both summed over all
    images first, so that a part which is hardly visible in one of them counts little there. nan for a part that is in
    no image.

    Parameters
    ----------
    maps
        (n, M, h, w), each summing to 1; one cell's mass is spread evenly over its pixels.
    masks
        n arrays (H, W) of part numbers 1 … P, 0 for none.
    n_parts
        P.

    Examples
    --------
    >>> mask = np.array([[1, 1, 0, 0], [0, 0, 0, 2]])
    >>> part_table(np.array([[[[0.5, 0.5]]]]), [mask], 2).tolist()
    [[1.0, 1.0]]
    >>> part_table(np.array([[[[1.0, 0.0]]]]), [mask], 2).tolist()
    [[2.0, 0.0]]
    """
    mass, area = np.zeros((maps.shape[1], n_parts)), np.zeros(n_parts)
    for concept_maps, mask in zip(maps, masks, strict=True):
        shares = _shares_of_cells(mask, maps.shape[2:], n_parts)  # (h, w, P)
        mass += np.einsum("mhw,hwp->mp", concept_maps, shares)
        area += shares.mean(axis=(0, 1))
    return np.divide(mass, area, out=np.full_like(mass, np.nan), where=area > 0)


def _shares_of_cells(mask: np.ndarray, grid: tuple[int, ...], n_parts: int) -> np.ndarray:
    """Which share of every cell each part covers: (H, W) → (h, w, P)."""
    h, w = grid
    for axis, n_cells in enumerate(grid):  # as often as it takes to split evenly
        mask = mask.repeat(n_cells // math.gcd(n_cells, mask.shape[axis]), axis)
    cells = mask.reshape(h, mask.shape[0] // h, w, mask.shape[1] // w)
    return np.stack([(cells == part).mean(axis=(1, 3)) for part in range(1, n_parts + 1)], axis=2)


def best_parts(table: np.ndarray) -> np.ndarray:
    """Each concept's best part: where its map is denser than anywhere else, (M,) index into the columns of the table.

    Parameters
    ----------
    table
        (M, P), from `part_table`.

    Raises
    ------
    DataError
        If no part is visible in any image.
    """
    if np.isnan(table).all(axis=1).any():
        raise DataError("No part is visible in any of the images; choose images whose masks have parts.")
    return np.asarray(np.nanargmax(table, axis=1))


def peaks_in_parts(maps: np.ndarray, masks: Sequence[np.ndarray], parts: np.ndarray) -> np.ndarray:
    """Pointing game: whether each map's largest cell touches the concept's part, (n, M) bool.

    Images in which the part is not visible count as misses.

    Parameters
    ----------
    maps, masks
        As for `part_table`.
    parts
        (M,) index of each concept's part, from 0.

    References
    ----------
    Zhang, Bargal, Lin, Brandt, Shen, Sclaroff: Top-down Neural Attention by Excitation Backprop, IJCV 2018.
    """
    h, w = maps.shape[2:]
    hits = np.zeros(maps.shape[:2], dtype=bool)
    for image, mask in enumerate(masks):
        shares = _shares_of_cells(mask, (h, w), int(parts.max()) + 1)  # (h, w, P)
        peaks = maps[image].reshape(len(parts), -1).argmax(axis=1)  # (M,)
        hits[image] = shares.reshape(h * w, -1)[peaks, parts] > 0
    return hits
