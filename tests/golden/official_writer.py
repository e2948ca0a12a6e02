"""The way back: a state dictionary in the official format from a model of ours, written out by hand from its table."""

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from concepthash.adapters import AdaptedBlock, Adapter
from concepthash.concept_tokens import GeneratedConceptTokens
from concepthash.config import CLIP_MEAN, CLIP_STD, BackboneConfig, ModelConfig
from concepthash.model import ConceptHash

VISION = "backbone.vision_model."
TINY = BackboneConfig(
    name="clip",
    image_size=(24, 24),
    width=32,
    depth=2,
    n_heads=4,
    adapter_dim=6,
    dropout=0.0,
    drop_path=0.0,
    mean=CLIP_MEAN,
    std=CLIP_STD,
    patch_size=8,
    mlp_dim=72,
)


def official_like(seed: int = 0, **changes: object) -> ConceptHash:
    """A tiny model of the kind that official files hold, with no weight left at 0 or 1."""
    sizes = {"n_concepts": 3, "n_bits": 12, "n_classes": 5, "backbone": TINY, "text_dim": 10, "prompt_dim": 16}
    config = ModelConfig(**(sizes | {"patch_classifier": False} | changes))  # type: ignore[arg-type]
    generator = torch.Generator().manual_seed(seed)
    features = torch.randn(config.n_classes, config.text_dim, generator=generator)
    model = ConceptHash(config, features if config.centers == "language" else None).eval()
    with torch.no_grad():
        for name, tensor in [*model.named_parameters(), *model.named_buffers()]:
            if tensor.is_floating_point() and "centers" not in name:
                tensor.add_(0.2 * torch.rand(tensor.shape, generator=generator))
    return model


def official_state(model: ConceptHash, *, concept_loss: bool = True, aliases: bool = True) -> dict[str, Tensor]:
    """What the official trainer would write for this model; random where ours has no such tensor."""
    state = dict(_concepts(model)) | dict(_vision(model)) | dict(_head(model)) | dict(_centers(model))
    if concept_loss:
        state["concept_pe"] = model.concept_offset[None]
        state["concept_ce.centroids"] = model.concept_centroids
    state = {name: tensor.detach() for name, tensor in state.items()}
    return state | (_aliases(state) if aliases else {})


def _concepts(model: ConceptHash) -> Iterator[tuple[str, Tensor]]:
    yield "hash_pe", model.hash_head.specificity[None]
    tokens = model.concept_tokens
    if not isinstance(tokens, GeneratedConceptTokens):
        yield "visual_context", tokens.concept_tokens[None]
        return
    yield "hash_queries", tokens.queries
    yield "hash_attention.sa.in_proj_weight", tokens.attention.in_proj_weight
    yield "hash_attention.sa.in_proj_bias", tokens.attention.in_proj_bias
    layers = {"sa.out_proj": tokens.attention.out_proj, "ffn.0": tokens.ffn[0], "ffn.3": tokens.ffn[3]}
    layers |= {"norm1": tokens.norm1, "norm2": tokens.norm2, "ffn2": tokens.out}
    for name, layer in layers.items():
        yield from _layer(f"hash_attention.{name}", layer)


def _layer(name: str, layer: nn.Module) -> Iterator[tuple[str, Tensor]]:
    yield f"{name}.weight", layer.weight
    yield f"{name}.bias", layer.bias


def _vision(model: ConceptHash) -> Iterator[tuple[str, Tensor]]:
    vit, width = model.backbone.vit, model.backbone.width
    yield "backbone.logit_scale", torch.tensor(2.0)
    yield f"{VISION}embeddings.class_embedding", vit.cls_token[0, 0]
    yield f"{VISION}embeddings.patch_embedding.weight", vit.patch_embed.proj.weight
    yield f"{VISION}embeddings.position_embedding.weight", vit.pos_embed[0]
    yield from _layer(f"{VISION}pre_layrnorm", vit.norm_pre)
    for i, block in enumerate(vit.blocks):
        yield from _block(f"{VISION}encoder.layers.{i}", block)
    yield from _layer(f"{VISION}post_layernorm", nn.LayerNorm(width))
    yield "backbone.visual_projection.weight", torch.zeros(512, width)
    yield "backbone.text_projection.weight", torch.zeros(512, 512)


def _block(name: str, block: nn.Module) -> Iterator[tuple[str, Tensor]]:
    if isinstance(block, AdaptedBlock):
        yield from _adapter(f"{name}.adapt_mlp_1", block.attention_adapter)
        yield from _adapter(f"{name}.adapt_mlp_2", block.mlp_adapter)
        block = block.block
    for i, letter in enumerate("qkv"):
        yield f"{name}.self_attn.{letter}_proj.weight", block.attn.qkv.weight.chunk(3)[i]
        yield f"{name}.self_attn.{letter}_proj.bias", block.attn.qkv.bias.chunk(3)[i]
    yield from _layer(f"{name}.self_attn.out_proj", block.attn.proj)
    yield from _layer(f"{name}.layer_norm1", block.norm1)
    yield from _layer(f"{name}.layer_norm2", block.norm2)
    yield from _layer(f"{name}.mlp.fc1", block.mlp.fc1)
    yield from _layer(f"{name}.mlp.fc2", block.mlp.fc2)


def _adapter(name: str, adapter: Adapter) -> Iterator[tuple[str, Tensor]]:
    yield f"{name}.scale", adapter.scale
    yield from _layer(f"{name}.adapter_layer_norm", adapter.norm)
    yield from _layer(f"{name}.down_proj", adapter.down)
    yield from _layer(f"{name}.up_proj", adapter.up)


def _head(model: ConceptHash) -> Iterator[tuple[str, Tensor]]:
    h, head = model.hash_head.to_subcode, model.config.head
    if not head.shared:
        yield "hash_fc.weight", h.weight.reshape(model.config.n_bits, -1, 1)
    elif head.hidden:
        for i in range(0, len(h), 2):
            yield from _layer(f"hash_fc.{i}", h[i])
    else:
        yield "hash_fc.weight", h.weight
    if head.batch_norm:
        for name, tensor in model.hash_head.norm.state_dict().items():
            yield f"hash_bn.{name}", tensor


def _centers(model: ConceptHash) -> Iterator[tuple[str, Tensor]]:
    centers = model.class_centers
    if model.config.centers == "language":
        yield "center", centers.text_features
        yield from _layer("text_projection.0", centers.text_to_code[0])
        yield from _layer("text_projection.2", centers.text_to_code[2])
    else:
        yield "center", centers()


def _aliases(state: dict[str, Tensor]) -> dict[str, Tensor]:
    found = {}
    for name, tensor in state.items():
        if ".adapt_mlp_" in name:
            layer, rest = name.removeprefix(f"{VISION}encoder.layers.").split(".", 1)
            found[f"adapter_params.adapter_{layer}_{rest.replace('.', '_')}"] = tensor
        elif name in ("hash_pe", "hash_queries", "visual_context", "concept_pe", "concept_ce.centroids"):
            found[f"trainable_params.{name.replace('.', '_')}"] = tensor
    return found
