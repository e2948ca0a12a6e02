"""What each pixel sees: the number of its triangle, traced by Mitsuba, and from it the point, normal and uv there."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from .mesh import Mesh, joined

__all__ = ["seen_surfaces"]

_ATTRIBUTE = "face_number"


def seen_surfaces(
    mi: Any, meshes: Sequence[Mesh], sensor: Any, rays: tuple[np.ndarray, np.ndarray], seed: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Find the surfaces that the rays through a sensor's pixels meet.

    Parameters
    ----------
    mi
        Mitsuba.
    meshes
        All there is.
    sensor
        Mitsuba's, of h x w pixels.
    rays
        Origin (3,) and directions (h, w, 3) of the rays through the middles of the pixels.
    seed
        Of where in its pixel a ray is traced.

    Returns
    -------
    tuple of np.ndarray
        Number of the mesh (h, w) int64, -1 where nothing is met; point (h, w, 3), normal (h, w, 3) and uv (h, w, 2).
    """
    every = joined(meshes)
    glowing = mi.load_dict({"type": "scene", "all": _numbered(mi, every, rays[0])})
    image = mi.render(
        glowing, integrator=mi.load_dict({"type": "path", "max_depth": 1}), sensor=sensor, spp=1, seed=seed
    )
    face = np.rint(np.array(image)[..., 0]).astype(np.int64) - 1  # (h, w)
    is_hit = face >= 0
    owner = np.repeat(np.arange(len(meshes)), [len(mesh.faces) for mesh in meshes])
    corners = every.faces[face[is_hit]]  # (n, 3)
    weights = _weights(every.vertices[corners], rays[0], rays[1][is_hit])
    mesh = np.where(is_hit, owner[face], -1)
    points, normals, uv = (_filled(is_hit, _mixed(values, corners, weights)) for values in _values(every))
    return mesh, points, normals, uv


def _numbered(mi: Any, mesh: Mesh, camera: np.ndarray) -> Any:
    """Let each triangle glow towards the camera in its own number, from 1; numbers below 2**24 stay exact."""
    a, b, c = (mesh.vertices[mesh.faces[:, k]] for k in range(3))
    is_turned = (np.cross(b - a, c - a) * (camera - a)).sum(1) < 0
    faces = np.where(is_turned[:, None], mesh.faces[:, ::-1], mesh.faces)  # what glows does so on one side
    properties = mi.Properties()
    glow = {"type": "area", "radiance": {"type": "mesh_attribute", "name": f"face_{_ATTRIBUTE}"}}
    properties["emitter"] = mi.load_dict(glow)
    shape = mi.Mesh("numbered", len(mesh.vertices), len(mesh.faces), props=properties)
    numbers = np.repeat(np.arange(len(mesh.faces)) + 1, 3).astype(np.float32)
    shape.add_attribute(f"face_{_ATTRIBUTE}", 3, numbers)
    parameters = mi.traverse(shape)
    parameters["vertex_positions"] = mesh.vertices.astype(np.float32).ravel()
    parameters["faces"] = faces.astype(np.uint32).ravel()
    parameters.update()
    return shape


def _weights(
    triangles: np.ndarray, origin: np.ndarray, directions: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Weights (n,) of the corners of triangles (n, 3, 3) where rays meet them, none beyond their edges."""
    a, b, c = triangles[:, 0], triangles[:, 1], triangles[:, 2]
    first, second, start = b - a, c - a, origin - a
    side = np.cross(directions, second)
    area = (first * side).sum(-1)
    area = np.where(np.abs(area) < 1e-12, 1e-12, area)
    of_b = np.clip((start * side).sum(-1) / area, 0, 1)
    of_c = np.clip((directions * np.cross(start, first)).sum(-1) / area, 0, 1 - of_b)
    return 1 - of_b - of_c, of_b, of_c


def _values(mesh: Mesh) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    return mesh.vertices, mesh.normals, mesh.uv


def _mixed(values: np.ndarray, corners: np.ndarray, weights: tuple[np.ndarray, np.ndarray, np.ndarray]) -> np.ndarray:
    mixed = np.zeros((len(corners), values.shape[1]))
    for k, weight in enumerate(weights):
        mixed += weight[:, None] * values[corners[:, k]]
    return mixed


def _filled(is_hit: np.ndarray, values: np.ndarray) -> np.ndarray:
    filled = np.zeros((*is_hit.shape, values.shape[1]))
    filled[is_hit] = values
    return filled
