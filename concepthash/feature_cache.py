"""Stem features of all views of a data set, computed once, kept on disk as one memory-mapped float16 array."""

import hashlib
import logging
import os
import re
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import numpy as np
from numpy.lib.format import open_memmap
from torch.utils.data import DataLoader, Dataset, Subset
from tqdm import tqdm

from .backbones import Backbone
from .config import BackboneConfig
from .devices import gather, is_main, is_shared, share, wait
from .errors import ConceptHashError, DataError
from .features import CachedFeatures, Features, LiveFeatures, StemFeatures
from .image_views import Views

__all__ = ["cached_features", "feature_bytes", "training_features"]

SAVE_EVERY = 16  # images
_in_use: set[Path] = set()  # files that this process has mapped
Progress = Callable[[int, int], None]
_log = logging.getLogger(__name__)


def training_features(
    backbone: Backbone,
    config: BackboneConfig,
    views: Views,
    folder: Path,
    *,
    n_workers: int = 0,
    cache_gb: float = 20.0,
    on_progress: Progress = lambda _done, _total: None,
) -> Features:
    """Features from a file where they fit into ``cache_gb`` · 10⁹ bytes, or computed anew in every step.

    The limit holds for all features in the folder: those of other data are deleted to make room, the longest unused
    first. Images that were changed since are read anew.

    Parameters
    ----------
    n_workers
        Processes that read and augment images while the stem runs.
    on_progress
        Called after every image with the number of images done by this process, and of those it does.
    """
    stem = StemFeatures(backbone, config)
    shape = (len(views.table), views.n_views, *stem(np.zeros((1, *views.size, 3), np.uint8)).shape[1:])
    n_bytes = feature_bytes(shape)
    if n_bytes > cache_gb * 1e9:
        if is_main():
            _log.warning(
                "%d views of %d images take %.1f GB and --cache-gb allows %g, so the stem runs in every step; fewer "
                "--views or a larger --cache-gb would keep its features on disk.",
                views.n_views, len(views.table), n_bytes / 1e9, cache_gb,
            )  # fmt: skip
        return LiveFeatures(stem, views, n_workers)
    file = folder / f"{gather(_cache_key(backbone, config, views))[0]}.npy"
    if is_main():
        folder.mkdir(parents=True, exist_ok=True)
        _make_room(file, cache_gb * 1e9 - n_bytes)
    return CachedFeatures(cached_features(stem, views, file, shape, on_progress, n_workers=n_workers))


def feature_bytes(shape: tuple[int, ...]) -> int:
    """What features (n, V, F, h, w) take on disk, as float16."""
    return 2 * int(np.prod(shape))


def cached_features(
    stem: StemFeatures,
    views: Views,
    file: Path,
    shape: tuple[int, ...],
    on_progress: Progress = lambda _done, _total: None,
    *,
    n_workers: int = 0,
) -> np.ndarray:
    """Stem features of every view of every image, each process computing its share.

    A killed run goes on where it stopped, a few images before the last one at most: a second file says of every image
    whether it is done.

    Returns
    -------
    ndarray of ``shape`` (n, V, F, h, w), float16
        Mapped from the file; writing to it changes nothing on disk.

    Raises
    ------
    DataError
        If the disk has no room for them, or processes on other machines have another one.
    """
    done_file = _done(file)
    if is_main() and not (file.exists() and done_file.exists()):
        np.zeros(len(views.table), bool).tofile(done_file)
        _make_file(file, shape)
    if not is_shared(done_file):
        raise DataError(f"{file.parent} is not one folder for all machines; name one that they share with --cache.")
    features, done = open_memmap(file, mode="r+"), np.memmap(done_file, bool, mode="r+")
    rows = share(np.flatnonzero(~done))
    if len(rows):
        images = DataLoader(Subset(_Images(views), rows.tolist()), batch_size=None, num_workers=n_workers)
        for begin, pixels in enumerate(tqdm(images, desc="frozen features", unit="image", disable=not is_main())):
            if isinstance(pixels, ConceptHashError):
                raise pixels
            features[rows[begin]] = stem(pixels)
            if (begin + 1) % SAVE_EVERY == 0 or begin + 1 == len(rows):
                features.flush()
                done[rows[: begin + 1]] = True
            on_progress(begin + 1, len(rows))
    wait()
    with suppress(FileNotFoundError):  # another run has made room, and what is mapped stays
        os.utime(file)  # so that `_make_room` knows that it is in use
        features = np.load(file, mmap_mode="c")
    return features


class _Images(Dataset[np.ndarray | ConceptHashError]):
    """All views of each image, as `DataLoader` likes them; an error is given, since workers raise it as a traceback."""

    def __init__(self, views: Views) -> None:
        self.views = views

    def __len__(self) -> int:
        return len(self.views.table)

    def __getitem__(self, row: int) -> np.ndarray | ConceptHashError:
        try:
            return self.views.read_all(row)
        except ConceptHashError as error:
            return error


def _make_file(file: Path, shape: tuple[int, ...]) -> None:
    """Take the room on disk at once: a mapped file that cannot grow would kill the process later."""
    open_memmap(file, mode="w+", dtype=np.float16, shape=shape).flush()
    size = file.stat().st_size
    try:
        with file.open("r+b") as opened:
            if hasattr(os, "posix_fallocate"):
                os.posix_fallocate(opened.fileno(), 0, size)
    except OSError as error:
        file.unlink()
        _done(file).unlink()
        raise DataError(
            f"There is no room for {size / 1e9:.1f} GB of features in {file.parent} ({error.strerror}); name another "
            "folder with --cache, or take fewer --views, or a --cache-gb below that size to do without."
        ) from error


def _make_room(file: Path, allowed: float) -> None:
    """Delete features of other data, the longest unused first, until they take ``allowed`` bytes at most."""
    _in_use.add(file)
    ours = [f for f in file.parent.glob("*.npy") if re.fullmatch("[0-9a-f]{16}", f.stem) and _done(f).exists()]
    others = sorted((f for f in ours if f not in _in_use), key=lambda f: f.stat().st_mtime)
    sizes = [f.stat().st_size for f in others]
    while sum(sizes) > allowed:
        sizes.pop(0)
        oldest = others.pop(0)
        oldest.unlink()
        _done(oldest).unlink(missing_ok=True)


def _done(file: Path) -> Path:
    """The file that says of every image whether its features are there."""
    return file.with_suffix(".done")


def _cache_key(backbone: Backbone, config: BackboneConfig, views: Views) -> str:
    digest = hashlib.sha256()
    for tensor in backbone.frozen_stem.state_dict().values():
        digest.update(tensor.cpu().numpy().tobytes())
    resize = (config.image_size, config.output_stride, config.mean, config.std)
    made = (views.n_views, views.seed) + ((views.augmentation,) if views.augmentation != "crop" else ())
    files = [(found.st_size, found.st_mtime_ns) for found in map(Path.stat, views.table.paths)]
    digest.update(repr((made, resize, views.table.image_ids, files)).encode())
    return digest.hexdigest()[:16]
