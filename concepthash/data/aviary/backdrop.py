"""Blurred backgrounds as a lens of long focus shows them: sky, foliage, lights between leaves, water, meadow, dusk."""

import cv2
import numpy as np

from .palette import linear

__all__ = ["draw_backdrop"]

_TONES = {  # top, bottom, and what lies blurred in between
    "sky": ("7fa9cf d3dfe6", "e9eef0 b9cfe0"),
    "foliage": ("4c6b38 2f4727", "6f8f45 22351d 93a95c 3c5a30"),
    "bokeh": ("6b7a52 394630", "c9cf9a 8da067 e6dcb0 4c5c3a"),
    "water": ("8fb0bd 56808f", "a9c6cf 41697a c3d4d6"),
    "meadow": ("b5bf8f 7d8449", "a39a55 5f7038 c7bd7c"),
    "dusk": ("9a8fa3 d9a877", "e3b98f 7d7288 c98f6a"),
}


def draw_backdrop(kind: str, size: int, random: np.random.Generator) -> np.ndarray:
    """Paint a background.

    Parameters
    ----------
    kind
        One of `concepthash.data.aviary.view.BACKDROPS`.
    size
        Side in pixels; details are painted at a third of it, since all is out of focus.
    random
        Where its details come from.

    Returns
    -------
    np.ndarray
        (size, size, 3) float32 linear RGB.
    """
    fine, size = size, max(size // 3, 16)
    ends, spots = _TONES[kind]
    top, bottom = (_varied(code, random) for code in ends.split())
    share = np.linspace(0, 1, size, dtype=np.float32)[:, None, None] ** random.uniform(0.7, 1.4)
    canvas = np.broadcast_to(top + (bottom - top) * share, (size, size, 3)).astype(np.float32).copy()
    colors = [_varied(code, random) for code in spots.split()]
    paint = {"sky": _clouds, "water": _ripples, "meadow": _blades}.get(kind, _spots)
    canvas = paint(canvas, colors, random)
    if kind in ("foliage", "bokeh", "dusk") and random.random() < 0.6:
        canvas = _far_branches(canvas, random)
    blurred = cv2.GaussianBlur(canvas, (0, 0), size * random.uniform(0.012, 0.028))
    large = cv2.resize(blurred, (fine, fine), interpolation=cv2.INTER_CUBIC)
    return np.asarray(np.maximum(large, 0) * random.uniform(0.85, 1.1), dtype=np.float32)


def _varied(code: str, random: np.random.Generator) -> np.ndarray:
    return (linear(code) * random.uniform(0.85, 1.15, 3) * random.uniform(0.9, 1.1)).astype(np.float32)


def _spots(canvas: np.ndarray, colors: list[np.ndarray], random: np.random.Generator) -> np.ndarray:
    size = len(canvas)
    for k in range(70):
        layer = canvas.copy()
        center = tuple(int(value) for value in random.uniform(-0.05, 1.05, 2) * size)
        radius = int(size * random.uniform(0.02, 0.11 if k < 35 else 0.05))
        cv2.circle(layer, center, radius, colors[k % len(colors)].tolist(), -1, cv2.LINE_AA)
        weight = random.uniform(0.2, 0.65)
        canvas = cv2.addWeighted(layer, weight, canvas, 1 - weight, 0)
    return canvas


def _clouds(canvas: np.ndarray, colors: list[np.ndarray], random: np.random.Generator) -> np.ndarray:
    size = len(canvas)
    field = np.zeros((size, size), np.float32)
    for cells in (3, 6, 12):
        coarse = random.uniform(-1, 1, (cells, max(2, cells // 2))).astype(np.float32)
        field += cv2.resize(coarse, (size, size), interpolation=cv2.INTER_CUBIC) * (3 / cells) ** 0.8
    cover = np.clip((field - random.uniform(-0.1, 0.5)) * 0.9, 0, 0.8)[..., None]
    return canvas + (colors[0] - canvas) * cover


def _ripples(canvas: np.ndarray, colors: list[np.ndarray], random: np.random.Generator) -> np.ndarray:
    size = len(canvas)
    for k in range(90):
        layer = canvas.copy()
        depth = random.random() ** 0.7
        center = (int(random.uniform(-0.1, 1.1) * size), int(depth * size))
        axes = (int(size * random.uniform(0.04, 0.22) * (0.4 + depth)), max(1, int(size * 0.008 * (0.3 + depth))))
        cv2.ellipse(layer, center, axes, 0, 0, 360, colors[k % len(colors)].tolist(), -1, cv2.LINE_AA)
        canvas = cv2.addWeighted(layer, 0.45, canvas, 0.55, 0)
    return canvas


def _blades(canvas: np.ndarray, colors: list[np.ndarray], random: np.random.Generator) -> np.ndarray:
    size = len(canvas)
    for k in range(140):
        foot = (int(random.uniform(-0.1, 1.1) * size), int(random.uniform(0.45, 1.2) * size))
        tip = (int(foot[0] + random.normal(0, 0.06) * size), int(foot[1] - random.uniform(0.15, 0.4) * size))
        tone = colors[k % len(colors)] * random.uniform(0.7, 1.2)
        cv2.line(canvas, foot, tip, tone.tolist(), max(1, int(size * random.uniform(0.004, 0.02))), cv2.LINE_AA)
    return canvas


def _far_branches(canvas: np.ndarray, random: np.random.Generator) -> np.ndarray:
    size = len(canvas)
    for _ in range(int(random.integers(1, 4))):
        start, end = random.uniform(-0.1, 1.1, (2, 2)) * size
        tone = linear("4a3d30") * random.uniform(0.6, 1.5)
        width = max(1, int(size * random.uniform(0.008, 0.03)))
        cv2.line(canvas, tuple(map(int, start)), tuple(map(int, end)), tone.tolist(), width, cv2.LINE_AA)
    return canvas
