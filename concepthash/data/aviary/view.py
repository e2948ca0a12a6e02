"""What changes between pictures of one species: pose, camera, light, place, and what is in the way."""

from dataclasses import dataclass

import numpy as np

from .anatomy import Pose
from .shapes import Shape

__all__ = ["BACKDROPS", "OCCLUDERS", "Light", "View", "draw_view"]

BACKDROPS = ("sky", "foliage", "bokeh", "water", "meadow", "dusk")
OCCLUDERS = ("none", "leaf", "twig", "grass")


@dataclass(frozen=True)
class Light:
    """Where the sun stands as the camera's operator sees it, in degrees, how large it is, and how warm (0 to 1)."""

    azimuth: float
    height: float
    softness: float
    warmth: float
    strength: float


@dataclass(frozen=True)
class View:
    """One picture's circumstances.

    Parameters
    ----------
    azimuth, elevation
        Of the camera, in degrees: 0 sees the bird's right side, above 0 more of its front; and from above.
    fill
        Share of the picture that the bird spans, the longer way.
    shift
        Of the bird from the middle, as a share of the picture: right, up.
    setting
        ``"branch"``, ``"ground"`` or ``"water"``.
    """

    pose: Pose
    light: Light
    azimuth: float
    elevation: float
    fill: float
    shift: tuple[float, float]
    is_flipped: bool
    setting: str
    backdrop: str
    occluder: str
    tint: tuple[float, float, float]
    exposure: float


def draw_view(random: np.random.Generator, shape: Shape) -> View:
    """Draw a view; only the setting (branch, ground, water) looks at the family's shape."""

    def between(low: float, high: float) -> float:
        return float(random.uniform(low, high))

    azimuth = float(np.clip(random.normal(4, 22), -36, 46))
    yaw = float(np.clip(random.normal(0, 22), -50, 50))
    pose = Pose(
        pitch=between(-8, 8),
        head_yaw=float(np.clip(yaw, azimuth - 58, azimuth + 28)),  # an eye and the beak in sight
        head_pitch=between(-10, 9),
        head_roll=between(-6, 6),
        tail_lift=between(-9, 14),
        tail_spread=between(0.7, 2.1),
        wing_lift=between(3, 11) if random.random() < 0.18 else between(-1, 1.5),
        wing_droop=between(-1, 5),
        crest_lift=between(-12, 14),
        stride=between(-1, 1),
    )
    light = Light(between(-75, 75), between(22, 62), between(2, 14), between(0, 1), between(0.85, 1.35))
    tint = np.array([between(0.95, 1.05) for _ in range(3)]) * between(0.93, 1.07)
    is_hidden = random.random() < 0.24
    return View(
        pose=pose,
        light=light,
        azimuth=azimuth,
        elevation=between(-2, 16),
        fill=between(0.70, 0.90),
        shift=(between(-0.03, 0.03), between(-0.02, 0.03)),
        is_flipped=bool(random.random() < 0.5),
        setting=str(random.choice(shape.settings)),
        backdrop=str(random.choice(BACKDROPS)),
        occluder=str(random.choice(OCCLUDERS[1:])) if is_hidden else "none",
        tint=(float(tint[0]), float(tint[1]), float(tint[2])),
        exposure=between(0.96, 1.12),
    )
