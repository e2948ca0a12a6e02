"""The options of ``python -m concepthash.train``, and the configurations they stand for."""

import argparse
import dataclasses
from typing import Any, get_args

from .backbones import pretrained_input
from .checkpoint import Checkpoint, ClassTable
from .config import (
    LOSS_PRESETS,
    MODEL_PRESETS,
    TRAIN_PRESETS,
    Augmentation,
    BackboneConfig,
    CenterInput,
    GroundFloor,
    LossConfig,
    Margin,
    ModelConfig,
    Offset,
    Optimizer,
    Precision,
    Reading,
    Schedule,
    TrainConfig,
)
from .errors import ConfigError
from .language import TEXT_ENCODERS

__all__ = ["make_configs", "make_parser"]

MODEL_SWITCHES = ("reading", "center_input", "prompt_generator")
HYBRID_OPTIONS = ("output_stride", "stem_stage", "trained_stages", "width", "depth", "dropout")
BACKBONE_OPTIONS = ("backbone", "image_size", "output_stride", "stem_stage", "width", "depth", "adapter_dim")
LOSS_SWITCHES = (
    "clf_weight", "quan_weight", "cd_weight", "csd_weight", "ground_weight", "sub_weight", "sep_weight", "ground_floor",
    "cd_margin", "cd_offset",
)  # fmt: skip


def make_configs(
    options: argparse.Namespace, classes: ClassTable, start: Checkpoint | None = None
) -> tuple[ModelConfig, LossConfig, TrainConfig]:
    """Make what the options say: a preset, or the sizes of ``start``, and every single switch over it.

    Raises
    ------
    ConfigError
        If settings cannot work together, or the options want another network than that of ``start``.
    """
    losses = dataclasses.replace(LOSS_PRESETS[options.preset], **_given(options, *LOSS_SWITCHES))
    switches = [field.name for field in dataclasses.fields(TrainConfig)]
    train = dataclasses.replace(TRAIN_PRESETS[options.preset], **_given(options, *switches))
    sizes: dict[str, Any] = {"n_classes": len(classes.names), "centers": options.centers}
    sizes["text_dim"] = len(classes.text_features[0]) if classes.text_features else 0
    sizes |= {
        field: value
        for field, value in (("n_concepts", options.concepts), ("n_bits", options.bits))
        if value is not None
    }
    sizes |= _given(options, *MODEL_SWITCHES) | {"patch_classifier": losses.ground_weight > 0}
    if start:
        return _like(start, options, sizes), losses, train
    made: dict[str, Any] = {"n_concepts": 4, "n_bits": 64, "backbone": _backbone(options)}
    return ModelConfig(**(made | MODEL_PRESETS[options.preset] | sizes)), losses, train


def _like(start: Checkpoint, options: argparse.Namespace, sizes: dict[str, Any]) -> ModelConfig:
    """Sizes of a model with the network of ``start``."""
    wanted = [name for name in BACKBONE_OPTIONS if getattr(options, name) is not None]
    if wanted:
        raise ConfigError(f"--from keeps the network of {start.name!r}; leave out --{wanted[0].replace('_', '-')}.")
    config = start.config
    _check_is_hybrid(config.backbone.name, options)
    return dataclasses.replace(
        config,
        **sizes,
        backbone=dataclasses.replace(config.backbone, **_given(options, "dropout", "trained_stages")),
        text_hidden=config.text_hidden if sizes["text_dim"] == config.text_dim else 0,
    )


def _backbone(options: argparse.Namespace) -> BackboneConfig:
    name = options.backbone or "hybrid"
    _check_is_hybrid(name, options)
    if name == "hybrid" and options.adapter_dim:
        raise ConfigError("--adapter-dim is for a transformer that has learned before; name one with --backbone.")
    seen = {} if name in ("hybrid", "clip") else pretrained_input(name)
    if options.image_size is not None:
        seen["image_size"] = (options.image_size, options.image_size)
    return BackboneConfig(name=name, **(seen | _given(options, *HYBRID_OPTIONS, "adapter_dim")))


def _check_is_hybrid(name: str, options: argparse.Namespace) -> None:
    """Refuse options of a hybrid for other networks, on which they would have no effect."""
    given = _given(options, *HYBRID_OPTIONS)
    if name != "hybrid" and given:
        raise ConfigError(f"--{next(iter(given)).replace('_', '-')} is for hybrids only; leave it out with {name}.")


def _given(options: argparse.Namespace, *names: str) -> dict[str, Any]:
    """Return the options that the command line sets."""
    return {name: value for name in names if (value := getattr(options, name)) is not None}


def make_parser(description: str | None) -> argparse.ArgumentParser:
    """Make the parser; options that a preset sets have no default of their own."""
    parser = argparse.ArgumentParser(prog="python -m concepthash.train", description=description)
    add = parser.add_argument
    add("--data", required=True, help="data set, such as the layout of CUB-200-2011 or one folder of images per class")
    add("--families", default="", help="what makes a family, where the data set has a choice: make or body of cars")
    add("--out", required=True, help="checkpoint folder to make; a killed run goes on when started again")
    add("--from", dest="start", help="checkpoint to start from: its network stays, classes, concepts and bits may be "
        "others")  # fmt: skip
    add("--hold-out", type=float, default=0.0, help="share of the images to measure on, where the data has no split")
    add("--gallery", action="store_true", help="encode all images into the folder 'gallery' of the checkpoint")
    add("--estimate", action="store_true", help="print how many seconds it would take here, and train nothing")
    add("--preset", choices=sorted(LOSS_PRESETS), default="grounded", help="settings of losses and training, "
        "and of the network where it is not that of --from")  # fmt: skip
    _add_model(parser.add_argument_group("model"))
    _add_losses(parser.add_argument_group("losses, instead of the preset's"))
    _add_training(parser.add_argument_group("training, instead of the preset's"))
    _add_machine(parser.add_argument_group("machine"))
    return parser


def _add_model(group: argparse._ArgumentGroup) -> None:
    add = group.add_argument
    add("--concepts", type=int, help="M, number of concept tokens; default: 4, or those of --from")
    add("--bits", type=int, help="K, bits of the whole code, a multiple of M; default: 64, or those of --from")
    add("--centers", choices=["language", "learnable", "random"], default="language", help="kind of hash centers")
    add("--text-encoder", default="minilm", help=f"source of class-name features: {', '.join(TEXT_ENCODERS)}; behind a "
        "colon the CLIP model of open_clip, such as open_clip:ViT-L-14-quickgelu")  # fmt: skip
    add("--backbone", help="hybrid (default), or the name of a timm VisionTransformer")
    add("--adapter-dim", type=int, help="bottleneck of adapters in a frozen transformer; 0 trains it")
    add("--prompt-generator", action=argparse.BooleanOptionalAction, help="concept tokens as in the released code")
    add("--center-input", choices=get_args(CenterInput), help="text features as they are or their signs")
    add("--reading", choices=get_args(Reading), help="what a token may attend to")
    add("--image-size", type=int, help="pixels of the square that images are resized to; default: 320, or what the "
        "weights of a timm model expect")  # fmt: skip
    add("--output-stride", type=int, choices=[8, 16, 32], help="pixels per grid cell of a hybrid")
    add("--stem-stage", type=int, help="last stage of a hybrid's stem, 0 to 4; default: the whole stem")
    add("--trained-stages", type=int, help="last groups of blocks of a hybrid's stem that train, too; default: 0")
    add("--width", type=int, help="token width of a hybrid")
    add("--depth", type=int, help="transformer blocks of a hybrid")
    add("--dropout", type=float, help="share of channels dropped in a hybrid")


def _add_losses(group: argparse._ArgumentGroup) -> None:
    add = group.add_argument
    for term in ("clf", "quan", "cd", "csd", "ground", "sub", "sep"):
        add(f"--{term}-weight", type=float, help=f"weight of L_{term}")
    add("--ground-floor", choices=get_args(GroundFloor), help="what counts as no evidence")
    add("--cd-margin", choices=get_args(Margin), help="concepts that L_cd gives a margin")
    add("--cd-offset", choices=get_args(Offset), help="what L_cd adds to a concept")


def _add_training(group: argparse._ArgumentGroup) -> None:
    add = group.add_argument
    add("--epochs", type=int)
    add("--warmup-epochs", type=int, help="epochs in which the learning rate rises")
    add("--batch-size", type=int, help="images a step, over all processes and accumulated parts")
    add("--accumulation-steps", type=int, help="parts that a process computes its share of a batch in")
    add("--optimizer", choices=get_args(Optimizer))
    add("--learning-rate", type=float, help="peak of the schedule")
    add("--weight-decay", type=float)
    add("--schedule", choices=get_args(Schedule), help="whether the learning rate changes every step or every epoch")
    add("--clip-norm", type=float, help="largest norm of the gradient; 0 for no limit")
    add("--views", dest="n_views", type=int, help="augmented views of each image")
    add("--augmentation", choices=get_args(Augmentation), help="cut, flip and tint, or TrivialAugment")
    add("--plain-share", type=float, help="share of images seen without augmentation")
    add("--cutmix-share", type=float, help="share that gets a rectangle of a relative")
    add("--feature-dropout", type=float, help="share of stem channels dropped")
    add("--stem-rate", type=float, help="learning rate of the stem's stages that train, as a share of that of all else")
    add("--seed", type=int)


def _add_machine(group: argparse._ArgumentGroup) -> None:
    add = group.add_argument
    add("--device", default="auto", help="auto, cpu, cuda or mps; `accelerate launch` starts several processes")
    add("--mixed-precision", choices=get_args(Precision), help="half precision; losses stay in float32. Some CPUs gain "
        "by it, others take many times as long")  # fmt: skip
    add("--save-steps", type=int, help="steps between two states that a killed run can go on from")
    add("--cache", help="folder for frozen features; kept after training. Default: inside --out, deleted at the end")
    add("--cache-gb", type=float, default=20.0, help="10⁹ bytes that frozen features may take on disk; where they do "
        "not fit, the stem runs in every step")  # fmt: skip
    add("--workers", type=int, default=0, help="processes that read images; one where the stem runs in every step")
    add("--share-stem", action="store_true", help="keep the frozen stem in the folder 'stems' beside --out")
    add("--report", metavar="FILE", help="file for lines of JSON that tell how the run stands; SIGTERM then stops it")
    add("--tensorboard", metavar="DIR", help="folder for curves of every loss; needs the package tensorboard")
