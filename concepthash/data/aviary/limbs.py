"""Beaks, eyes, legs and feet."""

import numpy as np

from .anatomy import Anatomy
from .mesh import Mesh, joined, rod, sheet
from .shapes import Beak
from .solids import rotation

__all__ = ["beak_mesh", "eyes_mesh", "legs_mesh"]


def beak_mesh(anatomy: Anatomy) -> Mesh:
    """Make a beak of two mandibles that meet in the gape; v is above one half on the upper one."""
    beak = anatomy.shape.beak
    halves = [_mandible(beak, upper=True), _mandible(beak, upper=False)]
    turn = rotation(0, -beak.tilt)
    return joined(halves).moved(turn, anatomy.beak_base).moved(anatomy.head_turn, anatomy.head_center)


def eyes_mesh(anatomy: Anatomy) -> Mesh:
    """Two balls in their sockets."""
    a, b = np.meshgrid(np.linspace(0, np.pi, 14), np.linspace(0, 2 * np.pi, 20, endpoint=False), indexing="ij")
    ball = np.stack([np.sin(a) * np.cos(b), np.sin(a) * np.sin(b), np.cos(a)], -1) * anatomy.shape.eye
    meshes = []
    for side in (-1, 1):
        mesh = sheet(ball, np.zeros((*a.shape, 2)), closed=True).moved(np.eye(3), anatomy.eye_center(side))
        meshes.append(mesh)
    return joined(meshes).moved(anatomy.head_turn, anatomy.head_center)


def legs_mesh(anatomy: Anatomy, perch: tuple[np.ndarray, float] | None) -> Mesh:
    """Two legs with three toes ahead and one behind; ``perch`` is the direction and radius of a branch they grip."""
    thick = 0.021 if anatomy.shape.legs < 0.4 else 0.0185
    pieces = []
    for side in (-1, 1):
        top, bend, foot = anatomy.leg_joints(side)
        if perch is not None:  # both feet on the branch, wherever it runs
            across = perch[0] * (np.sign(perch[0][1]) or 1.0)
            foot = np.array([0.03, 0.0, anatomy.ground]) + side * 0.085 * across
            bend = 0.5 * (top + foot) + np.array([-0.05, 0, 0.0])
        path = np.array([_curve(top, bend, foot, t) for t in np.linspace(0, 1, 14)])
        radii = thick * np.interp(
            np.linspace(0, 1, 14), [0, 0.42, 0.52, 0.62, 0.95, 1], [1.4, 1.0, 1.3, 0.95, 0.95, 1.2]
        )
        pieces.append(rod(path, radii))
        pieces += [_toe(anatomy, foot, side, k, thick, perch) for k in range(4)]
    return joined(pieces)


def _curve(top: np.ndarray, bend: np.ndarray, foot: np.ndarray, t: float) -> np.ndarray:
    point: np.ndarray = top + (bend - top) * min(2 * t, 1) + (foot - bend) * max(2 * t - 1, 0)
    return point


def _toe(
    anatomy: Anatomy, foot: np.ndarray, side: int, k: int, thick: float, perch: tuple[np.ndarray, float] | None
) -> Mesh:
    reach = (0.20 if anatomy.shape.legs < 0.4 else 0.24) * (0.75 if k == 3 else (0.9, 1.1, 0.9)[k])
    spread = (-24.0, 4.0, 30.0, 180.0)[k] * -side
    t = np.linspace(0, 1, 9)
    radii = thick * np.interp(t, [0, 0.75, 1], [0.95, 0.72, 0.25])
    if perch is None:
        heading = rotation(spread, 0) @ np.array([1.0, 0, 0])
        arch = thick * (0.6 + 1.6 * np.sin(np.pi * t) * (1 - t)) - 0.5 * thick * t
        path = foot + heading * (reach * t)[:, None] + np.array([0, 0, 1.0]) * arch[:, None]
        return rod(path, radii, label=1)
    along, radius = perch
    grip = radius + 0.7 * thick
    ahead = np.cross(np.array([0, 0, 1.0]), along)
    ahead *= np.sign(ahead[0]) or 1.0
    angle = np.minimum(reach / grip, 2.0) * t * (-1 if k == 3 else 1)
    sideways = (0.0, 0.0, 0.0, 0.0)[k] + (k - 1) * 0.042 * (k < 3) * -side
    center = foot - np.array([0, 0, grip])
    path = (
        center
        + grip * np.sin(angle)[:, None] * ahead
        + grip * np.cos(angle)[:, None] * np.array([0, 0, 1.0])
        + sideways * np.sqrt(t)[:, None] * along
    )
    return rod(path, radii, label=1)


def _mandible(beak: Beak, *, upper: bool) -> Mesh:
    t = np.linspace(0, 1, 40)
    lower_share = 0.80 if beak.shape == "hooked" else 0.96
    share = t if upper else lower_share * t
    height, width, center = _profile(beak, t, share, upper)
    angle = np.linspace(0, np.pi, 13)
    if not upper:
        angle = -angle
    ring_y = np.cos(angle)[None] * width[:, None]
    ring_z = np.sin(angle)[None] * height[:, None] + center[:, None]
    closing = np.linspace(-1, 1, 7)[1:-1]
    flat_y, flat_z = closing[None] * width[:, None], np.broadcast_to(center[:, None], (40, 5))
    y, z = np.concatenate([ring_y, flat_y], 1), np.concatenate([ring_z, flat_z], 1)
    long = beak.length * (1.0 if upper else lower_share)
    x = np.broadcast_to((long * t)[:, None], y.shape)
    if beak.shape == "hooked" and upper:  # the tip turns back below itself
        x = x - 0.12 * long * np.clip((t - 0.72) / 0.28, 0, 1)[:, None] ** 1.6
    away = np.concatenate([0.08 + 0.42 * np.abs(np.sin(angle)), np.full(5, 0.03)])  # from the gape
    uv = np.stack(np.broadcast_arrays(t[:, None], 0.5 + (away if upper else -away)[None]), -1)
    return sheet(np.stack([x, y, z], -1), uv, closed=True)


def _profile(beak: Beak, t: np.ndarray, share: np.ndarray, upper: bool) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Half height, half width and height of the gape line along a mandible, each (n,); ``share`` is of the beak."""
    base = beak.upper if upper else beak.lower
    center = np.zeros_like(t)
    if beak.shape == "conical":
        height, width = base * (1 - t**1.25), beak.width * (1 - t**1.15)
        center = -0.10 * beak.length * np.clip(0.25 - share, 0, 1) - 0.012 * share
    elif beak.shape == "hooked":
        height = base * np.sqrt(np.clip(1 - t**3.0, 0, 1)) * (1 if upper else 0.9)
        width = beak.width * (1 - 0.88 * t**1.4)
        center = -0.03 * share**2.2
        if upper:  # a hook below the gape
            center = center - 0.046 * np.clip((t - 0.62) / 0.38, 0, 1) ** 1.5
            height = base * (1 - t**2.4) + 0.55 * base * t * np.clip((t - 0.5) / 0.2, 0, 1) * (1 - t) + 0.009
    elif beak.shape == "flat":
        spoon = np.interp(t, [0, 0.35, 0.78, 0.92, 1], [0.78, 0.86, 1.12, 0.95, 0.45])
        width = beak.width * spoon
        height = base * np.interp(t, [0, 0.3, 0.7, 1], [1, 0.52, 0.24, 0.12])
        center = 0.05 * share**2 - 0.02 * np.sin(np.pi * share)
    elif beak.shape == "chisel":
        height, width = base * (1 - 0.84 * t), beak.width * (1 - 0.8 * t)
    else:  # dagger, long-curved
        height, width = base * (1 - t) ** 0.85, beak.width * (1 - t) ** 0.8
        if beak.shape == "long-curved":
            height, width = base * (1 - 0.82 * t), beak.width * (1 - 0.8 * t)
            center = -0.27 * beak.length * share**2.2
    tip = 0.0035
    return np.maximum(height, tip * 0.8), np.maximum(width, tip), center
