"""Pixels as data addresses: photos, and concept maps as transparent pictures that lie over a photo."""

import base64
import io
from functools import lru_cache

import cv2
import matplotlib
import numpy as np
from PIL import Image

__all__ = ["map_picture", "map_rgba", "map_strength", "photo_picture", "webp_picture"]

MAP_SIDE = 224  # pixels; browsers stretch it over the photo
FULL_COLOR = 4.0  # a peak of this many times the average gets the brightest color; a flatter map stays dim
CLEAR = 0.5  # below this many times the average the photo stays clear


def photo_picture(rgb: np.ndarray, quality: int = 84) -> str:
    """Return RGB uint8 (h, w, 3) as a data address."""
    return _data_address(Image.fromarray(rgb), quality)


def webp_picture(content: bytes) -> str:
    """Return the bytes of a WebP file as a data address."""
    return "data:image/webp;base64," + base64.b64encode(content).decode("ascii")


def map_picture(concept_map: np.ndarray) -> str:
    """Return a map (h, w) as a transparent data address that scales linearly over the whole photo."""
    return _data_address(Image.fromarray(map_rgba(concept_map), "RGBA"), 82)


def map_strength(concept_map: np.ndarray) -> float:
    """Return how many times the average of the map its peak is; 1 = looks everywhere alike."""
    mean = float(np.nan_to_num(concept_map).mean())
    return float(np.nan_to_num(concept_map).max()) / mean if mean > 0 else 0.0


def map_rgba(concept_map: np.ndarray) -> np.ndarray:
    """Color a map (h, w): uint8 (224, 224, 4), inferno with opacity that rises with the value."""
    values = np.nan_to_num(np.asarray(concept_map, dtype=np.float32)).clip(min=0)
    mean = float(values.mean())
    top = max(float(values.max()), FULL_COLOR * mean, 1e-12)
    share = (values - CLEAR * mean) / (top - CLEAR * mean)  # (h, w), at most 1
    share = cv2.resize(share, (MAP_SIDE, MAP_SIDE), interpolation=cv2.INTER_CUBIC).clip(0, 1)  # (224, 224)
    rgba = _inferno()[(share * 255).round().astype(np.uint8)]  # (224, 224, 4)
    rgba[..., 3] = (255 * (share * 1.2).clip(0, 1) ** 0.75).round()
    return rgba


@lru_cache(maxsize=1)
def _inferno() -> np.ndarray:
    """Return 256 colors, uint8 (256, 4), darkest and brightest end cut a little so that both show on photos."""
    colors = matplotlib.colormaps["inferno"](np.linspace(0.12, 0.97, 256))
    return np.asarray((255 * colors).round(), dtype=np.uint8)


def _data_address(image: Image.Image, quality: int) -> str:
    file = io.BytesIO()
    image.save(file, "WEBP", quality=quality, method=2)
    return webp_picture(file.getvalue())
