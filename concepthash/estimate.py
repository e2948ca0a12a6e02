"""How long a training will take here, from a few images and a few steps."""

import time

import numpy as np
import torch
from accelerate import Accelerator
from torch import Tensor

from .config import TrainConfig
from .data import ImageTable
from .feature_cache import feature_bytes
from .features import StemFeatures
from .image_views import Views
from .objective import Objective
from .trainer import Trainer

__all__ = ["estimate"]

N_IMAGES, N_STEPS = 3, 3


class _Noise:
    """Features that mean nothing, of the right shape."""

    def __init__(self, n_views: int, shape: tuple[int, ...]) -> None:
        self.n_views, self._shape = n_views, shape

    def read(self, rows: np.ndarray, views: np.ndarray) -> Tensor:
        """See `Features.read`."""
        return torch.randn(len(rows), *self._shape).half()


def estimate(
    objective: Objective,
    training: ImageTable,
    held_out: ImageTable,
    config: TrainConfig,
    accelerator: Accelerator,
    *,
    cache_gb: float = 20.0,
) -> dict[str, float]:
    """Seconds that a training will take: ``features``, ``training``, ``finishing``, and ``seconds`` for all of it.

    Features that do not fit into ``cache_gb`` · 10⁹ bytes are computed in every step. The model of ``objective`` is of
    no use afterwards.
    """
    backbone = objective.model.config.backbone
    stem = StemFeatures(objective.model.backbone, backbone)
    views = Views(training, backbone.image_size, config.n_views, config.seed, config.augmentation)
    shape = stem(views.read_all(0)).shape[1:]  # warms up
    started = time.perf_counter()
    for row in range(min(N_IMAGES, len(training))):
        stem(views.read_all(row))
    image = (time.perf_counter() - started) / min(N_IMAGES, len(training))
    trainer = Trainer(objective, _Noise(config.n_views, shape), training.labels, config, accelerator)
    trainer.objective.train()
    for step in range(N_STEPS + 1):
        if step == 1:  # the first one warms up
            started = time.perf_counter()
        trainer._train_step(trainer._read(step))
    steps = (time.perf_counter() - started) / N_STEPS * trainer.n_steps * config.epochs
    view = image / config.n_views
    if feature_bytes((len(training), config.n_views, *shape)) <= cache_gb * 1e9:
        features = image * len(training)
    else:
        features, steps = 0.0, steps + view * len(training) * (1 + config.cutmix_share) * config.epochs
    seconds = {
        "features": features + view * len(held_out),
        "training": steps,
        "finishing": view * (len(training) + len(held_out)),
    }
    return {name: round(value, 1) for name, value in (seconds | {"seconds": sum(seconds.values())}).items()}
