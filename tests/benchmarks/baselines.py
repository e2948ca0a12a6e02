"""Losses of other deep hashing methods on the very network of ConceptHash, each as its paper defines it.

All of them get the code logits behind the batch norm, and one class label an image, as ConceptHash does.
"""

import numpy as np
import torch
from scipy.linalg import hadamard
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy, cross_entropy, normalize, softplus

from concepthash.config import LossConfig
from concepthash.model import ConceptHash, ConceptHashOutput
from concepthash.objective import Objective

__all__ = ["CSQ", "HashNet", "OrthoHash", "Softmax", "fixed_centers"]

NO_MAPS = LossConfig(csd_weight=0.0, ground_weight=0.0)


def fixed_centers(n_classes: int, n_bits: int, seed: int = 0) -> Tensor:
    """Hash centers (C, K) of ±1 that never move: rows of ±Hadamard, or random signs far apart where those are too few.

    Random ones are taken one after the other if they differ from all before in d bits, with the largest d that gives
    enough. Of more classes than codes, as many share each code.
    """
    if n_bits & (n_bits - 1) == 0 and n_classes <= 2 * n_bits:
        rows = hadamard(n_bits)
        return torch.tensor(np.concatenate([rows, -rows])[:n_classes], dtype=torch.float32)
    random = np.random.default_rng(seed)
    if n_classes > 2**n_bits:
        every = np.arange(2**n_bits)[:, None] >> np.arange(n_bits) & 1
        drawn = np.concatenate([random.permutation(every) for _ in range(-(-n_classes // len(every)))])
        return torch.tensor(2 * drawn[:n_classes] - 1, dtype=torch.float32)
    for distance in range(n_bits // 2, 0, -1):
        centers = np.empty((0, n_bits))
        for signs in random.choice((-1.0, 1.0), (20_000, n_bits)):
            if (centers @ signs <= n_bits - 2 * distance).all():  # the product of two is K less twice their distance
                centers = np.vstack([centers, signs])
                if len(centers) == n_classes:
                    return torch.tensor(centers, dtype=torch.float32)
    raise AssertionError("Twenty thousand draws hold every code that is asked for, unless almost all codes are.")


class HashNet(Objective):
    """Weighted logistic loss on the inner products of all pairs, with tanh(βv) that sharpens as β grows.

    Pairs are those of a batch with the last n images seen, n the size of the training set: pairs within 32 images
    alone would hold next to no similar ones where there are many classes.

    References
    ----------
    Cao, Long, Wang, Yu: HashNet, ICCV 2017, equations 3 to 6.
    """

    def __init__(self, model: ConceptHash, n_images: int) -> None:
        super().__init__(model, NO_MAPS)
        n_bits = model.config.n_bits
        self.register_buffer("codes", torch.zeros(n_images, n_bits))
        self.register_buffer("seen", torch.full((n_images,), -1))
        self.n_steps, self.place, self.slope = 0, 0, 10 / n_bits

    def terms(self, output: ConceptHashOutput, labels: Tensor) -> dict[str, Tensor]:
        """See `Objective.terms`."""
        codes = torch.tanh((1 + 0.005 * self.n_steps) ** 0.5 * output.code_logits)  # (B, K)
        self.n_steps += 1
        rows = (self.place + torch.arange(len(labels))) % len(self.seen)
        self.place = int(rows[-1]) + 1
        self.codes[rows], self.seen[rows] = codes.detach(), labels
        known = self.seen >= 0
        similar = (labels[:, None] == self.seen[known]).float()  # (B, n)
        products = self.slope * codes @ self.codes[known].T
        weights = torch.where(similar > 0, similar.numel() / similar.sum(), similar.numel() / (1 - similar).sum())
        return {"total": (weights * (softplus(products) - similar * products)).mean()}


class CSQ(Objective):
    """Central similarity: binary cross-entropy of every bit with that of its class's center, and a little quantization.

    References
    ----------
    Yuan, Wang, Zhang, Tay, Jie, Liu, Feng: Central Similarity Quantization, CVPR 2020, equations 4 to 7.
    """

    def __init__(self, model: ConceptHash, seed: int = 0) -> None:
        super().__init__(model, NO_MAPS)
        self.register_buffer("centers", fixed_centers(model.config.n_classes, model.config.n_bits, seed))

    def terms(self, output: ConceptHashOutput, labels: Tensor) -> dict[str, Tensor]:
        """See `Objective.terms`."""
        codes = torch.tanh(output.code_logits)
        central = binary_cross_entropy((codes + 1) / 2, (self.centers[labels] + 1) / 2)
        return {"total": central + 1e-4 * (codes.abs() - 1).square().mean()}


class OrthoHash(Objective):
    """Cross-entropy of cosines with fixed, nearly orthogonal binary centers, with a margin; its one and only loss.

    References
    ----------
    Hoe, Ng, Zhang, Chan, Song, Xiang: One Loss for All, NeurIPS 2021, equation 8; scale and margin as for ConceptHash.
    """

    SCALE, MARGIN = 8.0, 0.2

    def __init__(self, model: ConceptHash, seed: int = 0) -> None:
        super().__init__(model, NO_MAPS)
        self.register_buffer("centers", normalize(fixed_centers(model.config.n_classes, model.config.n_bits, seed)))

    def terms(self, output: ConceptHashOutput, labels: Tensor) -> dict[str, Tensor]:
        """See `Objective.terms`."""
        cosine = normalize(output.code_logits) @ self.centers.T  # (B, C)
        cosine = cosine - self.MARGIN * torch.nn.functional.one_hot(labels, cosine.shape[1])
        return {"total": cross_entropy(self.SCALE * cosine, labels)}


class Softmax(Objective):
    """A linear classifier on the concept embeddings: what ITQ and LSH get that are to hash trained features."""

    def __init__(self, model: ConceptHash) -> None:
        super().__init__(model, NO_MAPS)
        self.classifier = nn.Linear(model.config.n_concepts * model.backbone.width, model.config.n_classes)

    def terms(self, output: ConceptHashOutput, labels: Tensor) -> dict[str, Tensor]:
        """See `Objective.terms`."""
        return {"total": cross_entropy(self.classifier(output.concept_embeddings.flatten(1)), labels)}
