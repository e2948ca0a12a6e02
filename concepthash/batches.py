"""Which images a training step sees, and how: drawn from seed and step alone."""

from dataclasses import dataclass

import numpy as np
from torch import Tensor

from .config import TrainConfig
from .features import Features

__all__ = ["Batch", "BatchOrder"]


@dataclass(frozen=True, eq=False)
class Batch:
    """b images of one step.

    Parameters
    ----------
    rows, views
        (b,) image and view of each.
    relatives, relative_views
        (b,) image of the same class that gives a rectangle, and its view.
    boxes
        (b, 4) top, bottom, left and right of that rectangle as shares of height and width; all 0 for no rectangle.
    """

    rows: np.ndarray
    views: np.ndarray
    relatives: np.ndarray
    relative_views: np.ndarray
    boxes: np.ndarray

    def part(self, index: int, count: int) -> "Batch":
        """One of ``count`` parts of equal length."""
        return Batch(*(np.split(values, count)[index] for values in vars(self).values()))

    def read(self, features: Features) -> Tensor:
        """(b, F, h, w) features, rectangles pasted."""
        read = features.read(self.rows, self.views)
        height, width = read.shape[2:]
        cells = np.round(self.boxes * (height, height, width, width)).astype(int)  # (b, 4)
        mixed = np.flatnonzero((cells[:, 1] > cells[:, 0]) & (cells[:, 3] > cells[:, 2]))
        if not len(mixed):
            return read
        others = features.read(self.relatives[mixed], self.relative_views[mixed])
        for other, image in zip(others, mixed, strict=True):
            top, bottom, left, right = cells[image]
            read[image, :, top:bottom, left:right] = other[:, top:bottom, left:right]
        return read


class BatchOrder:
    """Images in random order, new in every epoch and each in a random view; what fills no batch is left out of it.

    Parameters
    ----------
    labels
        (n,) class indices.
    n_views
        Views an image has.
    config
        Seed, batch size and shares of `TrainConfig`.
    """

    def __init__(self, labels: np.ndarray, n_views: int, config: TrainConfig) -> None:
        self.labels, self.n_views, self.config = labels, n_views, config
        self.n_steps = max(1, len(labels) // config.batch_size)
        self._rows_of_class = {int(label): np.flatnonzero(labels == label) for label in np.unique(labels)}

    def batch(self, step: int) -> Batch:
        """The batch of a step, counted from 0 over all epochs."""
        config = self.config
        epoch, place = divmod(step, self.n_steps)
        order = np.random.default_rng((config.seed, epoch)).permutation(len(self.labels))
        rows = order[place * config.batch_size : (place + 1) * config.batch_size]
        random = np.random.default_rng((config.seed, epoch, place))
        relatives = np.array([random.choice(self._rows_of_class[int(label)]) for label in self.labels[rows]])
        return Batch(rows, self._views(len(rows), random), relatives, self._views(len(rows), random),
                     _boxes(len(rows), config.cutmix_share, random))  # fmt: skip

    def _views(self, n: int, random: np.random.Generator) -> np.ndarray:
        share = self.config.plain_share
        views = random.integers(0 if share or self.n_views == 1 else 1, self.n_views, size=n)
        return np.where(random.random(n) < share, 0, views)


def _boxes(n: int, share: float, random: np.random.Generator) -> np.ndarray:
    """(n, 4) rectangles of 30 to 90 % of height and width for a ``share`` of the images."""
    sizes = random.uniform(0.3, 0.9, (n, 2))
    starts = random.random((n, 2)) * (1 - sizes)
    boxes = np.stack([starts, starts + sizes], axis=2).reshape(n, 4)
    return boxes * (random.random((n, 1)) < share)
