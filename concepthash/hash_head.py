"""From concept embeddings to code logits: specificity embeddings, one shared linear map, batch norm over the code."""

import torch
from torch import Tensor, nn

__all__ = ["HashHead"]


class HashHead(nn.Module):
    """``v = BN(flatten(h(Z + E)))`` with h one bias-free linear map shared by all concepts.

    Parameters
    ----------
    n_concepts, n_bits
        M and K; each concept owns K/M bits, concept 0 the first.
    width
        D, width of a concept embedding.

    References
    ----------
    Method reference, table A.2 steps 9-12 and section A.5.
    """

    def __init__(self, n_concepts: int, n_bits: int, width: int) -> None:
        super().__init__()
        self.specificity = nn.Parameter(torch.randn(n_concepts, width))
        self.to_subcode = nn.Linear(width, n_bits // n_concepts, bias=False)
        self.norm = nn.BatchNorm1d(n_bits)

    def forward(self, concept_embeddings: Tensor) -> Tensor:
        """Code logits v of concept embeddings Z: (B, M, D) → (B, K)."""
        subcodes = self.to_subcode(concept_embeddings + self.specificity)  # (B, M, K/M)
        return self.norm(subcodes.flatten(1))  # (B, K)
