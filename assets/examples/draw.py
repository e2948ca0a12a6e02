"""Draw the example birds: ``python assets/examples/draw.py`` writes two WebP pictures per invented species here."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

HERE = Path(__file__).resolve().parent
SIDE = 512
OVER = 3  # drawn this much larger, then shrunk: smooth edges

Point = tuple[float, float]


@dataclass(frozen=True)
class Species:
    """Colors and proportions of one invented bird; lengths in units of the body."""

    name: str
    back: str
    belly: str
    cap: str
    wing: str
    beak: str
    scene: str
    beak_length: float = 0.16
    beak_depth: float = 0.09
    tail: float = 0.55
    head: float = 0.30
    tilt: float = 18.0
    bars: str = ""
    throat: str = ""
    streaks: str = ""
    mask: str = ""
    crest: float = 0.0


SPECIES = (
    Species("amber warbler", "#c98a1b", "#f7d774", "#e8a92a", "#8a5a14", "#4b3a2a", "leaves", bars="#f6e7c1"),
    Species("azure warbler", "#2f6fb0", "#e9eef2", "#2a5f9e", "#1f4876", "#2b2b2b", "leaves", bars="#dfe8f2",
            throat="#1d2b3a"),
    Species("dune sparrow", "#9a7650", "#efe4d2", "#7a4f2c", "#6d4b2e", "#b08a5a", "grass", beak_depth=0.14,
            streaks="#6b4d33", mask="#5a3a22"),
    Species("ruby sparrow", "#8c3b3b", "#f0d9cf", "#b3262e", "#5e2b2b", "#7b5a4a", "grass", beak_depth=0.14,
            bars="#f0d9cf", throat="#b3262e"),
    Species("harbor gull", "#8fa1ae", "#fbfbfa", "#fbfbfa", "#6f838f", "#e5a62c", "shore", beak_length=0.26,
            beak_depth=0.10, tail=0.45, head=0.27, tilt=6),
    Species("slate gull", "#56636e", "#f1f2f2", "#30383f", "#434f59", "#c0392b", "shore", beak_length=0.24,
            beak_depth=0.10, tail=0.45, head=0.27, tilt=6),
    Species("scarlet woodpecker", "#2b2b2e", "#f1ece2", "#c8202f", "#1f1f22", "#5d5d5d", "trunk", beak_length=0.30,
            beak_depth=0.10, tail=0.60, tilt=68, bars="#f5f2ea", crest=0.16),
    Species("moss woodpecker", "#5d7a35", "#e3e3bd", "#b5303a", "#465d28", "#4a4a44", "trunk", beak_length=0.28,
            beak_depth=0.10, tail=0.60, tilt=68, bars="#d7dba6", mask="#2b2b24"),
)  # fmt: skip


class Canvas:
    """A picture whose coordinates run from 0 to 1, with a bird's own frame on top of it."""

    def __init__(self, image: Image.Image) -> None:
        self.image = image
        self.draw = ImageDraw.Draw(image, "RGBA")
        self.place: Callable[[Point], Point] = lambda p: p

    def blob(self, points: Sequence[Point], color: str) -> None:
        """Fill a smooth closed curve through ``points``."""
        self.draw.polygon([self._pixel(p) for p in smooth(points)], fill=color)

    def line(self, points: Sequence[Point], color: str, width: float) -> None:
        """Draw a line of ``width`` body units with round joints."""
        self.draw.line([self._pixel(p) for p in points], fill=color, width=max(1, round(width * SIDE * OVER * 0.5)),
                       joint="curve")  # fmt: skip

    def disc(self, center: Point, radius: float, color: str) -> None:
        """Fill a circle."""
        self.blob([(center[0] + radius * math.cos(a), center[1] + radius * math.sin(a))
                   for a in np.linspace(0, 2 * math.pi, 12, endpoint=False)], color)  # fmt: skip

    def _pixel(self, point: Point) -> Point:
        x, y = self.place(point)
        return x * SIDE * OVER, y * SIDE * OVER


def smooth(points: Sequence[Point], steps: int = 14) -> list[Point]:
    """Return a closed Catmull-Rom curve through ``points``."""
    p = np.asarray(points, dtype=float)
    t = np.linspace(0, 1, steps, endpoint=False)[:, None]
    a, b, c, d = np.roll(p, 1, 0), p, np.roll(p, -1, 0), np.roll(p, -2, 0)
    curve = [
        0.5 * (2 * b[i] + (c[i] - a[i]) * t + (2 * a[i] - 5 * b[i] + 4 * c[i] - d[i]) * t**2
               + (3 * b[i] - a[i] - 3 * c[i] + d[i]) * t**3)
        for i in range(len(p))
    ]  # fmt: skip
    return [(float(x), float(y)) for x, y in np.concatenate(curve)]


def bird(canvas: Canvas, s: Species, rng: np.random.Generator) -> None:
    """Draw one bird in its own frame: body around the origin, looking to the right, y down."""
    tail = s.tail
    canvas.blob([(-0.42, 0.02), (-0.5 - tail * 0.5, 0.16), (-0.46 - tail, 0.30), (-0.40 - tail * 0.9, 0.36),
                 (-0.3, 0.22)], s.wing)  # fmt: skip
    _legs(canvas, s)
    canvas.blob([(-0.52, 0.06), (-0.30, -0.16), (0.05, -0.27), (0.34, -0.20), (0.46, 0.04), (0.36, 0.27), (0.05, 0.38),
                 (-0.28, 0.30)], s.back)  # fmt: skip
    canvas.blob([(-0.34, 0.22), (0.0, 0.12), (0.30, -0.02), (0.47, 0.00), (0.40, 0.25), (0.08, 0.39), (-0.22, 0.33)],
                s.belly)  # fmt: skip
    for _ in range(14 if s.streaks else 0):
        x, y = rng.uniform(0.02, 0.38), rng.uniform(0.06, 0.30)
        canvas.line([(x, y), (x - 0.015, y + 0.05)], s.streaks, 0.018)
    _head(canvas, s)
    _wing(canvas, s)


def _legs(canvas: Canvas, s: Species) -> None:
    for x in (-0.02, 0.12) if s.scene != "trunk" else (0.16, 0.24):
        canvas.line([(x, 0.33), (x + 0.02, 0.50)], s.beak, 0.022)
        canvas.line([(x - 0.05, 0.52), (x + 0.02, 0.50), (x + 0.08, 0.52)], s.beak, 0.020)


def _head(canvas: Canvas, s: Species) -> None:
    r, cx, cy = s.head, 0.42, -0.26
    d, tip = s.beak_depth, cx + r * 0.9 + s.beak_length
    canvas.blob([(cx + r * 0.72, cy - d * 0.55), (tip - 0.04, cy - d * 0.10), (tip, cy + d * 0.35),
                 (tip - 0.05, cy + d * 0.45), (cx + r * 0.72, cy + d * 0.95)], s.beak)  # fmt: skip
    canvas.disc((cx, cy), r, s.back)
    canvas.blob([(cx - r * 0.4, cy + r * 0.55), (cx + r * 0.3, cy + r * 0.05), (cx + r * 0.93, cy + r * 0.25),
                 (cx + r * 0.62, cy + r * 0.85), (cx + 0.02, cy + r * 1.12)], s.throat or s.belly)  # fmt: skip
    if s.crest:
        canvas.blob([(cx + r * 0.6, cy - r * 0.75), (cx, cy - r * 1.1), (cx - r - s.crest, cy - r * 1.15),
                     (cx - r * 0.75, cy - r * 0.35)], s.cap)  # fmt: skip
    canvas.blob([(cx - r * 0.93, cy - r * 0.30), (cx - r * 0.45, cy - r * 0.92), (cx + r * 0.2, cy - r * 1.0),
                 (cx + r * 0.85, cy - r * 0.45), (cx + r * 0.2, cy - r * 0.32)], s.cap)  # fmt: skip
    if s.mask:
        canvas.blob([(cx + r * 0.95, cy - r * 0.05), (cx + r * 0.3, cy - r * 0.32), (cx - r * 0.7, cy - r * 0.12),
                     (cx - r * 0.6, cy + r * 0.08), (cx + r * 0.3, cy + r * 0.10)], s.mask)  # fmt: skip
    eye = (cx + r * 0.36, cy - r * 0.12)
    canvas.disc(eye, 0.052, "#fdfdfb")
    canvas.disc(eye, 0.042, "#15130f")
    canvas.disc((eye[0] + 0.014, eye[1] - 0.016), 0.013, "#ffffff")


def _wing(canvas: Canvas, s: Species) -> None:
    canvas.blob([(0.22, -0.10), (0.02, -0.20), (-0.28, -0.10), (-0.56, 0.10), (-0.72, 0.24), (-0.36, 0.22),
                 (-0.02, 0.18), (0.18, 0.06)], s.wing)  # fmt: skip
    for i, shift in enumerate((0.0, 0.10, 0.20)):
        canvas.line([(-0.66 + shift * 0.4, 0.215 - shift * 0.25), (-0.22 + shift, 0.115 - shift * 0.7)],
                    s.bars if s.bars and i < 2 else s.back, 0.026 if s.bars and i < 2 else 0.016)  # fmt: skip


def background(scene: str, rng: np.random.Generator) -> Image.Image:
    """Paint what stands behind a bird: a soft gradient, blurred shapes, and something to stand on."""
    top, bottom = {"leaves": ("#dcead2", "#a9c79a"), "grass": ("#f2e6c4", "#c9b77c"), "shore": ("#cfe3ee", "#9fc0cf"),
                   "trunk": ("#d9e4dc", "#9bb3a2")}[scene]  # fmt: skip
    size = SIDE * OVER
    ramp = np.linspace(0, 1, size)[:, None, None]
    a, b = (np.array([int(c[i : i + 2], 16) for i in (1, 3, 5)], dtype=float) for c in (top, bottom))
    image = Image.fromarray(np.broadcast_to(a + (b - a) * ramp, (size, size, 3)).astype(np.uint8).copy())
    canvas = Canvas(image)
    for _ in range(16):
        shade = str(rng.choice([top, bottom])) + "90"
        canvas.disc((rng.uniform(0, 1), rng.uniform(0, 1)), rng.uniform(0.05, 0.20), shade)
    return image.filter(ImageFilter.GaussianBlur(14 * OVER))


def perch(canvas: Canvas, scene: str, y: float, rng: np.random.Generator) -> None:
    """Draw what a bird stands on, its upper edge at ``y``."""
    if scene == "trunk":
        canvas.blob([(0.62, -0.1), (0.80, -0.1), (0.83, 0.5), (0.80, 1.1), (0.60, 1.1), (0.64, 0.5)], "#7a6250")
        for _ in range(26):
            x, top = rng.uniform(0.645, 0.79), rng.uniform(0, 0.95)
            canvas.line([(x, top), (x + rng.uniform(-0.01, 0.01), top + rng.uniform(0.04, 0.10))], "#6a5444", 0.012)
        return
    if scene == "shore":
        canvas.blob([(-0.1, y), (0.3, y - 0.01), (0.7, y + 0.01), (1.1, y), (1.1, 1.2), (-0.1, 1.2)], "#e6d9bd")
        for i in range(3):
            canvas.line([(0, y + 0.10 + i * 0.05), (1, y + 0.09 + i * 0.06)], "#d8c9a8", 0.008)
        return
    slope = rng.uniform(-0.05, 0.05)
    canvas.line([(-0.05, y + 0.012 - slope), (0.5, y + 0.012), (1.05, y + 0.012 + slope)], "#6f5a45", 0.050)
    if scene == "leaves":
        for x in (0.10, 0.22, 0.80, 0.92):
            _leaf(canvas, x + rng.uniform(-0.03, 0.03), y + rng.uniform(-0.02, 0.01), rng)
    else:
        for x in np.linspace(0.03, 0.97, 16):
            x0 = x + rng.uniform(-0.02, 0.02)
            canvas.line([(x0, 1.02), (x0 + rng.uniform(-0.06, 0.06), rng.uniform(0.80, 0.92))], "#a3924f", 0.012)


def _leaf(canvas: Canvas, x: float, y: float, rng: np.random.Generator) -> None:
    angle, length = rng.uniform(-2.6, -0.5), rng.uniform(0.09, 0.13)
    dx, dy = math.cos(angle) * length, math.sin(angle) * length
    color = str(rng.choice(["#5f8f4e", "#78a65f", "#4f7f45"]))
    canvas.blob([(x, y), (x + dx * 0.5 - dy * 0.32, y + dy * 0.5 + dx * 0.32), (x + dx, y + dy),
                 (x + dx * 0.5 + dy * 0.32, y + dy * 0.5 - dx * 0.32)], color)  # fmt: skip


def portrait(s: Species, seed: int) -> Image.Image:
    """Draw one picture of a species; the seed turns, moves and sizes the bird."""
    rng = np.random.default_rng([seed, *s.name.encode()])
    image = background(s.scene, rng)
    canvas = Canvas(image)
    scale = 0.40 + rng.uniform(-0.03, 0.04)
    tilt = math.radians(s.tilt + rng.uniform(-6, 6))
    center = (0.47 + rng.uniform(-0.03, 0.03), 0.50 + rng.uniform(-0.02, 0.03))
    if s.scene == "trunk":
        center = (0.43, 0.55 + rng.uniform(-0.04, 0.04))
    foot = center[1] + scale * (0.52 * math.cos(tilt) - 0.05 * math.sin(tilt))
    perch(canvas, s.scene, foot, rng)

    def place(point: Point) -> Point:
        x, y = point
        turned = (x * math.cos(tilt) + y * math.sin(tilt), -x * math.sin(tilt) + y * math.cos(tilt))
        return center[0] + scale * turned[0], center[1] + scale * turned[1]

    canvas.place = place
    bird(canvas, s, rng)
    if seed % 2:
        image = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    return image.resize((SIDE, SIDE), Image.Resampling.LANCZOS)


def main() -> None:
    """Write two pictures of every species, one folder a species."""
    for species in SPECIES:
        folder = HERE / species.name.replace(" ", "_")
        folder.mkdir(exist_ok=True)
        for seed in (1, 2):
            portrait(species, seed).save(folder / f"{seed}.webp", "WEBP", quality=86, method=6)


if __name__ == "__main__":
    main()
