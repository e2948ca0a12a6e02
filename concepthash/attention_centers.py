"""Where the attention of a concept centers, as one point an image: the middle of a crop that shows what it looks at."""

import numpy as np

__all__ = ["attention_centers"]


def attention_centers(maps: np.ndarray) -> np.ndarray:
    """Center of mass of every concept map, in shares of the image's width and height.

    A map covers the whole image, which is squashed to the model's input, so the same shares hold in the original.
    Cell (row, column) of an (h, w) map counts at its middle, ((column + 0.5) / w, (row + 0.5) / h).

    Parameters
    ----------
    maps
        (B, M, h, w), non-negative, each with a sum above 0.

    Returns
    -------
    ndarray of shape (B, M, 2), float32
        x and y from the top left, in [0, 1].

    Examples
    --------
    >>> maps = np.zeros((1, 1, 2, 4)); maps[0, 0, 1, 2] = 1
    >>> attention_centers(maps).tolist()
    [[[0.625, 0.75]]]
    """
    h, w = maps.shape[2:]
    x, y = (np.arange(w) + 0.5) / w, (np.arange(h) + 0.5) / h
    columns, rows = maps.sum(axis=2, dtype=np.float64), maps.sum(axis=3, dtype=np.float64)  # (B, M, w), (B, M, h)
    moments = np.stack([columns @ x, rows @ y], axis=2)  # (B, M, 2)
    return (moments / columns.sum(axis=2, keepdims=True)).astype(np.float32)
