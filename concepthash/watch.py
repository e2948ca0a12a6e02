"""What can be watched while a model trains: mAP on the held-out part, and the maps of a few images."""

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from .attribution import MapSettings, concept_maps
from .codes import binarize, hamming, pack_words
from .features import Features
from .metrics import average_precision, bootstrap_mean
from .model import ConceptHash

__all__ = ["Watch"]

N_WATCHED = 3


class Watch:
    """Measures a model on features of its own, between two epochs.

    Parameters
    ----------
    model
        The one that trains.
    gallery, queries
        Features of the training images and of those held out, read without augmentation.
    gallery_labels, query_labels
        Their classes, (S,) and (Q,).
    """

    def __init__(
        self,
        model: ConceptHash,
        gallery: Features,
        gallery_labels: np.ndarray,
        queries: Features,
        query_labels: np.ndarray,
    ) -> None:
        self.model = model
        self.gallery, self.gallery_labels = gallery, gallery_labels
        self.queries, self.query_labels = queries, query_labels
        self.rows = np.unique(np.linspace(0, len(query_labels) - 1, N_WATCHED).round().astype(int))

    def mean_average_precision(self, query_logits: np.ndarray) -> tuple[float, float, float]:
        """Tie-averaged mAP with the training images as gallery, and its 95 % interval over queries: mean, low, high."""
        gallery = self._code_logits(self.gallery, len(self.gallery_labels))
        distances = hamming(pack_words(binarize(query_logits)), pack_words(binarize(gallery)))  # (Q, S)
        return bootstrap_mean(average_precision(distances, self.query_labels, self.gallery_labels))

    def query_logits(self) -> np.ndarray:
        """Code logits of the images held out, (Q, K)."""
        return self._code_logits(self.queries, len(self.query_labels))

    @torch.inference_mode()
    def maps(self) -> np.ndarray:
        """Rollout of every concept over the watched images, (n, M, h, w) float16."""
        settings = MapSettings()
        n_attention = settings.n_attention(len(self.model.backbone.blocks))
        output = self.model.eval().forward_features(self._plain(self.queries, self.rows), n_attention=n_attention)
        return concept_maps(output, self.model, settings).half().cpu().numpy()

    @torch.inference_mode()
    def _code_logits(self, features: Features, n: int) -> np.ndarray:
        self.model.eval()
        parts = [self.model.forward_features(self._plain(features, rows)).code_logits for rows in _blocks(n)]
        return torch.cat(parts).float().cpu().numpy()

    def _plain(self, features: Features, rows: np.ndarray) -> Tensor:
        read = features.read(rows, np.zeros_like(rows))
        return read.to(self.model.concept_offset.device).float()


def _blocks(n: int, size: int = 64) -> Iterator[np.ndarray]:
    for begin in range(0, n, size):
        yield np.arange(begin, min(n, begin + size))
