"""Read which part of a bird each pixel of an image shows."""

from typing import SupportsIndex

import numpy as np
from PIL import Image, UnidentifiedImageError

from ..errors import DataError
from .images import quoted_name
from .table import ImageTable

__all__ = ["read_part_mask"]


def read_part_mask(table: ImageTable, row: SupportsIndex) -> np.ndarray:
    """Read the mask of one image.

    Parameters
    ----------
    table
        A data set that has masks.
    row
        Of the image.

    Returns
    -------
    np.ndarray
        (H, W) uint8, as large as the image: 0 background, k the part ``table.part_names[k - 1]``.

    Raises
    ------
    DataError
        If the data set has no masks, or this one is missing, damaged, or has a part without a name.
    """
    if table.mask_paths is None:
        raise DataError(f"{table.name} has no part masks; choose a data set that has them, such as the aviary.")
    path = table.mask_paths[row]
    try:
        with Image.open(path, formats=["PNG"]) as image:
            if image.mode not in ("P", "L"):
                raise DataError(
                    f"The mask {quoted_name(path)} has the color mode {image.mode}; save it as a palette PNG."
                )
            mask = np.array(image)  # (H, W) uint8
    except (OSError, SyntaxError, ValueError, UnidentifiedImageError) as error:
        if isinstance(error, DataError):
            raise
        raise DataError(f"The mask {quoted_name(path)} is missing or damaged; copy or render it again.") from error
    if mask.max(initial=0) > len(table.part_names):
        raise DataError(
            f"The mask {quoted_name(path)} has a part {mask.max()}, but the data set names {len(table.part_names)}; "
            "render it again."
        )
    return mask
