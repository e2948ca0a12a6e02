"""Files of the official format: what the official model gave for them, every variant there and back, hostile ones."""

import dataclasses
import io
import json
import os
import pickle
import re
import struct
import zipfile
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

from concepthash.backbones import Backbone
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


@pytest.mark.parametrize("number", [1, 2])
def test_one_of_the_two_adapters_of_a_block_may_be_absent(number: int, saved: Files, images: Tensor) -> None:
    model = official_like()
    with torch.no_grad():
        for block in model.backbone.blocks:
            (block.attention_adapter, block.mlp_adapter)[number - 1].scale.zero_()
    state = {name: t for name, t in official_state(model).items() if f"adapt_mlp_{number}" not in name}
    same(model_from_official(saved(state), HEADS), model, images)


def test_attention_heads_are_one_for_every_64_of_the_width_if_not_said(saved: Files) -> None:
    wide = dataclasses.replace(TINY, width=128, n_heads=2)
    file = saved(official_state(official_like(backbone=wide)))
    assert model_from_official(file).config.backbone.n_heads == 2
    with pytest.raises(CheckpointError, match=r"width 32 is no multiple of 64; give --heads\.$"):
        model_from_official(saved(official_state(official_like())))


def test_more_pixels_give_a_larger_grid_of_interpolated_positions(saved: Files) -> None:
    model = official_like()
    again = model_from_official(saved(official_state(model)), dataclasses.replace(HEADS, image_size=40))
    assert again.grid_size == (5, 5)
    assert again(torch.randn(1, 3, 40, 40)).code_logits.shape == (1, 12)
    positions, before = again.backbone.vit.pos_embed[0], model.backbone.vit.pos_embed[0]
    torch.testing.assert_close(positions[0], before[0])
    torch.testing.assert_close(positions[1 + 12], before[1 + 4], rtol=0, atol=0.1)  # the middle stays the middle
    with pytest.raises(CheckpointError, match="30 pixels are not a multiple of the patch size 8"):
        model_from_official(saved(official_state(model)), dataclasses.replace(HEADS, image_size=30))


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
    parts = [[(type(m), m.extra_repr()) for m in model.backbone.modules()] for model in (ours, theirs)]
    assert [part for part in parts[0] if part[0] is not Backbone] == [
        part for part in parts[1] if part[0] is not Backbone
    ]


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


class Evil:
    def __reduce__(self) -> tuple[Any, ...]:
        return (Path.touch, (Path("pwned"),))


def without(*names: str) -> Callable[[], Any]:
    return lambda: {name: t for name, t in official_state(official_like()).items() if name not in names}


def altered(name: str, change: Callable[[Tensor], Tensor]) -> Callable[[], Any]:
    return lambda: (state := official_state(official_like(), aliases=False)) | {name: change(state[name])}


def added(**more: Any) -> Callable[[], Any]:
    return lambda: official_state(official_like()) | more


CENTER, HASH = "center", "hash_fc.weight"
REFUSED: dict[str, tuple[Callable[[], Any], str]] = {
    "a missing key": (without("hash_bn.running_var"), r"missing hash_bn\.running_var\.$"),
    "a missing key of a layer": (
        without(f"{VISION}encoder.layers.1.mlp.fc2.bias"),
        r"missing backbone\.vision_model\.encoder\.layers\.1\.mlp\.fc2\.bias\.$",
    ),
    "a missing concept offset": (without("concept_pe"), r"missing concept_pe\.$"),
    "missing sizes": (without("hash_pe", "center"), r"missing hash_pe, center\.$"),
    "missing tokens": (without("visual_context"), r"missing visual_context\.$"),
    "an unknown key": (added(surprise=torch.zeros(1)), r"unknown surprise\.$"),
    "an alias of nothing": (added(**{"trainable_params.x": torch.zeros(1)}), r"unknown trainable_params\.x\.$"),
    "an adapter's alias of nothing": (
        added(**{"adapter_params.adapter_7_adapt_mlp_1_scale": torch.zeros(1)}),
        r"unknown adapter_params\.adapter_7_adapt_mlp_1_scale\.$",
    ),
    "a layer with a hole below": (
        added(**{f"{VISION}encoder.layers.3.layer_norm1.bias": torch.zeros(32)}),
        r"missing backbone\.vision_model\.encoder\.layers\.2\.layer_norm1\.weight, .* and \d+ more",
    ),
    "a layer of an absurd number": (
        added(**{f"{VISION}encoder.layers.99999999999.layer_norm1.bias": torch.zeros(32)}),
        r"unknown backbone\.vision_model\.encoder\.layers\.99999999999\.layer_norm1\.bias\.$",
    ),
    "a wrong shape": (altered(HASH, lambda t: t.T), r"wrong shape hash_fc\.weight \(32×4 instead of 4×32\)\.$"),
    "bits that concepts cannot share": (
        lambda: official_state(official_like(n_bits=12)) | {"hash_pe": torch.zeros(1, 5, 32)},
        "wrong shape",
    ),
    "positions of no square": (
        altered(f"{VISION}embeddings.position_embedding.weight", lambda t: t[:-1]),
        "9 rows of position embedding are not CLS and a square grid",
    ),
    "values that are not finite": (altered(HASH, lambda t: t / 0), r"not finite: hash_fc\.weight\."),
    "whole numbers": (altered(CENTER, lambda t: t.long()), r"not floating point: center\."),
    "a tensor larger than its data": (
        lambda: (
            official_state(official_like(), aliases=False)
            | {
                "center": torch.zeros(1, 1).expand(90_000, 10),
                "concept_ce.centroids": torch.zeros(1, 1).expand(90_000, 32),
            }
        ),
        "claim more data than the file has",
    ),
    "a sparse tensor": (altered(CENTER, lambda t: t.to_sparse()), "other things than plain tensors by name: center"),
    "a number beside the tensors": (added(epoch=3), "other things than plain tensors by name: epoch"),
    "a list": (lambda: [torch.zeros(1)], "a list instead of named tensors"),
    "a tensor": (lambda: torch.zeros(3), "a Tensor instead of named tensors"),
    "nothing": (lambda: {}, "0 entries instead of named tensors"),
    "numbers as names": (lambda: {3: torch.zeros(1)}, "other things than plain tensors by name: 3"),
    "names of many lines": (lambda: {"a\nb" * 900: torch.zeros(1)}, r"unknown a\\nba\\nb"),
    "a foreign state dictionary": (
        lambda: torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.BatchNorm1d(2)).state_dict(),
        r"missing hash_pe, center, .* more; unknown 0\.weight, 0\.bias, 1\.weight, 1\.bias, 1\.running_mean and 2 m",
    ),
    "code": (lambda: {"hash_pe": Evil()}, r"holds code, which is never run \(UnpicklingError\)"),
}


def refusal(file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], *options: str) -> str:
    """Run the command, see that it ends with 2, one line on standard error and nothing left behind; give the line."""
    before = sorted(tmp_path.rglob("*"))
    assert main([str(file), "--out", str(tmp_path / "new" / "out"), "--heads", "4", *options]) == 2
    said = capsys.readouterr()
    assert said.out == "" and said.err.count("\n") == 1 and len(said.err) < 1200
    assert sorted(tmp_path.rglob("*")) == before
    return said.err.strip()


@pytest.mark.parametrize("what", REFUSED)
def test_a_file_of_something_else_is_refused_in_one_sentence(
    what: str, saved: Files, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    make, says = REFUSED[what]
    file = saved(make())

    line = refusal(file, tmp_path, capsys)
    assert re.search(says, line), line
    assert not Path("pwned").exists()


def whole_file() -> bytes:
    stream = io.BytesIO()
    torch.save(official_state(official_like()), stream)
    return stream.getvalue()


def compressed() -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(whole_file())) as old, zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as new:
        for entry in old.namelist():
            new.writestr(entry, old.read(entry))
    return stream.getvalue()


def deep_pickle() -> bytes:
    return b"\x80\x02" + b"]" * 200_000 + b"a" * 199_999 + b"."


BYTES: dict[str, tuple[Callable[[], bytes], str]] = {
    "an empty file": (lambda: b"", "has 0 bytes"),
    "a truncated file": (lambda: whole_file()[: len(whole_file()) // 2], "cut short"),
    "a file without its last byte": (lambda: whole_file()[:-1], "cut short"),
    "a file cut at its start": (lambda: whole_file()[1000:], "cut short|cannot be read"),
    "text": (lambda: b"<html>404 not found</html>", "cannot be read as tensors"),
    "a plain pickle with code": (lambda: pickle.dumps(Evil()), "holds code, which is never run"),
    "a pickle of lists in lists": (deep_pickle, "cannot be read as tensors|instead of named tensors"),
    "dictionaries in dictionaries": (lambda: nested(), "other things than plain tensors by name: state_dict"),
    "a compressed archive": (compressed, "is compressed"),
    "an archive of something else": (lambda: archive(), "cannot be read as tensors"),
    "a string that claims to be long": (
        lambda: b"\x80\x02X" + struct.pack("<I", 0xFFFFFFF0) + b"a.",
        "cannot be read as tensors",
    ),
}


def nested() -> bytes:
    content: Any = {"hash_pe": torch.zeros(1)}
    for _ in range(60):
        content = {"state_dict": content}
    stream = io.BytesIO()
    torch.save(content, stream)
    return stream.getvalue()


def archive() -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as new:
        new.writestr("readme.txt", "hello")
    return stream.getvalue()


@pytest.mark.parametrize("what", BYTES)
def test_a_hostile_file_is_refused_in_one_sentence(
    what: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:

    monkeypatch.chdir(tmp_path)
    make, says = BYTES[what]
    (tmp_path / "bad.pth").write_bytes(make())
    line = refusal(tmp_path / "bad.pth", tmp_path, capsys)
    assert re.search(says, line), line
    assert not Path("pwned").exists()


def test_folders_missing_files_and_files_too_large_are_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert "is a folder" in refusal(tmp_path, tmp_path, capsys)
    assert "is not there" in refusal(tmp_path / "none.pth", tmp_path, capsys)
    assert "no file" in refusal(Path(os.devnull), tmp_path, capsys)
    with (tmp_path / "huge.pth").open("wb") as stream:
        stream.truncate(2**40)  # a file with a hole, which takes no room
    assert "more than the 16 GiB" in refusal(tmp_path / "huge.pth", tmp_path, capsys)


def test_class_names_that_do_not_fit_are_refused(
    saved: Files, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file, names = saved(official_state(official_like())), tmp_path / "names.txt"
    for content in (b"a\nb\nc\n", b"a\n\nb\nc\nd\n", b"a\nb\nc\nd\n\x1b[31m\n"):
        names.write_bytes(content)
        assert "one readable name a line" in refusal(file, tmp_path, capsys, "--classes", str(names))
    names.write_bytes(b"\xff\xfe\x00")
    assert "Class names cannot be read from 'names.txt'" in refusal(file, tmp_path, capsys, "--classes", str(names))
    assert "cannot be read" in refusal(file, tmp_path, capsys, "--classes", str(tmp_path))


def test_nothing_that_is_there_is_overwritten(saved: Files, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = saved(official_state(official_like()))
    (tmp_path / "empty").mkdir()
    assert main([str(file), "--out", str(tmp_path / "empty"), "--heads", "4"]) == 0
    capsys.readouterr()
    before = (tmp_path / "empty" / "config.json").read_bytes()
    for out in ("empty", "official.pth", "official.pth/below"):
        assert main([str(file), "--out", str(tmp_path / out), "--heads", "4"]) == 2
        assert capsys.readouterr().err.rstrip().endswith("choose another --out.")
    assert (tmp_path / "empty" / "config.json").read_bytes() == before


def test_a_failure_while_writing_leaves_nothing_behind(
    saved: Files, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    (tmp_path / "new").mkdir()
    monkeypatch.setattr("concepthash.checkpoint.write_json", full)
    assert "No space left on device" in refusal(saved(official_state(official_like())), tmp_path, capsys)
