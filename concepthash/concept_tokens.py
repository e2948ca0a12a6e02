"""The M learnable concept tokens: free vectors, or generated from queries as in the released code."""

import torch
from torch import Tensor, nn

__all__ = ["ConceptTokens", "GeneratedConceptTokens"]


class ConceptTokens(nn.Module):
    """Free concept tokens V of shape (M, D), drawn from N(0, 1): small ones would be drowned by the first block's
    output, which is the same for all of them, and stay alike.
    """

    def __init__(self, n_concepts: int, width: int) -> None:
        super().__init__()
        self.concept_tokens = nn.Parameter(torch.randn(n_concepts, width))

    def forward(self) -> Tensor:
        """V, (M, D)."""
        return self.concept_tokens


class GeneratedConceptTokens(nn.Module):
    """Concept tokens made by one attention and feed-forward layer over learned queries.

    The *residual* is normalized and the branch input is not: ``Y1 = LN1(Q) + MHA(Q)``, ``Y2 = LN2(Y1) + FFN(Y1)``,
    ``V = OUT(Y2)``.

    References
    ----------
    Method reference, section A.3.
    """

    def __init__(self, n_concepts: int, width: int, *, query_dim: int = 512, n_heads: int = 8) -> None:
        super().__init__()
        self.queries = nn.Parameter(torch.randn(1, n_concepts, query_dim))
        self.attention = nn.MultiheadAttention(query_dim, n_heads, dropout=0.1, batch_first=True)
        self.norm1, self.norm2 = nn.LayerNorm(query_dim), nn.LayerNorm(query_dim)
        self.ffn = nn.Sequential(
            nn.Linear(query_dim, query_dim), nn.ReLU(), nn.Dropout(0.1), nn.Linear(query_dim, query_dim)
        )
        self.out = nn.Linear(query_dim, width)

    def forward(self) -> Tensor:
        """V, (M, D); in training mode one dropout mask is shared by the whole batch."""
        queries = self.queries  # (1, M, T)
        mixed = self.norm1(queries) + self.attention(queries, queries, queries, need_weights=False)[0]
        mixed = self.norm2(mixed) + self.ffn(mixed)
        return self.out(mixed)[0]  # (M, D)
