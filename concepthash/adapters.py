"""Bottleneck adapters that let a frozen transformer block learn, in parallel to each of its sub-layers."""

import torch
from torch import Tensor, nn

from .timm_parts import Block

__all__ = ["AdaptedBlock", "Adapter"]


class Adapter(nn.Module):
    """``s · (W_up · GELU(W_down · LN(u) + b_down) + b_up)``, zero at the start.

    Parameters
    ----------
    width
        D, width of the tokens.
    bottleneck
        Width between the two projections; the paper uses 384 for D = 768.

    References
    ----------
    Method reference, section A.4.
    """

    def __init__(self, width: int, bottleneck: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.down = nn.Linear(width, bottleneck)
        self.up = nn.Linear(bottleneck, width)
        self.scale = nn.Parameter(torch.ones(1))
        nn.init.kaiming_uniform_(self.down.weight, a=5**0.5)
        for zero in (self.down.bias, self.up.weight, self.up.bias):
            nn.init.zeros_(zero)

    def forward(self, tokens: Tensor) -> Tensor:
        """Correction to add to a sub-layer's output: (B, T, D) → (B, T, D)."""
        return self.scale * self.up(nn.functional.gelu(self.down(self.norm(tokens))))


class AdaptedBlock(nn.Module):
    """A frozen pre-norm block with one adapter on the output of its attention and one on that of its MLP."""

    def __init__(self, block: Block, width: int, bottleneck: int) -> None:
        super().__init__()
        self.block = block.requires_grad_(False)
        self.attention_adapter = Adapter(width, bottleneck)
        self.mlp_adapter = Adapter(width, bottleneck)

    def forward(self, tokens: Tensor) -> Tensor:
        """(B, T, D) → (B, T, D)."""
        block = self.block
        attended = block.drop_path1(block.ls1(block.attn(block.norm1(tokens))))
        tokens = tokens + attended + self.attention_adapter(attended)
        mapped = block.drop_path2(block.ls2(block.mlp(block.norm2(tokens))))
        return tokens + mapped + self.mlp_adapter(mapped)
