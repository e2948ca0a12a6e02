"""How much a visitor may send to be trained on."""

from dataclasses import dataclass

from .images import MAX_PIXELS

__all__ = ["IntakeLimits"]


@dataclass(frozen=True)
class IntakeLimits:
    """Limits of one intake; the defaults are safe on a small server.

    Parameters
    ----------
    max_bytes
        Of all images together, unpacked.
    max_zip_bytes
        Of a zip file as it was sent.
    max_images, max_classes
        In one intake.
    min_images_per_class
        Different images that can be read.
    max_pixels
        Of one image; more than `concepthash.data.MAX_PIXELS` are never read.
    max_ratio
        Unpacked bytes to packed bytes of a zip file and of each file in it, from 10 MB on.
    """

    max_bytes: int = 500_000_000
    max_zip_bytes: int = 200_000_000
    max_images: int = 20_000
    max_classes: int = 1_000
    min_images_per_class: int = 5
    max_pixels: int = MAX_PIXELS
    max_ratio: int = 100
