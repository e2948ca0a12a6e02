"""What a bird stands on and what stands in front of it: branches, leaves, twigs, blades of grass."""

from dataclasses import dataclass

import numpy as np

from .mesh import Mesh, joined, rod, sheet
from .noise import fractal_noise, smoothstep, value_noise
from .palette import linear
from .solids import rotation

__all__ = ["Perch", "bark_color", "draw_perch", "ground_color", "leaf_color", "leaves", "obstacle"]

_LEAVES = ("5f7f35", "7d9440", "4a6b33", "a3933f", "8a5a2c")
_STEM = 900.0
_GROUNDS = ("8f7f5e a3966f", "6f7444 8a8a52", "9a958a b5afa2", "7a6a52 5f5a3c")


@dataclass(frozen=True, eq=False)
class Perch:
    """A branch: where it runs, how thick it is, and its meshes of wood and leaves."""

    along: np.ndarray
    radius: float
    wood: Mesh
    leaves: Mesh


def draw_perch(top: np.ndarray, azimuth: float, random: np.random.Generator) -> Perch:
    """Grow a branch under a point (3,) where a bird's feet are, mostly across the view from ``azimuth`` in degrees."""
    turn = np.radians(azimuth + random.uniform(-50, 50))
    along = np.array([np.cos(turn), np.sin(turn), 0.0])
    radius = float(random.uniform(0.055, 0.085))
    center = top - np.array([0, 0, radius])
    t = np.linspace(-2.6, 2.6, 60)
    far = np.clip(np.abs(t) - 0.35, 0, None)
    sway = np.stack([value_noise(t[:, None] * 0.9, int(random.integers(10**6))) for _ in range(2)], -1)
    slope = random.uniform(-0.14, 0.14)
    path = center + t[:, None] * along
    path[:, 2] += far * np.sign(t) * slope + 0.14 * sway[:, 0] * np.minimum(far, 1)
    path += np.cross(along, [0, 0, 1.0]) * (0.2 * sway[:, 1] * np.minimum(far, 1))[:, None]
    thick = radius * (1 + 0.10 * value_noise(t[:, None] * 3.1, int(random.integers(10**6)))) * (1 - 0.06 * t)
    thick = np.where(far == 0, radius, thick)
    pieces, greens = [rod(path, thick, n_sides=16)], []
    for _ in range(int(random.integers(1, 5))):
        root = path[int(random.choice([*range(6, 20), *range(40, 54)]))]
        heading = along * random.choice([-1, 1]) * 0.7 + random.normal(0, 0.45, 3)
        heading[2] = abs(heading[2]) * random.choice([-0.6, 1.0])
        s = np.linspace(0, 1, 14)
        twig = root + heading * (random.uniform(0.3, 0.7) * s)[:, None] + np.array([0, 0, -0.1]) * (s * s)[:, None]
        pieces.append(rod(twig, radius * 0.32 * (1 - 0.75 * s)))
        if random.random() < 0.75:
            greens += [leaf(twig[int(k)], heading, random) for k in random.choice(np.arange(5, 14), 4, replace=False)]
    empty = leaf(path[-1], along, random)
    return Perch(along, radius, joined(pieces), joined(greens or [empty]))


def leaf(root: np.ndarray, heading: np.ndarray, random: np.random.Generator, length: float = 0.0) -> Mesh:
    """Make one leaf that starts at ``root`` (3,) and points about along ``heading`` (3,)."""
    long = length or random.uniform(0.14, 0.26)
    t, across = np.meshgrid(np.linspace(0, 1, 18), np.linspace(-1, 1, 7), indexing="ij")
    wide = 0.24 * long * random.uniform(0.8, 1.3) * np.sin(np.pi * t**0.85) ** 0.8
    points = np.stack([long * t, across * wide, 0.25 * long * (0.3 * t - t * t) + 0.35 * wide * np.abs(across)], -1)
    yaw = np.degrees(np.arctan2(heading[1], heading[0])) + random.normal(0, 35)
    turn = rotation(yaw, random.uniform(-50, 35), random.uniform(-75, 75))
    uv = np.stack([t, across + 4 * random.integers(0, 50)], -1)
    return sheet(points @ turn.T + root, uv)


def leaves(center: np.ndarray, heading: np.ndarray, random: np.random.Generator, n: int) -> Mesh:
    """Make some larger leaves around a point (3,)."""
    spread = [center + random.normal(0, 0.07, 3) for _ in range(n)]
    return joined(
        [leaf(place, heading + random.normal(0, 0.3, 3), random, random.uniform(0.22, 0.36)) for place in spread]
    )


def obstacle(kind: str, center: np.ndarray, ground: float, side: np.ndarray, random: np.random.Generator) -> Mesh:
    """Put a ``"leaf"``, ``"twig"`` or ``"grass"`` through a point (3,); ``side`` is the camera's right."""
    s = np.linspace(0, 1, 30)
    if kind == "leaf":
        heading = side * random.choice([-1, 1])
        path = center - heading * (0.08 + 3.0 * s)[:, None] + np.array([0, 0, 1.0]) * (0.25 * s + 0.3 * s**2)[:, None]
        stem = rod(path, 0.012 + 0.02 * s, n_sides=6, label=_STEM)
        return joined([leaves(center - 0.1 * heading, heading + np.array([0, 0, -0.3]), random, 3), stem])
    if kind == "twig":
        slant = side * random.uniform(0.5, 1.0) + np.array([0, 0, random.uniform(-0.9, 0.9)])
        bend = 0.10 * np.sin(np.pi * s)[:, None] * np.array([0, 0, 1.0])
        path = center + slant * (5.5 * (s - 0.5))[:, None] + bend
        return rod(path, 0.020 * (1.2 - 0.5 * s), label=2)
    blades = []
    for _ in range(int(random.integers(2, 5))):
        foot = center + side * random.normal(0, 0.16) + np.array([0, 0, ground - center[2] - 0.5])
        tall = center[2] - foot[2] + random.uniform(0.05, 0.35)
        lean = side * random.normal(0, 0.16)
        path = foot + np.array([0, 0, tall]) * s[:, None] + lean * (s**2)[:, None]
        width = 0.018 * (1 - s**2) + 0.002
        points = path[:, None] + side * (width[:, None] * np.linspace(-1, 1, 3)[None])[..., None]
        uv = np.stack(np.broadcast_arrays(s[:, None], np.linspace(-1, 1, 3)[None] + 4 * random.integers(0, 50)), -1)
        blades.append(sheet(points, uv))
    return joined(blades)


def bark_color(points: np.ndarray, uv: np.ndarray, seed: int) -> np.ndarray:
    """Linear colors (n, 3) of points of wood."""
    base = linear(("6f5d4c", "857565", "5a4a3c", "8a8378")[seed % 4])
    grain = fractal_noise(points * np.array([16.0, 16.0, 40.0]) + 3, seed, 4)
    lichen = smoothstep(0.28, 0.5, fractal_noise(points * 7 + 9, seed + 7, 3))[:, None]
    color = base * np.clip(1 + 0.55 * grain, 0.2, 2)[:, None]
    return color + (linear("9aa287") - color) * 0.5 * lichen


def leaf_color(uv: np.ndarray, seed: int) -> np.ndarray:
    """Linear colors (n, 3) of points of leaves and blades, with a pale rib."""
    number = np.floor((uv[:, 1] + 2) / 4).astype(np.int64)
    across = uv[:, 1] - 4 * number
    tones = np.stack([linear(code) for code in _LEAVES])
    choice = np.array([0, 1, 2, 0, 2, 3 if seed % 3 else 1, 4 if seed % 4 == 0 else 0])[(number + seed) % 7]
    is_stem = uv[:, 1] == _STEM
    rib = np.exp(-((across / 0.08) ** 2))
    veins = np.exp(-(((np.mod(uv[:, 0] * 9 - np.abs(across) * 1.6, 1) - 0.5) / 0.12) ** 2))
    tones_here = np.where(is_stem[:, None], linear("5c4a38"), tones[choice])
    shade = np.where(is_stem, 0.8, 1 + 0.5 * rib + 0.18 * veins) + 0.12 * value_noise(uv * 6, seed)
    return tones_here * shade[:, None]


def ground_color(points: np.ndarray, seed: int) -> np.ndarray:
    """Linear colors (n, 3) of points of the ground."""
    first, second = (linear(code) for code in _GROUNDS[seed % len(_GROUNDS)].split())
    plane = points[:, :2]
    share = smoothstep(-0.4, 0.4, fractal_noise(plane * 2.2, seed, 3))[:, None]
    grit = (
        1 + 0.30 * fractal_noise(plane * 30, seed + 5, 3) + 0.16 * value_noise(plane * np.array([9.0, 60.0]), seed + 9)
    )
    return (first + (second - first) * share) * np.clip(grit, 0.3, 1.8)[:, None]
