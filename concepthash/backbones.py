"""Vision transformers from timm, pure or hybrid, behind one small face: stem, tokens, blocks, attention."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from torch import Tensor, nn

from .adapters import AdaptedBlock
from .config import BackboneConfig
from .dropout import drop_channels
from .errors import ConfigError
from .patch_reading import PatchReading
from .stems import cut_tail, make_stem
from .timm_parts import Block, HybridEmbed, VisionTransformer, timm

__all__ = ["Backbone", "build_backbone", "capture_attention", "pretrained_input"]


class Backbone(nn.Module):
    """A timm vision transformer taken apart where ConceptHash enters it.

    ``stem`` is what never trains and may be cached, ``tokens`` is everything up to the first block, and ``blocks``
    are the transformer blocks. Final norm and classifier of the transformer are left out: the paper reads the raw
    residual stream (reference: method, table A.2, step 8).

    Parameters
    ----------
    vit
        The timm model; its ``patch_embed`` is a patch convolution (pure) or a `HybridEmbed` (hybrid).
    adapter_dim
        Bottleneck width of the adapters put beside every sub-layer; 0 for none.
    class_token
        Whether the tokens before the patches enter the blocks, or are left out.
    tail
        Stages of a hybrid's stem that train, where they were cut off it; None where the whole stem is frozen.
    """

    def __init__(
        self, vit: VisionTransformer, adapter_dim: int = 0, *, class_token: bool = True, tail: nn.Module | None = None
    ) -> None:
        super().__init__()
        self.class_token = class_token
        self.tail = tail or nn.Identity()
        self.feature_dropout = nn.Dropout2d(0.0)  # whoever trains sets its share of channels
        vit.norm, vit.fc_norm, vit.head = nn.Identity(), nn.Identity(), nn.Identity()
        self.vit = vit
        if adapter_dim:
            vit.blocks = nn.Sequential(
                *[AdaptedBlock(_plain_block(block), vit.embed_dim, adapter_dim) for block in vit.blocks]
            )

    @property
    def width(self) -> int:
        """D, the width of every token."""
        return int(self.vit.embed_dim)

    @property
    def grid_size(self) -> tuple[int, int]:
        """Rows and columns (h, w) of the patch grid."""
        rows, columns = self.vit.patch_embed.grid_size
        return int(rows), int(columns)

    @property
    def n_prefix(self) -> int:
        """Tokens that stand before the patches: CLS and registers, 0 where the backbone has none or drops them."""
        return int(self.vit.num_prefix_tokens) if self.class_token else 0

    @property
    def blocks(self) -> nn.Sequential:
        """The transformer blocks, in order."""
        return self.vit.blocks

    @property
    def frozen_stem(self) -> nn.Module:
        """What never trains of the convolutional stem of a hybrid, or an identity for a pure transformer."""
        embed = self.vit.patch_embed
        return embed.backbone if isinstance(embed, HybridEmbed) else nn.Identity()

    def stem(self, images: Tensor) -> Tensor:
        """Features that can be cached: (B, 3, H, W) → (B, F, h, w), or the images themselves for a pure transformer."""
        return self.frozen_stem(images)

    def tokens(self, features: Tensor) -> Tensor:
        """Tokens that enter the first block, position embedding added: (B, F, h, w) → (B, n_prefix + N, D)."""
        embed = self.vit.patch_embed
        if isinstance(embed, HybridEmbed):
            features = self.feature_dropout(self.tail(features))
            patches = embed.proj(features).flatten(2).transpose(1, 2)  # (B, N, D)
        else:
            patches = embed(features)  # (B, N, D), or (B, h, w, D) with dynamic sizes
        tokens = self.vit._pos_embed(patches)
        return tokens if self.class_token else tokens[:, self.vit.num_prefix_tokens :]

    def read_patches_only(self, n_concepts: int, n_registers: int) -> None:
        """Let the last M tokens read the patches, and every other token itself alone, for good; see `PatchReading`."""
        for block in map(_plain_block, self.blocks):
            block.attn = PatchReading(block.attn, n_concepts, n_registers + self.n_prefix)


def build_backbone(config: BackboneConfig, *, pretrained: bool = False) -> Backbone:
    """Make the network that ``config`` names; random weights unless ``pretrained`` ones can be fetched.

    Raises
    ------
    ConfigError
        If timm has no such model, or it is not a vision transformer, or there are no weights to fetch.
    """
    if config.is_hybrid:
        return _hybrid(config)
    if config.name == "clip":
        if pretrained:
            raise ConfigError(
                "A backbone called 'clip' has no weights of its own to fetch; import a checkpoint, or name one of "
                "timm's, such as vit_base_patch32_clip_quickgelu_224.openai."
            )
        return Backbone(_clip(config), config.adapter_dim, class_token=config.class_token)
    try:
        vit = timm.create_model(config.name, pretrained=pretrained, num_classes=0, img_size=tuple(config.image_size))
    except (RuntimeError, ValueError, TypeError, AssertionError) as error:
        raise ConfigError(f"{config.name!r} is not a VisionTransformer that timm can make ({error}).") from error
    if not isinstance(vit, VisionTransformer):
        raise ConfigError(f"{config.name!r} is a {type(vit).__name__}; choose a timm VisionTransformer.")
    return Backbone(vit, config.adapter_dim, class_token=config.class_token)


def pretrained_input(name: str) -> dict[str, Any]:
    """What the weights of a timm model expect of an image: ``image_size``, ``mean`` and ``std`` of `BackboneConfig`.

    Raises
    ------
    ConfigError
        If timm knows no such model, or not what its weights expect.
    """
    try:
        expected = timm.get_pretrained_cfg(name)
    except RuntimeError as error:  # what stands behind the dot is none of its weights
        raise ConfigError(f"timm does not know {name!r}: {error}.") from error
    if expected is None:
        raise ConfigError(f"timm does not know {name!r}; choose a name that timm.list_models() gives.")
    return {"image_size": expected.input_size[1:], "mean": expected.mean, "std": expected.std}


def _clip(config: BackboneConfig) -> VisionTransformer:
    mlp_dim = config.mlp_dim or 4 * config.width
    return VisionTransformer(
        img_size=tuple(config.image_size),  # type: ignore[arg-type]
        patch_size=config.patch_size,
        embed_dim=config.width,
        depth=config.depth,
        num_heads=config.n_heads,
        mlp_ratio=(mlp_dim + 0.5) / config.width,  # timm rounds the product down
        pre_norm=True,
        norm_layer=nn.LayerNorm,  # with an epsilon of 1e-5, which timm's own default is not
        act_layer="quick_gelu" if config.activation == "quickgelu" else nn.GELU,
        num_classes=0,
    )


def _hybrid(config: BackboneConfig) -> Backbone:
    stem = make_stem(config)

    def embed(**kwargs: object) -> HybridEmbed:
        return HybridEmbed(stem, patch_size=1, **{k: v for k, v in kwargs.items() if k != "patch_size"})  # type: ignore[arg-type]

    vit = VisionTransformer(
        img_size=tuple(config.image_size),  # type: ignore[arg-type]
        embed_layer=embed,
        embed_dim=config.width,
        depth=config.depth,
        num_heads=config.n_heads,
        num_classes=0,
        class_token=False,
        pos_drop_rate=config.dropout,
        proj_drop_rate=config.dropout,
        drop_path_rate=config.drop_path,
        global_pool="avg",
    )
    drop_channels(vit)
    return Backbone(vit, config.adapter_dim, tail=cut_tail(stem, config.trained_stages))


@contextmanager
def capture_attention(blocks: Sequence[nn.Module]) -> Iterator[list[Tensor]]:
    """Collect the softmax attention (B, H, Q, T) of every one of ``blocks`` that runs inside the ``with``.

    Fused attention returns no weights, so it is off in exactly these blocks, and only inside the ``with``. Two
    threads must not do this to one model at once.
    """
    attentions: list[Any] = [_plain_block(block).attn for block in blocks]
    weights: list[Tensor] = []
    was_fused = [attention.fused_attn for attention in attentions]
    hooks = []
    try:
        for attention in attentions:
            attention.fused_attn = False
            hooks.append(attention.attn_drop.register_forward_hook(lambda _m, inputs, _out: weights.append(inputs[0])))
        yield weights
    finally:
        for hook in hooks:
            hook.remove()
        for attention, fused in zip(attentions, was_fused, strict=True):
            attention.fused_attn = fused


def _plain_block(block: nn.Module) -> Block:
    inner = block.block if isinstance(block, AdaptedBlock) else block
    if not isinstance(inner, Block):
        raise ConfigError(
            f"Blocks of kind {type(inner).__name__} cannot be read; choose a timm model with plain blocks."
        )
    return inner
