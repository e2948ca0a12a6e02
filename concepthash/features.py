"""What training reads: stem features of views of images, from a file or computed as they are needed."""

from concurrent.futures import ProcessPoolExecutor
from contextlib import suppress
from multiprocessing import get_context
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from .backbones import Backbone
from .config import BackboneConfig
from .encoder import normalize_images
from .image_views import Views
from .stems import fast_stem

__all__ = ["CachedFeatures", "Features", "LiveFeatures", "StemFeatures"]


class Features(Protocol):
    """Stem features of ``n_views`` views of each image."""

    n_views: int

    def read(self, rows: np.ndarray, views: np.ndarray) -> Tensor:
        """View ``views[i]`` of image ``rows[i]``, for all i: (b, F, h, w) float16, a new tensor."""


class StemFeatures:
    """The frozen stem as a function: (b, H, W, 3) uint8 images → (b, F, h, w) float16 on the CPU."""

    def __init__(self, backbone: Backbone, config: BackboneConfig) -> None:
        self.config, self.device = config, next(backbone.parameters()).device
        self._stem = fast_stem(backbone.frozen_stem)

    @torch.no_grad()
    def __call__(self, images: np.ndarray | Tensor) -> Tensor:
        """Features of images; see the class."""
        pixels = torch.as_tensor(images).to(self.device)
        return self._stem(normalize_images(pixels, self.config)).half().cpu()


class CachedFeatures:
    """Features in one array (n, V, F, h, w), usually mapped from a file.

    Of a mapped file images are read, not mapped: pages that a process has looked at would count as its memory.
    """

    def __init__(self, array: np.ndarray) -> None:
        self.array = array
        self.n_views = array.shape[1]

    def read(self, rows: np.ndarray, views: np.ndarray) -> Tensor:
        """See `Features.read`."""
        places = list(zip(rows.tolist(), views.tolist(), strict=True))
        if isinstance(self.array, np.memmap) and self.array.filename:
            with suppress(FileNotFoundError):  # another run has made room, and what is mapped stays
                return torch.from_numpy(self._from_file(self.array, places))
        return torch.from_numpy(np.stack([self.array[place] for place in places]))

    def _from_file(self, array: np.memmap, places: list[tuple[int, int]]) -> np.ndarray:
        images = np.empty((len(places), *array.shape[2:]), array.dtype)
        with open(str(array.filename), "rb", buffering=0) as file:
            for image, (row, view) in zip(images, places, strict=True):
                file.seek(array.offset + (row * self.n_views + view) * image.nbytes)
                file.readinto(image)
        return images


class LiveFeatures:
    """The same features from the image files, for data whose features no disk would hold.

    Parameters
    ----------
    n_workers
        Processes that read and augment, one at least: views draw from a random state that training draws from, too.
    """

    def __init__(self, stem: StemFeatures, views: Views, n_workers: int = 0) -> None:
        self.stem, self.n_views = stem, views.n_views
        self._workers = ProcessPoolExecutor(  # each is sent the table once, and not for every image
            max(1, n_workers), get_context("spawn"), initializer=_hold, initargs=(views,)
        )

    def read(self, rows: np.ndarray, views: np.ndarray) -> Tensor:
        """See `Features.read`."""
        return self.stem(np.stack(list(self._workers.map(_read_held, rows.tolist(), views.tolist()))))


_held: list[Views] = []


def _hold(views: Views) -> None:
    _held[:] = [views]


def _read_held(row: int, view: int) -> np.ndarray:
    return _held[0].read(row, view)
