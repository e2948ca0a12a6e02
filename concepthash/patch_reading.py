"""Attention of concepts to patches alone, without the sums that a mask would throw away."""

from torch import Tensor, cat, nn
from torch.nn.functional import linear, pad

from .errors import ConfigError
from .timm_parts import Attention

__all__ = ["PatchReading"]


class PatchReading(nn.Module):
    """Self-attention in which the last M tokens read the patches, and every other token its own value.

    It gives what ``attention`` gives under that mask, at the cost of M·T weights instead of T², and holds its layers
    by their names, so that weights are kept and loaded as before. `capture_attention` gets the rows of the concepts
    only, (B, H, M, T).

    Parameters
    ----------
    attention
        The layer of timm, an `Attention`, whose weights it takes over.
    n_concepts
        M, how many tokens at the end are concepts.
    n_before
        How many tokens stand before the patches: registers and CLS.

    Raises
    ------
    ConfigError
        If ``attention`` is not of the plain kind.
    """

    qkv: nn.Linear
    q_norm: nn.Module
    k_norm: nn.Module
    attn_drop: nn.Module
    norm: nn.Module
    proj: nn.Module
    proj_drop: nn.Module

    def __init__(self, attention: nn.Module, n_concepts: int, n_before: int) -> None:
        super().__init__()
        if type(attention) is not Attention or getattr(attention, "gate", None) is not None:
            raise ConfigError(
                f"reading='patches' needs plain attention, not timm's {type(attention).__name__} of this backbone; "
                "choose another backbone, or reading='all'."
            )
        self.n_concepts, self.n_before = n_concepts, n_before
        self.num_heads, self.scale, self.fused_attn = attention.num_heads, attention.scale, False
        for name, layer in attention.named_children():
            self.add_module(name, layer)

    def forward(self, tokens: Tensor, attn_mask: None = None, is_causal: bool = False) -> Tensor:
        """(B, T, D) → (B, T, D); the other arguments are those that timm's blocks pass on, and say nothing here."""
        m, width = self.n_concepts, self.qkv.out_features // 3
        weights = self.qkv.weight.split([width, 2 * width])
        biases = (None, None) if self.qkv.bias is None else self.qkv.bias.split([width, 2 * width])
        queries = self.q_norm(self._heads(linear(tokens[:, -m:], weights[0], biases[0])))  # (B, H, M, d)
        others = linear(tokens[:, :-m], weights[1], biases[1])  # (B, T - M, 2·D)
        keys, values = map(self._heads, others.chunk(2, dim=2))  # (B, H, T - M, d)
        keys = self.k_norm(keys[:, :, self.n_before :])  # (B, H, N, d)
        attention = (self.scale * queries @ keys.mT).softmax(dim=-1)  # (B, H, M, N)
        attention = self.attn_drop(pad(attention, (self.n_before, m)))  # (B, H, M, T)
        mixed = cat([values, attention[..., :-m] @ values], dim=2)  # (B, H, T, d)
        mixed = self.norm(mixed.transpose(1, 2).flatten(2))  # (B, T, D)
        return self.proj_drop(self.proj(mixed))

    def _heads(self, tokens: Tensor) -> Tensor:
        """(B, T, H·d) → (B, H, T, d)."""
        return tokens.unflatten(2, (self.num_heads, -1)).transpose(1, 2)
