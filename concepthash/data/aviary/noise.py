"""Smooth random fields on points, the same for the same seed on every machine, and cells laid out like feathers."""

import numpy as np

__all__ = ["feather_cells", "fractal_noise", "smoothstep", "value_noise"]


def value_noise(points: np.ndarray, seed: int) -> np.ndarray:
    """Interpolate random values in [-1, 1] on the integer grid.

    Parameters
    ----------
    points
        (n, d) float64; the field varies over lengths of about one.
    seed
        Any integer.

    Returns
    -------
    np.ndarray
        (n,) float64 in [-1, 1].

    Examples
    --------
    >>> value_noise(np.array([[0.5, 0.5]]), 1).shape
    (1,)
    """
    floor = np.floor(points)
    share = points - floor
    share = share * share * (3 - 2 * share)
    corner = floor.astype(np.int64)
    n_axes = points.shape[1]
    total = np.zeros(len(points))
    for bits in range(2**n_axes):
        weight = np.ones(len(points))
        place = np.full(len(points), seed * 7919 + 13, dtype=np.int64)
        for axis in range(n_axes):
            up = bits >> axis & 1
            weight *= share[:, axis] if up else 1 - share[:, axis]
            place = place * 31 + (corner[:, axis] + up) * (73856093, 19349663, 83492791)[axis]
        total += weight * _scatter(place)
    return total


def fractal_noise(points: np.ndarray, seed: int, n_octaves: int = 3) -> np.ndarray:
    """Add up `value_noise` of halving lengths and heights, (n,) in about [-1, 1]."""
    total = np.zeros(len(points))
    for k in range(n_octaves):
        total += value_noise(points * 2.0**k, seed + k) * 0.5**k
    return total / 1.6


def smoothstep(low: float, high: float, values: np.ndarray) -> np.ndarray:
    """Rise smoothly from 0 at ``low`` to 1 at ``high``.

    Examples
    --------
    >>> smoothstep(0, 1, np.array([-1, 0.5, 2])).tolist()
    [0.0, 0.5, 1.0]
    """
    share = np.clip((values - low) / (high - low), 0, 1)
    return share * share * (3 - 2 * share)


def feather_cells(
    along: np.ndarray, across: np.ndarray, seed: int, *, depth: float = 0.42
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Lay overlapping feathers in rows of length one, each row half a feather aside of the last.

    Parameters
    ----------
    along, across
        (n,) coordinates in feather lengths and widths; feathers point to greater ``along``.
    seed
        Of each feather's own number.
    depth
        How far a feather's tip reaches beyond its sides.

    Returns
    -------
    tuple of np.ndarray
        Place along the feather seen at each point (0 root, 1 tip), place across it (-1 to 1), and its own random
        number in [-1, 1]; each (n,).
    """
    row = np.floor(along)
    shifted = across + 0.5 * np.mod(row, 2)
    column = np.floor(shifted)
    side = 2 * (shifted - column) - 1
    share = along - row
    hidden = share > 1 - depth * side**2  # beyond this feather's rounded tip lies one of the next row
    later = across + 0.5 * np.mod(row + 1, 2)
    column = np.where(hidden, np.floor(later), column)
    place = np.where(hidden, share - 1 + 1.48 * depth, share + 0.0)
    side = np.where(hidden, 2 * (later - np.floor(later)) - 1, side)
    number = (row + hidden).astype(np.int64) * 92821 + column.astype(np.int64) * 68917 + seed
    tip = np.where(hidden, place, share / np.maximum(1 - depth * side**2, 0.3))
    return np.clip(tip, 0, 1), side, _scatter(number)


def _scatter(place: np.ndarray) -> np.ndarray:
    """Turn integers into random-looking values in [-1, 1]."""
    bits = place.astype(np.uint64)
    bits = (bits ^ (bits >> np.uint64(33))) * np.uint64(0xFF51AFD7ED558CCD)
    bits = (bits ^ (bits >> np.uint64(33))) * np.uint64(0xC4CEB9FE1A85EC53)
    bits = bits ^ (bits >> np.uint64(33))
    return (bits >> np.uint64(40)).astype(np.float64) / 2.0**23 - 1
