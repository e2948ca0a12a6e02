"""From concept embeddings to code logits: specificity embeddings, one shared linear map, batch norm over the code."""

import torch
from torch import Tensor, nn

from .config import HeadConfig

__all__ = ["HashHead", "SeparateMaps"]

ACTIVATIONS = {"relu": nn.ReLU, "gelu": nn.GELU, "none": nn.Identity}


class SeparateMaps(nn.Module):
    """One bias-free linear map for each concept: (B, M, D) → (B, M, K/M)."""

    def __init__(self, n_concepts: int, width: int, n_outputs: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(n_concepts, n_outputs, width))
        for matrix in self.weight:
            nn.init.kaiming_uniform_(matrix, a=5**0.5)  # as `torch.nn.Linear` begins

    def forward(self, concept_embeddings: Tensor) -> Tensor:
        """Every concept by its own map."""
        return torch.einsum("bmd,mkd->bmk", concept_embeddings, self.weight)


class HashHead(nn.Module):
    """``v = BN(flatten(h(Z + E)))`` with h one bias-free linear map shared by all concepts, if not told otherwise.

    Parameters
    ----------
    n_concepts, n_bits
        M and K; each concept owns K/M bits, concept 0 the first.
    width
        D, width of a concept embedding.
    config
        Switches of h and of the batch norm.

    References
    ----------
    Method reference, table A.2 steps 9-12 and section A.5; variants: section F.3.
    """

    def __init__(self, n_concepts: int, n_bits: int, width: int, config: HeadConfig = HeadConfig()) -> None:
        super().__init__()
        specificity = torch.randn(n_concepts, width) * config.specificity
        self.specificity = nn.Parameter(specificity, requires_grad=config.specificity)  # E
        self.to_subcode = _subcode_map(n_concepts, width, n_bits // n_concepts, config)
        self.norm = nn.BatchNorm1d(n_bits) if config.batch_norm else nn.Identity()

    def forward(self, concept_embeddings: Tensor) -> Tensor:
        """Code logits v of concept embeddings Z: (B, M, D) → (B, K)."""
        subcodes = self.to_subcode(concept_embeddings + self.specificity)  # (B, M, K/M)
        return self.norm(subcodes.flatten(1))  # (B, K)


def _subcode_map(n_concepts: int, width: int, n_outputs: int, config: HeadConfig) -> nn.Module:
    """h, (B, M, D) → (B, M, K/M)."""
    if not config.shared:
        return SeparateMaps(n_concepts, width, n_outputs)
    if not config.hidden:
        return nn.Linear(width, n_outputs, bias=False)
    layers: list[nn.Module] = []
    for begin, end in zip((width, *config.hidden), (*config.hidden, n_outputs), strict=True):
        layers += [nn.Linear(begin, end), ACTIVATIONS[config.activation]()]
    return nn.Sequential(*layers[:-1])
