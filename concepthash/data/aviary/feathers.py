"""Folded wings, tail and crest as sheets of feathers; u runs along them from the body to the tip."""

import numpy as np

from .anatomy import Anatomy
from .mesh import Mesh, joined, rod, sheet
from .solids import rotation

__all__ = ["N_TAIL_FEATHERS", "WING_ROWS", "crest_mesh", "tail_mesh", "wing_mesh"]

N_TAIL_FEATHERS = 10
WING_ROWS = (0.0, 0.16, 0.28, 0.40, 0.53, 0.74, 1.0)  # where coverts, secondaries and primaries end, in u
_N_ACROSS = (9.0, 9.0, 8.0, 8.0, 7.0, 7.0)


def wing_mesh(anatomy: Anatomy, side: int) -> Mesh:
    """Lay a folded wing on one side (1 left, -1 right) of the body, each row of feathers a step above the next."""
    u, v = np.meshgrid(np.linspace(0, 1, 110), np.linspace(0, 1, 64), indexing="ij")
    length, bend = anatomy.shape.wing
    x = bend - length * u
    low, high = _edges(u)
    angle = np.radians(low + (high - low) * v)
    outward = np.stack([np.zeros_like(u), -np.cos(angle), np.sin(angle)], -1)  # (110, 64, 3)
    axis = np.stack([x, np.zeros_like(u), np.zeros_like(u)], -1)
    least = np.interp(u[:, :1], [0, 0.6, 1], [0.0, 0.13, 0.085])
    radius = np.maximum(_body_radius(anatomy, axis, outward), least)
    rim = np.minimum(np.minimum(v, 1 - v) / 0.12, np.minimum(u / 0.08, (1 - u) / 0.04))
    sunk = 0.6 * np.clip(1 - u / 0.22, 0, 1) + 0.5 * np.clip((v - 0.7) / 0.3, 0, 1) * np.clip(1 - u / 0.6, 0, 1)
    lift = 0.045 * np.clip(rim, 0, 1) ** 0.6 * (1 - np.clip(sunk, 0, 0.75)) - 0.012 + _steps(u, v)
    outer = axis + (radius + lift)[..., None] * outward
    inner = axis + (radius - 0.035)[..., None] * outward
    inner[:, [0, -1]] = outer[:, [0, -1]]
    inner[[0, -1]] = outer[[0, -1]]
    uv = np.stack([u, v], -1)
    wing = joined([sheet(outer, uv), sheet(inner[:, ::-1], uv[:, ::-1])])
    pose = anatomy.pose
    hinge = np.array([bend, -0.2, 0.05])
    turn = rotation(pose.wing_lift, pose.wing_droop, 0.6 * pose.wing_lift)
    wing = wing.moved(turn, hinge - turn @ hinge)
    wing = wing if side < 0 else wing.mirrored()
    return wing.moved(anatomy.body_turn, np.zeros(3))


def tail_mesh(anatomy: Anatomy) -> Mesh:
    """Fan out the tail; v counts feathers from right to left, its fraction is the place across a feather."""
    tail, pose = anatomy.shape.tail, anatomy.pose
    t, across = np.meshgrid(np.linspace(0, 1, 24), np.linspace(-1, 1, 7), indexing="ij")
    feathers = []
    for k in range(N_TAIL_FEATHERS):
        place = 2 * k / (N_TAIL_FEATHERS - 1) - 1  # -1 outermost right, 1 outermost left
        reach = tail.middle + (tail.outer - tail.middle) * abs(place) ** 1.4
        blade = np.sqrt(np.clip(1 - np.clip((t - 0.86) / 0.14, 0, 1) ** 2, 0.02, 1)) * np.interp(
            t, [0, 0.5, 1], [0.75, 1, 1]
        )
        y = across * blade * tail.feather
        z = -0.010 * abs(place) * 5 * 0.5 - 0.006 * across**2 + 0.004 * across * np.sign(place)
        points = np.stack([-t * reach, y, z - 0.10 * reach * t * t], -1)
        turn = rotation(place * tail.fan * pose.tail_spread, 0, -38 * place)
        root = np.array([0.0, 0.055 * place, 0.0])
        uv = np.stack([t, np.clip((k + 0.5 + 0.5 * across) / N_TAIL_FEATHERS, 0, 1)], -1)
        feathers.append(sheet(points @ turn.T + root, uv))
    x, z, a, _, c = anatomy.shape.rump
    fan = joined(feathers).moved(rotation(0, -pose.tail_lift - tail.lift), np.array([x - 0.86 * a, 0, z + 0.12 * c]))
    return fan.moved(anatomy.body_turn, np.zeros(3))


def crest_mesh(anatomy: Anatomy) -> Mesh:
    """Let a handful of narrow feathers rise from the back of the crown."""
    x, _, z = anatomy.shape.skull
    rise = {"heron": 2.0}.get(anatomy.shape.beak.shape, 0.0) + anatomy.pose.crest_lift
    plumes = []
    long = anatomy.shape.legs > 0.4
    for k in range(7):
        share = k / 6
        angle = np.radians((-16 if long else 22) + (14 if long else 34) * share + rise)
        reach = anatomy.shape.crest * (1 - 0.45 * abs(share - 0.45)) * (1.0 if not long else 0.7 + 0.5 * (k % 3 == 1))
        t = np.linspace(0, 1, 12)
        start = np.array([x * (-0.62 + 0.62 * share), 0.012 * (k % 3 - 1), z * (0.62 + 0.2 * np.sin(np.pi * share))])
        path = start + np.stack(
            [-np.cos(angle) * reach * t, 0 * t, np.sin(angle) * reach * t - (0.25 if long else 0.1) * reach * t * t], -1
        )
        thick = (0.018 if long else 0.05) * (1 - t) ** 0.8 + 0.003
        plumes.append(rod(path, thick, flatness=0.55, label=k))
    return joined(plumes).moved(anatomy.head_turn, anatomy.head_center)


def _edges(u: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Lower and upper edge of a folded wing as angles about the body's axis, degrees above the horizontal."""
    front = np.sqrt(np.clip(1 - (1 - u / 0.12).clip(0, 1) ** 2, 0, 1))  # the rounded bend
    low = np.interp(u, [0, 0.15, 0.38, 0.58, 0.72, 0.88, 1], [-2, -24, -29, -20, -6, 12, 24])
    high = np.interp(u, [0, 0.15, 0.35, 0.54, 0.62, 0.70, 0.88, 1], [22, 46, 62, 66, 62, 50, 44, 30])
    middle = 12.0
    return middle + (low - middle) * front, middle + (high - middle) * front


def _body_radius(anatomy: Anatomy, axis: np.ndarray, outward: np.ndarray) -> np.ndarray:
    near, far = np.zeros(axis.shape[:-1]), np.full(axis.shape[:-1], 0.6)
    for _ in range(12):
        middle = (near + far) / 2
        inside = anatomy.torso_distance(axis + middle[..., None] * outward) < 0
        near, far = np.where(inside, middle, near), np.where(inside, far, middle)
    return near


def _steps(u: np.ndarray, v: np.ndarray) -> np.ndarray:
    """Height of the feathers above the skin: each row and each feather ends a step above the next."""
    row = np.clip(np.searchsorted(WING_ROWS, u, side="right") - 1, 0, len(WING_ROWS) - 2)
    start, end = np.array(WING_ROWS)[row], np.array(WING_ROWS)[row + 1]
    along = (u - start) / (end - start)
    across = np.mod(v * np.array(_N_ACROSS)[row] + 0.5 * (row % 2), 1.0)
    return 0.010 * along - 0.012 * (row / 5) + 0.005 * across
