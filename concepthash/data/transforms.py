"""What is done to an image before a model sees it, and where its points go.

At test time the whole image is squashed to the model's size, so that points of the image and of a concept map differ by
two factors only.
"""

import threading
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from PIL import Image

from ..errors import ImageError

__all__ = ["resize_for_model", "to_original_coordinates", "training_view"]

_torch_random = threading.Lock()  # torchvision draws from the random state of the whole process


def resize_for_model(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Squash a whole image to the size of a model's input, by antialiased bicubic interpolation.

    Parameters
    ----------
    image
        (H, W, 3) uint8 RGB.
    size
        (h, w), height and width in pixels.

    Returns
    -------
    np.ndarray
        (h, w, 3) uint8 RGB; always a new array.

    Raises
    ------
    ImageError
        If ``image`` has another shape or type.

    Examples
    --------
    >>> resize_for_model(np.full((4, 6, 3), 7, dtype=np.uint8), (2, 5)).shape
    (2, 5, 3)
    """
    height, width = size
    return np.array(_as_picture(image).resize((width, height), Image.Resampling.BICUBIC))


def to_original_coordinates(xy: np.ndarray, original_size: ArrayLike, model_size: ArrayLike) -> np.ndarray:
    """Move points from the squashed image, or from a grid over it, back to the original one.

    Parameters
    ----------
    xy
        (..., 2) points (x, y) from the top left edge, in pixels of the squashed image or in cells of the grid.
    original_size, model_size
        Height and width of the original in pixels, and of the other in its own unit; (2,), or as many as points.

    Returns
    -------
    np.ndarray
        (..., 2) float64, in pixels of the original image.

    Examples
    --------
    >>> to_original_coordinates(np.array([[160, 160]]), (100, 400), (320, 320))
    array([[200.,  50.]])
    """
    factors = np.asarray(original_size)[..., ::-1] / np.asarray(model_size)[..., ::-1]  # (..., 2): x, y
    return np.asarray(xy, dtype=np.float64) * factors


def training_view(image: np.ndarray, size: tuple[int, int], *, seed: int, augmentation: str = "crop") -> np.ndarray:
    """Change an image at random, the same way for the same seed.

    ``"crop"``: a box of 25 to 100 % of the area is squashed to ``size``, flipped every second time, and changed a
    little in brightness, contrast and saturation. The box is at most a third wider or higher than one of the image's
    own shape, so that a model sees while training the distortion that `resize_for_model` brings.

    ``"trivial"``: the image is squashed to 8/7 of ``size``, flipped every second time, changed by one step of
    TrivialAugment, and cut to its middle; what the released code does to square images.

    Parameters
    ----------
    image
        (H, W, 3) uint8 RGB.
    size
        (h, w), height and width in pixels.
    seed
        Any integer of 64 bits; the random state of torch is left as it was.
    augmentation
        ``"crop"`` or ``"trivial"``.

    Returns
    -------
    np.ndarray
        (h, w, 3) uint8 RGB.

    Raises
    ------
    ImageError
        If ``image`` has another shape or type.

    References
    ----------
    TrivialAugment: Müller, Hutter, ICCV 2021; method reference, section C.
    """
    import torch  # takes seconds to import, and only training needs it

    picture = _as_picture(image)
    aspect = round(picture.width / picture.height, 2) or 0.01
    augment = _trivial(tuple(size)) if augmentation == "trivial" else _crop(tuple(size), aspect)
    with _torch_random, torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        return np.array(augment(picture))


def _torchvision() -> tuple[Any, Any]:
    """Its names of interpolations, and its transforms."""
    from ..without_compiler import without_compiler

    with without_compiler():
        from torchvision.transforms import InterpolationMode, v2
    return InterpolationMode, v2


@lru_cache(maxsize=256)
def _crop(size: tuple[int, ...], aspect: float) -> Callable[[Image.Image], Image.Image]:
    """Augmentation of images of width over height ``aspect``."""
    modes, v2 = _torchvision()

    ratio = (3 / 4 * aspect, 4 / 3 * aspect)
    return v2.Compose(
        [
            v2.RandomResizedCrop(size, (0.25, 1.0), ratio, modes.BICUBIC, antialias=True),
            v2.RandomHorizontalFlip(),
            v2.ColorJitter(brightness=0.2, contrast=0.2, saturation=0.2),
        ]
    )


@lru_cache(maxsize=8)
def _trivial(size: tuple[int, ...]) -> Callable[[Image.Image], Image.Image]:
    modes, v2 = _torchvision()

    return v2.Compose(
        [
            v2.Resize([side * 8 // 7 for side in size], modes.BILINEAR, antialias=True),
            v2.RandomHorizontalFlip(),
            v2.TrivialAugmentWide(interpolation=modes.BICUBIC),
            v2.CenterCrop(size),
        ]
    )


def _as_picture(image: np.ndarray) -> Image.Image:
    if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8 or not image.size:
        raise ImageError(
            f"An image of shape {image.shape} and type {image.dtype} cannot be used; give RGB uint8 (height, width, 3)."
        )
    return Image.fromarray(np.ascontiguousarray(image))
