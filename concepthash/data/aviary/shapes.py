"""The silhouettes of the eight families: lengths in units of the body, which is about one long."""

from dataclasses import dataclass

__all__ = ["SHAPES", "Beak", "Shape", "Tail"]

Point = tuple[float, float, float]


@dataclass(frozen=True)
class Beak:
    """A beak: half heights and half width at its base, and how far it runs; ``tilt`` is down in degrees."""

    shape: str
    length: float
    upper: float
    lower: float
    width: float
    tilt: float = 4.0


@dataclass(frozen=True)
class Tail:
    """A tail: length of middle and outermost feathers, half a feather's width, half the fan and its rise in degrees."""

    shape: str
    middle: float
    outer: float
    feather: float
    fan: float
    lift: float = 0.0


@dataclass(frozen=True)
class Shape:
    """A family's silhouette, at rest and seen from its right side: x ahead, y left, z up.

    Parameters
    ----------
    pitch
        Of the body, degrees, nose up.
    chest, rump
        Center x, center z, and radii x, y, z of the two ellipsoids of the body, in the body's frame.
    neck
        Points x, z and radius from the chest to the head, in the frame of the standing bird.
    head
        Center x, z of the head in that frame.
    skull
        Radii x, y, z of the head.
    wing
        Length of the folded wing, and x of its bend in the body's frame.
    legs
        Length of the bare leg.
    eye
        Radius.
    crest
        Length of the feathers of the crest, 0 for none.
    settings
        Where the birds of the family are seen.
    """

    pitch: float
    chest: tuple[float, float, float, float, float]
    rump: tuple[float, float, float, float, float]
    neck: tuple[Point, ...]
    head: tuple[float, float]
    skull: Point
    beak: Beak
    tail: Tail
    wing: tuple[float, float]
    legs: float
    eye: float
    crest: float = 0.0
    settings: tuple[str, ...] = ("branch", "ground")


SHAPES: dict[str, Shape] = {
    "sparrow": Shape(
        pitch=30,
        chest=(0.10, -0.01, 0.33, 0.27, 0.28),
        rump=(-0.22, 0.0, 0.36, 0.19, 0.19),
        neck=((0.18, 0.12, 0.24), (0.28, 0.28, 0.19)),
        head=(0.33, 0.37),
        skull=(0.195, 0.165, 0.17),
        beak=Beak("conical", 0.17, 0.062, 0.052, 0.055),
        tail=Tail("round", 0.54, 0.47, 0.055, 8, 4),
        wing=(0.94, 0.30),
        legs=0.22,
        eye=0.033,
    ),
    "jay": Shape(
        pitch=28,
        chest=(0.10, -0.01, 0.35, 0.25, 0.26),
        rump=(-0.24, 0.01, 0.38, 0.18, 0.18),
        neck=((0.20, 0.14, 0.23), (0.32, 0.30, 0.18)),
        head=(0.38, 0.38),
        skull=(0.19, 0.155, 0.16),
        beak=Beak("conical", 0.24, 0.052, 0.044, 0.045),
        tail=Tail("long", 0.90, 0.62, 0.06, 9, 4),
        wing=(0.90, 0.30),
        legs=0.26,
        eye=0.031,
        crest=0.24,
    ),
    "hawk": Shape(
        pitch=50,
        chest=(0.12, -0.02, 0.36, 0.27, 0.27),
        rump=(-0.24, 0.0, 0.38, 0.21, 0.20),
        neck=((0.18, 0.24, 0.24), (0.25, 0.40, 0.17)),
        head=(0.29, 0.50),
        skull=(0.18, 0.16, 0.155),
        beak=Beak("hooked", 0.155, 0.062, 0.042, 0.05, 8),
        tail=Tail("round", 0.60, 0.52, 0.065, 9, 8),
        wing=(1.08, 0.33),
        legs=0.17,
        eye=0.034,
        settings=("branch",),
    ),
    "heron": Shape(
        pitch=32,
        chest=(0.08, -0.01, 0.34, 0.21, 0.23),
        rump=(-0.22, 0.0, 0.36, 0.16, 0.16),
        neck=((0.20, 0.12, 0.17), (0.36, 0.26, 0.10), (0.36, 0.44, 0.068), (0.28, 0.60, 0.06), (0.30, 0.76, 0.062)),
        head=(0.37, 0.85),
        skull=(0.155, 0.088, 0.092),
        beak=Beak("dagger", 0.42, 0.036, 0.032, 0.032, 6),
        tail=Tail("round", 0.26, 0.22, 0.045, 7),
        wing=(0.90, 0.28),
        legs=0.72,
        eye=0.026,
        crest=0.30,
        settings=("water", "water", "ground"),
    ),
    "curlew": Shape(
        pitch=14,
        chest=(0.09, -0.01, 0.36, 0.23, 0.24),
        rump=(-0.24, 0.01, 0.38, 0.17, 0.17),
        neck=((0.26, 0.10, 0.18), (0.38, 0.24, 0.11), (0.42, 0.37, 0.088)),
        head=(0.47, 0.46),
        skull=(0.145, 0.108, 0.112),
        beak=Beak("long-curved", 0.66, 0.026, 0.022, 0.024, 8),
        tail=Tail("round", 0.30, 0.26, 0.045, 7),
        wing=(0.94, 0.28),
        legs=0.56,
        eye=0.029,
        settings=("water", "ground", "ground"),
    ),
    "duck": Shape(
        pitch=6,
        chest=(0.12, -0.02, 0.40, 0.28, 0.27),
        rump=(-0.26, 0.01, 0.40, 0.23, 0.20),
        neck=((0.32, 0.10, 0.19), (0.42, 0.26, 0.125), (0.43, 0.38, 0.12)),
        head=(0.48, 0.47),
        skull=(0.19, 0.135, 0.15),
        beak=Beak("flat", 0.31, 0.062, 0.03, 0.062, 12),
        tail=Tail("round", 0.30, 0.24, 0.05, 9),
        wing=(0.92, 0.26),
        legs=0.16,
        eye=0.031,
        settings=("water", "ground"),
    ),
    "woodpecker": Shape(
        pitch=50,
        chest=(0.10, -0.01, 0.35, 0.235, 0.24),
        rump=(-0.24, 0.0, 0.38, 0.18, 0.175),
        neck=((0.18, 0.22, 0.21), (0.26, 0.38, 0.15)),
        head=(0.31, 0.48),
        skull=(0.19, 0.145, 0.15),
        beak=Beak("chisel", 0.33, 0.045, 0.038, 0.04, 2),
        tail=Tail("forked", 0.44, 0.58, 0.055, 7),
        wing=(0.94, 0.30),
        legs=0.17,
        eye=0.030,
        crest=0.20,
        settings=("branch",),
    ),
    "tern": Shape(
        pitch=12,
        chest=(0.10, -0.01, 0.36, 0.22, 0.22),
        rump=(-0.26, 0.02, 0.40, 0.15, 0.145),
        neck=((0.24, 0.09, 0.20), (0.36, 0.20, 0.15)),
        head=(0.42, 0.26),
        skull=(0.18, 0.135, 0.14),
        beak=Beak("dagger", 0.28, 0.034, 0.03, 0.03, 6),
        tail=Tail("forked", 0.34, 0.78, 0.05, 8),
        wing=(1.18, 0.28),
        legs=0.17,
        eye=0.028,
        settings=("branch", "ground", "water"),
    ),
}
