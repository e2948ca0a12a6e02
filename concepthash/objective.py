"""What training minimizes, as one module, so that accelerate can wrap a model and its losses together."""

import torch
from torch import Tensor, nn

from .config import LossConfig
from .losses import loss_terms, total_loss
from .model import ConceptHash, ConceptHashOutput

__all__ = ["Objective"]


class Objective(nn.Module):
    """A model and its losses.

    Parameters
    ----------
    model
        With its stem weights.
    losses
        Weights and switches of the terms.
    """

    def __init__(self, model: ConceptHash, losses: LossConfig) -> None:
        super().__init__()
        self.model, self.losses = model, losses
        needs_maps = bool(losses.csd_weight or losses.ground_weight)
        self.n_attention = (len(model.backbone.blocks) if losses.csd_map == "rollout" else 1) if needs_maps else 0

    def forward(self, features: Tensor, labels: Tensor) -> dict[str, Tensor]:
        """Every term of stem features (b, F, h, w) and labels (b,), unweighted, and ``"total"``."""
        output = self.model.forward_features(features, n_attention=self.n_attention)
        logits, embeddings, patches, attention = output
        output = ConceptHashOutput(
            logits.float(), embeddings.float(), patches.float(), tuple(a.float() for a in attention)
        )
        with torch.autocast(features.device.type, enabled=False):  # cosines, which 8 bits cannot tell apart
            return self.terms(output, labels)

    def terms(self, output: ConceptHashOutput, labels: Tensor) -> dict[str, Tensor]:
        """The same of a model's output, in float32."""
        terms = loss_terms(self.model, output, labels, self.losses)
        return terms | {"total": total_loss(terms, self.losses)}
