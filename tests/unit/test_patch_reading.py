"""Attention of concepts to patches alone gives what timm's gives under the mask that says the same."""

import copy

import pytest
import torch
from timm.layers import Attention
from torch import Tensor, nn

from concepthash.errors import ConfigError
from concepthash.patch_reading import PatchReading

M, BEFORE, T, WIDTH = 3, 2, 14, 24


def attention(**changes: object) -> Attention:
    torch.manual_seed(0)
    return Attention(WIDTH, 4, **({"qkv_bias": True, "norm_layer": nn.LayerNorm} | changes))


def mask() -> Tensor:
    """(T, T), True where a token (row) may read another (column)."""
    readable = torch.eye(T, dtype=torch.bool)
    readable[-M:] = False
    readable[-M:, BEFORE:-M] = True
    return readable


def kept_weights(layer: nn.Module) -> list[Tensor]:
    """Make a layer give its weights, as `capture_attention` does; the list fills when it runs."""
    weights: list[Tensor] = []
    layer.fused_attn = False
    layer.attn_drop.register_forward_hook(lambda _m, inputs, _out: weights.append(inputs[0]))
    return weights


@pytest.mark.parametrize(
    "changes", [{}, {"qkv_bias": False}, {"qk_norm": True}, {"scale_norm": True}, {"proj_bias": False}]
)
def test_it_gives_what_the_mask_gives(changes: dict[str, object]) -> None:
    masked = attention(**changes)
    ours = PatchReading(copy.deepcopy(masked), M, BEFORE)
    weights = kept_weights(masked), kept_weights(ours)
    tokens, direction = torch.randn(2, 5, T, WIDTH)
    inputs = [tokens.clone().requires_grad_() for _ in range(2)]
    outputs = masked(inputs[0], attn_mask=mask()), ours(inputs[1])
    torch.testing.assert_close(*outputs)
    whole, rows = weights[0][0], weights[1][0]
    torch.testing.assert_close(rows, whole[:, :, -M:])
    gradients = [
        torch.autograd.grad((output * direction).sum(), [kept[0], given, *layer.parameters()])
        for output, kept, given, layer in zip(outputs, weights, inputs, (masked, ours), strict=True)
    ]
    for expected, got in zip(gradients[0][1:], gradients[1][1:], strict=True):  # of tokens and weights
        torch.testing.assert_close(got, expected)
    torch.testing.assert_close(rows * gradients[1][0], (whole * gradients[0][0])[:, :, -M:])


def test_it_keeps_the_names_of_its_weights() -> None:
    layer = attention(qk_norm=True)
    names = list(layer.state_dict())
    assert list(PatchReading(layer, M, BEFORE).state_dict()) == names


def test_attention_of_another_kind_is_named() -> None:
    class Other(Attention):
        """Not plain."""

    with pytest.raises(ConfigError, match=r"reading='patches' needs plain attention, not timm's Other"):
        PatchReading(Other(WIDTH, 4), M, BEFORE)
