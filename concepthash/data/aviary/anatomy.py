"""A bird's body as one signed-distance solid in a pose, and the frames in which its parts are told apart."""

from dataclasses import dataclass

import numpy as np

from .mesh import Mesh
from .shapes import Shape
from .solids import capsule, ellipsoid, rotation, smooth_union

__all__ = ["Anatomy", "Pose"]


@dataclass(frozen=True)
class Pose:
    """How a bird holds itself, in degrees from rest; ``wing_lift`` takes a wing's tip off the body."""

    pitch: float = 0.0
    head_yaw: float = 0.0
    head_pitch: float = 0.0
    head_roll: float = 0.0
    tail_lift: float = 0.0
    tail_spread: float = 1.0
    wing_lift: float = 0.0
    wing_droop: float = 0.0
    crest_lift: float = 0.0
    stride: float = 0.0


class Anatomy:
    """The solid of one bird, standing with its body's center in the origin, seen along +y on its right side."""

    def __init__(self, shape: Shape, pose: Pose) -> None:
        self.shape, self.pose = shape, pose
        self.body_turn = rotation(0, shape.pitch + pose.pitch)  # body frame to standing bird
        sway = rotation(0, pose.pitch)
        self.head_turn = rotation(pose.head_yaw, pose.head_pitch, pose.head_roll)
        self.head_center = sway @ np.array([shape.head[0], 0, shape.head[1]])
        path = np.array([[x, 0, z] for x, z, _ in shape.neck]) @ sway.T
        self.neck = np.concatenate([path, self.head_center[None]])
        self.neck_radii = np.array([*(r for _, _, r in shape.neck), 0.8 * shape.skull[1]])
        belly = self._belly_height()
        self.leg_top = belly + 0.04
        self.ground = belly - shape.legs
        self.beak_base = np.array([0.84 * shape.skull[0], 0.0, -0.16 * shape.skull[2]])

    def to_body(self, points: np.ndarray) -> np.ndarray:
        """Express points (..., 3) of the standing bird in the body's frame."""
        return points @ self.body_turn

    def to_head(self, points: np.ndarray) -> np.ndarray:
        """Express points (..., 3) of the standing bird in the head's frame."""
        return (points - self.head_center) @ self.head_turn

    def torso_distance(self, points: np.ndarray) -> np.ndarray:
        """Distance of points (..., 3) in the body's frame to chest and rump."""
        x, z, *radii = self.shape.chest
        chest = ellipsoid(points, np.array([x, 0, z]), np.array(radii))
        x, z, *radii = self.shape.rump
        return smooth_union(chest, ellipsoid(points, np.array([x, 0, z]), np.array(radii)), 0.22)

    def head_distance(self, points: np.ndarray) -> np.ndarray:
        """Distance of points (..., 3) in the head's frame to the skull with its cheeks and forehead."""
        x, y, z = self.shape.skull
        skull = ellipsoid(points, np.array([0.0, 0.0, 0.02 * z]), np.array([x, y, z]))
        cheeks = ellipsoid(points, np.array([0.02 * x, 0, -0.32 * z]), np.array([0.74 * x, 0.92 * y, 0.62 * z]))
        beak = self.shape.beak
        root = capsule(
            points,
            np.array([0.3 * x, 0, -0.02 * z]),
            np.array([0.92 * x, 0, -0.14 * z]),
            (0.7 * z, 1.1 * max(beak.upper, beak.lower, 0.6 * beak.width)),
        )
        return smooth_union(smooth_union(skull, cheeks, 0.06), root, 0.05)

    def neck_distance(self, points: np.ndarray) -> np.ndarray:
        """Distance of points (..., 3) of the standing bird to its neck."""
        distance = np.full(points.shape[:-1], np.inf)
        for k in range(len(self.neck) - 1):
            radii = (float(self.neck_radii[k]), float(self.neck_radii[k + 1]))
            piece = capsule(points, self.neck[k], self.neck[k + 1], radii)
            distance = piece if k == 0 else smooth_union(distance, piece, 0.07)
        return distance

    def neck_position(self, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Where along the neck (0 at the chest, 1 at the head), and how far in front of it, points (n, 3) lie."""
        best = np.full(len(points), np.inf)
        along, front = np.zeros(len(points)), np.zeros(len(points))
        lengths = np.linalg.norm(np.diff(self.neck, axis=0), axis=1)
        starts = np.concatenate([[0], np.cumsum(lengths)])
        for k, length in enumerate(lengths):
            ahead = (self.neck[k + 1] - self.neck[k]) / length
            share = np.clip((points - self.neck[k]) @ ahead, 0, length)
            offset = points - self.neck[k] - share[:, None] * ahead
            distance = np.linalg.norm(offset, axis=1)
            closer = distance < best
            best = np.where(closer, distance, best)
            along = np.where(closer, (starts[k] + share) / starts[-1], along)
            side = offset @ np.array([ahead[2], 0, -ahead[0]]) / np.maximum(distance, 1e-6)
            front = np.where(closer, side, front)
        return along, front

    def distance(self, points: np.ndarray) -> np.ndarray:
        """Distance of points (..., 3) of the standing bird to all of the body that `body_mesh` shows."""
        torso = self.torso_distance(self.to_body(points))
        neck = self.neck_distance(points)
        solid = smooth_union(torso, neck, 0.16)
        solid = smooth_union(solid, self.head_distance(self.to_head(points)), 0.07)
        for side in (-1, 1):
            solid = smooth_union(solid, capsule(points, *self.thigh(side)), 0.09)
        return solid

    def thigh(self, side: int) -> tuple[np.ndarray, np.ndarray, tuple[float, float]]:
        """Start, end and radii of the feathered part of a leg."""
        bare = 0.32 if self.shape.legs < 0.4 else 0.16
        top = np.array([-0.06, side * 0.11, self.leg_top + 0.10])
        end = self.leg_joints(side)[0] + np.array([0.0, 0.0, -bare * self.shape.legs])
        return top, end, (0.085, 0.026)

    def leg_joints(self, side: int) -> np.ndarray:
        """Where a leg leaves the body, bends, and meets the foot: (3, 3)."""
        stride = side * self.pose.stride * self.shape.legs * 0.25
        foot = np.array([0.03 + stride, side * 0.085, self.ground])
        top = np.array([0.0 + 0.4 * stride, side * 0.095, self.leg_top])
        bend = 0.5 * (top + foot) + np.array([-0.05 - 0.06 * self.shape.legs, 0, 0.0])
        return np.stack([top, bend, foot])

    def body_mesh(self, n_cells: int = 76) -> Mesh:
        """Mesh of body, neck and head; ``n_cells`` divide its longest side."""
        from skimage.measure import marching_cubes

        low, high = self._bounds()
        step = float((high - low).max()) / n_cells
        axes = [np.arange(low[k], high[k] + step, step) for k in range(3)]
        grid = np.stack(np.meshgrid(*axes, indexing="ij"), -1)  # (nx, ny, nz, 3)
        vertices, faces, _, _ = marching_cubes(self.distance(grid), 0.0, spacing=(step,) * 3)
        vertices = vertices.astype(np.float64) + low
        normals = self._gradient(vertices)
        vertices = vertices - self.distance(vertices)[:, None] * normals  # onto the surface
        return Mesh(vertices, normals, faces.astype(np.int64)[:, ::-1], np.zeros((len(vertices), 2)))

    def eye_center(self, side: int) -> np.ndarray:
        """Center of an eye in the head's frame, set a little into the surface."""
        x, y, z = self.shape.skull
        start = np.array([0.46 * x, side * 0.3 * y, 0.2 * z])
        for _ in range(8):
            start[1] -= side * float(self.head_distance(start[None])[0])
        return start - np.array([0, side * 0.32 * self.shape.eye, 0])

    def _gradient(self, points: np.ndarray) -> np.ndarray:
        step = 2e-3 * np.eye(3)
        slope = np.stack([self.distance(points + step[k]) - self.distance(points - step[k]) for k in range(3)], -1)
        return slope / np.maximum(np.linalg.norm(slope, axis=1, keepdims=True), 1e-9)

    def _bounds(self) -> tuple[np.ndarray, np.ndarray]:
        balls = [(p, r) for p, r in zip(self.neck, self.neck_radii, strict=True)]
        balls.append((self.head_center, 1.15 * max(self.shape.skull)))
        for x, z, a, _, _ in (self.shape.chest, self.shape.rump):
            balls.append((self.body_turn @ np.array([x, 0, z]), a))
        balls += [(self.thigh(side)[1], 0.04) for side in (-1, 1)]
        low = np.min([p - r for p, r in balls], axis=0) - 0.05
        high = np.max([p + r for p, r in balls], axis=0) + 0.05
        width = 0.06 + max(self.shape.chest[3], self.shape.rump[3], max(self.shape.skull))
        low[1], high[1] = -width, width
        return low, high

    def _belly_height(self) -> float:
        z = np.linspace(-0.6, 0.1, 141)
        column = np.stack([np.zeros_like(z), np.full_like(z, 0.08), z], -1)
        inside = self.torso_distance(self.to_body(column)) < 0
        return float(z[np.argmax(inside)])
