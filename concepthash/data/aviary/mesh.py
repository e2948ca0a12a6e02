"""Triangle meshes from grids of points: sheets, rods, and several of them as one."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

__all__ = ["Mesh", "joined", "rod", "sheet"]


@dataclass(frozen=True, eq=False)
class Mesh:
    """A surface.

    Parameters
    ----------
    vertices, normals
        (n, 3) float64; normals have length one.
    faces
        (m, 3) int64, rows of ``vertices``.
    uv
        (n, 2) float64, where on its part a vertex lies.
    """

    vertices: np.ndarray
    normals: np.ndarray
    faces: np.ndarray
    uv: np.ndarray

    def moved(self, turn: np.ndarray, shift: np.ndarray) -> "Mesh":
        """Turn by a matrix (3, 3), then shift."""
        return Mesh(self.vertices @ turn.T + shift, self.normals @ turn.T, self.faces, self.uv)

    def mirrored(self) -> "Mesh":
        """Give the other side of the bird: y is negated."""
        flip = np.array([1.0, -1.0, 1.0])
        return Mesh(self.vertices * flip, self.normals * flip, self.faces[:, ::-1], self.uv)


def sheet(points: np.ndarray, uv: np.ndarray, *, closed: bool = False) -> Mesh:
    """Join a grid of points (m, n, 3) with ``uv`` (m, n, 2) by triangles; ``closed`` joins last and first column."""
    rows, columns = points.shape[:2]
    index = np.arange(rows * columns).reshape(rows, columns)
    right = np.roll(index, -1, axis=1) if closed else index[:, 1:]
    left = index if closed else index[:, :-1]
    a, b, c, d = left[:-1].ravel(), left[1:].ravel(), right[1:].ravel(), right[:-1].ravel()
    faces = np.concatenate([np.stack([a, b, c], -1), np.stack([a, c, d], -1)])
    vertices = points.reshape(-1, 3)
    return Mesh(vertices, _normals(vertices, faces), faces, uv.reshape(-1, 2))


def rod(path: np.ndarray, radii: np.ndarray, *, n_sides: int = 10, flatness: float = 1.0, label: float = 0.0) -> Mesh:
    """Make a rod along a path (k, 3) with a radius (k,) at each point; u runs along it, v is ``label``."""
    ahead = np.gradient(path, axis=0)
    ahead /= np.linalg.norm(ahead, axis=1, keepdims=True) + 1e-9
    helper = np.where(np.abs(ahead[:, 1:2]) < 0.9, [[0.0, 1.0, 0.0]], [[0.0, 0.0, 1.0]])
    across = np.cross(helper, ahead)
    across /= np.linalg.norm(across, axis=1, keepdims=True) + 1e-9
    aside = np.cross(ahead, across)
    angle = np.linspace(0, 2 * np.pi, n_sides, endpoint=False)
    ring = np.cos(angle)[None, :, None] * across[:, None] + flatness * np.sin(angle)[None, :, None] * aside[:, None]
    points = path[:, None] + radii[:, None, None] * ring  # (k, n_sides, 3)
    tips = [np.repeat(path[[end]][:, None], n_sides, axis=1) for end in (0, -1)]
    points = np.concatenate([tips[0], points, tips[1]])  # (k + 2, n_sides, 3)
    u = np.concatenate([[0.0], np.linspace(0, 1, len(path)), [1.0]])
    uv = np.stack(np.broadcast_arrays(u[:, None], np.full(n_sides, label)), -1)
    return sheet(points, uv, closed=True)


def joined(meshes: Sequence[Mesh]) -> Mesh:
    """Make one mesh of several."""
    starts = np.cumsum([0] + [len(mesh.vertices) for mesh in meshes[:-1]])
    return Mesh(
        np.concatenate([mesh.vertices for mesh in meshes]),
        np.concatenate([mesh.normals for mesh in meshes]),
        np.concatenate([mesh.faces + start for mesh, start in zip(meshes, starts, strict=True)]),
        np.concatenate([mesh.uv for mesh in meshes]),
    )


def _normals(vertices: np.ndarray, faces: np.ndarray) -> np.ndarray:
    a, b, c = (vertices[faces[:, k]] for k in range(3))
    cross = np.cross(b - a, c - a)
    normals = np.zeros_like(vertices)
    for k in range(3):
        for axis in range(3):
            normals[:, axis] += np.bincount(faces[:, k], cross[:, axis], len(vertices))
    return normals / np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-12)
