"""Trace rays through a scene with Mitsuba: which surface each pixel sees, and how much light falls on it."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from ...errors import DataError
from .mesh import Mesh
from .view import Light
from .visibility import seen_surfaces

__all__ = ["Camera", "Surfaces", "fitted_camera", "mitsuba", "sun_direction", "trace"]

_FOV = 15.0


@dataclass(frozen=True, eq=False)
class Camera:
    """A camera at ``position`` that looks at ``target``, both (3,), z up."""

    position: np.ndarray
    target: np.ndarray

    def rays(self, size: int) -> tuple[np.ndarray, np.ndarray]:
        """Origin (3,) and directions (size, size, 3) of the rays through the middles of a picture's pixels."""
        ahead = (self.target - self.position) / np.linalg.norm(self.target - self.position)
        right = np.cross(ahead, [0.0, 0.0, 1.0])
        right /= np.linalg.norm(right)
        place = (2 * (np.arange(size) + 0.5) / size - 1) * np.tan(np.radians(_FOV / 2))
        sideways, downward = place[None, :, None] * right, place[:, None, None] * np.cross(ahead, right)
        return self.position, ahead + sideways + downward


@dataclass(frozen=True, eq=False)
class Surfaces:
    """What rays meet, (h, w, ...): number of the mesh (-1 none), point, normal, uv, and the light (3,) there."""

    mesh: np.ndarray
    points: np.ndarray
    normals: np.ndarray
    uv: np.ndarray
    light: np.ndarray


def fitted_camera(points: np.ndarray, azimuth: float, elevation: float, fill: float, shift: Sequence[float]) -> Camera:
    """Place a camera so that points (n, 3) span the share ``fill`` of its picture, ``shift`` from its middle."""
    a, e = np.radians([azimuth, elevation])
    back = np.array([np.sin(a) * np.cos(e), -np.cos(a) * np.cos(e), np.sin(e)])  # from target to camera
    right = np.array([np.cos(a), np.sin(a), 0.0])
    up = np.cross(back, right)
    target, distance = points.mean(0), 8.0
    for _ in range(4):
        offset = points - target
        depth = distance - offset @ back
        plane = np.stack([offset @ right, offset @ up], -1) / depth[:, None] / np.tan(np.radians(_FOV / 2)) / 2
        low, high = plane.min(0), plane.max(0)
        extent = np.array([1.0, 0.95]) * (high - low)
        middle = (low + high) / 2 - np.array(shift)
        target = target + (middle[0] * right + middle[1] * up) * 2 * np.tan(np.radians(_FOV / 2)) * distance
        distance *= float(extent.max()) / fill
    return Camera(target + distance * back, target)


def trace(
    meshes: Sequence[Mesh], camera: Camera, light: Light, *, size: int, oversampling: int, n_samples: int, seed: int
) -> Surfaces:
    """Trace a picture.

    Parameters
    ----------
    meshes
        All there is.
    camera, light
        Where from and in what light.
    size
        Side in pixels of the grid on which light is measured.
    oversampling
        How many rays find surfaces along the side of such a pixel.
    n_samples
        How many paths measure the light of a pixel.
    seed
        Of those paths.

    Returns
    -------
    Surfaces
        Of side ``size * oversampling``, but ``light`` of side ``size``.

    Raises
    ------
    DataError
        If Mitsuba is not installed.
    """
    mi = mitsuba()
    scene = _scene(mi, meshes, camera, light)
    fine = size * oversampling
    sensor = _sensor(mi, camera, fine)
    mesh, points, normals, uv = seen_surfaces(mi, meshes, sensor, camera.rays(fine), seed)
    path = mi.load_dict({"type": "path", "max_depth": 3, "hide_emitters": True})
    lit = np.array(mi.render(scene, integrator=path, sensor=_sensor(mi, camera, size), spp=n_samples, seed=seed + 1))
    return Surfaces(mesh, points, normals, uv, 2.0 * lit[..., :3] / np.maximum(lit[..., 3:4], 1e-3))


@lru_cache(maxsize=1)
def mitsuba() -> Any:
    """Import Mitsuba and choose how it computes, on one thread."""
    try:
        import drjit
        import mitsuba as mi
        import skimage.measure  # noqa: F401  (the body is meshed with it)
    except ImportError as error:
        raise DataError(
            f"Rendering the aviary needs Mitsuba 3 and scikit-image, but {error.name} is not installed; "
            "run: pip install mitsuba scikit-image."
        ) from error
    mi.set_variant("scalar_rgb")
    mi.set_log_level(mi.LogLevel.Error)
    drjit.set_thread_count(1)
    return mi


def sun_direction(camera: Camera, light: Light) -> np.ndarray:
    """Unit vector (3,) to the sun, which stands behind the camera's operator at azimuth 0."""
    back = camera.position - camera.target
    angle = np.arctan2(back[1], back[0]) + np.radians(light.azimuth)
    height = np.radians(light.height)
    return np.array([np.cos(angle) * np.cos(height), np.sin(angle) * np.cos(height), np.sin(height)])


def _sensor(mi: Any, camera: Camera, size: int) -> Any:
    frame = mi.ScalarTransform4f().look_at(camera.position.tolist(), camera.target.tolist(), [0, 0, 1])
    film = {"type": "hdrfilm", "width": size, "height": size, "rfilter": {"type": "box"}, "pixel_format": "rgba"}
    return mi.load_dict({"type": "perspective", "fov": _FOV, "to_world": frame, "film": film})


def _scene(mi: Any, meshes: Sequence[Mesh], camera: Camera, light: Light) -> Any:
    sun = sun_direction(camera, light)
    soft = np.tan(np.radians(light.softness))
    warm = np.array([1.0, 0.93 - 0.10 * light.warmth, 0.84 - 0.24 * light.warmth])
    radiance = (2.5 * light.strength / (np.pi * soft**2) * warm).tolist()
    things: dict[str, Any] = {"type": "scene"}
    for k, mesh in enumerate(meshes):
        things[f"mesh{k:02d}"] = _mitsuba_mesh(mi, mesh)
    center = camera.target + 40 * sun
    things["sun"] = {
        "type": "sphere",
        "center": center.tolist(),
        "radius": float(40 * soft),
        "emitter": {"type": "area", "radiance": {"type": "rgb", "value": radiance}},
    }
    things["sky"] = {
        "type": "envmap",
        "bitmap": mi.Bitmap(_sky(light)),
        "to_world": mi.ScalarTransform4f().rotate([1, 0, 0], 90),
    }
    return mi.load_dict(things)


def _sky(light: Light) -> np.ndarray:
    """Radiance (16, 32, 3) from the zenith down: blue above, bright at the horizon, the ground's light below."""
    height = np.linspace(1, -1, 16)[:, None]
    zenith, horizon, ground = (
        np.array([[0.50, 0.66, 0.92]]),
        np.array([[0.86, 0.88, 0.88]]),
        np.array([[0.30, 0.27, 0.20]]),
    )
    up = horizon + (zenith - horizon) * np.clip(height, 0, 1) ** 0.6
    rows = np.where(height > 0, up, ground) * (0.62 + 0.18 * (1.2 - light.strength))
    return np.repeat(rows[:, None], 32, axis=1).astype(np.float32)


def _mitsuba_mesh(mi: Any, mesh: Mesh) -> Any:
    properties = mi.Properties()
    gray = {"type": "diffuse", "reflectance": {"type": "rgb", "value": 0.5}}
    properties["bsdf"] = mi.load_dict({"type": "twosided", "nested": gray})
    shape = mi.Mesh(
        "mesh",
        len(mesh.vertices),
        len(mesh.faces),
        has_vertex_normals=True,
        has_vertex_texcoords=True,
        props=properties,
    )
    parameters = mi.traverse(shape)
    parameters["vertex_positions"] = mesh.vertices.astype(np.float32).ravel()
    parameters["vertex_normals"] = mesh.normals.astype(np.float32).ravel()
    parameters["vertex_texcoords"] = mesh.uv.astype(np.float32).ravel()
    parameters["faces"] = mesh.faces.astype(np.uint32).ravel()
    parameters.update()
    return shape
