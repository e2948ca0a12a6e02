"""Which part a point of the bird's surface belongs to, and the color of its feathers there."""

import numpy as np

from .anatomy import Anatomy
from .feathers import N_TAIL_FEATHERS, WING_ROWS
from .noise import feather_cells, fractal_noise, smoothstep, value_noise
from .palette import BEAK_COLORS, COLORS, cheek_color
from .species import PARTS, Species

__all__ = ["Plumage"]

_ID = {name: k + 1 for k, name in enumerate(PARTS)}


class Plumage:
    """Parts and colors of one bird; ``seed`` moves each feather's own shade, ``tint`` (3,) multiplies all."""

    def __init__(self, species: Species, anatomy: Anatomy, seed: int, tint: np.ndarray) -> None:
        self.species, self.anatomy, self.seed, self.tint = species, anatomy, seed, tint
        self.look = species.attributes

    def body(self, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Part ids (n,) uint8 and linear colors (n, 3) of points (n, 3) on the body of the standing bird."""
        anatomy = self.anatomy
        inside, head = anatomy.to_body(points), anatomy.to_head(points)
        rough = 0.5 * fractal_noise(points * 26, self.seed + 5, 2)  # feathery edges
        part = self._torso_part(inside, points, rough)
        is_head = self._is_head(points, inside, head, rough)
        part = np.where(is_head, self._head_part(head, rough), part).astype(np.uint8)
        along, front = anatomy.neck_position(points)
        neck = (anatomy.neck_distance(points) < anatomy.torso_distance(inside)) & ~is_head
        upper = neck & (along + 0.10 * rough > (0.42 if len(anatomy.neck) > 4 else 0.62))
        part = np.where(upper, np.where(front + 0.2 * rough > 0.25, _ID["throat"], _ID["head"]), part)
        part = np.where(neck & ~upper & (front + 0.2 * rough > -0.35), _ID["breast"], part)
        part = np.where(neck & ~upper & (front + 0.2 * rough <= -0.35) & (inside[:, 2] > 0), _ID["back"], part)
        color = self._body_colors(part, points, inside)
        color, part = self._face(part.astype(np.uint8), color, head)
        return part.astype(np.uint8), color * self.tint

    def wing(self, uv: np.ndarray) -> np.ndarray:
        """Linear colors (n, 3) of points of a wing."""
        u, v = uv.T
        row = np.clip(np.searchsorted(WING_ROWS, u, side="right") - 1, 0, 5)
        start, end = np.array(WING_ROWS)[row], np.array(WING_ROWS)[row + 1]
        count = np.array([10.0, 9.0, 8.0, 8.0, 7.0, 7.0])[row]
        tip, side, own = feather_cells(row + (u - start) / (end - start), v * count, self.seed + 11, depth=0.26)
        base = COLORS[self.look["wing_color"]]
        dark = smoothstep(0.66, 0.84, u + 0.04 * side)
        shade = 1 - 0.50 * dark + 0.10 * own
        shade *= 1 - 0.34 * smoothstep(0.55, 0.98, np.abs(side)) * smoothstep(0.0, 0.4, tip)  # vanes part
        shade *= 1 - 0.22 * (1 - smoothstep(0.0, 0.35, tip))  # shaded by the feather above
        shade *= 1 + 0.06 * value_noise(np.stack([u * 18, v * 150 + side * 3], -1), self.seed)
        shade *= 1 - 0.16 * np.exp(-((side / 0.09) ** 2)) * (tip > 0.1)  # shaft
        color = base * shade[:, None]
        edge = smoothstep(0.80, 0.97, np.maximum(tip, 0.0)) * 0.42 + 0.30 * smoothstep(0.72, 0.95, side) * (u > 0.4)
        pale = 0.45 * base + 0.55 * COLORS["buff"]
        color = color + (pale - color) * (edge * (1 - 0.55 * dark))[:, None]
        return self._wing_marks(color, u, v, row, tip, side, own) * self.tint

    def tail(self, uv: np.ndarray) -> np.ndarray:
        """Linear colors (n, 3) of points of the tail."""
        t, place = uv[:, 0], uv[:, 1] * N_TAIL_FEATHERS
        side = 2 * (place - np.floor(place)) - 1
        base = COLORS[self.look["tail_color"]]
        shade = 1 - 0.28 * smoothstep(0.6, 1.0, np.abs(side)) - 0.14 * np.exp(-((side / 0.1) ** 2))
        shade *= 1 + 0.07 * value_noise(np.stack([t * 14 + np.abs(side) * 6, place * 9], -1), self.seed + 3)
        is_pale = self.look["tail_color"] == "white"
        band = smoothstep(0.76, 0.82, t) * (1 - smoothstep(0.95, 0.97, t))
        color = base * (shade * (1 - (0.80 if is_pale else 0.42) * band))[:, None]
        rim = 0.35 * smoothstep(0.955, 0.99, t)
        return (color + (COLORS["buff"] - color) * rim[:, None]) * self.tint

    def crest(self, uv: np.ndarray) -> np.ndarray:
        """Linear colors (n, 3) of points of the crest."""
        streak = 1 + 0.12 * value_noise(np.stack([uv[:, 0] * 4, uv[:, 1] * 3.3], -1), self.seed + 8)
        return COLORS[self.look["crown_color"]] * (streak * (1 - 0.25 * uv[:, 0]))[:, None] * self.tint

    def beak(self, uv: np.ndarray) -> np.ndarray:
        """Linear colors (n, 3) of points of the beak."""
        t, is_upper = uv[:, 0], uv[:, 1] > 0.5
        low, high, tip = BEAK_COLORS[self.species.family]
        color = np.where(is_upper[:, None], high, low)
        share = smoothstep(0.55, 1.0, t)[:, None]
        color = color + (tip - color) * share
        gape = np.exp(-(((uv[:, 1] - 0.5) / 0.09) ** 2))
        nostril = np.exp(-(((t - 0.2) / 0.05) ** 2)) * is_upper
        streak = 1 + 0.06 * value_noise(np.stack([t * 9, is_upper * 5.0], -1), self.seed)
        return color * (streak * (1 - 0.25 * nostril) * (1 - 0.6 * gape))[:, None]

    def leg(self, uv: np.ndarray) -> np.ndarray:
        """Linear colors (n, 3) of points of the legs, ringed by scutes, with dark claws."""
        rings = np.where(uv[:, 1] > 0.5, 8.0, 24.0)
        scutes = 1 - 0.22 * smoothstep(0.7, 1.0, np.mod(uv[:, 0] * rings, 1.0))
        claw = smoothstep(0.74, 0.84, uv[:, 0]) * (uv[:, 1] > 0.5)
        color = COLORS[self.look["leg_color"]] * scutes[:, None]
        return color + (0.25 * COLORS["black"] - 0.8 * color) * claw[:, None]

    def _torso_part(self, inside: np.ndarray, points: np.ndarray, rough: np.ndarray) -> np.ndarray:
        x, _, z = inside.T
        chest_x, chest_z, *_ = self.anatomy.shape.chest
        aside = np.hypot(inside[:, 1], np.maximum(x - chest_x - 0.1, 0))
        angle = np.degrees(np.arctan2(z - chest_z, aside + 1e-6)) + 16 * rough
        front = smoothstep(chest_x - 0.02, chest_x + 0.26, x)
        is_below = angle < -8 + 62 * front
        is_breast = x + 0.10 * rough > chest_x - 0.10 + 0.10 * np.clip((-angle - 30) / 60, 0, 1)
        return np.where(is_below, np.where(is_breast, _ID["breast"], _ID["belly"]), _ID["back"])

    def _is_head(self, points: np.ndarray, inside: np.ndarray, head: np.ndarray, rough: np.ndarray) -> np.ndarray:
        rest = np.minimum(self.anatomy.torso_distance(inside), self.anatomy.neck_distance(points))
        bias = 0.03 if len(self.anatomy.neck) <= 4 else 0.012
        near = self.anatomy.head_distance(head) < rest + bias + 0.025 * rough
        return near & (np.linalg.norm(head / np.array(self.anatomy.shape.skull), axis=1) < 1.55)

    def _head_part(self, head: np.ndarray, rough: np.ndarray) -> np.ndarray:
        x, _, z = (head / np.array(self.anatomy.shape.skull)).T
        is_crown = z + 0.15 * rough > 0.44 - 0.20 * x + 0.55 * np.clip(-x - 0.55, 0, 1)
        is_throat = (z + 0.12 * rough < -0.46 + 0.30 * np.clip(x - 0.3, 0, 1)) & (x > -0.42)
        return np.where(is_crown, _ID["crown"], np.where(is_throat, _ID["throat"], _ID["head"]))

    def _body_colors(self, part: np.ndarray, points: np.ndarray, inside: np.ndarray) -> np.ndarray:
        base = np.zeros((len(PARTS) + 1, 3))
        for name in ("crown", "throat", "back", "breast", "belly"):
            base[_ID[name]] = COLORS[self.look[f"{name}_color"]]
        base[_ID["head"]] = cheek_color(self.look["crown_color"], self.look["throat_color"])
        color = base[part]
        is_torso = np.isin(part, [_ID["back"], _ID["breast"], _ID["belly"]])
        radius = np.hypot(inside[:, 1], inside[:, 2]) + 0.02
        turn = np.arctan2(inside[:, 2], np.abs(inside[:, 1])) * np.sign(inside[:, 1] + 1e-9)
        wobble = 0.25 * value_noise(points * 9, self.seed + 2)
        along = -inside[:, 0] / 0.075 + wobble
        across = turn * 4.6 + wobble
        tip, side, own = feather_cells(along, across, self.seed)
        streaks = value_noise(np.stack([inside[:, 0] * 14, turn * 38 + wobble, radius * 30], -1), self.seed + 1)
        fine = fractal_noise(points * np.array([70.0, 70.0, 70.0]), self.seed + 4, 2)
        shade = 1 + 0.06 * own + 0.13 * streaks + 0.10 * fine
        is_back = part == _ID["back"]
        shade *= 1 - np.where(is_back, 0.30, 0.14) * is_torso * smoothstep(0.70, 1.0, tip)
        shade *= 1 - np.where(is_back, 0.22, 0.0) * np.exp(-((side / 0.16) ** 2))
        return self._breast_marks(color * shade[:, None], part, tip, side, own)

    def _breast_marks(
        self, color: np.ndarray, part: np.ndarray, tip: np.ndarray, side: np.ndarray, own: np.ndarray
    ) -> np.ndarray:
        pattern = self.look["breast_pattern"]
        if pattern == "plain":
            return color
        ink = COLORS["umber"] if self.look["breast_color"] != "gray" else 0.35 * COLORS["umber"]
        if pattern == "streaked":
            mark = np.exp(-((side / (0.16 + 0.26 * tip)) ** 2)) * smoothstep(0.05, 0.3, tip)
        else:
            mark = np.exp(-(((side / 0.40) ** 2 + ((tip - 0.66) / 0.24) ** 2) ** 2))
        mark = 0.85 * np.clip(mark * (1 + 0.3 * own), 0, 1) * (part == _ID["breast"])
        return color + (ink - color) * mark[:, None]

    def _face(self, part: np.ndarray, color: np.ndarray, head: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Draw eye rings, the dark rim of the eye, and a faint line from the beak through the eye."""
        size = self.anatomy.shape.eye
        for side in (-1, 1):
            offset = head - self.anatomy.eye_center(side)
            distance = np.linalg.norm(offset * np.array([0.94, 1, 1.04]), axis=1)
            ring = self.look["eye_ring"]
            reach = 1.36 if ring != "none" else 1.22
            near = (distance < reach * size) & np.isin(part, [_ID["head"], _ID["crown"], _ID["throat"]])
            tone = COLORS[ring] if ring != "none" else 0.5 * COLORS["black"]
            line = np.exp(-(((offset[:, 2] - 0.12 * offset[:, 0]) / (0.8 * size)) ** 2))
            line *= smoothstep(-3.2 * size, -0.5 * size, offset[:, 0]) * (part == _ID["head"]) * (head[:, 1] * side > 0)
            color = color * (1 - 0.45 * line)[:, None]
            color = np.where(near[:, None], tone, color)
            color = np.where((near & (distance < 1.10 * size))[:, None], 0.4 * COLORS["black"], color)
            part = np.where(near, _ID["eye"], part)
        return color, part

    def _wing_marks(
        self,
        color: np.ndarray,
        u: np.ndarray,
        v: np.ndarray,
        row: np.ndarray,
        tip: np.ndarray,
        side: np.ndarray,
        own: np.ndarray,
    ) -> np.ndarray:
        marks = self.look["wing_pattern"]
        if marks == "bars":
            mark = smoothstep(0.62, 0.72, tip) * np.isin(row, [2, 3]) * (v > 0.05)
        elif marks == "patch":
            start, end = 0.40 + 0.10 * v + 0.02 * own, 0.60 + 0.05 * v + 0.03 * own
            mark = smoothstep(0, 0.03, u - start) * (1 - smoothstep(0, 0.04, u - end))
            mark = mark * smoothstep(0.12, 0.2, v) * (1 - smoothstep(0.60, 0.74, v + 0.06 * own))
            mark = mark * (1 - 0.5 * smoothstep(0.75, 1.0, np.abs(side)))  # dark gaps between the feathers
        else:
            return color
        return color + (COLORS["white"] * (0.92 + 0.05 * own[:, None]) - color) * 0.9 * mark[:, None]
