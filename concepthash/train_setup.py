"""What a training needs before it begins: classes, a model with the weights to start from, devices, features."""

import argparse
import hashlib
import logging
from collections.abc import Callable
from pathlib import Path

import torch
from accelerate import Accelerator
from accelerate.utils import DistributedDataParallelKwargs

from .checkpoint import Checkpoint, ClassTable
from .config import BackboneConfig, ModelConfig, TrainConfig
from .data import ImageTable
from .devices import is_main, join
from .errors import ConfigError
from .feature_cache import training_features
from .features import Features
from .image_views import Views
from .language import text_features
from .model import ConceptHash
from .start import start_from
from .stem_weights import load_stem_weights

__all__ = ["features_of", "make_accelerator", "make_class_table", "make_model", "origin_of"]

_log = logging.getLogger(__name__)


def make_class_table(table: ImageTable, text_encoder: str) -> ClassTable:
    """Names, families and text features of a data set's classes; ``"none"`` leaves the features out."""
    if text_encoder == "none":
        return ClassTable(table.class_names, table.families)
    features = text_features(table.class_names, text_encoder)
    rows = tuple(tuple(float(f"{value:.6g}") for value in row) for row in features)
    return ClassTable(table.class_names, table.families, rows, text_encoder)


def make_model(
    config: ModelConfig, classes: ClassTable, *, seed: int = 0, start: Checkpoint | None = None
) -> ConceptHash:
    """A fresh model with the weights to begin with: those of ``start``, or pretrained ones of its network."""
    torch.manual_seed(seed)
    features = torch.tensor(classes.text_features) if classes.text_features else None
    model = ConceptHash(config, features, pretrained=not config.backbone.is_hybrid and start is None)
    if start:
        start_from(model, start, classes.names)
    elif config.backbone.is_hybrid:
        load_stem_weights(model.backbone, config.backbone)
    return model


def make_accelerator(device: str, config: TrainConfig, tensorboard: str | None = None) -> Accelerator:
    """What `Trainer` runs on: one device, or every process of an ``accelerate launch``.

    Parameters
    ----------
    device
        See `join`.
    tensorboard
        Folder for its log.

    Raises
    ------
    ConfigError
        If there is no such device, it cannot do the precision, or tensorboard is missing.
    """
    kind = join(device).type
    if kind == "cpu" and config.mixed_precision == "bf16" and is_main() and not _computes_bf16():
        _log.warning(
            "This CPU has no instructions for bf16, so that --mixed-precision bf16 takes many times as long on it as "
            "float32 does; leave it out."
        )
    try:
        accelerator = Accelerator(
            cpu=kind == "cpu",
            mixed_precision=config.mixed_precision,
            gradient_accumulation_steps=config.accumulation_steps,
            log_with="tensorboard" if tensorboard else None,
            project_dir=tensorboard,
            kwargs_handlers=[DistributedDataParallelKwargs(find_unused_parameters=True)],
        )
        if tensorboard:
            accelerator.init_trackers("training")
    except (ImportError, ValueError) as error:
        raise ConfigError(f"Training cannot be set up like this: {error}") from error
    return accelerator


def _computes_bf16() -> bool:
    """Whether this CPU multiplies matrices in bf16; otherwise torch does it number by number."""
    return bool(torch.backends.mkldnn.is_available() and torch.ops.mkldnn._is_mkldnn_bf16_supported())


def features_of(
    model: ConceptHash,
    table: ImageTable,
    config: TrainConfig,
    options: argparse.Namespace,
    folder: Path,
    *,
    n_views: int,
    on_progress: Callable[[int, int], None],
) -> Features:
    """Stem features of ``n_views`` views of a table's images, in ``folder`` or the one that the options name.

    Raises
    ------
    ConfigError
        If the options want fewer than no workers.
    """
    if options.workers < 0:
        raise ConfigError(f"--workers is {options.workers}; give 0 or more.")
    backbone: BackboneConfig = model.config.backbone
    return training_features(
        model.backbone,
        backbone,
        Views(table, backbone.image_size, n_views, config.seed, config.augmentation),
        Path(options.cache or folder),
        n_workers=options.workers,
        cache_gb=options.cache_gb,
        on_progress=on_progress,
    )


def origin_of(training: ImageTable, classes: ClassTable, start: Checkpoint | None) -> str:
    """What a resumed run must share with the killed one beside its settings: images, classes and first weights."""
    sizes = [path.stat().st_size for path in training.paths]  # which differ where an image was replaced
    data = (training.image_ids, sizes, training.labels.tolist(), classes)
    return hashlib.sha256(repr(data).encode()).hexdigest() + (start.fingerprint if start else "")
