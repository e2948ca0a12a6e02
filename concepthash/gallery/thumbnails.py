"""What is shown of a stored image: a small WebP copy in the gallery, or the original where it is small enough."""

import io
import warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from ..data.images import quoted_name
from ..errors import GalleryError

__all__ = [
    "THUMBNAIL_FOLDER",
    "THUMBNAIL_KINDS",
    "THUMBNAIL_SIDE",
    "check_originals",
    "encode_thumbnail",
    "thumbnail_file",
]

THUMBNAIL_KINDS = ("own", "originals")
THUMBNAIL_FOLDER = "thumbnails"
THUMBNAIL_SIDE = 256  # pixels
_QUALITY = 80
_SHOWN_FORMATS = ("JPEG", "PNG", "WEBP")


def thumbnail_file(folder: Path, row: int) -> str:
    """Where a gallery's own thumbnail of a row lies: spread over 256 folders by the row's last byte."""
    return f"{folder}/{THUMBNAIL_FOLDER}/{row % 256:02x}/{row}.webp"


def encode_thumbnail(pixels: np.ndarray) -> bytes:
    """Encode an RGB image (H, W, 3) as WebP, shrunk to a longer side of 256 pixels where it is larger."""
    image = Image.fromarray(pixels)
    image.thumbnail((THUMBNAIL_SIDE, THUMBNAIL_SIDE), Image.Resampling.LANCZOS, reducing_gap=3.0)
    file = io.BytesIO()
    image.save(file, "WEBP", quality=_QUALITY, method=4)
    return file.getvalue()


def check_originals(paths: Sequence[Path], root: Path) -> None:
    """Make sure that the images themselves can stand for their thumbnails; only headers are read.

    Parameters
    ----------
    paths
        Files of the images; those that cannot be read are left to the reader, which skips and lists them.
    root
        Folder they must lie in.

    Raises
    ------
    GalleryError
        Naming the first that a browser may not show, that is too large, or that lies elsewhere.
    """
    root = root.resolve()
    for path in paths:
        if problem := _problem(path, root):
            raise GalleryError(
                f"{quoted_name(path)} cannot be its own thumbnail: {problem}; make thumbnails, which is the default, "
                f"or give JPEG, PNG or WebP files of at most {THUMBNAIL_SIDE} pixels a side."
            )


def _problem(path: Path, root: Path) -> str:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # remarks on odd metadata
            with Image.open(path) as image:
                kind, size = image.format, image.size
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        return ""
    if kind not in _SHOWN_FORMATS:
        return f"it is a {kind} file"
    if max(size) > THUMBNAIL_SIDE:
        return f"it has {size[0]} x {size[1]} pixels"
    if not path.resolve().is_relative_to(root):
        return "it lies outside the folder of the images"
    return "" if _is_text(path) else "its name holds bytes that are no UTF-8"


def _is_text(path: Path) -> bool:
    try:
        return bool(str(path).encode("utf-8"))
    except UnicodeEncodeError:
        return False
