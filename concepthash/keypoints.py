"""Concept maps against the key-points of birds, as parts: head, body, wing, tail and leg.

From the grid to the original image: a model sees the whole image, W x H pixels, squashed to its input by
`data.resize_for_model`, and lays an (h, w) grid over that. Both steps only scale the axes, so the size of the input
drops out: the point (column + s, row + t) of the grid, s and t in [0, 1] inside a cell, is x = (column + s) · W / w
and y = (row + t) · H / h in the original, measured from its top left edge. Nothing is cut off and no offset is added;
a cell is as oblong as the image asks for, and distances are taken in the original's pixels, where a circle is round.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from .errors import DataError
from .localization import peak_xy
from .metrics import listed, resample_counts

__all__ = [
    "KEYPOINT_PARTS",
    "RADIUS",
    "PartScores",
    "bootstrap_interval",
    "keypoint_figures",
    "part_columns",
    "score_parts",
]

KEYPOINT_PARTS = {
    "head": {"beak", "bill", "forehead", "crown", "eye", "nape", "throat"},
    "body": {"back", "belly", "breast"},
    "wing": {"wing"},
    "tail": {"tail"},
    "leg": {"leg"},
}
RADIUS = 0.1  # of the box diagonal: the 0.1 usual for key-points of birds, and about half a cell of a 10 x 10 grid
N_RESAMPLES = 1000
_CELL_SAMPLES = 8  # points along each side of a cell
_BOX_SAMPLES = 32  # points along each side of a box


class PartScores(NamedTuple):
    """Of n images, M concepts, P parts: hits, mass (n, M, P); chance, middle, visible (n, P); see `score_parts`."""

    hits: np.ndarray
    mass: np.ndarray
    chance: np.ndarray
    middle: np.ndarray
    visible: np.ndarray


def part_columns(names: Sequence[str]) -> np.ndarray:
    """Which key-points belong to which part, left and right merged: (K, P) bool.

    Parameters
    ----------
    names
        K names of key-points, such as ``"left eye"``; one that belongs to no part is in no column.
    """
    bare = [name.casefold().replace("_", " ").removeprefix("left ").removeprefix("right ") for name in names]
    return np.array([[name in members for members in KEYPOINT_PARTS.values()] for name in bare], dtype=bool)


def score_parts(
    maps: np.ndarray,
    image_sizes: np.ndarray,
    boxes: np.ndarray,
    keypoints: np.ndarray,
    names: Sequence[str],
    radius: float = RADIUS,
) -> PartScores:
    """Where maps peak and how much of their mass lies near each part.

    Near a part means within ``radius`` box diagonals of one of its visible key-points.

    Parameters
    ----------
    maps
        (n, M, h, w), each summing to 1; one cell's mass is spread evenly over its pixels.
    image_sizes
        (n, 2) height and width of the original images in pixels.
    boxes
        (n, 4): x, y, width, height in pixels of the original image.
    keypoints
        (n, K, 3): x, y in pixels of the original image and visible (1 or 0).
    names
        (K,) names of the key-points.
    radius
        Share of the diagonal of the image's box.

    Returns
    -------
    PartScores
        ``hits``: whether a map's peak, see `peak_xy`, is near the part; ``mass``: the share of the map near it;
        ``chance``: the share of the box near it, which is what a random point of the box scores in both; ``middle``:
        whether the middle of the box is near it, which is what a map scores that knows the box and no part;
        ``visible``: whether the part has a visible key-point. Where it has none, the others are 0.

    Raises
    ------
    DataError
        If the radius is not positive.

    References
    ----------
    Zhang, Bargal, Lin, Brandt, Shen, Sclaroff: Top-down Neural Attention by Excitation Backprop, IJCV 2018.
    """
    if radius <= 0:
        raise DataError(f"A radius of {radius} box diagonals holds no point; use a positive one, such as {RADIUS}.")
    n, m = maps.shape[:2]
    columns = part_columns(names)  # (K, P)
    reaches = radius * np.hypot(boxes[:, 2], boxes[:, 3])  # (n,)
    cells, box = _unit_points(maps.shape[2], maps.shape[3], _CELL_SAMPLES), _unit_points(1, 1, _BOX_SAMPLES)
    middles = boxes[:, None, :2] + boxes[:, None, 2:] / 2  # (n, 1, 2)
    ends = np.concatenate([peak_xy(maps, image_sizes), middles], axis=1)  # (n, M + 1, 2)
    hits = np.zeros((n, m + 1, columns.shape[1]), dtype=bool)
    mass, chance = np.zeros((n, m, columns.shape[1])), np.zeros((n, columns.shape[1]))
    for i, points in enumerate(keypoints):
        is_near = _near(cells * image_sizes[i, ::-1], points, columns, reaches[i])  # (h·w·S, P)
        shares = is_near.reshape(maps[i, 0].size, -1, columns.shape[1]).mean(axis=1)  # (h·w, P)
        mass[i] = maps[i].reshape(m, -1) @ shares
        hits[i] = _near(ends[i], points, columns, reaches[i])
        chance[i] = _near(boxes[i, :2] + box * boxes[i, 2:], points, columns, reaches[i]).mean(axis=0)
    return PartScores(hits[:, :m], mass, chance, hits[:, m], (keypoints[:, :, 2] > 0) @ columns)


def _unit_points(h: int, w: int, n_samples: int) -> np.ndarray:
    """Points (x, y) in [0, 1] that sample each cell of a grid evenly, cell by cell: (h·w·n_samples², 2)."""
    y = (np.arange(h * n_samples) + 0.5) / (h * n_samples)
    x = (np.arange(w * n_samples) + 0.5) / (w * n_samples)
    points = np.stack(np.meshgrid(x, y), axis=2)  # (h·S, w·S, 2)
    return points.reshape(h, n_samples, w, n_samples, 2).swapaxes(1, 2).reshape(-1, 2)


def _near(points: np.ndarray, keypoints: np.ndarray, columns: np.ndarray, reach: float) -> np.ndarray:
    """Whether points (S, 2) lie at most ``reach`` pixels from a visible key-point of each part: (S, P) bool."""
    shown = keypoints[:, 2] > 0
    offset = points[:, None] - keypoints[None, shown, :2]  # (S, V, 2)
    is_close = offset[..., 0] ** 2 + offset[..., 1] ** 2 <= reach**2  # (S, V)
    return is_close.astype(np.float32) @ columns[shown].astype(np.float32) > 0


def bootstrap_interval(values: np.ndarray, visible: np.ndarray, *, seed: int = 0) -> np.ndarray:
    """Bounds of the 95 % bootstrap interval of means over the images that show a part: (2, M, P) float64.

    The percentile interval of `N_RESAMPLES` samples of n images with replacement, the same samples for all entries.

    Parameters
    ----------
    values
        (n, M, P).
    visible
        (n, P) bool: which images count for which part; nan for a part that none shows.
    seed
        Of the samples.
    """
    n = len(values)
    counts = resample_counts(n, N_RESAMPLES, seed).astype(np.float64)
    sums = counts @ (values * visible[:, None]).reshape(n, -1)  # (R, M·P)
    shown = (counts @ visible)[:, None]  # (R, 1, P)
    means = _mean(sums.reshape(-1, *values.shape[1:]), shown)
    bounds = np.full((2, *values.shape[1:]), np.nan)
    known = visible.any(axis=0)  # (P,)
    bounds[:, :, known] = np.nanpercentile(means[:, :, known], (2.5, 97.5), axis=0)
    return bounds


def keypoint_figures(scores: PartScores) -> dict[str, Any]:
    """The matrices of concepts by parts, over the images that show the part; numbers only, None where there is none.

    Returns
    -------
    dict
        ``keypoint_table`` (M, P): mean mass near the part; ``keypoint_pointing`` (M, P): share of images in which the
        map peaks near it; both with an ``_interval`` (M, P, 2), see `bootstrap_interval`. ``keypoint_chance`` (P,):
        what a random point inside the box scores; ``keypoint_middle`` (P,): how often the middle of the box is near
        it; ``keypoint_images`` (P,): how many images show the part; ``keypoint_parts`` (P,): their names.
    """
    figures: dict[str, Any] = {}
    shown = scores.visible.sum(axis=0)  # (P,)
    for name, values in (("keypoint_table", scores.mass), ("keypoint_pointing", scores.hits)):
        figures[name] = listed(_mean(values.sum(axis=0), shown))
        bounds = bootstrap_interval(values, scores.visible)
        figures[f"{name}_interval"] = listed(np.moveaxis(bounds, 0, 2))  # (M, P, 2)
    for name, values in (("keypoint_chance", scores.chance), ("keypoint_middle", scores.middle)):
        figures[name] = listed(_mean(values.sum(axis=0), shown))
    return figures | {"keypoint_images": shown.tolist(), "keypoint_parts": list(KEYPOINT_PARTS)}


def _mean(sums: np.ndarray, shown: np.ndarray) -> np.ndarray:
    """Sums (..., P) over counts that broadcast to them, nan where the count is 0."""
    return np.divide(sums, shown, out=np.full(sums.shape, np.nan), where=shown > 0)
