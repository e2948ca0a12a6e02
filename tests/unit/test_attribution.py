"""Rollout against a naive loop, and every kind of map against what it must be."""

import numpy as np
import pytest
import torch
from builders import tiny_config, tiny_model
from torch import Tensor

from concepthash.attention_centers import attention_centers
from concepthash.attribution import (
    MapSettings,
    bit_map,
    concept_maps,
    gradient_maps,
    last_attention_maps,
    rollout,
    rollout_maps,
)
from concepthash.backbones import capture_attention
from concepthash.checkpoint import Checkpoint
from concepthash.encoder import Encoder
from concepthash.errors import ConfigError
from concepthash.model import ConceptHash, ConceptHashOutput


def random_attention(n_blocks: int = 3, tokens: int = 14) -> list[Tensor]:
    generator = torch.Generator().manual_seed(3)
    return [torch.randn(2, 4, tokens, tokens, generator=generator).softmax(dim=-1) for _ in range(n_blocks)]


def naive_rollout(attention: list[Tensor], fusion: str, residual: float, discard: float) -> Tensor:
    out = []
    for image in range(attention[0].shape[0]):
        product = torch.eye(attention[0].shape[-1])
        for block in attention:
            heads = block[image]
            fused = {"mean": heads.mean(0), "max": heads.max(0).values, "min": heads.min(0).values}[fusion].clone()
            for row in fused:
                for column in row.argsort()[: int(discard * len(row))]:
                    row[column] = 0
                row /= row.sum()
            step = (1 - residual) * fused + residual * torch.eye(len(fused))
            product = step @ product
        out.append(product)
    return torch.stack(out)


@pytest.mark.parametrize("fusion", ["mean", "max", "min"])
@pytest.mark.parametrize(("residual", "discard"), [(0.5, 0.0), (0.0, 0.3), (0.7, 0.9)])
def test_rollout_equals_a_naive_loop(fusion: str, residual: float, discard: float) -> None:
    attention = random_attention()
    got = rollout(attention, head_fusion=fusion, residual=residual, discard_ratio=discard)
    torch.testing.assert_close(got, naive_rollout(attention, fusion, residual, discard))


def test_rows_of_a_rollout_sum_to_one() -> None:
    flow = rollout(random_attention(), discard_ratio=0.4)
    torch.testing.assert_close(flow.sum(dim=-1), torch.ones(2, 14))


def test_identity_attention_rolls_out_to_the_identity() -> None:
    identity = torch.eye(6).expand(2, 4, 6, 6)
    torch.testing.assert_close(rollout([identity] * 3), torch.eye(6).expand(2, 6, 6))


def test_rows_asked_for_are_the_rows_of_the_whole_rollout() -> None:
    attention = random_attention()
    torch.testing.assert_close(rollout(attention, slice(-2, None)), rollout(attention)[:, -2:])


def test_a_rollout_of_few_rows_is_that_of_the_whole_in_which_others_read_themselves_alone() -> None:
    rows = [block[:, :, -2:] for block in random_attention()]
    alone = torch.eye(12, 14).expand(2, 4, 12, 14)
    whole = [torch.cat([alone, block], dim=2) for block in rows]
    for settings in ({}, {"head_fusion": "max", "residual": 0.3, "discard_ratio": 0.4}):
        torch.testing.assert_close(rollout(rows, **settings), rollout(whole, slice(-2, None), **settings))


def test_maps_of_a_grid_that_is_not_square_keep_rows_and_columns() -> None:
    attention = torch.zeros(1, 1, 1 + 6 + 2, 1 + 6 + 2)  # CLS, a grid of 2 x 3, two concepts
    attention[..., 0] = 1
    attention[0, 0, -1] = torch.tensor([0.0, 0, 0, 0, 0, 0.5, 0, 0.5, 0])
    maps = last_attention_maps([attention], n_concepts=2, grid_size=(2, 3))
    expected = torch.zeros(2, 3)
    expected[1, 1] = 1  # patch 4
    torch.testing.assert_close(maps[0, 1], expected)
    torch.testing.assert_close(maps[0, 0], torch.full((2, 3), 1 / 6))  # looks at no patch: uniform


@pytest.mark.parametrize("method", ["rollout", "raw", "gradient"])
@pytest.mark.parametrize("last_k", [None, 1])
def test_every_map_sums_to_one(model: ConceptHash, images: Tensor, method: str, last_k: int | None) -> None:
    settings = MapSettings(method, last_k)
    if method == "gradient":
        maps, _ = gradient_maps(model, images, settings)
    else:
        maps = concept_maps(model(images, n_attention=settings.n_attention(2)), model, settings)
    assert maps.shape == (3, 2, 3, 4)
    assert (maps >= 0).all()
    torch.testing.assert_close(maps.sum(dim=(2, 3)), torch.ones(3, 2))


@pytest.mark.parametrize("reading", ["all", "patches"])
def test_the_gradient_map_is_equation_6_over_all_blocks(reading: str, images: Tensor) -> None:
    """A naive R ← R + Ā R from R = 1; attention that is not captured is that of patches to themselves."""
    model = tiny_model(tiny_config(reading=reading))
    features = model.backbone.stem(images).detach().requires_grad_()
    output = model.forward_features(features, n_attention=2)
    n_tokens = output.attention[0].shape[-1]
    for concept in range(2):
        margin = output.code_logits.unflatten(1, (2, -1))[:, concept].abs().sum()
        gradients = torch.autograd.grad(margin, output.attention, retain_graph=True)
        for image in range(3):
            flow = torch.eye(n_tokens)
            for weights, gradient in zip(output.attention, gradients, strict=True):
                step = torch.zeros(n_tokens, n_tokens)
                step[-weights.shape[2] :] = (weights[image] * gradient[image]).clamp(min=0).mean(dim=0)
                flow = flow + step @ flow
            expected = flow[n_tokens - 2 + concept, -14:-2].reshape(3, 4)
            got = gradient_maps(model, images)[0][image, concept]
            torch.testing.assert_close(got, expected / expected.sum(), rtol=1e-3, atol=1e-5)


def test_a_gradient_map_sees_more_than_the_last_block(model: ConceptHash, images: Tensor) -> None:
    one, all_of_them = (gradient_maps(model, images, MapSettings("gradient", last_k))[0] for last_k in (1, None))
    assert not torch.allclose(one, all_of_them, atol=1e-3)


def test_the_map_of_one_bit_differs_from_that_of_another(model: ConceptHash, images: Tensor) -> None:
    first, other = bit_map(model, images, 0), bit_map(model, images, 3)
    torch.testing.assert_close(first.sum(dim=(1, 2)), torch.ones(3))
    assert not torch.allclose(first, other)


def test_a_concept_map_is_the_same_alone_and_in_a_batch(model: ConceptHash, images: Tensor) -> None:
    def maps(batch: Tensor) -> Tensor:
        return rollout_maps(model(batch, n_attention=2).attention, 2, model.grid_size)

    torch.testing.assert_close(maps(images)[1:2], maps(images[1:2]), rtol=1e-4, atol=1e-6)


def test_gradient_of_a_bit_is_a_finite_difference_of_its_logit(model: ConceptHash, images: Tensor) -> None:
    output = model(images[:1], n_attention=1)
    (gradient,) = torch.autograd.grad(output.code_logits[0, 5], output.attention)
    step, block = 1e-3, model.backbone.blocks[-1]
    direction = torch.randn_like(gradient)

    def shifted(sign: float) -> float:
        hook = block.attn.attn_drop.register_forward_hook(lambda _m, _i, out: out + sign * step * direction)
        block.attn.fused_attn = False
        try:
            return float(model(images[:1]).code_logits[0, 5].detach())
        finally:
            hook.remove()
            block.attn.fused_attn = True

    measured = (shifted(1) - shifted(-1)) / (2 * step)
    assert measured == pytest.approx(float((gradient * direction).sum()), rel=0.02, abs=1e-3)


def test_fused_attention_is_off_only_where_weights_are_read(model: ConceptHash, images: Tensor) -> None:
    blocks = list(model.backbone.blocks)
    with capture_attention(blocks[1:]) as weights:
        assert [block.attn.fused_attn for block in blocks] == [True, False]
        model(images)
    assert [block.attn.fused_attn for block in blocks] == [True, True]
    assert len(weights) == 1


def test_fused_attention_returns_after_an_error(model: ConceptHash) -> None:
    with pytest.raises(RuntimeError, match="boom"), capture_attention(list(model.backbone.blocks)):
        raise RuntimeError("boom")
    assert all(block.attn.fused_attn and not block.attn.attn_drop._forward_hooks for block in model.backbone.blocks)


def test_reading_attention_changes_no_code(model: ConceptHash, images: Tensor) -> None:
    torch.testing.assert_close(
        model(images).code_logits, model(images, n_attention=2).code_logits, rtol=1e-4, atol=1e-5
    )


@pytest.mark.parametrize(
    "wrong", [{"method": "magic"}, {"head_fusion": "median"}, {"last_k": 0}, {"residual": 1.0}, {"discard_ratio": -0.1}]
)
def test_map_settings_without_a_meaning_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ConfigError):
        MapSettings(**wrong)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("row", "column", "center"), [(0, 0, [0.125, 0.25]), (1, 2, [0.625, 0.75]), (0, 3, [0.875, 0.25])]
)
def test_the_center_of_one_cell_is_its_middle_on_a_grid_that_is_not_square(
    row: int, column: int, center: list[float]
) -> None:
    maps = np.zeros((2, 3, 2, 4), np.float32)
    maps[..., 0, 0] = 1
    maps[1, 2] = 0
    maps[1, 2, row, column] = 1
    centers = attention_centers(maps)
    assert (centers.shape, centers.dtype) == ((2, 3, 2), np.float32)
    assert centers[1, 2].tolist() == center
    assert centers[1, 1].tolist() == [0.125, 0.25]


def test_the_center_of_a_uniform_map_is_the_middle_of_the_image() -> None:
    np.testing.assert_allclose(attention_centers(np.full((1, 1, 3, 5), 1 / 15, np.float32)), 0.5, rtol=1e-6)


def test_the_center_of_a_map_is_the_mean_of_its_cells_by_weight() -> None:
    maps = np.random.default_rng(5).random((2, 3, 4, 6))
    expected = np.zeros((2, 3, 2))
    for row in range(4):
        for column in range(6):
            expected += maps[:, :, row, column, None] * [(column + 0.5) / 6, (row + 0.5) / 4]
    np.testing.assert_allclose(attention_centers(maps), expected / maps.sum(axis=(2, 3))[..., None], rtol=1e-6)


def random_photos() -> list[np.ndarray]:
    random = np.random.default_rng(4)
    return [random.integers(0, 256, (50 + n, 90, 3), dtype=np.uint8) for n in range(3)]


def test_encoding_gives_the_logits_of_the_codes_and_the_centers_of_the_maps(checkpoint: Checkpoint) -> None:
    encoder, photos = Encoder(checkpoint, "cpu"), random_photos()
    logits, centers = encoder.encode(photos)
    np.testing.assert_allclose(logits, encoder.code_logits(photos), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(centers, attention_centers(encoder.explain_batch(photos)[1]), atol=1e-6)
    assert len(np.unique(centers, axis=0)) == 3


def test_encoding_no_images_gives_empty_arrays(checkpoint: Checkpoint) -> None:
    logits, centers = Encoder(checkpoint, "cpu").encode([])
    assert (logits.shape, centers.shape) == ((0, 8), (0, 2, 2))


def test_half_precision_changes_no_code_and_hardly_a_center(checkpoint: Checkpoint) -> None:
    encoder, photos = Encoder(checkpoint, "cpu"), random_photos()
    full = encoder.encode(photos)
    encoder.half = True  # as on CUDA
    half = encoder.encode(photos)
    np.testing.assert_array_equal(half.code_logits > 0, full.code_logits > 0)
    np.testing.assert_array_equal(half.code_logits, encoder.code_logits(photos))
    assert 0 < np.abs(half.attention_centers - full.attention_centers).max() < 0.02
    assert half.attention_centers.dtype == np.float32


def test_an_image_that_half_precision_cannot_hold_is_encoded_again(checkpoint: Checkpoint) -> None:
    def overflow(_model: ConceptHash, _images: object, output: ConceptHashOutput) -> None:
        if torch.is_autocast_enabled("cpu"):
            for part in (*output[:3], *output.attention):
                part[0] = torch.nan

    encoder, photos = Encoder(checkpoint, "cpu"), random_photos()
    full = encoder.encode(photos)
    encoder._model.register_forward_hook(overflow)
    encoder.half, encoder.HALF_TOLERANCE = True, 0.0
    half = encoder.encode(photos)
    for found, expected in zip(half, full, strict=True):
        np.testing.assert_allclose(found[0], expected[0], rtol=1e-4, atol=1e-5)
        assert 0 < np.abs(found[1:] - expected[1:]).max() < 0.05
