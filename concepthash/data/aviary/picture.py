"""One picture of one bird: draw its circumstances, build it, trace it, paint it, and cut out its parts."""

from dataclasses import dataclass

import cv2
import numpy as np

from .anatomy import Anatomy
from .backdrop import draw_backdrop
from .feathers import crest_mesh, tail_mesh, wing_mesh
from .limbs import beak_mesh, eyes_mesh, legs_mesh
from .mesh import Mesh, sheet
from .painting import Painter
from .props import Perch, draw_perch, obstacle
from .scene import fitted_camera, trace
from .species import SPECIES, Species
from .view import View, draw_view

__all__ = ["Picture", "render_picture", "view_of"]

_OVERSAMPLING = 3
_FLOOR_SIDE = 60.0


@dataclass(frozen=True, eq=False)
class Picture:
    """A rendered bird: (size, size, 3) uint8 RGB, (size, size) uint8 part ids, and how it was seen."""

    image: np.ndarray
    parts: np.ndarray
    view: View


def render_picture(species: Species, index: int, *, seed: int, size: int = 256, n_samples: int = 14) -> Picture:
    """Render one picture, the same for the same species, index, seed and size.

    Parameters
    ----------
    species
        Who.
    index
        Which of its pictures, from 0.
    seed
        Of the whole aviary.
    size
        Side in pixels.
    n_samples
        How many paths of light measure each pixel.

    Returns
    -------
    Picture
        The image and its parts.

    Raises
    ------
    DataError
        If Mitsuba or scikit-image is missing.
    """
    view, random = view_of(species, index, seed)
    stage = _Stage(species, view, random)
    camera = stage.camera
    trace_seed = int(random.integers(2**31))
    surfaces = trace(
        list(stage.meshes.values()),
        camera,
        view.light,
        size=size,
        oversampling=_OVERSAMPLING,
        n_samples=n_samples,
        seed=trace_seed,
    )
    painter = Painter(stage.anatomy, species, view, camera, list(stage.meshes), int(random.integers(2**20)))
    backdrop = draw_backdrop(view.backdrop, size * _OVERSAMPLING, random)
    image, parts = painter.paint(surfaces, backdrop, stage.water)
    image = cv2.resize(image, (size, size), interpolation=cv2.INTER_AREA)
    image, parts = _developed(image, view, random), _most_common(parts, _OVERSAMPLING)
    if view.is_flipped:
        image, parts = image[:, ::-1], parts[:, ::-1]
    return Picture(np.ascontiguousarray(image), np.ascontiguousarray(parts), view)


def view_of(species: Species, index: int, seed: int) -> tuple[View, np.random.Generator]:
    """Give the circumstances of a picture, and the source of randomness as drawing them has left it."""
    random = np.random.default_rng([seed, SPECIES.index(species), index])
    return draw_view(random, species.shape), random


class _Stage:
    """The bird and all around it, as named meshes."""

    def __init__(self, species: Species, view: View, random: np.random.Generator) -> None:
        anatomy = self.anatomy = Anatomy(species.shape, view.pose)
        foot = np.array([0.03, 0.0, anatomy.ground])
        perch = draw_perch(foot - np.array([0, 0, 0.015]), view.azimuth, random) if view.setting == "branch" else None
        bird = self._bird(perch)
        if view.setting == "water":
            depth = 0.38 * species.shape.legs + (0.10 if species.shape.beak.shape == "flat" else 0.0)
            self.water: float | None = anatomy.ground + depth
            bird = {name: _cut(mesh, self.water) for name, mesh in bird.items()}
        else:
            self.water = None
        points = np.concatenate([mesh.vertices for mesh in bird.values()])
        self.camera = fitted_camera(
            points, view.azimuth, max(view.elevation, self._least_height(view)), view.fill, view.shift
        )
        self.meshes = bird
        if perch is not None:
            self.meshes |= {"wood": perch.wood, "leaves": perch.leaves}
        if self.water is not None:
            self.meshes |= {f"mirrored {name}": _mirrored(mesh, self.water) for name, mesh in bird.items()}
        if view.setting == "ground":
            self.meshes["ground"] = _floor(anatomy.ground - 0.012)
        if view.occluder != "none":
            self.meshes["twig" if view.occluder == "twig" else "blades"] = self._obstacle(view, points, random)

    def _bird(self, perch: Perch | None) -> dict[str, Mesh]:
        anatomy = self.anatomy
        bird = {
            "body": anatomy.body_mesh(),
            "right wing": wing_mesh(anatomy, -1),
            "left wing": wing_mesh(anatomy, 1),
            "tail": tail_mesh(anatomy),
            "beak": beak_mesh(anatomy),
            "eyes": eyes_mesh(anatomy),
            "legs": legs_mesh(anatomy, None if perch is None else (perch.along, perch.radius)),
        }
        return bird | ({"crest": crest_mesh(anatomy)} if anatomy.shape.crest else {})

    def _least_height(self, view: View) -> float:
        return {"water": 5.0, "ground": 3.0}.get(view.setting, -90.0)

    def _obstacle(self, view: View, points: np.ndarray, random: np.random.Generator) -> Mesh:
        """Put something in front of the bird, mostly away from its head."""
        camera, head = self.camera, self.anatomy.head_center
        far = points[np.linalg.norm(points - head, axis=1) > 2.4 * max(self.anatomy.shape.skull)]
        center = far[int(random.integers(len(far)))]
        back = (camera.position - camera.target) / np.linalg.norm(camera.position - camera.target)
        side = np.cross(np.array([0, 0, 1.0]), back)
        place = center + (float(((points - center) @ back).max()) + 0.15) * back  # nearer than all of the bird
        return obstacle(view.occluder, place, self.anatomy.ground, side / np.linalg.norm(side), random)


def _cut(mesh: Mesh, height: float) -> Mesh:
    """Leave out what lies under water."""
    above = (mesh.vertices[mesh.faces, 2] > height).any(1)
    faces = mesh.faces[above] if above.any() else mesh.faces[:1]
    vertices = mesh.vertices.copy()
    vertices[:, 2] = np.maximum(vertices[:, 2], height)
    return Mesh(vertices, mesh.normals, faces, mesh.uv)


def _mirrored(mesh: Mesh, height: float) -> Mesh:
    flip = np.array([1, 1, -1.0])
    return Mesh(mesh.vertices * flip + [0, 0, 2 * height], mesh.normals * flip, mesh.faces[:, ::-1], mesh.uv)


def _floor(height: float) -> Mesh:
    x, y = np.meshgrid([-_FLOOR_SIDE, _FLOOR_SIDE], [-_FLOOR_SIDE, _FLOOR_SIDE], indexing="ij")
    points = np.stack([x, y, np.full_like(x, height)], -1)
    return sheet(points[:, ::-1], np.zeros((2, 2, 2)))


def _most_common(parts: np.ndarray, factor: int) -> np.ndarray:
    """Part ids (h, w) of blocks of ``factor`` squared pixels."""
    size = len(parts) // factor
    blocks = parts.reshape(size, factor, size, factor).transpose(0, 2, 1, 3).reshape(size, size, -1)
    counts = np.stack([(blocks == part).sum(-1) for part in range(int(parts.max()) + 1)], -1)
    return counts.argmax(-1).astype(np.uint8)


def _developed(image: np.ndarray, view: View, random: np.random.Generator) -> np.ndarray:
    """Turn linear light (h, w, 3) into sRGB as a camera does, with a soft shoulder and a little grain."""
    value = np.clip(image * view.exposure, 0, None)
    value = np.where(value < 0.7, value, 0.7 + 0.3 * np.tanh((value - 0.7) / 0.42))
    value = np.where(value <= 0.0031308, 12.92 * value, 1.055 * np.maximum(value, 1e-9) ** (1 / 2.4) - 0.055)
    soft = cv2.GaussianBlur(value, (0, 0), 0.9)
    value = value + 0.35 * (value - soft) + random.normal(0, 0.0035, value.shape[:2])[..., None]
    return np.rint(255 * np.clip(value, 0, 1)).astype(np.uint8)
