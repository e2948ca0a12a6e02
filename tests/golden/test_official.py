"""Files of the official format: what the official model gave for them, every variant there and back, hostile ones."""

import dataclasses
import json
import os
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from golden.official_writer import TINY, VISION, official_like, official_state
from safetensors.torch import load_file
from torch import Tensor
from torch.nn.functional import normalize

from concepthash.checkpoint import load_model, read_checkpoint
from concepthash.config import CLIP_MEAN, CLIP_STD, LOSS_PRESETS, BackboneConfig, HeadConfig, ModelConfig
from concepthash.encoder import Encoder
from concepthash.errors import CheckpointError
from concepthash.import_official import main
from concepthash.losses import loss_terms, quantization_gap, total_loss
from concepthash.model import ConceptHash
from concepthash.official_model import Assumed, model_from_official

SHARED = os.environ.get("CONCEPTHASH_SHARED", "")
GOLDEN = sorted((Path(SHARED) / "golden").glob("official-*")) if SHARED else []
HEADS = Assumed(heads=4)

Files = Callable[[Any], Path]


@pytest.fixture
def saved(tmp_path: Path) -> Files:
    def save(content: Any) -> Path:
        file = tmp_path / "official.pth"
        torch.save(content, file)
        return file

    return save


@pytest.fixture
def images() -> Tensor:
    return torch.randn(3, 3, 24, 24, generator=torch.Generator().manual_seed(3))


@pytest.mark.skipif(not GOLDEN, reason="CONCEPTHASH_SHARED names no folder with golden/official-*")
@pytest.mark.parametrize("folder", GOLDEN, ids=lambda folder: folder.name)
def test_an_imported_golden_checkpoint_gives_what_the_official_model_gave(folder: Path, tmp_path: Path) -> None:
    golden = json.loads((folder / "golden.json").read_text())
    arguments = [str(folder / "checkpoint.pth"), "--out", str(tmp_path / "ours"), "--heads", str(golden["n_heads"])]
    assert main(arguments) == 0
    model, expected = load_model(read_checkpoint(tmp_path / "ours")), load_file(folder / "expected.safetensors")
    with torch.inference_mode():
        output, centers = model(expected["images"], n_attention=1), model.class_centers()
        embeddings = output.concept_embeddings
        cosine = normalize(embeddings + model.concept_offset, dim=2) @ normalize(model.concept_centroids).T  # (B, M, C)
        terms = loss_terms(model, output, expected["labels"], LOSS_PRESETS["released"])
        with_csd = dataclasses.replace(LOSS_PRESETS["released"], csd_weight=1.0)
        all_terms = loss_terms(model, output, expected["labels"], with_csd)
    code = normalize(output.code_logits)
    close(output.code_logits, expected["code_logits"])
    close(embeddings, expected["concept_embeddings"])
    close(output.attention[-1], expected["attention_last"])
    close(code @ normalize(centers).T, expected["logits_cont"])
    close(code @ centers.sign().T / centers.shape[1] ** 0.5, expected["logits_bin"])
    close(cosine.transpose(0, 1), expected["logits_concept"])
    figures = {"cont": all_terms["clf"], "bin": all_terms["quan"], "concept": all_terms["cd"]}
    figures |= {"attn_div": all_terms["csd"], "quan": quantization_gap(output.code_logits)}
    figures |= {
        "total_csd0": total_loss(terms, LOSS_PRESETS["released"]),
        "total_csd1": total_loss(all_terms, with_csd),
    }
    assert {name: float(value) for name, value in figures.items()} == pytest.approx(golden["losses"], abs=1e-4)


def close(got: Tensor, expected: Tensor) -> None:
    torch.testing.assert_close(got, expected, rtol=0, atol=1e-4)


VARIANTS: dict[str, dict[str, object]] = {
    "generated prompts": {"prompt_generator": True},
    "free tokens": {},
    "one concept": {"n_concepts": 1},
    "signed features": {"center_input": "sign", "prompt_generator": True},
    "another width inside the text map": {"text_hidden": 7},
    "registers behind free tokens": {"n_registers": 2},
    "registers behind generated prompts": {"n_registers": 2, "prompt_generator": True},
    "a map of its own for each concept": {"head": HeadConfig(shared=False)},
    "a hash map of three layers": {"head": HeadConfig(hidden=(9, 8))},
    "no batch norm": {"head": HeadConfig(batch_norm=False)},
    "neither batch norm nor a shared map": {"head": HeadConfig(shared=False, batch_norm=False)},
    "no adapters": {"backbone": dataclasses.replace(TINY, adapter_dim=0)},
    "learnable centers": {"centers": "learnable", "text_dim": 0},
    "fixed centers": {"centers": "random", "text_dim": 0},
    "larger patches and deeper": {"backbone": dataclasses.replace(TINY, patch_size=12, depth=3, mlp_dim=50)},
}


@pytest.mark.parametrize("variant", VARIANTS)
def test_every_variant_comes_back_from_the_official_format(variant: str, saved: Files, images: Tensor) -> None:
    model = official_like(**VARIANTS[variant])
    state = official_state(model)
    if variant == "learnable centers":
        state["trainable_params.center"] = state["center"]
    again = model_from_official(saved(state), HEADS)
    same(again, model, images)
    assert again.config == dataclasses.replace(
        model.config,
        center_input="sign" if variant == "signed features" else "raw",
        text_hidden=again.config.text_hidden,
        prompt_dim=again.config.prompt_dim,
    )


def same(again: ConceptHash, model: ConceptHash, images: Tensor) -> None:
    with torch.inference_mode():
        got, expected = again(images, n_attention=1), model(images, n_attention=1)
    for mine, its in zip(got[:3] + got.attention, expected[:3] + expected.attention, strict=True):
        torch.testing.assert_close(mine, its)
    torch.testing.assert_close(again.class_centers(), model.class_centers())


WRAPS: dict[str, Callable[[dict[str, Tensor]], Any]] = {
    "below state_dict": lambda state: {"epoch": 3, "state_dict": OrderedDict(state), "optimizer": {"lr": 0.1}},
    "below two names": lambda state: {"model": {"state_dict": state}},
    "with a prefix": lambda state: {f"module.{name}": tensor for name, tensor in state.items()},
    "with two prefixes below a name": lambda state: {
        "model": {f"module._orig_mod.{name}": tensor for name, tensor in state.items()}
    },
    "without aliases": lambda state: {name: t for name, t in state.items() if "_params." not in name},
    "as parameters": lambda state: (
        {name: torch.nn.Parameter(t) for name, t in state.items() if t.is_floating_point()}
        | {name: t for name, t in state.items() if not t.is_floating_point()}
    ),
    "as float64": lambda state: {name: t.double() if t.is_floating_point() else t for name, t in state.items()},
    "with the positions of old transformers": lambda state: (
        state | {f"{VISION}embeddings.position_ids": torch.arange(10)[None]}
    ),
}


@pytest.mark.parametrize("wrap", WRAPS)
def test_a_file_may_be_wrapped_in_every_usual_way(wrap: str, saved: Files, images: Tensor) -> None:
    model = official_like(prompt_generator=True)
    same(model_from_official(saved(WRAPS[wrap](official_state(model))), HEADS), model, images)


def test_a_file_of_the_format_before_zip_is_read(tmp_path: Path, images: Tensor) -> None:
    model, file = official_like(), tmp_path / "old.pth"
    torch.save(official_state(model), file, _use_new_zipfile_serialization=False)
    same(model_from_official(file, HEADS), model, images)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_weights_of_half_precision_are_used_as_float32(dtype: torch.dtype, saved: Files, images: Tensor) -> None:
    model = official_like()
    half = {name: t.to(dtype) if t.is_floating_point() else t for name, t in official_state(model).items()}
    again = model_from_official(saved(half), HEADS)
    assert {tensor.dtype for name, tensor in again.state_dict().items() if "num_batches" not in name} == {torch.float32}
    for name, tensor in again.state_dict().items():
        torch.testing.assert_close(tensor, model.state_dict()[name].to(dtype).to(tensor.dtype), rtol=0, atol=0)


def test_without_the_concept_loss_its_parameters_are_zero(saved: Files, images: Tensor) -> None:
    model = official_like()
    again = model_from_official(saved(official_state(model, concept_loss=False)), HEADS)
    same(again, model, images)
    assert not again.concept_offset.any() and not again.concept_centroids.any()


def test_layers_of_a_hash_map_may_go_without_biases(saved: Files, images: Tensor) -> None:
    model = official_like(head=HeadConfig(hidden=(9,), activation="gelu"))
    with torch.no_grad():
        model.hash_head.to_subcode[0].bias.zero_()
        model.hash_head.to_subcode[2].bias.zero_()
    state = {
        name.replace("hash_fc.2", "hash_fc.1"): t for name, t in official_state(model).items() if "fc.0.b" not in name
    }
    del state["hash_fc.1.bias"]
    same(model_from_official(saved(state), dataclasses.replace(HEADS, hash_activation="gelu")), model, images)


def test_a_hash_map_of_one_numbered_layer_is_that_of_one_without_a_number(saved: Files, images: Tensor) -> None:
    model = official_like()
    state = {name.replace("hash_fc.weight", "hash_fc.0.weight"): t for name, t in official_state(model).items()}
    same(model_from_official(saved(state), HEADS), model, images)
    state["hash_fc.0.bias"] = torch.zeros(len(state["hash_fc.0.weight"]))
    with pytest.raises(CheckpointError, match=r"has a place for hash_fc\.0\.bias"):
        model_from_official(saved(state), HEADS)


@pytest.mark.parametrize("number", [1, 2])
def test_one_of_the_two_adapters_of_a_block_may_be_absent(number: int, saved: Files, images: Tensor) -> None:
    model = official_like()
    with torch.no_grad():
        for block in model.backbone.blocks:
            (block.attention_adapter, block.mlp_adapter)[number - 1].scale.zero_()
    state = {name: t for name, t in official_state(model).items() if f"adapt_mlp_{number}" not in name}
    same(model_from_official(saved(state), HEADS), model, images)


@pytest.mark.parametrize(("width", "n_heads"), [(768, 12), (1024, 16), (1280, 16)])
def test_attention_heads_are_those_of_clip_if_not_said(width: int, n_heads: int, saved: Files) -> None:
    wide = dataclasses.replace(TINY, width=width, n_heads=n_heads, depth=1)
    file = saved(official_state(official_like(backbone=wide)))
    assert model_from_official(file).config.backbone.n_heads == n_heads


@pytest.mark.parametrize("width", [32, 64])
def test_attention_heads_of_a_width_that_clip_has_not_must_be_said(width: int, saved: Files) -> None:
    file = saved(official_state(official_like(backbone=dataclasses.replace(TINY, width=width))))
    with pytest.raises(CheckpointError, match=rf"no CLIP model has width {width}; give --heads\.$"):
        model_from_official(file)


def test_more_pixels_give_a_larger_grid_of_interpolated_positions(saved: Files) -> None:
    model = official_like()
    again = model_from_official(saved(official_state(model)), dataclasses.replace(HEADS, image_size=40))
    assert again.grid_size == (5, 5)
    assert again(torch.randn(1, 3, 40, 40)).code_logits.shape == (1, 12)
    positions, before = again.backbone.vit.pos_embed[0], model.backbone.vit.pos_embed[0]
    torch.testing.assert_close(positions[0], before[0])
    torch.testing.assert_close(positions[1 + 12], before[1 + 4], rtol=0, atol=0.1)  # the middle stays the middle
    for size in (30, 0, 800_000):
        with pytest.raises(CheckpointError, match=f"{size} pixels are not a multiple|image_size"):
            model_from_official(saved(official_state(model)), dataclasses.replace(HEADS, image_size=size))


def full_size(**changes: object) -> ConceptHash:
    backbone = BackboneConfig(name="clip", image_size=(224, 224), width=768, depth=12, n_heads=12, adapter_dim=384)
    sizes = {"n_concepts": 4, "n_bits": 64, "n_classes": 200, "backbone": backbone, "text_dim": 512}
    with torch.device("meta"):
        config = ModelConfig(**(sizes | {"prompt_generator": True, "patch_classifier": False} | changes))  # type: ignore[arg-type]
        return ConceptHash(config, torch.empty(200, 512))


def test_a_file_of_full_size_has_the_entries_that_the_official_trainer_writes() -> None:
    state = official_state(full_size())
    assert len(state) == 571  # method reference, section F.1
    assert sum(tensor.numel() for tensor in state.values()) == 119_257_970
    assert sum(name.startswith(("adapter_params.", "trainable_params.")) for name in state) == 172


@pytest.mark.parametrize(("n_bits", "n_trained"), [(64, 16_661_976), (32, 16_639_352), (16, 16_628_040)])
def test_as_many_parameters_are_trained_as_in_the_released_code(n_bits: int, n_trained: int) -> None:
    trained = {name: p.numel() for name, p in full_size(n_bits=n_bits).named_parameters() if p.requires_grad}
    assert sum(trained.values()) == n_trained  # method reference, section A.8
    assert sum(n for name, n in trained.items() if "_adapter." in name) == 14_220_312


def test_the_tower_of_full_size_is_the_one_that_timm_calls_clip() -> None:
    named = BackboneConfig(name="vit_base_patch32_clip_quickgelu_224.openai", image_size=(224, 224), adapter_dim=384)
    ours, theirs = full_size(), full_size(backbone=named)
    assert {n: p.shape for n, p in ours.named_parameters()} == {n: p.shape for n, p in theirs.named_parameters()}
    parts = [[(type(m).__name__, m.extra_repr()) for m in model.backbone.modules()] for model in (ours, theirs)]
    assert parts[0] == parts[1]  # with the same activation and epsilon, too


def test_the_command_writes_a_checkpoint_that_encodes_images(
    saved: Files, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    names = ["Black_footed_Albatross", "tern ", "Northern  Fulmar", "wren", "gull"]
    (tmp_path / "names.txt").write_text("\r\n".join(names) + "\r\n\r\n")
    file, out = saved(official_state(official_like())), tmp_path / "made" / "ours"
    assert main([str(file), "--out", str(out), "--heads", "4", "--classes", str(tmp_path / "names.txt")]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["imported"]["assumed"]["heads"] == 4
    checkpoint = read_checkpoint(out)
    assert checkpoint.class_names == ("Black footed Albatross", "tern", "Northern Fulmar", "wren", "gull")
    assert checkpoint.families == ("Albatross", "tern", "Fulmar", "wren", "gull")
    backbone = checkpoint.config.backbone
    assert (backbone.image_size, backbone.mean, backbone.std) == ((24, 24), CLIP_MEAN, CLIP_STD)
    picture = torch.randint(0, 255, (30, 40, 3), dtype=torch.uint8).numpy()
    assert Encoder(checkpoint, "cpu").explain(picture).concept_maps.shape == (3, 3, 3)
    assert "4 attention heads" in (out / "card.md").read_text()


def test_classes_without_names_are_numbered_and_half_precision_is_half_as_large(saved: Files, tmp_path: Path) -> None:
    file = saved(official_state(official_like()))
    sizes = []
    for options in ([], ["--half"]):
        out = tmp_path / f"out{len(options)}"
        assert main([str(file), "--out", str(out), "--heads", "4", *options]) == 0
        assert read_checkpoint(out).class_names == tuple(f"class {c}" for c in range(1, 6))
        sizes.append((out / "weights.safetensors").stat().st_size)
    assert sizes[1] < 0.75 * sizes[0]


def test_what_half_precision_cannot_hold_is_kept(saved: Files, tmp_path: Path) -> None:
    state = official_state(official_like(), aliases=False)
    state["hash_fc.weight"] *= 1e6
    assert main([str(saved(state)), "--out", str(tmp_path / "out"), "--heads", "4", "--half"]) == 0
    weights = load_model(read_checkpoint(tmp_path / "out")).state_dict()
    torch.testing.assert_close(weights["hash_head.to_subcode.weight"], state["hash_fc.weight"])
