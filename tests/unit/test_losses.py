"""Every loss term against a formula written out by hand."""

import math

import pytest
import torch
from builders import tiny_config, tiny_model
from torch import Tensor

from concepthash.config import LOSS_PRESETS, LossConfig
from concepthash.errors import ConfigError
from concepthash.losses import (
    center_separation_loss,
    classification_loss,
    concept_discrimination_loss,
    concept_spatial_diversity_loss,
    evidence_loss,
    grounding_loss,
    loss_terms,
    quantization_gap,
    quantization_loss,
    subcode_diversity_loss,
    total_loss,
)


def by_hand(vectors: Tensor, centers: Tensor, labels: Tensor, scale: float, margin: float) -> float:
    terms = []
    for vector, label in zip(vectors, labels.tolist(), strict=True):
        cosines = [float(vector @ c / vector.norm() / c.norm()) for c in centers]
        cosines[label] -= margin
        terms.append(-math.log(math.exp(scale * cosines[label]) / sum(math.exp(scale * c) for c in cosines)))
    return sum(terms) / len(terms)


@pytest.fixture
def tensors() -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    codes, centers = torch.randn(4, 6, generator=generator), torch.randn(3, 6, generator=generator)
    return codes, centers, torch.tensor([0, 2, 1, 1])


def test_classification_is_a_cosine_cross_entropy_with_margin(tensors: tuple[Tensor, Tensor, Tensor]) -> None:
    codes, centers, labels = tensors
    assert float(classification_loss(codes, centers, labels)) == pytest.approx(by_hand(*tensors, 8.0, 0.2), rel=1e-5)


def test_quantization_compares_with_signs_and_moves_no_center(tensors: tuple[Tensor, Tensor, Tensor]) -> None:
    codes, centers, labels = tensors
    codes, centers = codes.requires_grad_(), centers.requires_grad_()
    loss = quantization_loss(codes, centers, labels)
    assert float(loss.detach()) == pytest.approx(
        by_hand(codes.detach(), centers.detach().sign(), labels, 8.0, 0.2), rel=1e-5
    )
    loss.backward()
    assert codes.grad is not None
    assert centers.grad is None


@pytest.mark.parametrize(("margin_on", "margins"), [("all", (0.2, 0.2)), ("first", (0.2, 0.0))])
def test_concept_discrimination_averages_concepts_with_their_margins(
    margin_on: str, margins: tuple[float, ...]
) -> None:
    generator = torch.Generator().manual_seed(1)
    z, offset = torch.randn(4, 2, 6, generator=generator), torch.randn(2, 6, generator=generator)
    centroids, labels = torch.randn(3, 6, generator=generator), torch.tensor([0, 2, 1, 1])
    expected = sum(by_hand(z[:, m] + offset[m], centroids, labels, 8.0, margins[m]) for m in range(2)) / 2
    got = concept_discrimination_loss(z, offset, centroids, labels, margin_on=margin_on)
    assert float(got) == pytest.approx(expected, rel=1e-5)


def test_spatial_diversity_is_one_for_equal_and_zero_for_disjoint_maps() -> None:
    same = torch.rand(2, 1, 3, 4).expand(2, 3, 3, 4)
    assert float(concept_spatial_diversity_loss(same)) == pytest.approx(1.0)
    disjoint = torch.eye(12)[:3].view(1, 3, 3, 4)
    assert float(concept_spatial_diversity_loss(disjoint)) == 0.0


def test_spatial_diversity_of_a_single_concept_is_zero_and_not_nan() -> None:
    assert float(concept_spatial_diversity_loss(torch.rand(2, 1, 3, 4))) == 0.0


def test_subcode_diversity_compares_how_concepts_arrange_the_classes() -> None:
    first = torch.tensor([[1.0, 1.0], [1.0, -1.0], [-1.0, 1.0], [-1.0, -1.0]])  # four classes, two bits
    same = torch.cat([first, first[:, [1, 0]] * torch.tensor([-1.0, 1.0])], dim=1)  # bits swapped and flipped
    assert float(subcode_diversity_loss(same, 2)) == pytest.approx(1.0)
    other = torch.cat([first[:, :1], first[:, 1:]], dim=1)  # one bit each, and the bits are independent
    assert float(subcode_diversity_loss(other, 2)) == pytest.approx(0.0, abs=1e-6)
    assert float(subcode_diversity_loss(first, 1)) == 0.0


def test_long_centers_of_a_few_classes_do_not_hide_that_the_others_repeat_their_sub_codes() -> None:
    torch.manual_seed(0)
    part = torch.randn(30, 4)
    repeating = torch.cat([part, part], dim=1)
    repeating[:5] = 100 * torch.randn(5, 8)
    assert float(subcode_diversity_loss(repeating, 2)) > 0.5
    assert float(subcode_diversity_loss(torch.randn(30, 8), 2)) < 0.3


def test_separation_is_what_two_codes_are_more_alike_than_random_ones() -> None:
    apart = torch.ones(3, 16)
    apart[1, :4] = apart[2, 4:12] = -1  # of 16 bits a quarter may be all that differs
    assert float(center_separation_loss(apart)) == pytest.approx(0.0, abs=1e-6)
    near = apart[[0, 0, 2]] * torch.tensor([[1.0], [50.0], [1.0]])  # a long center has the same code as a short one
    assert float(center_separation_loss(near)) == pytest.approx(2 * 0.5 / 3)


def test_a_center_of_zeros_gives_terms_and_gradients_that_are_finite() -> None:
    centers = torch.cat([torch.zeros(1, 8), torch.eye(4, 8)]).requires_grad_()
    (subcode_diversity_loss(centers, 2) + center_separation_loss(centers)).backward()
    assert centers.grad is not None and centers.grad.isfinite().all()


@pytest.mark.parametrize("name", ["sub", "sep"])
def test_terms_of_the_centers_move_them(name: str, images: Tensor) -> None:
    config, model = LossConfig(sub_weight=1.0, sep_weight=1.0), tiny_model().train()
    terms = loss_terms(model, model(images, n_attention=1), torch.tensor([0, 1, 2]), config)
    terms[name].backward()
    assert all(p.grad.abs().sum() > 0 for p in model.class_centers.parameters())


def test_evidence_is_the_cross_entropy_of_the_mean_vote() -> None:
    logits = torch.tensor([[[2.0, 0.0], [0.0, 0.0]]])  # two patches, two classes
    assert float(evidence_loss(logits, torch.tensor([0]))) == pytest.approx(math.log(1 + math.exp(-1)), rel=1e-5)


def test_grounding_is_minus_the_log_of_the_mass_on_the_activation_map() -> None:
    votes = torch.tensor([[[1.0, 9.0], [3.0, 9.0], [5.0, 9.0], [2.0, 9.0]]])  # class 0 over four patches: 0, .5, 1, .25
    maps = torch.tensor([[[[0.0, 0.5], [0.5, 0.0]], [[0.0, 0.0], [0.0, 1.0]]]])
    expected = -(math.log(0.75) + math.log(0.25)) / 2
    assert float(grounding_loss(maps, votes, torch.tensor([0]))) == pytest.approx(expected, rel=1e-5)


def test_grounding_may_count_only_what_speaks_more_than_the_mean_patch() -> None:
    votes = torch.tensor([[[0.0], [1.0], [5.0]]]).expand(1, 3, 2)  # mean 2
    maps = torch.tensor([[[[0.5, 0.25, 0.25]]]])
    loss = grounding_loss(maps, votes, torch.tensor([0]), floor="mean")
    assert float(loss) == pytest.approx(-math.log(0.25))
    assert float(grounding_loss(maps, votes, torch.tensor([0]))) == pytest.approx(-math.log(0.25 * 0.2 + 0.25))


def test_grounding_moves_the_map_and_not_the_patch_classifier() -> None:
    maps = torch.full((1, 1, 1, 2), 0.5, requires_grad=True)
    votes = torch.tensor([[[0.0], [1.0]]], requires_grad=True)
    grounding_loss(maps, votes, torch.tensor([0])).backward()
    assert maps.grad is not None
    assert maps.grad[0, 0, 0, 1] < maps.grad[0, 0, 0, 0]  # more mass on the evidence lowers the loss
    assert votes.grad is None


def test_grounding_stays_finite_where_all_patches_say_the_same() -> None:
    loss = grounding_loss(torch.full((1, 2, 1, 2), 0.5), torch.zeros(1, 2, 3), torch.tensor([1]))
    assert math.isfinite(float(loss))


@pytest.mark.parametrize("preset", sorted(LOSS_PRESETS))
def test_every_preset_gives_its_weighted_sum_and_a_gradient_where_it_should(preset: str, images: Tensor) -> None:
    config, model = LOSS_PRESETS[preset], tiny_model().train()
    output = model(images, n_attention=2)
    terms = loss_terms(model, output, torch.tensor([0, 1, 2]), config)
    weights = {name: getattr(config, f"{name}_weight", 1.0) for name in terms}
    expected = sum(weights[name] * float(term.detach()) for name, term in terms.items())
    total = total_loss(terms, config)
    assert float(total.detach()) == pytest.approx(expected, rel=1e-5)
    total.backward()
    assert ("csd" in terms) == (config.csd_weight > 0)
    assert (model.patch_classifier.weight.grad is not None) == (config.ground_weight > 0)
    assert all(p.grad is None for p in model.backbone.frozen_stem.parameters())


def test_the_offset_of_concept_discrimination_is_its_own_that_of_the_head_or_none(images: Tensor) -> None:
    model, labels = tiny_model(), torch.tensor([0, 1, 2])
    output = model(images)
    none = torch.zeros_like(model.concept_offset)
    offsets = {"own": model.concept_offset, "shared": model.hash_head.specificity, "none": none}
    for kind, offset in offsets.items():
        config = LossConfig(csd_weight=0, cd_offset=kind)  # type: ignore[arg-type]
        expected = concept_discrimination_loss(output.concept_embeddings, offset, model.concept_centroids, labels)
        torch.testing.assert_close(loss_terms(model, output, labels, config)["cd"], expected)


def test_presets_differ_where_paper_and_released_code_do() -> None:
    paper, released = LOSS_PRESETS["paper"], LOSS_PRESETS["released"]
    assert (paper.csd_weight, paper.cd_margin, paper.cd_offset) == (1.0, "all", "none")
    assert (released.csd_weight, released.cd_margin, released.cd_offset) == (0.0, "first", "own")
    assert {(p.clf_weight, p.quan_weight, p.cd_weight, p.scale, p.margin) for p in (paper, released)} == {
        (1, 1, 1, 8, 0.2)
    }
    assert {(p.ground_weight, p.sub_weight, p.sep_weight, p.csd_map) for p in (paper, released)} == {(0, 0, 0, "last")}


def test_grounding_a_model_without_patch_classifier_is_refused(images: Tensor) -> None:
    model = tiny_model(tiny_config(patch_classifier=False))
    with pytest.raises(ConfigError, match="L_ground needs the patch classifier"):
        loss_terms(model, model(images, n_attention=2), torch.tensor([0, 1, 2]), LOSS_PRESETS["grounded"])


def test_the_quantization_gap_is_zero_for_signs_and_one_minus_the_cosine_else() -> None:
    assert float(quantization_gap(torch.tensor([[3.0, -3.0, 3.0]]))) == pytest.approx(0.0, abs=1e-6)
    assert float(quantization_gap(torch.tensor([[3.0, -4.0]]))) == pytest.approx(1 - 7 / (5 * math.sqrt(2)), abs=1e-6)


def test_diversity_on_the_rollout_reaches_every_block(images: Tensor) -> None:
    model = tiny_model().train()
    config = LossConfig(clf_weight=0, quan_weight=0, cd_weight=0, csd_weight=1, csd_map="rollout")
    total_loss(loss_terms(model, model(images, n_attention=2), torch.tensor([0, 1, 2]), config), config).backward()
    assert all(block.attn.qkv.weight.grad.abs().sum() > 0 for block in model.backbone.blocks)


def test_one_concept_trains_with_the_paper_preset(images: Tensor) -> None:
    model = tiny_model(tiny_config(n_concepts=1)).train()
    terms = loss_terms(model, model(images, n_attention=1), torch.tensor([0, 1, 2]), LOSS_PRESETS["paper"])
    assert math.isfinite(float(total_loss(terms, LOSS_PRESETS["paper"]).detach()))


def test_a_loss_without_terms_is_refused() -> None:
    with pytest.raises(ConfigError, match="All weights of the loss are 0"):
        LossConfig(clf_weight=0, quan_weight=0, cd_weight=0, csd_weight=0)
