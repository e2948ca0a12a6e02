"""``python -m concepthash.train``: train a ConceptHash model on a folder of images, on cached features of its stem."""

import argparse
import dataclasses
import hashlib
import json
import shutil
import sys
import time
from pathlib import Path
from typing import Any, get_args

import numpy as np
import torch
from tqdm import tqdm

from .backbones import pretrained_input
from .card import model_card
from .checkpoint import Checkpoint, ClassTable, read_checkpoint, save_checkpoint, start_from
from .config import (
    LOSS_PRESETS,
    MODEL_PRESETS,
    BackboneConfig,
    CenterInput,
    GroundFloor,
    LossConfig,
    Margin,
    ModelConfig,
    Offset,
    Reading,
    TrainConfig,
)
from .data import ImageTable, read_dataset
from .encoder import Encoder, choose_device
from .errors import CheckpointError, ConceptHashError
from .evaluate import evaluate
from .feature_cache import cached_features
from .files import write_atomically
from .language import TEXT_ENCODERS, text_features
from .model import ConceptHash
from .stems import load_stem_weights
from .trainer import Trainer

__all__ = ["main", "make_class_table", "make_model"]


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


def main(arguments: list[str] | None = None) -> int:
    """Run the command; 0 when it worked, 2 with one sentence on standard error when it could not."""
    options = _parser().parse_args(arguments)
    try:
        checkpoint = _train(options)
    except ConceptHashError as error:
        print(error, file=sys.stderr)
        return 2
    except OSError as error:
        print(f"Training stopped: {error.strerror or error}. Run the same command again to go on.", file=sys.stderr)
        return 2
    print(json.dumps({"checkpoint": str(checkpoint.path)} | dict(checkpoint.metrics)))
    return 0


def _train(options: argparse.Namespace) -> Checkpoint:
    started = time.monotonic()
    out = Path(options.out)
    if (out / "config.json").exists():
        raise CheckpointError(f"{out.name!r} already holds a finished checkpoint; choose another --out.")
    run = out / "run"
    run.mkdir(parents=True, exist_ok=True)
    table = read_dataset(options.data)
    train_rows = np.arange(len(table)) if table.is_train is None else np.flatnonzero(table.is_train)
    training = table.subset(train_rows)
    device = choose_device(options.device)
    classes = make_class_table(table, options.text_encoder if options.centers == "language" else "none")
    model_config, losses, config = _configs(options, classes)
    model = make_model(model_config, classes, seed=config.seed).to(device)
    origin = hashlib.sha256(repr((training.image_ids, training.labels.tolist())).encode()).hexdigest()
    if options.start:
        start = read_checkpoint(options.start)
        start_from(model, start)
        origin += start.fingerprint
    features = cached_features(
        model.backbone,
        model_config.backbone,
        training,
        Path(options.cache or run / "features"),
        n_views=config.n_views,
        seed=config.seed,
        n_workers=options.workers,
    )
    trainer = Trainer(model, features, training.labels, losses, config, origin)
    _run(trainer, run)
    settings: dict[str, Any] = {"model": dataclasses.asdict(model_config), "losses": dataclasses.asdict(losses)}
    settings |= {"train": dataclasses.asdict(config), "data": table.name, "n_train": len(training)}
    settings |= {
        "device": device.type,
        "start": options.start and Path(options.start).name,
        "minutes": round((time.monotonic() - started) / 60, 1),
    }
    unfinished = save_checkpoint(run / "final", model, classes, metrics=settings)
    figures = _measure(unfinished, table, options.device)
    card = model_card(table, classes, settings, figures)
    save_checkpoint(out, model, classes, metrics=settings | figures, card=card, share_stem=options.share_stem)
    write_atomically(out / "history.json", json.dumps(trainer.history).encode())
    shutil.rmtree(run)
    return dataclasses.replace(unfinished, path=out, name=out.name, metrics=settings | figures)


def _run(trainer: Trainer, run: Path) -> None:
    state = run / "state.pt"
    if state.exists():
        trainer.resume(state)
    with tqdm(total=trainer.config.epochs, initial=trainer.epoch, desc="training", unit="epoch") as bar:
        while trainer.epoch < trainer.config.epochs:
            means = trainer.run_epoch()
            trainer.save(state)
            bar.set_postfix({name: f"{value:.3f}" for name, value in means.items()})
            bar.update()


def _measure(checkpoint: Checkpoint, table: ImageTable, device: str) -> dict[str, Any]:
    if table.is_train is None or table.is_train.all():
        return {}
    return {"figures": evaluate(Encoder(checkpoint, device), table)}


def _configs(options: argparse.Namespace, classes: ClassTable) -> tuple[ModelConfig, LossConfig, TrainConfig]:
    seen = {} if options.backbone in ("hybrid", "clip") else pretrained_input(options.backbone)
    if options.image_size is not None:
        seen["image_size"] = (options.image_size, options.image_size)
    backbone = BackboneConfig(
        name=options.backbone,
        **seen,
        output_stride=options.output_stride,
        stem_stage=options.stem_stage,
        width=options.width,
        depth=options.depth,
        adapter_dim=options.adapter_dim,
        dropout=options.dropout,
    )
    model = ModelConfig(
        n_concepts=options.concepts,
        n_bits=options.bits,
        n_classes=len(classes.names),
        backbone=backbone,
        centers=options.centers,
        text_dim=len(classes.text_features[0]) if classes.text_features else 0,
        **(MODEL_PRESETS[options.preset] | _given(options, "reading", "center_input", "prompt_generator")),
    )
    switches = ("cd_weight", "csd_weight", "ground_weight", "sub_weight", "ground_floor", "cd_margin", "cd_offset")
    losses = dataclasses.replace(LOSS_PRESETS[options.preset], **_given(options, *switches))
    config = TrainConfig(
        epochs=options.epochs,
        weight_decay=options.weight_decay,
        plain_share=options.plain_share,
        cutmix_share=options.cutmix_share,
        feature_dropout=options.feature_dropout,
        batch_size=options.batch_size,
        learning_rate=options.learning_rate,
        n_views=options.views,
        bfloat16=options.bfloat16,
        seed=options.seed,
    )
    return model, losses, config


def _given(options: argparse.Namespace, *names: str) -> dict[str, Any]:
    """Return the options that the command line sets."""
    return {name: value for name in names if (value := getattr(options, name)) is not None}


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m concepthash.train", description=__doc__)
    add = parser.add_argument
    add("--data", required=True, help="CUB-200-2011 layout or one folder of images per class")
    add("--out", required=True, help="checkpoint folder to make; a killed run goes on when started again")
    add("--concepts", type=int, default=4, help="M, number of concept tokens")
    add("--bits", type=int, default=64, help="K, bits of the whole code, a multiple of M")
    add("--preset", choices=sorted(LOSS_PRESETS), default="grounded", help="switches of losses and network")
    add("--csd-weight", type=float, help="weight of L_csd, instead of the preset's")
    add("--cd-weight", type=float, help="weight of L_cd, instead of the preset's")
    add("--sub-weight", type=float, help="weight of L_sub, instead of the preset's")
    add("--ground-floor", choices=get_args(GroundFloor), help="what counts as no evidence, instead of the preset's")
    add("--ground-weight", type=float, help="weight of L_ground, instead of the preset's")
    add("--centers", choices=["language", "learnable", "random"], default="language", help="kind of hash centers")
    add("--text-encoder", choices=sorted(TEXT_ENCODERS), default="minilm", help="source of class-name features")
    add("--backbone", default="hybrid", help="hybrid, or the name of a timm VisionTransformer")
    add("--adapter-dim", type=int, default=0, help="bottleneck of adapters in a frozen transformer; 0 trains it")
    add("--prompt-generator", action=argparse.BooleanOptionalAction, help="concept tokens as in the released code")
    add("--center-input", choices=get_args(CenterInput), help="text features as they are or their signs")
    add("--cd-margin", choices=get_args(Margin), help="concepts that L_cd gives a margin, instead of the preset's")
    add("--cd-offset", choices=get_args(Offset), help="what L_cd adds to a concept, instead of the preset's")
    add("--reading", choices=get_args(Reading), help="what a token may attend to, instead of the preset's")
    add("--image-size", type=int, help="pixels of the square that images are resized to; default: 320, or what the "
        "weights of a timm model expect")  # fmt: skip
    add("--output-stride", type=int, default=32, choices=[8, 16, 32], help="pixels per grid cell of a hybrid")
    add("--stem-stage", type=int, help="last stage of a hybrid's stem, 0 to 4; default: the whole stem")
    add("--width", type=int, default=256, help="token width of a hybrid")
    add("--depth", type=int, default=BackboneConfig.depth, help="transformer blocks of a hybrid")
    add("--dropout", type=float, default=BackboneConfig.dropout, help="share of channels dropped in a hybrid")
    add("--epochs", type=int, default=TrainConfig.epochs)
    add("--batch-size", type=int, default=TrainConfig.batch_size)
    add("--learning-rate", type=float, default=TrainConfig.learning_rate, help="peak of the schedule")
    add("--weight-decay", type=float, default=TrainConfig.weight_decay)
    add("--plain-share", type=float, default=TrainConfig.plain_share, help="share of images seen without augmentation")
    add(
        "--cutmix-share", type=float, default=TrainConfig.cutmix_share, help="share that gets a rectangle of a relative"
    )
    add("--feature-dropout", type=float, default=TrainConfig.feature_dropout, help="share of stem channels dropped")
    add("--from", dest="start", help="checkpoint of the same sizes and classes whose weights to start from")
    add("--views", type=int, default=TrainConfig.n_views, help="augmented views of each image to cache")
    add("--seed", type=int, default=TrainConfig.seed)
    add("--share-stem", action="store_true", help="keep the frozen stem in the folder 'stems' beside --out")
    add("--cache", help="folder for frozen features; kept after training. Default: inside --out, deleted at the end")
    add("--workers", type=int, default=0, help="processes that read images")
    add("--bfloat16", action="store_true", help="forward passes of training in bfloat16; losses stay in float32")
    add("--device", default="auto", help="auto, cpu, cuda or mps")
    return parser


if __name__ == "__main__":
    sys.exit(main())
