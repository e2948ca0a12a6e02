"""``python -m concepthash.train``: train a ConceptHash model on a data set, on cached features of its stem."""

import argparse
import dataclasses
import hashlib
import json
import logging
import shutil
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from accelerate import Accelerator
from accelerate.utils import DistributedDataParallelKwargs
from tqdm import tqdm

from .card import model_card
from .checkpoint import Checkpoint, ClassTable, read_checkpoint, save_checkpoint, start_from
from .config import ModelConfig, TrainConfig
from .data import ImageTable, read_dataset
from .devices import choose_device, launched_precision, wait
from .encoder import Encoder
from .errors import CheckpointError, ConceptHashError, ConfigError
from .evaluate import evaluate
from .feature_cache import training_features
from .files import write_atomically
from .image_views import Views
from .language import text_features
from .model import ConceptHash
from .objective import Objective
from .stems import load_stem_weights
from .train_options import make_configs, make_parser
from .trainer import Trainer

__all__ = ["main", "make_accelerator", "make_class_table", "make_model"]


def make_class_table(table: ImageTable, text_encoder: str) -> ClassTable:
    """Names, families and text features of a data set's classes; ``"none"`` leaves the features out."""
    if text_encoder == "none":
        return ClassTable(table.class_names, table.families)
    features = text_features(table.class_names, text_encoder)
    rows = tuple(tuple(float(f"{value:.6g}") for value in row) for row in features)
    return ClassTable(table.class_names, table.families, rows, text_encoder)


def make_model(config: ModelConfig, classes: ClassTable, *, seed: int = 0) -> ConceptHash:
    """A fresh model with the weights its stem or transformer is to start from."""
    torch.manual_seed(seed)
    features = torch.tensor(classes.text_features) if classes.text_features else None
    model = ConceptHash(config, features, pretrained=not config.backbone.is_hybrid)
    if config.backbone.is_hybrid:
        load_stem_weights(model.backbone, config.backbone)
    return model


def make_accelerator(device: str, config: TrainConfig, tensorboard: str | None = None) -> Accelerator:
    """What `Trainer` runs on: one device, or every process of an ``accelerate launch``.

    Parameters
    ----------
    device
        See `choose_device`.
    tensorboard
        Folder for its log.

    Raises
    ------
    ConfigError
        If there is no such device, it cannot do the precision, or tensorboard is missing.
    """
    kind = choose_device(device).type
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


def main(arguments: list[str] | None = None) -> int:
    """Run the command; 0 when it worked, 2 with one sentence on standard error when it could not."""
    options = make_parser(__doc__).parse_args(arguments)
    logging.basicConfig(format="%(message)s")
    try:
        checkpoint = _train(options)
    except ConceptHashError as error:
        print(error, file=sys.stderr)
        return 2
    except OSError as error:
        print(f"Training stopped: {error.strerror or error}. Run the same command again to go on.", file=sys.stderr)
        return 2
    if checkpoint:
        print(json.dumps({"checkpoint": str(checkpoint.path)} | dict(checkpoint.metrics)))
    return 0


def _train(options: argparse.Namespace) -> Checkpoint | None:
    """Train and save; the checkpoint in the main process, None in others."""
    started = time.monotonic()
    out = Path(options.out)
    run = out / "run"
    if (out / "config.json").exists():
        return _finished(out, run)
    run.mkdir(parents=True, exist_ok=True)
    table = read_dataset(options.data, families=options.families)
    train_rows = np.arange(len(table)) if table.is_train is None else np.flatnonzero(table.is_train)
    training = table.subset(train_rows)
    classes = make_class_table(table, options.text_encoder if options.centers == "language" else "none")
    options.mixed_precision = options.mixed_precision or launched_precision()
    model_config, losses, config = make_configs(options, classes)
    accelerator = make_accelerator(options.device, config, options.tensorboard)
    model = make_model(model_config, classes, seed=config.seed).to(accelerator.device)
    origin = hashlib.sha256(repr((training.image_ids, training.labels.tolist())).encode()).hexdigest()
    if options.start:
        start = read_checkpoint(options.start)
        start_from(model, start)
        origin += start.fingerprint
    backbone = model_config.backbone
    features = training_features(
        model.backbone,
        backbone,
        Views(training, backbone.image_size, config.n_views, config.seed, config.augmentation),
        Path(options.cache or run / "features"),
        n_workers=options.workers,
        cache_gb=options.cache_gb,
    )
    trainer = Trainer(Objective(model, losses), features, training.labels, config, accelerator, origin)
    _run(trainer, run / "state.pt")
    settings: dict[str, Any] = {"model": dataclasses.asdict(model_config), "losses": dataclasses.asdict(losses)}
    settings |= {"train": dataclasses.asdict(config), "data": table.name, "n_train": len(training)}
    settings |= {
        "device": accelerator.device.type,
        "processes": accelerator.num_processes,
        "start": options.start and Path(options.start).name,
        "minutes": round((time.monotonic() - started) / 60, 1),
    }
    if accelerator.is_main_process:
        save_checkpoint(run / "final", model, classes, metrics=settings)
    wait()
    unfinished = read_checkpoint(run / "final")
    figures = _measure(unfinished, table, options.device)
    accelerator.end_training()
    if not accelerator.is_main_process:
        return None
    card = model_card(table, classes, settings, figures)
    write_atomically(out / "history.json", json.dumps(trainer.history).encode())
    save_checkpoint(out, model, classes, metrics=settings | figures, card=card, share_stem=options.share_stem)
    shutil.rmtree(run)
    return dataclasses.replace(unfinished, path=out, name=out.name, metrics=settings | figures)


def _finished(out: Path, run: Path) -> Checkpoint:
    """A run that was killed after its last file was written, or a refusal to write over a checkpoint."""
    if not run.exists():
        raise CheckpointError(f"{out.name!r} already holds a finished checkpoint; choose another --out.")
    shutil.rmtree(run)
    return read_checkpoint(out)


def _run(trainer: Trainer, state: Path) -> None:
    accelerator = trainer.accelerator
    if state.exists():
        trainer.resume(state)
    bar = tqdm(total=trainer.config.epochs, initial=trainer.epoch, desc="training", unit="epoch",
               disable=not accelerator.is_main_process)  # fmt: skip
    with bar:
        while trainer.epoch < trainer.config.epochs:
            means = trainer.run_epoch(state)
            accelerator.log(means, step=trainer.epoch)
            bar.set_postfix({name: f"{value:.3f}" for name, value in means.items()})
            bar.update()


def _measure(checkpoint: Checkpoint, table: ImageTable, device: str) -> dict[str, Any]:
    if table.is_train is None or table.is_train.all():
        return {}
    return {"figures": evaluate(Encoder(checkpoint, device), table)}


if __name__ == "__main__":
    sys.exit(main())
