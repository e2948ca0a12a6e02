"""Views of images: what an image looks like at test time, and augmented for training."""

from dataclasses import dataclass

import numpy as np

from .config import Augmentation
from .data import ImageTable, read_image, resize_for_model, training_view

__all__ = ["Views"]


@dataclass(frozen=True)
class Views:
    """``n_views`` views of every image of a table: view 0 as a model sees the image when used, the others augmented.

    Parameters
    ----------
    table
        n images.
    size
        (h, w), pixels of a view.
    n_views, seed, augmentation
        See `TrainConfig`; the same seed gives the same views.
    """

    table: ImageTable
    size: tuple[int, int]
    n_views: int
    seed: int = 0
    augmentation: Augmentation = "crop"

    def read(self, row: int, view: int) -> np.ndarray:
        """One view of the image in ``row``: (h, w, 3) uint8 RGB."""
        return self._made(read_image(self.table.paths[row]), row, view)

    def read_all(self, row: int) -> np.ndarray:
        """All views of the image in ``row``, from one reading of its file: (n_views, h, w, 3) uint8 RGB."""
        image = read_image(self.table.paths[row])
        return np.stack([self._made(image, row, view) for view in range(self.n_views)])

    def _made(self, image: np.ndarray, row: int, view: int) -> np.ndarray:
        if view == 0:
            return resize_for_model(image, self.size)
        seed = (self.seed * len(self.table) + row) * self.n_views + view
        return training_view(image, self.size, seed=seed, augmentation=self.augmentation)
