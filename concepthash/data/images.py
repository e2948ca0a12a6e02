"""Read one image, whatever its format and color mode, as upright RGB uint8 (H, W, 3)."""

import io
import os
import stat
import struct
import threading
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import BinaryIO

import numpy as np
from PIL import Image, UnidentifiedImageError

from ..errors import ImageError

__all__ = ["IMAGE_SUFFIXES", "MAX_PIXELS", "quoted_name", "read_image", "to_rgb"]

MAX_PIXELS = 64_000_000
IMAGE_SUFFIXES = frozenset(
    ".jpg .jpeg .jpe .jfif .png .apng .webp .gif .bmp .tif .tiff .avif .jp2 .pgm .ppm .pnm".split()
)

_FORMATS = (
    "JPEG",
    "MPO",
    "PNG",
    "WEBP",
    "GIF",
    "BMP",
    "TIFF",
    "AVIF",
    "JPEG2000",
    "PPM",
)  # none runs a program (EPS does)
_DECODER_ERRORS = (
    ArithmeticError,
    AttributeError,
    EOFError,
    LookupError,
    OSError,
    RuntimeError,
    SyntaxError,
    TypeError,
    ValueError,
    struct.error,
    zlib.error,
)
_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_ORIENTATION_TAG = 0x0112
_NAME_LENGTH = 60
_warning_filters = threading.Lock()  # the filters belong to the whole process


def read_image(source: str | Path | bytes | BinaryIO, max_pixels: int = MAX_PIXELS) -> np.ndarray:
    """Read an image file as upright RGB.

    Parameters
    ----------
    source
        A path, the file's bytes, or a binary stream, which is read from its start and left open.
    max_pixels
        Larger images are refused; no more than `MAX_PIXELS`.

    Returns
    -------
    np.ndarray
        (H, W, 3) uint8 RGB, turned as its EXIF orientation says; the first frame of an animation; transparency over
        white; 16-bit values scaled to 8 bits.

    Raises
    ------
    ImageError
        If the source is missing, a folder, empty, no image, damaged, cut short, or has more than ``max_pixels`` pixels
        (which is found out before decoding).

    Examples
    --------
    >>> read_image(b"P5 2 1 255 " + bytes([0, 255])).tolist()
    [[[0, 0, 0], [255, 255, 255]]]
    """
    if isinstance(source, bytes):
        return _read_stream(io.BytesIO(source), "The image", max_pixels)
    if isinstance(source, (str, os.PathLike)):
        path = Path(source)
        with _open_file(path) as stream:
            return _read_stream(stream, quoted_name(path), max_pixels)
    return _read_stream(source, "The image", max_pixels)


def to_rgb(image: Image.Image) -> np.ndarray:
    """Convert an opened image in the way of `read_image`.

    Parameters
    ----------
    image
        Of any mode; the current frame is taken.

    Returns
    -------
    np.ndarray
        (H, W, 3) uint8 RGB. Integer and float images of more than 16 bits have no fixed white: they are scaled by 1,
        255 or 65535, the smallest that holds all values, or else from their least to their greatest value.

    Raises
    ------
    ImageError
        If the image is damaged, too large, or in a color mode without a way to RGB.

    Examples
    --------
    >>> to_rgb(Image.new("RGBA", (1, 1), (255, 0, 0, 0))).tolist()
    [[[255, 255, 255]]]
    """
    return _to_rgb(image, "The image")


def quoted_name(path: Path) -> str:
    """Quote the last part of a path for a message: short, on one line, and without the folders above it.

    Parameters
    ----------
    path
        Any path; it need not exist.

    Returns
    -------
    str
        At most 62 characters; characters that cannot be printed are replaced.

    Examples
    --------
    >>> quoted_name(Path("/srv/private/crow.jpg"))
    '"crow.jpg"'
    """
    name = "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in path.name or str(path))
    if len(name) > _NAME_LENGTH:
        half = _NAME_LENGTH // 2
        name = f"{name[: half - 1]}…{name[-half:]}"
    return f'"{name}"'


def _open_file(path: Path) -> BinaryIO:
    name = quoted_name(path)
    try:
        mode = path.stat().st_mode
        if stat.S_ISREG(mode):
            return path.open("rb")
    except (FileNotFoundError, NotADirectoryError) as error:
        raise ImageError(f"{name} does not exist; check its name and folder.") from error
    except (OSError, ValueError) as error:  # no permission; a name too long or with a null character
        raise ImageError(f"{name} cannot be opened; check its name and that reading it is permitted.") from error
    if stat.S_ISDIR(mode):
        raise ImageError(f"{name} is a folder, not an image; choose a file in it.")
    raise ImageError(f"{name} is a device or pipe, not an image; choose a file.")


def _read_stream(stream: BinaryIO, name: str, max_pixels: int) -> np.ndarray:
    if not stream.seekable():
        stream = io.BytesIO(stream.read())
    if stream.seek(0, os.SEEK_END) == 0:
        raise ImageError(f"{name} is empty (0 bytes); copy or download it again.")
    return _to_rgb(_identify(stream, name), name, min(max_pixels, MAX_PIXELS))


def _identify(stream: BinaryIO, name: str) -> Image.Image:
    """Read no more than the header."""
    Image.init()
    try:
        with _quiet_pillow():
            return Image.open(stream, formats=[f for f in _FORMATS if f in Image.OPEN])
    except Image.DecompressionBombError as error:
        raise _too_many_pixels(name, "") from error
    except UnidentifiedImageError as error:
        raise ImageError(
            f"{name} is not an image, whatever its name says, or is damaged from its start; "
            "give a JPEG, PNG, WebP, GIF, BMP, TIFF or AVIF file."
        ) from error
    except _DECODER_ERRORS as error:
        raise ImageError(f"{name} is damaged from its start; copy or download it again.") from error


def _to_rgb(image: Image.Image, name: str, max_pixels: int = MAX_PIXELS) -> np.ndarray:
    width, height = image.size
    if width * height > max_pixels:
        raise _too_many_pixels(name, f" ({width} x {height})", max_pixels)
    try:
        with _quiet_pillow() if image.format == "TIFF" else nullcontext():  # which looks at its metadata only now
            image.load()
        image = _turned_upright(image)
    except Image.DecompressionBombError as error:
        raise _too_many_pixels(name, "") from error
    except _DECODER_ERRORS as error:
        raise ImageError(
            f"{name} is damaged or cut short: it announces {width} x {height} pixels but does not hold them; "
            "copy or download it again."
        ) from error
    try:
        return _rgb_array(image)
    except ValueError as error:
        raise ImageError(f"{name} has the color mode {image.mode}; save it as an RGB JPEG or PNG.") from error


def _too_many_pixels(name: str, size: str, most: int = MAX_PIXELS) -> ImageError:
    return ImageError(f"{name} has too many pixels{size}; make it smaller, at most {most / 1e6:.3g} million pixels.")


def _turned_upright(image: Image.Image) -> Image.Image:
    try:
        with _quiet_pillow():
            orientation = image.getexif().get(_ORIENTATION_TAG)
    except _DECODER_ERRORS:  # broken notes about a photo do not make its pixels unreadable
        orientation = None
    turn = _UPRIGHT.get(orientation) if isinstance(orientation, int) else None
    return image if turn is None else image.transpose(turn)


def _rgb_array(image: Image.Image) -> np.ndarray:
    if image.mode.startswith("I;16"):
        return _gray_to_rgb(np.asarray(image), 65535)
    if image.mode in ("I", "F"):
        return _gray_to_rgb(np.asarray(image), None)
    if image.has_transparency_data:
        image = (image.convert("LA") if image.mode == "La" else image).convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    return np.array(image.convert("RGB"))  # a copy, since a view of a Pillow image is read-only


def _gray_to_rgb(values: np.ndarray, white: int | None) -> np.ndarray:
    """Scale [0, ``white``] to [0, 255]; without a ``white`` choose the range as `to_rgb` says."""
    finite = np.nan_to_num(values, nan=0.0, posinf=0.0, neginf=0.0)
    gray = finite.astype(np.float32 if white else np.float64)  # (H, W)
    low, high = (0.0, float(white)) if white else _value_range(gray)
    gray = np.rint((gray - low) * (255 / (high - low))).astype(np.uint8)
    return np.repeat(gray[:, :, None], 3, axis=2)  # (H, W, 3)


def _value_range(values: np.ndarray) -> tuple[float, float]:
    least, greatest = float(values.min()), float(values.max())
    if least >= 0:
        for white in (1.0, 255.0, 65535.0):
            if greatest <= white:
                return 0.0, white
    return (least, greatest) if greatest > least else (least, np.inf)  # all the same: black


@contextmanager
def _quiet_pillow() -> Iterator[None]:
    """Keep Pillow's remarks on odd metadata out of the log: what matters becomes an `ImageError`."""
    with _warning_filters, warnings.catch_warnings():
        warnings.filterwarnings("ignore", module=r"PIL\.")
        yield
