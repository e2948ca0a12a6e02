"""From the tensors of an official checkpoint to a model of ours: sizes from shapes, weights to where they belong."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor

from .config import CLIP_MEAN, CLIP_STD, BackboneConfig, HeadConfig, ModelConfig
from .errors import CheckpointError, ConfigError
from .model import ConceptHash
from .official_file import listed, read_tensors, to_float32
from .official_layout import Layout, Row, rows_of, sizes_of, variant_of

__all__ = ["Assumed", "model_from_official"]

MAX_CLASSES = 100_000
MAX_IMAGE_SIZE = 4096  # pixels
CLIP_HEADS = {768: 12, 1024: 16, 1280: 16, 1408: 16, 1664: 16}  # by width: ViT-B, L, H, g and G of OpenAI and open_clip


@dataclass(frozen=True)
class Assumed:
    """What no shape of an official file tells.

    Parameters
    ----------
    heads
        Attention heads of a block; None for those of the CLIP model of its width.
    prompt_heads
        Attention heads of the prompt generator.
    activation
        What stands inside the MLP of a block: OpenAI's CLIP has ``"quickgelu"``.
    hash_activation
        What stands between the layers of a hash map of several layers.
    image_size
        Height and width in pixels to use the model at; None for the size its position embedding was made for.
    """

    heads: int | None = None
    prompt_heads: int = 8
    activation: Literal["quickgelu", "gelu"] = "quickgelu"
    hash_activation: Literal["relu", "gelu", "none"] = "relu"
    image_size: int | None = None


def model_from_official(file: str | Path, assumed: Assumed = Assumed()) -> ConceptHash:
    """The network of an official ``.pth`` file, in evaluation mode, float32.

    Sizes and variants are found from names and shapes. Registers, which the file puts behind the concepts, stand
    before the image's tokens here; no output but the order of an attention matrix depends on it.

    Raises
    ------
    CheckpointError
        If the file cannot be read, or its tensors are not those of the format.

    References
    ----------
    Method reference, section F.
    """
    path = Path(file)
    tensors = read_tensors(path)
    shapes = {name: tuple(tensor.shape) for name, tensor in tensors.items()}
    layout = variant_of(shapes)
    rows = rows_of(layout)
    sizes = sizes_of(layout, rows, shapes)
    tensors = to_float32({row.name: tensors[row.name] for row in rows if row.ours or row.name == "center"}, path)
    try:
        config = _config(layout, sizes, tensors["center"], assumed)
        with torch.device("meta"):  # no time and memory for weights that the file replaces
            model = ConceptHash(config, tensors["center"] if layout.centers == "language" else None)
    except ConfigError as error:
        raise CheckpointError(f"{path.name!r} cannot be used: {error}") from error
    model.load_state_dict(_our_state(model, rows, tensors), assign=True)
    return model.eval()


def _config(layout: Layout, sizes: Mapping[str, int], center: Tensor, assumed: Assumed) -> ModelConfig:
    if min(sizes.values()) < 1:
        raise ConfigError("One of its tensors is empty.")
    width, patch_size, grid = sizes["D"], sizes["p"], math.isqrt(max(0, sizes["N"] - 1))
    if grid**2 != sizes["N"] - 1 or grid == 0:
        raise ConfigError(
            f"Its backbone.vision_model.embeddings.position_embedding.weight has {sizes['N']} rows, which are not CLS "
            "and a square grid."
        )
    if sizes["C"] > MAX_CLASSES:
        raise ConfigError(f"It has {sizes['C']:,} classes; up to {MAX_CLASSES:,} can be handled.")
    n_heads = CLIP_HEADS.get(width) if assumed.heads is None else assumed.heads
    if n_heads is None:
        raise ConfigError(
            f"The file does not tell its attention heads, and no CLIP model has width {width}; give --heads."
        )
    image_size = grid * patch_size if assumed.image_size is None else assumed.image_size
    if image_size % patch_size or image_size > MAX_IMAGE_SIZE:
        raise ConfigError(
            f"{image_size} pixels are not a multiple of the patch size {patch_size}, or more than {MAX_IMAGE_SIZE:,}."
        )
    backbone = BackboneConfig(
        name="clip",
        image_size=(image_size, image_size),
        width=width,
        depth=layout.depth,
        n_heads=n_heads,
        adapter_dim=sizes["B"] if layout.adapters else 0,
        dropout=0.0,
        drop_path=0.0,
        mean=CLIP_MEAN,
        std=CLIP_STD,
        patch_size=patch_size,
        mlp_dim=sizes["F"],
        activation=assumed.activation,
    )
    is_language = layout.centers == "language"
    return ModelConfig(
        n_concepts=sizes["M"],
        n_bits=sizes["K"],
        n_classes=sizes["C"],
        backbone=backbone,
        prompt_generator=layout.is_generated,
        centers=layout.centers,
        center_input="sign" if is_language and (center == center.sign()).all() else "raw",
        text_dim=sizes["T"] if is_language else 0,
        text_hidden=sizes["H"] if is_language else 0,
        n_registers=sizes["R"] - sizes["M"],
        prompt_dim=sizes.get("Q", ModelConfig.prompt_dim),
        prompt_heads=assumed.prompt_heads,
        head=HeadConfig(
            shared=layout.is_shared,
            hidden=tuple(sizes[f"hidden {i}"] for i in range(len(layout.hash_layers) - 1)),
            activation=assumed.hash_activation,
            batch_norm=layout.has_batch_norm,
        ),
        patch_classifier=False,
    )


def _our_state(model: ConceptHash, rows: list[Row], tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Tensors by our names; what this variant does without is 0, which leaves the function as it is."""
    found: dict[str, list[Tensor]] = {}
    for row in rows:
        if row.ours:
            found.setdefault(row.ours, []).append(tensors[row.name])
    positions = found["backbone.vit.pos_embed"][0]
    found["backbone.vit.pos_embed"] = [_resize_positions(positions, model.grid_size[0])]
    state, expected = {}, model.state_dict()
    if homeless := [row.name for row in rows if row.ours and row.ours not in expected]:
        raise CheckpointError(f"No model of this project has a place for {listed(homeless)}.")
    for name, tensor in expected.items():
        parts = found.get(name, [torch.zeros(tensor.shape)])
        joined = torch.cat([part.reshape(-1) for part in parts])  # a copy, even of a single part
        state[name] = joined.reshape(tensor.shape).to(tensor.dtype)
    return state


def _resize_positions(positions: Tensor, grid: int) -> Tensor:
    """Position embedding (1 + n², D) for another grid, CLS left alone, as DINO does it."""
    n = math.isqrt(len(positions) - 1)
    if n == grid:
        return positions
    plane = positions[1:].T.reshape(1, -1, n, n)  # (1, D, n, n)
    factor = (grid + 0.1) / n  # DINO's: a little more, so that rounding never loses a row
    plane = torch.nn.functional.interpolate(plane, scale_factor=(factor, factor), mode="bicubic")
    return torch.cat([positions[:1], plane[0].flatten(1).T])
