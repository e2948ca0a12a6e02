"""The convolutional stems: made, cut where they begin to train, and the frozen part made faster."""

import copy
from typing import Any

import torch
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from .config import BackboneConfig
from .errors import ConfigError
from .timm_parts import EfficientNet, timm

__all__ = ["cut_tail", "fast_stem", "fold_batch_norm", "make_stem"]


def make_stem(config: BackboneConfig) -> nn.Module:
    """The whole stem of a hybrid, with random weights, up to its last stage that is kept.

    Raises
    ------
    ConfigError
        If timm has no such network, or it cannot end early and is asked to.
    """
    if not timm.is_model(config.stem):
        raise ConfigError(f"timm has no network {config.stem!r}; name another stem.")
    stem = timm.create_model(
        config.stem, pretrained=False, num_classes=0, global_pool="", output_stride=config.output_stride
    )
    if config.stem_stage is not None:
        prune: Any = getattr(stem, "prune_intermediate_layers", None)
        if prune is None:
            raise ConfigError(f"The stem {config.stem!r} cannot end early; leave stem_stage out.")
        prune([config.stem_stage], prune_norm=True, prune_head=True)
    return stem


def cut_tail(stem: nn.Module, n_stages: int) -> nn.Module:
    """Cut the last stages off a stem, in place, and what stands behind them: the part that trains.

    Parameters
    ----------
    stem
        One of timm's efficient networks.
    n_stages
        How many groups of blocks are cut off; 0 leaves the stem whole.

    Returns
    -------
    nn.Module
        What was cut off, (B, F', h', w') → (B, F, h, w), its batch norms folded as they are in evaluation mode.

    Raises
    ------
    ConfigError
        If the stem has no groups of blocks, or not so many.
    """
    if not n_stages:
        return nn.Identity()
    network: Any = stem
    n_most = len(network.blocks) - 1 if isinstance(stem, EfficientNet) else 0
    if n_stages > n_most:
        raise ConfigError(f"trained_stages is {n_stages}, but of this stem at most {n_most} can train; take fewer.")
    blocks = network.blocks
    tail = fold_batch_norm(nn.Sequential(*blocks[-n_stages:], network.conv_head, network.bn2).eval())
    for conv in tail.modules():
        if isinstance(conv, nn.Conv2d) and conv.groups > 1:
            conv.__class__ = type(type(conv).__name__, (_Float32OnCpu, type(conv)), {})
    network.blocks, network.conv_head, network.bn2 = blocks[:-n_stages], nn.Identity(), nn.Identity()
    return tail.requires_grad_(True).to(memory_format=torch.channels_last)


class _Float32OnCpu(nn.Conv2d):
    """Depthwise convolutions stay in float32 on a CPU: in bfloat16 their backward pass takes several times as long."""

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        """What the convolution gives, without autocast where the input lies on a CPU."""
        if input.device.type != "cpu":
            return super().forward(input)
        with torch.autocast("cpu", enabled=False):
            return super().forward(input.float())


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


def fast_stem(frozen_stem: nn.Module) -> nn.Module:
    """A copy of a stem in evaluation mode with its batch norms folded and its channels last: the same, much faster."""
    stem = fold_batch_norm(copy.deepcopy(frozen_stem).eval())
    return stem.to(memory_format=torch.channels_last)
