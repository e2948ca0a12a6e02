"""The official checkpoint format: which tensors a file holds, what their shapes tell, and where ours stand."""

import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from typing import Literal, NamedTuple

from .errors import CheckpointError
from .official_file import listed

__all__ = ["Layout", "Row", "original_of", "rows_of", "sizes_of", "variant_of"]

IGNORED = "backbone.vision_model.embeddings.position_ids"
LAYER = "backbone.vision_model.encoder.layers.{}."

# Sizes are letters: D width, N positions, p patch, F MLP, B bottleneck, M concepts, R concepts and registers, K bits,
# S bits per concept, C classes, T text, H inside t, Q prompt, I = 3·Q, P and W of CLIP's projections; digits are meant.
HEAD = """
hash_pe                   1MD   hash_head.specificity
center                    {}
backbone.logit_scale      -
backbone.vision_model.embeddings.class_embedding            D     backbone.vit.cls_token
backbone.vision_model.embeddings.patch_embedding.weight     D3pp  backbone.vit.patch_embed.proj.weight
backbone.vision_model.embeddings.position_embedding.weight  ND    backbone.vit.pos_embed
backbone.vision_model.pre_layrnorm.weight    D  backbone.vit.norm_pre.weight
backbone.vision_model.pre_layrnorm.bias      D  backbone.vit.norm_pre.bias
backbone.vision_model.post_layernorm.weight  D
backbone.vision_model.post_layernorm.bias    D
backbone.visual_projection.weight            PD
backbone.text_projection.weight              PW
"""
BATCH_NORM = """
hash_bn.weight               K  hash_head.norm.weight
hash_bn.bias                 K  hash_head.norm.bias
hash_bn.running_mean         K  hash_head.norm.running_mean
hash_bn.running_var          K  hash_head.norm.running_var
hash_bn.num_batches_tracked  -  hash_head.norm.num_batches_tracked
"""
BLOCK = """
layer_norm1.weight         D   norm1.weight
layer_norm1.bias           D   norm1.bias
self_attn.q_proj.weight    DD  attn.qkv.weight
self_attn.k_proj.weight    DD  attn.qkv.weight
self_attn.v_proj.weight    DD  attn.qkv.weight
self_attn.q_proj.bias      D   attn.qkv.bias
self_attn.k_proj.bias      D   attn.qkv.bias
self_attn.v_proj.bias      D   attn.qkv.bias
self_attn.out_proj.weight  DD  attn.proj.weight
self_attn.out_proj.bias    D   attn.proj.bias
layer_norm2.weight         D   norm2.weight
layer_norm2.bias           D   norm2.bias
mlp.fc1.weight             FD  mlp.fc1.weight
mlp.fc1.bias               F   mlp.fc1.bias
mlp.fc2.weight             DF  mlp.fc2.weight
mlp.fc2.bias               D   mlp.fc2.bias
"""
ADAPTER = """
scale                      1   scale
adapter_layer_norm.weight  D   norm.weight
adapter_layer_norm.bias    D   norm.bias
down_proj.weight           BD  down.weight
down_proj.bias             B   down.bias
up_proj.weight             DB  up.weight
up_proj.bias               D   up.bias
"""
FREE_TOKENS = "visual_context 1RD concept_tokens.concept_tokens"
GENERATOR = """
hash_queries                       1RQ  concept_tokens.queries
hash_attention.sa.in_proj_weight   IQ   concept_tokens.attention.in_proj_weight
hash_attention.sa.in_proj_bias     I    concept_tokens.attention.in_proj_bias
hash_attention.sa.out_proj.weight  QQ   concept_tokens.attention.out_proj.weight
hash_attention.sa.out_proj.bias    Q    concept_tokens.attention.out_proj.bias
hash_attention.ffn.0.weight        QQ   concept_tokens.ffn.0.weight
hash_attention.ffn.0.bias          Q    concept_tokens.ffn.0.bias
hash_attention.ffn.3.weight        QQ   concept_tokens.ffn.3.weight
hash_attention.ffn.3.bias          Q    concept_tokens.ffn.3.bias
hash_attention.norm1.weight        Q    concept_tokens.norm1.weight
hash_attention.norm1.bias          Q    concept_tokens.norm1.bias
hash_attention.norm2.weight        Q    concept_tokens.norm2.weight
hash_attention.norm2.bias          Q    concept_tokens.norm2.bias
hash_attention.ffn2.weight         DQ   concept_tokens.out.weight
hash_attention.ffn2.bias           D    concept_tokens.out.bias
"""
CONCEPT_LOSS = """
concept_pe            1MD  concept_offset
concept_ce.centroids  CD   concept_centroids
"""
TEXT_TO_CODE = """
text_projection.0.weight  HT  class_centers.text_to_code.0.weight
text_projection.0.bias    H   class_centers.text_to_code.0.bias
text_projection.2.weight  KH  class_centers.text_to_code.2.weight
text_projection.2.bias    K   class_centers.text_to_code.2.bias
"""


class Layout(NamedTuple):
    """Which of its variants a file has."""

    depth: int
    adapters: tuple[int, ...]  # which of the two of a block
    is_generated: bool  # concept tokens from the prompt generator
    centers: Literal["language", "learnable", "random"]
    has_concept_loss: bool
    is_shared: bool  # one hash map for all concepts
    hash_layers: tuple[int, ...]  # of a hash map of several layers, their numbers in the file
    hash_biases: tuple[int, ...]  # those of them that have a bias
    has_batch_norm: bool


class Row(NamedTuple):
    """One tensor: official name, sizes as letters, and our name; several that share it are put one below another."""

    name: str
    sizes: tuple[str, ...]
    ours: str


def variant_of(shapes: Mapping[str, tuple[int, ...]]) -> Layout:
    """Tell the variant by the names that are there, and by the number of dimensions of the hash map."""

    def numbers(pattern: str) -> tuple[int, ...]:
        found = (re.match(pattern, name) for name in shapes)
        return tuple(sorted({int(match[1]) for match in found if match}))

    def has(*starts: str) -> bool:
        return any(name.startswith(starts) for name in shapes)

    free: Literal["learnable", "random"] = "learnable" if "trainable_params.center" in shapes else "random"
    bits = shapes.get("hash_bn.weight", shapes.get("center", ())[1:])
    are_texts = free == "random" and shapes.get("center", (0, *bits))[1:] != bits  # (C, T) instead of (C, K)
    return Layout(
        depth=1 + max(numbers(r"backbone\.vision_model\.encoder\.layers\.([0-9]{1,3})\."), default=0),
        adapters=numbers(r"backbone\.vision_model\.encoder\.layers\.[0-9]+\.adapt_mlp_([12])\."),
        is_generated=has("hash_queries", "hash_attention."),
        centers="language" if are_texts or has("text_projection.") else free,
        has_concept_loss=has("concept_pe", "concept_ce."),
        is_shared=len(shapes.get("hash_fc.weight", ())) != 3,
        hash_layers=numbers(r"hash_fc\.([0-9]{1,3})\.weight$"),
        hash_biases=numbers(r"hash_fc\.([0-9]{1,3})\.bias$"),
        has_batch_norm=has("hash_bn."),
    )


def rows_of(layout: Layout) -> list[Row]:
    """Every tensor that a file of this variant must hold, aliases not among them."""
    parts = [HEAD.format("CT" if layout.centers == "language" else f"CK class_centers.{_centers(layout)}")]
    parts += [BATCH_NORM] if layout.has_batch_norm else []
    parts += [GENERATOR if layout.is_generated else FREE_TOKENS]
    parts += [CONCEPT_LOSS] if layout.has_concept_loss else []
    parts += [TEXT_TO_CODE] if layout.centers == "language" else []
    rows = [row for part in parts for row in _parse(part)]
    rows += _hash_rows(layout)
    for i in range(layout.depth):
        block = f"backbone.vit.blocks.{i}."
        rows += _parse(BLOCK, LAYER.format(i), block + ("block." if layout.adapters else ""))
        for number in layout.adapters:
            ours = ("attention_adapter.", "mlp_adapter.")[number - 1]
            rows += _parse(ADAPTER, f"{LAYER.format(i)}adapt_mlp_{number}.", block + ours)
    return rows


def _centers(layout: Layout) -> str:
    return "free_centers" if layout.centers == "learnable" else "fixed_centers"


def _hash_rows(layout: Layout) -> Iterator[Row]:
    ours = "hash_head.to_subcode."
    if not layout.hash_layers:
        yield Row("hash_fc.weight", tuple("SD" if layout.is_shared else "KD1"), f"{ours}weight")
    widths = ["D", *(f"hidden {i}" for i in range(len(layout.hash_layers) - 1)), "S"]
    for i, number in enumerate(layout.hash_layers):
        layer = f"{ours}{2 * i}." if len(layout.hash_layers) > 1 else ours
        yield Row(f"hash_fc.{number}.weight", (widths[i + 1], widths[i]), f"{layer}weight")
        if number in layout.hash_biases:
            yield Row(f"hash_fc.{number}.bias", (widths[i + 1],), f"{layer}bias")


def _parse(table: str, prefix: str = "", ours: str = "") -> list[Row]:
    rows = []
    for line in table.strip().splitlines():
        name, letters, *own = line.split()
        rows.append(Row(prefix + name, tuple(letters.replace("-", "")), ours + own[0] if own else ""))
    return rows


def sizes_of(layout: Layout, rows: list[Row], shapes: Mapping[str, tuple[int, ...]]) -> dict[str, int]:
    """What every letter stands for: what most shapes say, which all are then checked against.

    Raises
    ------
    CheckpointError
        If tensors are missing, unknown or of another shape; it names the first of each.
    """
    votes: defaultdict[str, Counter[int]] = defaultdict(Counter)
    for row in rows:
        if len(shape := shapes.get(row.name, ())) == len(row.sizes):
            for letter, size in zip(row.sizes, shape, strict=True):
                votes[letter][size] += 1
    winners = {letter: _winner(counted) for letter, counted in votes.items()}
    sizes = {letter: size for letter, size in winners.items() if size is not None} | {"1": 1, "3": 3}
    if {"R", "M"} <= set(sizes):
        sizes["R"] = max(sizes["R"], sizes["M"])
    sizes |= {"I": 3 * sizes["Q"]} if "Q" in sizes else {}
    if layout.has_batch_norm or not layout.is_shared:
        sizes |= {"S": sizes["K"] // max(1, sizes["M"])} if {"K", "M"} <= set(sizes) else {}
    elif {"S", "M"} <= set(sizes):
        sizes["K"] = sizes["S"] * sizes["M"]
    known = {row.name for row in rows}
    expected = {row.name: tuple(sizes.get(letter, -1) for letter in row.sizes) for row in rows}
    problems = {
        "missing": [name for name in expected if name not in shapes],
        "unknown": [name for name in shapes if name not in known and original_of(name, known) is None],
        "wrong shape": [
            f"{name} ({_shape(shapes[name])} instead of {_shape(shape)})"
            for name, shape in (expected | _shapes_of_aliases(known, shapes)).items()
            if name in shapes and shapes[name] != shape
        ],
    }
    if any(problems.values()):
        said = "; ".join(f"{what} {listed(names)}" for what, names in problems.items() if names)
        raise CheckpointError(
            f"The tensors are not those of an official ConceptHash checkpoint: {said}; give the file as its trainer "
            "wrote it."
        )
    return sizes


def _winner(counted: Counter[int]) -> int | None:
    """The size that most tensors have; None where two are equally frequent, so that all of these tensors are named."""
    (size, most), *others = counted.most_common(2)
    return None if others and others[0][1] == most else size


def original_of(name: str, known: set[str]) -> str | None:
    """Which tensor this one repeats under another name; ``""`` for one that nobody needs, None for an unknown one."""
    if name == IGNORED:
        return ""
    if match := re.match(r"adapter_params\.adapter_([0-9]{1,3})_(adapt_mlp_[12])_(.+)$", name):
        start = f"{LAYER.format(match[1])}{match[2]}."
        originals = [f"{start}{row.name}" for row in _parse(ADAPTER) if row.name.replace(".", "_") == match[3]]
    else:
        alias = name.removeprefix("trainable_params.")
        own = known if alias != name else ()
        originals = [n for n in own if n.replace(".", "_") == alias and not n.startswith("backbone.")]
    return next((original for original in originals if original in known), None)


def _shapes_of_aliases(known: set[str], shapes: Mapping[str, tuple[int, ...]]) -> dict[str, tuple[int, ...]]:
    """The shape that each tensor must have that repeats another one."""
    aliases = {name: original_of(name, known) or "" for name in shapes if name not in known}
    return {name: shapes[original] for name, original in aliases.items() if original in shapes}


def _shape(shape: tuple[int, ...]) -> str:
    return "×".join("?" if size < 0 else str(size) for size in shape) or "a number"
