"""Stem features of augmented views, computed once, kept on disk as one memory-mapped float16 array."""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from numpy.lib.format import open_memmap
from torch import Tensor
from torch.utils.data import DataLoader, Dataset
from tqdm import tqdm

from .backbones import Backbone
from .config import BackboneConfig
from .data import ImageTable, read_image, resize_for_model, training_view
from .encoder import normalize_images
from .stems import fast_stem

__all__ = ["cached_features"]

SAVE_EVERY = 16  # images


class _Views(Dataset[Tensor]):
    """All views of an image, read once: the test-time view first, augmented ones after it."""

    def __init__(self, table: ImageTable, size: tuple[int, int], n_views: int, seed: int, first: int) -> None:
        self.table, self.size, self.n_views, self.seed, self.first = table, size, n_views, seed, first

    def __len__(self) -> int:
        return len(self.table) - self.first

    def __getitem__(self, index: int) -> Tensor:
        row = self.first + index
        image = read_image(self.table.paths[row])
        seeds = ((self.seed * len(self.table) + row) * self.n_views + view for view in range(1, self.n_views))
        views = [resize_for_model(image, self.size)] + [training_view(image, self.size, seed=seed) for seed in seeds]
        return torch.from_numpy(np.stack(views))  # (V, H, W, 3) uint8


def cached_features(
    backbone: Backbone,
    config: BackboneConfig,
    table: ImageTable,
    folder: Path,
    *,
    n_views: int,
    seed: int = 0,
    n_workers: int = 0,
) -> np.ndarray:
    """Stem features of ``n_views`` views of every image of a table.

    A killed run goes on where it stopped, a few images before the last one at most. View 0 is the image as the model
    sees it when it is used; the others are augmented.

    Parameters
    ----------
    n_workers
        Processes that read and augment images while the stem runs.

    Returns
    -------
    ndarray of shape (n, n_views, F, h, w), float16
        Mapped from the file; writing to it changes nothing on disk.
    """
    device = next(backbone.parameters()).device
    folder.mkdir(parents=True, exist_ok=True)
    name = _cache_key(backbone, config, table, (n_views, seed))
    file, progress = folder / f"{name}.npy", folder / f"{name}.json"
    n_done = json.loads(progress.read_text())["n_done"] if progress.exists() and file.exists() else 0
    if n_done == 0:
        blank = torch.zeros(1, *config.image_size, 3, dtype=torch.uint8, device=device)
        shape = (len(table), n_views, *_stem_features(backbone.stem, blank, config).shape[1:])
        open_memmap(file, mode="w+", dtype=np.float16, shape=shape).flush()
    features = open_memmap(file, mode="r+")
    if n_done < len(table):
        images = _Views(table, config.image_size, n_views, seed, n_done)
        stem, views = fast_stem(backbone), DataLoader(images, batch_size=None, num_workers=n_workers)
        with tqdm(total=len(table), initial=n_done, desc="frozen features", unit="image") as bar:
            for row, pixels in enumerate(views, start=n_done):
                features[row] = _stem_features(stem, pixels.to(device), config)
                bar.update()
                if (row + 1) % SAVE_EVERY == 0 or row + 1 == len(table):
                    features.flush()
                    progress.write_text(json.dumps({"n_done": row + 1}))
    return np.asarray(np.load(file, mmap_mode="c"))


@torch.inference_mode()
def _stem_features(stem: Callable[[Tensor], Tensor], images: Tensor, config: BackboneConfig) -> np.ndarray:
    """(V, H, W, 3) uint8 → (V, F, h, w) float16."""
    return stem(normalize_images(images, config)).half().cpu().numpy()


def _cache_key(backbone: Backbone, config: BackboneConfig, table: ImageTable, settings: tuple[object, ...]) -> str:
    digest = hashlib.sha256()
    for tensor in backbone.frozen_stem.state_dict().values():
        digest.update(tensor.cpu().numpy().tobytes())
    resize = (config.image_size, config.output_stride, config.mean, config.std)
    digest.update(repr((settings, resize, table.image_ids)).encode())
    return digest.hexdigest()[:16]
