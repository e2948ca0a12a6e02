"""An array in a file without a name: the system reads of it what is asked for, and may let go of it again."""

from contextlib import suppress
from tempfile import TemporaryFile

import numpy as np

__all__ = ["mapped"]


def mapped(array: np.ndarray) -> np.ndarray:
    """Move a C-contiguous array to the disk, where nobody sees its file and it stays until it is gone.

    Returns
    -------
    np.ndarray
        A read-only map of the file; where it cannot be written, or the array is empty, the array itself.
    """
    with suppress(OSError), TemporaryFile() as file:
        file.write(array.data)  # what is written, not mapped, tells that a disk is full
        file.flush()
        if array.size:  # nothing cannot be mapped
            return np.asarray(np.memmap(file, array.dtype, "r", shape=array.shape))
    return array
