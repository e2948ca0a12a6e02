"""The loss terms of ConceptHash, one function each, and their weighted sum."""

import torch
from torch import Tensor
from torch.nn.functional import cosine_similarity, cross_entropy, normalize

from .attribution import last_attention_maps, rollout_maps
from .config import LossConfig
from .errors import ConfigError
from .model import ConceptHash, ConceptHashOutput

__all__ = [
    "center_separation_loss",
    "classification_loss",
    "concept_discrimination_loss",
    "concept_spatial_diversity_loss",
    "evidence_loss",
    "grounding_loss",
    "loss_terms",
    "quantization_gap",
    "quantization_loss",
    "subcode_diversity_loss",
    "total_loss",
]


def classification_loss(
    code_logits: Tensor, class_centers: Tensor, labels: Tensor, *, scale: float = 8.0, margin: float = 0.2
) -> Tensor:
    """L_clf: cosine cross-entropy between codes (B, K) and class centers (C, K), labels (B,).

    References
    ----------
    Method reference, section B.
    """
    cosine = normalize(code_logits, dim=1) @ normalize(class_centers, dim=1).T  # (B, C)
    return _margin_cross_entropy(cosine, labels, scale, margin)


def quantization_loss(
    code_logits: Tensor, class_centers: Tensor, labels: Tensor, *, scale: float = 8.0, margin: float = 0.2
) -> Tensor:
    """L_quan: the same against sign(o)/√K; no gradient reaches the centers.

    References
    ----------
    Method reference, section B.
    """
    return classification_loss(code_logits, class_centers.detach().sign(), labels, scale=scale, margin=margin)


def quantization_gap(code_logits: Tensor) -> Tensor:
    """How far code logits (B, K) are from their signs, 1 - cosine, mean over B; watched by the released code, no term.

    References
    ----------
    Method reference, section B.
    """
    return 1 - cosine_similarity(code_logits, code_logits.sign(), dim=1).mean()


def concept_discrimination_loss(
    concept_embeddings: Tensor,
    concept_offset: Tensor,
    centroids: Tensor,
    labels: Tensor,
    *,
    scale: float = 8.0,
    margin: float = 0.2,
    margin_on: str = "all",
) -> Tensor:
    """L_cd: every concept embedding Z^m + E'^m alone must tell the class, with centroids (C, D) shared by all.

    Parameters
    ----------
    concept_embeddings, concept_offset
        Z, (B, M, D), and E', (M, D).
    margin_on
        ``"all"`` concepts, or the ``"first"`` only as in the released code.

    References
    ----------
    Method reference, sections A.5 and B; row 0.7 of its first table.
    """
    cosine = normalize(concept_embeddings + concept_offset, dim=2) @ normalize(centroids, dim=1).T  # (B, M, C)
    terms = [
        _margin_cross_entropy(cosine[:, m], labels, scale, margin if m == 0 or margin_on == "all" else 0.0)
        for m in range(cosine.shape[1])
    ]
    return torch.stack(terms).mean()


def concept_spatial_diversity_loss(concept_maps: Tensor) -> Tensor:
    """L_csd: mean cosine over pairs of concept maps (B, M, h, w): 0 for disjoint maps, 1 for equal ones, 0 if M = 1.

    References
    ----------
    Method reference, section B.
    """
    return _mean_pairwise_cosine(concept_maps.flatten(2))


def subcode_diversity_loss(class_centers: Tensor, n_concepts: int) -> Tensor:
    """L_sub: concepts must arrange the classes differently; this project's own term, not the paper's.

    L_cd and a shared h let every concept write the same sub-code, so that a match by one concept is a match by all.
    This term is to sub-codes what L_csd is to maps: the mean over pairs of concepts of the linear centered kernel
    alignment of their parts of the soft signs of the centers (C, K): 0 where two concepts arrange the classes
    independently of one another, 1 where they arrange them alike, 0 if M = 1. Of the centers themselves it would be
    small as soon as a few of them are long and differ, whatever the codes of all others say.

    References
    ----------
    Linear CKA: Kornblith, Norouzi, Lee, Hinton, ICML 2019, section 3.
    """
    subcenters = _soft_signs(class_centers).unflatten(1, (n_concepts, -1)).transpose(0, 1)  # (M, C, K/M)
    subcenters = subcenters - subcenters.mean(dim=1, keepdim=True)
    return _mean_pairwise_cosine((subcenters @ subcenters.mT).flatten(1)[None])  # of Gram matrices (1, M, C·C)


def center_separation_loss(class_centers: Tensor) -> Tensor:
    """L_sep: no two classes may have nearly the same code; this project's own term, not the paper's.

    Similar names have similar centers, which makes families, but an image of a class whose code is three bits from
    another's is found with that one. The cosine of two random codes of K bits has a standard deviation of 1/√K. The
    term is the mean over classes of how far the cosines of the soft signs of its center and of every other one,
    (C, K), go beyond two of them: of 64 bits 24 must differ, of 16 bits four.
    """
    signs = normalize(_soft_signs(class_centers), dim=1)
    excess = (signs @ signs.T - 2 / signs.shape[1] ** 0.5).clamp(min=0)  # (C, C)
    return 2 * excess.triu(diagonal=1).sum() / len(signs)


def _soft_signs(class_centers: Tensor) -> Tensor:
    """What codes will keep of centers (C, K): ±1 where an entry is large beside the others of its row, 0 at 0."""
    size = class_centers.detach().abs().mean(dim=1, keepdim=True).clamp(min=1e-6)  # (C, 1)
    return class_centers / (class_centers**2 + (size / 2) ** 2).sqrt()


def _mean_pairwise_cosine(vectors: Tensor) -> Tensor:
    """Mean over pairs of the M vectors (B, M, N), and over B; 0 if M = 1."""
    vectors = normalize(vectors, dim=2)
    first, second = torch.triu_indices(vectors.shape[1], vectors.shape[1], offset=1)
    if len(first) == 0:
        return vectors.new_zeros(())
    return (vectors[:, first] * vectors[:, second]).sum(dim=2).mean()


def evidence_loss(patch_logits: Tensor, labels: Tensor) -> Tensor:
    """Cross-entropy of the patches' mean vote: trains the patch classifier that `grounding_loss` reads.

    Parameters
    ----------
    patch_logits
        (B, N, C), each patch token's logits before it has seen another patch.
    labels
        (B,) class indices.
    """
    return cross_entropy(patch_logits.mean(dim=1), labels)


def grounding_loss(concept_maps: Tensor, patch_logits: Tensor, labels: Tensor, *, floor: str = "min") -> Tensor:
    """L_ground: every concept must look where patches speak for the class; this project's own term, not the paper's.

    L_cd rewards what a concept token *knows*, and blocks carry that to it from anywhere, so that L_csd can be
    satisfied by looking away from the object. This term rewards where the token *looks*: minus the log of its map's
    mass on the class activation map of the true class, scaled to [0, 1] between ``floor`` and the largest vote.

    Parameters
    ----------
    concept_maps
        (B, M, h, w), each summing to 1.
    patch_logits
        (B, N, C); no gradient goes back through them.
    labels
        (B,) class indices.
    floor
        See ``ground_floor`` of `LossConfig`.

    References
    ----------
    Class activation map: Zhou, Khosla, Lapedriza, Oliva, Torralba, CVPR 2016.
    """
    votes = patch_logits.detach().gather(2, labels[:, None, None].expand(-1, patch_logits.shape[1], 1))  # (B, N, 1)
    low = votes.amin(dim=1, keepdim=True) if floor == "min" else votes.mean(dim=1, keepdim=True)
    evidence = (votes - low).clamp(min=0) / (votes.amax(dim=1, keepdim=True) - low).clamp(min=1e-6)
    mass = (concept_maps.flatten(2) @ evidence).squeeze(2)  # (B, M)
    return -mass.clamp(min=1e-6).log().mean()


def loss_terms(model: ConceptHash, output: ConceptHashOutput, labels: Tensor, config: LossConfig) -> dict[str, Tensor]:
    """Every term whose weight is not 0, unweighted, by name: clf, quan, cd, sub, sep, csd, evidence and ground.

    Raises
    ------
    ConfigError
        If L_ground is asked of a model without patch classifier.
    """
    centers = model.class_centers()  # (C, K)
    cosine = {"scale": config.scale, "margin": config.margin}
    terms = {}
    if config.clf_weight:
        terms["clf"] = classification_loss(output.code_logits, centers, labels, **cosine)
    if config.quan_weight:
        terms["quan"] = quantization_loss(output.code_logits, centers, labels, **cosine)
    if config.cd_weight:
        terms["cd"] = concept_discrimination_loss(
            output.concept_embeddings,
            _offset(model, config.cd_offset),
            model.concept_centroids,
            labels,
            margin_on=config.cd_margin,
            **cosine,
        )
    if config.sub_weight:
        terms["sub"] = subcode_diversity_loss(centers, model.config.n_concepts)
    if config.sep_weight:
        terms["sep"] = center_separation_loss(centers)
    if config.csd_weight or config.ground_weight:
        to_maps = rollout_maps if config.csd_map == "rollout" else last_attention_maps
        maps = to_maps(output.attention, model.config.n_concepts, model.grid_size)
    if config.csd_weight:
        terms["csd"] = concept_spatial_diversity_loss(maps)
    if config.ground_weight:
        if model.patch_classifier is None:
            raise ConfigError("L_ground needs the patch classifier; set patch_classifier, or ground_weight to 0.")
        patch_logits = model.patch_classifier(output.patch_tokens)  # (B, N, C)
        terms["evidence"] = evidence_loss(patch_logits, labels)
        terms["ground"] = grounding_loss(maps, patch_logits, labels, floor=config.ground_floor)
    return terms


def total_loss(terms: dict[str, Tensor], config: LossConfig) -> Tensor:
    """The sum of the terms, each times its weight."""
    weights = vars(config) | {"evidence_weight": 1.0}  # the patch classifier trains at its own, fixed pace
    return torch.stack([weights[f"{name}_weight"] * term for name, term in terms.items()]).sum()


def _offset(model: ConceptHash, kind: str) -> Tensor:
    """What L_cd adds to concept embeddings, (M, D)."""
    if kind == "own":
        return model.concept_offset
    return model.hash_head.specificity if kind == "shared" else torch.zeros_like(model.concept_offset)


def _margin_cross_entropy(cosine: Tensor, labels: Tensor, scale: float, margin: float) -> Tensor:
    """Cross-entropy of scaled cosines (B, C) with an additive margin on the true class."""
    target = torch.zeros_like(cosine).scatter_(1, labels[:, None], margin)
    return cross_entropy(scale * (cosine - target), labels)
