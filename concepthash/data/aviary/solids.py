"""Signed distances of a few solids, smooth unions of them, and rotations, all in numpy."""

import numpy as np

__all__ = ["capsule", "ellipsoid", "rotation", "smooth_union"]


def ellipsoid(points: np.ndarray, center: np.ndarray, radii: np.ndarray) -> np.ndarray:
    """Give the distance of points (..., 3) to an ellipsoid, exact to first order near its surface."""
    offset = points - center
    scaled = _lengths(offset / radii)
    steepness = _lengths(offset / radii**2)
    return np.where(steepness > 1e-6, scaled * (scaled - 1) / np.maximum(steepness, 1e-6), -np.min(radii))


def capsule(points: np.ndarray, start: np.ndarray, end: np.ndarray, radius: tuple[float, float]) -> np.ndarray:
    """Give the distance of points (..., 3) to a rod whose radius runs from the one at its start to that at its end."""
    along = end - start
    share = np.clip((points - start) @ along / (along @ along), 0, 1)
    nearest = start + share[..., None] * along
    return _lengths(points - nearest) - (radius[0] + share * (radius[1] - radius[0]))


def smooth_union(first: np.ndarray, second: np.ndarray, width: float) -> np.ndarray:
    """Join two distances with a fillet of a ``width``.

    Examples
    --------
    >>> smooth_union(np.array([1.0, 0.0]), np.array([3.0, 0.0]), 0.4).tolist()
    [1.0, -0.1]
    """
    overlap = np.maximum(width - np.abs(first - second), 0) / width
    return np.minimum(first, second) - overlap * overlap * width / 4


def rotation(yaw: float, pitch: float, roll: float = 0.0) -> np.ndarray:
    """Give the matrix (3, 3) that turns by yaw (to the left), pitch (nose up) and roll, in degrees.

    Examples
    --------
    >>> (rotation(0, 90) @ [1, 0, 0]).round(6).tolist()
    [0.0, 0.0, 1.0]
    """
    a, b, c = np.radians([yaw, pitch, roll])
    turn = np.array([[np.cos(a), -np.sin(a), 0], [np.sin(a), np.cos(a), 0], [0, 0, 1]])
    nod = np.array([[np.cos(b), 0, -np.sin(b)], [0, 1, 0], [np.sin(b), 0, np.cos(b)]])
    tilt = np.array([[1, 0, 0], [0, np.cos(c), -np.sin(c)], [0, np.sin(c), np.cos(c)]])
    return turn @ nod @ tilt


def _lengths(vectors: np.ndarray) -> np.ndarray:
    """Lengths (...) of vectors (..., 3), several times as fast as a sum over so short an axis."""
    x, y, z = vectors[..., 0], vectors[..., 1], vectors[..., 2]
    return np.sqrt(x * x + y * y + z * z)
