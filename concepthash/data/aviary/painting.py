"""Paint a traced picture: plumage times light, gloss of eyes and beaks, ground, water with reflections, backdrop."""

from collections.abc import Callable, Sequence

import cv2
import numpy as np

from .anatomy import Anatomy
from .noise import fractal_noise, smoothstep
from .palette import linear
from .plumage import Plumage
from .props import bark_color, ground_color, leaf_color
from .scene import Camera, Surfaces, sun_direction
from .species import PARTS, Species
from .view import View

__all__ = ["Painter"]

_ID = {name: k + 1 for k, name in enumerate(PARTS)}
_PART_OF_MESH = {
    "right wing": "wing",
    "left wing": "wing",
    "tail": "tail",
    "beak": "beak",
    "eyes": "eye",
    "legs": "leg",
}
_GLOSS = {"beak": 0.12, "eyes": 1.0, "legs": 0.06, "blades": 0.06, "leaves": 0.06}
_IRIS = {"hawk": "c08a28", "heron": "d2b04a", "jay": "2a1c14", "duck": "3a2414"}


class Painter:
    """Colors and parts of what a camera sees of one bird and its surroundings."""

    def __init__(
        self, anatomy: Anatomy, species: Species, view: View, camera: Camera, names: Sequence[str], seed: int
    ) -> None:
        self.anatomy, self.species, self.view, self.camera = anatomy, species, view, camera
        self.names, self.seed = list(names), seed
        self.plumage = Plumage(species, anatomy, seed, np.array(view.tint))

    def paint(self, surfaces: Surfaces, backdrop: np.ndarray, water: float | None) -> tuple[np.ndarray, np.ndarray]:
        """Give the linear picture (h, w, 3) float32 and the part ids (h, w) uint8, both of the finer grid."""
        light = _spread_light(surfaces)
        parts = np.zeros(surfaces.mesh.shape, dtype=np.uint8)
        color = np.zeros((*surfaces.mesh.shape, 3), dtype=np.float32)
        for number, name in enumerate(self.names):
            here = surfaces.mesh == number
            if not here.any():
                continue
            points, normals, uv = surfaces.points[here], surfaces.normals[here], surfaces.uv[here]
            is_mirrored = name.startswith("mirrored ")
            plain = name.removeprefix("mirrored ")
            if is_mirrored and water is not None:
                flip = np.array([1, 1, -1.0])
                points, normals = points * flip + [0, 0, 2 * water], normals * flip
            part, albedo = self._albedo(plain, points, normals, uv)
            shine = _GLOSS.get(plain, 0.0) * self._reflection(points, normals) if plain in _GLOSS else 0.0
            color[here] = albedo * light[here] + shine
            if not is_mirrored:
                parts[here] = part
        return self._composed(surfaces, color, backdrop, water), parts

    def _albedo(
        self, name: str, points: np.ndarray, normals: np.ndarray, uv: np.ndarray
    ) -> tuple[np.ndarray | int, np.ndarray]:
        """Part ids and linear colors (n, 3) of points of one mesh."""
        if name == "body":
            return self.plumage.body(points)
        if name == "crest":
            return _ID["crown"], self.plumage.crest(uv)
        if name == "eyes":
            return _ID["eye"], self._eye(points)
        if name in ("wood", "twig"):
            return 0, bark_color(points, uv, self.seed)
        if name in ("leaves", "blades"):
            return 0, leaf_color(uv, self.seed)
        if name == "ground":
            return 0, ground_color(points, self.seed)
        paint: dict[str, Callable[[np.ndarray], np.ndarray]] = {
            "wing": self.plumage.wing,
            "tail": self.plumage.tail,
            "beak": self.plumage.beak,
            "leg": self.plumage.leg,
        }
        part = _PART_OF_MESH[name]
        return _ID[part], paint[part](uv)

    def _eye(self, points: np.ndarray) -> np.ndarray:
        head = self.anatomy.to_head(points)
        center = self.anatomy.eye_center(-1) * np.array([1.0, 0, 1.0])
        reach = np.hypot(head[:, 0] - center[0], head[:, 2] - center[2]) / self.anatomy.shape.eye
        iris = linear(_IRIS.get(self.species.family, "33211a"))
        ring = smoothstep(0.50, 0.58, reach) * (1 - smoothstep(0.84, 0.95, reach))
        return 0.008 + 0.8 * iris * ring[:, None]

    def _reflection(self, points: np.ndarray, normals: np.ndarray) -> np.ndarray:
        """Light (n, 3) that a glossy surface throws at the camera: sky, and the sun's highlight."""
        away = points - self.camera.position
        away /= np.linalg.norm(away, axis=1, keepdims=True)
        facing = (away * normals).sum(1, keepdims=True)
        bounced = away - 2 * facing * normals
        sky = smoothstep(-0.1, 0.9, bounced[:, 2]) * 0.5
        fresnel = 0.06 + 0.5 * (1 - np.abs(facing[:, 0])) ** 4
        sun = sun_direction(self.camera, self.view.light)
        glint = 3.2 * smoothstep(0.915, 0.965, bounced @ sun)
        glow = 0.5 * smoothstep(0.6, 1.0, bounced @ sun) ** 3
        return (sky * fresnel + glint * 0.7 + glow * 0.15)[:, None] * np.array([1.0, 0.98, 0.94])

    def _composed(self, surfaces: Surfaces, color: np.ndarray, backdrop: np.ndarray, water: float | None) -> np.ndarray:
        canvas = backdrop.astype(np.float32)
        is_ground = self._is(surfaces, lambda name: name == "ground")
        if is_ground.any():
            canvas = self._with_ground(canvas, surfaces, color, is_ground)
        if water is not None:
            mirrored = self._is(surfaces, lambda name: name.startswith("mirrored "))
            canvas = self._with_water(canvas, color, mirrored, water)
        is_solid = self._is(surfaces, lambda name: name != "ground" and not name.startswith("mirrored "))
        return np.where(is_solid[..., None], color, canvas)

    def _is(self, surfaces: Surfaces, wanted: Callable[[str], bool]) -> np.ndarray:
        numbers = [number for number, name in enumerate(self.names) if wanted(name)]
        return np.isin(surfaces.mesh, numbers)

    def _with_ground(
        self, canvas: np.ndarray, surfaces: Surfaces, color: np.ndarray, is_ground: np.ndarray
    ) -> np.ndarray:
        """Lay the ground under the bird; it loses its focus, then itself, in the distance."""
        depth = np.linalg.norm(surfaces.points - self.camera.position, axis=-1)
        focus = np.linalg.norm(self.camera.target - self.camera.position)
        away = (depth - focus) / np.sin(np.radians(max(self.view.elevation, 3.0)) + 0.25)
        solid = np.where(is_ground[..., None], color, 0.0).astype(np.float32)
        weight = is_ground.astype(np.float32)
        size = len(canvas)
        blurred = cv2.GaussianBlur(solid, (0, 0), size * 0.012)
        blurred = blurred / np.maximum(cv2.GaussianBlur(weight, (0, 0), size * 0.012), 1e-3)[..., None]
        haze = smoothstep(0.5, 3.0, np.abs(away))[..., None]
        layer = solid + (blurred - solid) * haze
        cover = (is_ground * (1 - smoothstep(3.0, 13.0, away)))[..., None]
        return (canvas + (layer - canvas) * cover).astype(np.float32)

    def _with_water(self, canvas: np.ndarray, color: np.ndarray, mirrored: np.ndarray, water: float) -> np.ndarray:
        """Reflect backdrop and bird in rippled water below the far shore."""
        size = len(canvas)
        back = self.camera.position - self.camera.target
        distance = np.linalg.norm(back)
        lift = np.arcsin(back[2] / distance)
        rows = (np.arange(size) + 0.5) / size - 0.5
        angle = lift + np.arctan(2 * rows * np.tan(np.radians(7.5)))  # below the horizontal
        reach = (self.camera.position[2] - water) / np.tan(np.maximum(angle, 1e-3))
        cover = smoothstep(-0.02, 0.02, angle) * (1 - smoothstep(1.6, 3.2, reach / distance))
        x, y = np.meshgrid((np.arange(size)[::2] - size / 2) / size, (reach / distance)[::2])
        scale = np.stack([(x * y * 26).ravel(), (y * 60).ravel()], -1)
        coarse = fractal_noise(scale, self.seed + 21, 3).reshape(x.shape)
        ripple = cv2.resize(coarse, (size, size), interpolation=cv2.INTER_LINEAR)
        steep = np.gradient(ripple, axis=0) * 6
        shift_x = (np.arange(size)[None] + size * 0.012 * ripple).astype(np.float32)
        shift_y = (np.arange(size)[:, None] + size * 0.035 * ripple).astype(np.float32)
        layer = np.dstack([np.where(mirrored[..., None], color, 0), mirrored]).astype(np.float32)
        moved = cv2.remap(layer, shift_x, shift_y, cv2.INTER_LINEAR)
        mirror = cv2.GaussianBlur(moved, (0, 0), size * 0.004)
        tone = 0.50 * cv2.GaussianBlur(canvas, (0, 0), size * 0.06)[::-1] + 0.30 * linear("6f8f97")
        sheet = tone * (1 + 0.20 * ripple + 0.25 * np.clip(steep, -1, 1))[..., None]
        sheet = sheet * (1 - 0.62 * mirror[..., 3:]) + 0.62 * mirror[..., :3]
        return (canvas + (sheet - canvas) * cover[:, None, None]).astype(np.float32)


def _spread_light(surfaces: Surfaces) -> np.ndarray:
    """Clear light of noise, mesh by mesh and along smooth surfaces only, and bring it to the finer grid."""
    size = len(surfaces.light)
    factor = len(surfaces.mesh) // size
    middle = slice(factor // 2, None, factor)
    light = surfaces.light.astype(np.float32)
    mesh, normals = surfaces.mesh[middle, middle], surfaces.normals[middle, middle].astype(np.float32)
    valid = (light.sum(-1) > 0) & (mesh >= 0)
    light = np.minimum(light, 4.0)
    for step in (1, 2, 4):
        total, weight = np.zeros_like(light), np.zeros_like(light[..., 0])
        for dy in (-1, 0, 1):
            for dx in (-1, 0, 1):
                roll = (dy * step, dx * step)
                near = np.roll(valid, roll, (0, 1)) & (np.roll(mesh, roll, (0, 1)) == mesh)
                alike = np.clip((normals * np.roll(normals, roll, (0, 1))).sum(-1), 0, 1) ** 24
                share = near * alike * (2 - abs(dx)) * (2 - abs(dy))
                total += share[..., None] * np.roll(light, roll, (0, 1))
                weight += share
        light = np.where((weight > 1e-4)[..., None], total / np.maximum(weight, 1e-4)[..., None], light)
    fine = size * factor
    known = valid.astype(np.float32)
    top = cv2.resize(light * known[..., None], (fine, fine), interpolation=cv2.INTER_LINEAR)
    bottom = cv2.resize(known, (fine, fine), interpolation=cv2.INTER_LINEAR)
    spread = top / np.maximum(bottom, 1e-3)[..., None]
    lost = bottom < 1e-3  # thin things between two measured pixels
    if lost.any() and valid.any():
        spread[lost] = light[valid].mean(0)
    return spread
