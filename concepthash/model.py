"""ConceptHash itself: `ConceptHash.forward` reads like the figure of the paper."""

from typing import NamedTuple

import torch
from torch import Tensor, nn

from .backbones import build_backbone, capture_attention
from .concept_tokens import ConceptTokens, GeneratedConceptTokens
from .config import ModelConfig
from .hash_head import HashHead
from .language import ClassCenters

__all__ = ["ConceptHash", "ConceptHashOutput"]


class ConceptHashOutput(NamedTuple):
    """What one forward pass gives; ``attention`` holds the blocks asked for, first to last.

    It has the rows of the last Q tokens: of all T, or of the M concepts where all others read themselves alone.
    """

    code_logits: Tensor  # (B, K), before the sign
    concept_embeddings: Tensor  # (B, M, D), Z
    patch_tokens: Tensor  # (B, N, D), the last that know of no other patch
    attention: tuple[Tensor, ...]  # each (B, H, Q, T), rows sum to 1


class ConceptHash(nn.Module):
    """M concept tokens beside the patches of a vision transformer, each giving one sub-code of the hash code.

    Parameters
    ----------
    config
        Sizes; see `ModelConfig`.
    class_text_features
        (C, T) text features of the class names, for language-guided centers; None otherwise.
    pretrained
        Whether timm may fetch pretrained weights of a pure transformer.

    Raises
    ------
    ConfigError
        If the text features do not fit the configuration, or the backbone cannot be made.

    References
    ----------
    Ng, Zhu, Song, Xiang: ConceptHash, arXiv 2406.08457; method reference, sections A and E.
    """

    def __init__(
        self, config: ModelConfig, class_text_features: Tensor | None = None, *, pretrained: bool = False
    ) -> None:
        super().__init__()
        self.config = config
        self.backbone = build_backbone(config.backbone, pretrained=pretrained)
        if config.reading == "patches":
            self.backbone.read_patches_only(config.n_concepts, config.n_registers)
        width = self.backbone.width
        self.concept_tokens = _token_source(config, width)
        self.hash_head = HashHead(config.n_concepts, config.n_bits, width, config.head)
        self.class_centers = ClassCenters(config, class_text_features)
        self.concept_offset = nn.Parameter(0.02 * torch.randn(config.n_concepts, width))  # E', used by L_cd only
        self.concept_centroids = nn.Parameter(torch.randn(config.n_classes, width))  # W of L_cd
        self.patch_classifier = nn.Linear(width, config.n_classes) if config.patch_classifier else None  # for L_ground
        self._freeze()

    def _freeze(self) -> None:
        """Stems never train; with adapters the whole transformer stays as it was, too."""
        self.backbone.frozen_stem.requires_grad_(False).eval()
        if self.config.backbone.adapter_dim:
            for name, parameter in self.backbone.named_parameters():
                parameter.requires_grad_("adapter" in name or name.startswith("tail."))

    def train(self, mode: bool = True) -> "ConceptHash":
        """Set training mode everywhere but in the frozen stem, whose batch statistics stay."""
        super().train(mode)
        self.backbone.frozen_stem.eval()
        return self

    @property
    def grid_size(self) -> tuple[int, int]:
        """Rows and columns (h, w) of the concept maps."""
        return self.backbone.grid_size

    def forward(self, images: Tensor, *, n_attention: int = 0) -> ConceptHashOutput:
        """Encode normalized images.

        Parameters
        ----------
        images
            (B, 3, H, W) float, normalized as ``config.backbone`` says.
        n_attention
            How many of the last blocks give their attention; 0 keeps fused attention in all of them.
        """
        return self.forward_features(self.backbone.stem(images), n_attention=n_attention)

    def forward_features(self, features: Tensor, *, n_attention: int = 0) -> ConceptHashOutput:
        """Encode what `Backbone.stem` gave, as training on cached features does."""
        backbone, m = self.backbone, self.config.n_concepts
        image_tokens = backbone.tokens(features)  # (B, P + N, D): CLS where there is one, then patches
        concept_tokens = self.concept_tokens().expand(len(image_tokens), -1, -1)  # (B, M + R, D), R registers
        x = torch.cat(
            [concept_tokens[:, m:], image_tokens, concept_tokens[:, :m]], dim=1
        )  # (B, T, D), T = R + P + N + M
        x = backbone.vit.norm_pre(x)
        with capture_attention(list(backbone.blocks)[len(backbone.blocks) - n_attention :]) as attention:
            x = backbone.blocks(x)  # (B, T, D)
        concept_embeddings = x[:, -m:]  # (B, M, D)
        code_logits = self.hash_head(concept_embeddings)  # (B, K)
        alone = image_tokens if self.config.reading == "all" else x[:, :-m]  # they have read others, or never will
        n_patches = self.grid_size[0] * self.grid_size[1]
        return ConceptHashOutput(code_logits, concept_embeddings, alone[:, -n_patches:], tuple(attention))


def _token_source(config: ModelConfig, width: int) -> ConceptTokens | GeneratedConceptTokens:
    n_tokens = config.n_concepts + config.n_registers
    if not config.prompt_generator:
        return ConceptTokens(n_tokens, width)
    return GeneratedConceptTokens(n_tokens, width, query_dim=config.prompt_dim, n_heads=config.prompt_heads)
