"""Where a concept looks: raw attention, attention rollout and gradient-weighted attention, as maps (B, M, h, w)."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import torch
from torch import Tensor
from torch.nn.functional import pad

from .errors import ConfigError
from .model import ConceptHash, ConceptHashOutput

__all__ = ["MapSettings", "bit_map", "concept_maps", "gradient_maps", "last_attention_maps", "rollout", "rollout_maps"]

Method = Literal["rollout", "raw", "gradient"]
HeadFusion = Literal["mean", "max", "min"]


@dataclass(frozen=True)
class MapSettings:
    """How attention becomes a map.

    Parameters
    ----------
    method
        ``"rollout"`` over blocks, ``"raw"`` attention of the last block, or ``"gradient"``-weighted attention.
    last_k
        Only the last k blocks; None for all.
    head_fusion
        How heads become one: ``"mean"``, ``"max"`` or ``"min"``.
    residual
        Share of the identity mixed into every block's attention for its skip connection, in [0, 1).
    discard_ratio
        Share of the smallest weights of each row set to 0 before the rollout, in [0, 1).

    Raises
    ------
    ConfigError
        For a value outside these.
    """

    method: Method = "rollout"
    last_k: int | None = None
    head_fusion: HeadFusion = "mean"
    residual: float = 0.5
    discard_ratio: float = 0.0

    def __post_init__(self) -> None:
        for name, value, choices in (("method", self.method, Method), ("head_fusion", self.head_fusion, HeadFusion)):
            if value not in get_args(choices):
                raise ConfigError(f"{name} is {value!r}; choose one of {', '.join(get_args(choices))}.")
        if self.last_k is not None and self.last_k < 1:
            raise ConfigError(f"last_k is {self.last_k}; use 1 or more blocks, or None for all.")
        for name, ratio in (("residual", self.residual), ("discard_ratio", self.discard_ratio)):
            if not 0 <= ratio < 1:
                raise ConfigError(f"{name} is {ratio}; it must be at least 0 and less than 1.")

    def n_attention(self, n_blocks: int) -> int:
        """How many of the last blocks must give their attention."""
        if self.method == "raw":
            return 1
        return n_blocks if self.last_k is None else min(self.last_k, n_blocks)


def fuse_heads(attention: Tensor, how: str = "mean") -> Tensor:
    """Heads to one: (B, H, Q, T) → (B, Q, T)."""
    return attention.mean(dim=1) if how == "mean" else getattr(attention, f"a{how}")(dim=1)


def rollout(
    attention: Sequence[Tensor],
    rows: slice = slice(None),
    *,
    head_fusion: str = "mean",
    residual: float = 0.5,
    discard_ratio: float = 0.0,
) -> Tensor:
    """Attention rollout, the product of the blocks' attention matrices with their skip connections.

    Only the ``rows`` asked for are carried through the product, from the last block down, so M rows cost
    M·Q·T instead of T³ a block.

    Parameters
    ----------
    attention
        Softmax attention (B, H, Q, T) of consecutive blocks, first to last: rows of the last Q tokens; those before
        them read themselves alone.
    rows
        Which of the last Q output tokens; all by default.
    head_fusion, residual, discard_ratio
        See `MapSettings`.

    Returns
    -------
    Tensor of shape (B, rows, T)
        How much of each input token each output token holds; rows sum to 1.

    References
    ----------
    Abnar, Zuidema: Quantifying Attention Flow in Transformers, ACL 2020, section 3.
    """
    flow: Tensor | None = None
    for weights in reversed(attention):
        if flow is None:
            step = _discard(fuse_heads(weights[:, :, rows], head_fusion), discard_ratio)  # (B, rows, T)
            identity = torch.eye(step.shape[-1], dtype=step.dtype, device=step.device)[-weights.shape[2] :]
            flow = (1 - residual) * step / step.sum(dim=-1, keepdim=True) + residual * identity[rows]
        else:
            fused = _discard(fuse_heads(weights, head_fusion), discard_ratio)  # (B, Q, T)
            alone, mixing = flow.split([flow.shape[-1] - fused.shape[1], fused.shape[1]], dim=-1)
            read = (mixing / fused.sum(dim=-1)[:, None]) @ fused  # rows of fused brought to a sum of 1, at little cost
            read = read + pad(alone, (0, fused.shape[1]))
            flow = (1 - residual) * read + residual * flow
    assert flow is not None, "rollout needs the attention of at least one block"
    return flow


def _discard(weights: Tensor, ratio: float) -> Tensor:
    """Set the smallest ``ratio`` of every row to 0."""
    n_discarded = int(ratio * weights.shape[-1])
    if n_discarded == 0:
        return weights
    smallest = weights.topk(n_discarded, dim=-1, largest=False).indices
    return weights.scatter(-1, smallest, 0.0)


def last_attention_maps(attention: Sequence[Tensor], n_concepts: int, grid_size: tuple[int, int]) -> Tensor:
    """Head-averaged attention of the last block from concepts to patches: (B, M, h, w), each map sums to 1."""
    rows = fuse_heads(attention[-1])[:, -n_concepts:]  # (B, M, T)
    return _to_maps(rows, n_concepts, grid_size)


def rollout_maps(
    attention: Sequence[Tensor], n_concepts: int, grid_size: tuple[int, int], settings: MapSettings = MapSettings()
) -> Tensor:
    """Rollout from every concept to the patches in one pass: (B, M, h, w), each map sums to 1."""
    flow = rollout(
        attention,
        slice(-n_concepts, None),
        head_fusion=settings.head_fusion,
        residual=settings.residual,
        discard_ratio=settings.discard_ratio,
    )
    return _to_maps(flow, n_concepts, grid_size)


def concept_maps(output: ConceptHashOutput, model: ConceptHash, settings: MapSettings) -> Tensor:
    """Maps of all concepts from one forward pass, by rollout or raw attention: (B, M, h, w), each sums to 1."""
    sizes = model.config.n_concepts, model.grid_size
    if settings.method == "raw":
        rows = fuse_heads(output.attention[-1], settings.head_fusion)[:, -sizes[0] :]
        return _to_maps(_discard(rows, settings.discard_ratio), *sizes)
    return rollout_maps(output.attention, *sizes, settings)


def gradient_maps(
    model: ConceptHash, images: Tensor, settings: MapSettings = MapSettings("gradient")
) -> tuple[Tensor, Tensor]:
    """Gradient-weighted attention of every concept: which patches hold its sub-code away from 0.

    Only tokens that read others speak: one that reads itself alone adds nothing to what it is given.

    Parameters
    ----------
    model
        In evaluation mode.
    images
        (B, 3, H, W) float, normalized.

    Returns
    -------
    Tensor of shape (B, M, h, w)
        Each map sums to 1; uniform where no attention speaks for the sub-code.
    Tensor of shape (B, K)
        Code logits of the same pass.

    References
    ----------
    Chefer, Gur, Wolf: Generic Attention-model Explainability, ICCV 2021, equations 5 and 6.
    """
    output = _forward_with_graph(model, images, settings)
    m = model.config.n_concepts
    margins = output.code_logits.abs().unflatten(1, (m, -1)).sum(dim=2)  # (B, M)
    rows = [_gradient_row(output, margins[:, j].sum(), j - m, settings) for j in range(m)]
    return _to_maps(torch.stack(rows, dim=1), m, model.grid_size), output.code_logits.detach()


def bit_map(model: ConceptHash, images: Tensor, bit: int, settings: MapSettings = MapSettings("gradient")) -> Tensor:
    """Gradient-weighted attention of one bit: (B, h, w), each map sums to 1."""
    output = _forward_with_graph(model, images, settings)
    concept = bit // model.config.bits_per_concept
    row = _gradient_row(output, output.code_logits[:, bit].abs().sum(), concept - model.config.n_concepts, settings)
    return _to_maps(row[:, None], model.config.n_concepts, model.grid_size)[:, 0]


def _forward_with_graph(model: ConceptHash, images: Tensor, settings: MapSettings) -> ConceptHashOutput:
    with torch.no_grad():
        features = model.backbone.stem(images)
    with torch.enable_grad():
        n_blocks = settings.n_attention(len(model.backbone.blocks))
        return model.forward_features(features.detach().requires_grad_(), n_attention=n_blocks)


def _gradient_row(output: ConceptHashOutput, target: Tensor, token: int, settings: MapSettings) -> Tensor:
    """Relevance (B, T) of all tokens for ``target``, read at output ``token``."""
    gradients = torch.autograd.grad(target, output.attention, retain_graph=True)
    row = torch.zeros_like(output.attention[-1][:, 0, 0])  # (B, T)
    row[:, token] = 1  # the token itself; what follows is equation 6, from the last block down
    for weights, gradient in zip(reversed(output.attention), reversed(gradients), strict=True):
        relevance = _discard(
            fuse_heads((weights * gradient).clamp(min=0), settings.head_fusion), settings.discard_ratio
        )
        n_rows = relevance.shape[1]
        row = row + (row[:, None, -n_rows:] @ relevance)[:, 0]
    return row.detach()


def _to_maps(rows: Tensor, n_concepts: int, grid_size: tuple[int, int]) -> Tensor:
    """Patch columns of token rows as maps that sum to 1, uniform where a row is 0: (B, R, T) → (B, R, h, w)."""
    n_patches = grid_size[0] * grid_size[1]
    end = rows.shape[-1] - n_concepts
    patches = rows[..., end - n_patches : end]  # (B, R, N)
    mass = patches.sum(dim=-1, keepdim=True)
    patches = torch.where(mass > 0, patches / mass.clamp(min=torch.finfo(patches.dtype).tiny), 1 / n_patches)
    return patches.unflatten(-1, grid_size)
