"""The pixels of crops, for figures that leave the page."""

from pathlib import Path

import numpy as np
from PIL import Image

from concepthash.data.images import read_image
from concepthash.errors import ImageError

from ..subcode_records import CellGrid, Crop
from .photos import PhotoService, stored_image

__all__ = ["CropService"]

SIDE = 128  # pixels of a crop
LARGE = 1024  # longer side in pixels from which on the thumbnail is cropped, and not the original


class CropService:
    """Cuts the windows out of the gallery's images that the page cuts out with style sheets."""

    def __init__(self, photos: PhotoService) -> None:
        self._photos = photos

    def of_grid(self, checkpoint: str, grid: CellGrid, window: float) -> dict[str, list[np.ndarray]]:
        """Return the crops of every cell by its text, RGB uint8 (128, 128, 3); ``window`` in shares of the image."""
        return {cell.text: [self._pixels(checkpoint, crop, window) for crop in cell.crops] for cell in grid.cells}

    def _pixels(self, checkpoint: str, crop: Crop, window: float) -> np.ndarray:
        gallery = self._photos.shown_gallery(checkpoint).gallery
        stored = stored_image(gallery, crop.thumbnail.image)
        small = Path(stored.thumbnail)
        path = small if max(stored.size) > LARGE else gallery.image_path(stored.row) or small
        try:
            image = read_image(path)
        except ImageError:  # the original has gone bad since it was encoded
            image = read_image(small)
        cut = image[cut_window(image.shape[:2], crop.center, window)]
        return np.asarray(Image.fromarray(cut).resize((SIDE, SIDE), Image.Resampling.LANCZOS))


def cut_window(size: tuple[int, int], center: tuple[float, float] | None, window: float) -> tuple[slice, slice]:
    """Return rows and columns of the square round ``center``, moved inside an image of ``size`` (height, width)."""
    height, width = size
    share = window if center is not None else 1.0
    side = max(1, round(share * min(height, width)))
    x, y = center if center is not None else (0.5, 0.5)
    left = min(max(round(x * width - side / 2), 0), width - side)
    top = min(max(round(y * height - side / 2), 0), height - side)
    return slice(top, top + side), slice(left, left + side)
