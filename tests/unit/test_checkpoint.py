"""A checkpoint folder: whole, altered, incomplete, renamed."""

import dataclasses
import hashlib
import json
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from builders import tiny_classes, tiny_config, tiny_model
from safetensors.torch import load, load_file, save

from concepthash.checkpoint import (
    Checkpoint,
    load_model,
    read_checkpoint,
    rename_concepts,
    save_checkpoint,
    weights_of,
)
from concepthash.encoder import Encoder
from concepthash.errors import CheckpointError, ConfigError


def test_a_saved_model_gives_the_same_codes_when_loaded(tmp_path: Path, images: torch.Tensor) -> None:
    model = tiny_model()
    loaded = load_model(save_checkpoint(tmp_path / "c", model, tiny_classes(), half=False))
    torch.testing.assert_close(loaded(images).code_logits, model(images).code_logits, rtol=1e-3, atol=1e-4)
    torch.testing.assert_close(loaded.class_centers(), model.class_centers())


def test_stages_of_a_stem_that_train_are_stored_with_the_model_and_not_with_the_stem(
    tmp_path: Path, images: torch.Tensor
) -> None:
    backbone = dataclasses.replace(tiny_config().backbone, trained_stages=1)
    model = tiny_model(tiny_config(backbone=backbone))
    saved = save_checkpoint(tmp_path / "c", model, tiny_classes(), half=False)
    assert not [name for name in load_file(tmp_path / "c" / "stem.safetensors") if name.startswith("conv_head")]
    stored = {f"backbone.tail.{name}" for name in load_file(tmp_path / "c" / "tail.safetensors")}
    assert stored == {name for name in model.state_dict() if name.startswith("backbone.tail.")} != set()
    assert not stored & set(load_file(tmp_path / "c" / "weights.safetensors"))
    torch.testing.assert_close(load_model(saved)(images).code_logits, model(images).code_logits, rtol=1e-3, atol=1e-4)


def test_stages_that_are_missing_altered_or_of_one_file_with_the_rest(tmp_path: Path, images: torch.Tensor) -> None:
    backbone = dataclasses.replace(tiny_config().backbone, trained_stages=1)
    saved = save_checkpoint(tmp_path / "c", tiny_model(tiny_config(backbone=backbone)), tiny_classes())
    codes, tail = load_model(saved)(images).code_logits, saved.path / "tail.safetensors"
    content = tail.read_bytes()
    tail.write_bytes(content[:-1] + b"?")
    with pytest.raises(CheckpointError, match=r"the SHA-256 of tail\.safetensors is not the one"):
        load_model(saved)
    tail.unlink()
    with pytest.raises(CheckpointError, match=r"has no tail\.safetensors; copy the whole folder again"):
        read_checkpoint(saved.path)
    weights = saved.path / "weights.safetensors"  # as checkpoints were before
    merged = load_file(weights) | {f"backbone.tail.{name}": tensor for name, tensor in load(content).items()}
    weights.write_bytes(save(merged))
    config = json.loads((saved.path / "config.json").read_text())
    del config["tail_sha256"]
    config["weights_sha256"] = hashlib.sha256(weights.read_bytes()).hexdigest()
    (saved.path / "config.json").write_text(json.dumps(config))
    assert torch.equal(load_model(read_checkpoint(saved.path))(images).code_logits, codes)


def test_checkpoints_may_share_one_stem(tmp_path: Path, images: torch.Tensor) -> None:
    pair = [save_checkpoint(tmp_path / name, tiny_model(), tiny_classes(), share_stem=True) for name in ("a", "b")]
    assert len(list((tmp_path / "stems").iterdir())) == 1
    assert not (tmp_path / "a" / "stem.safetensors").exists()
    own = save_checkpoint(tmp_path / "own", tiny_model(), tiny_classes())
    codes = [load_model(checkpoint)(images).code_logits for checkpoint in (*pair, own)]
    assert torch.equal(codes[0], codes[1]) and torch.equal(codes[0], codes[2])
    next((tmp_path / "stems").iterdir()).unlink()
    with pytest.raises(CheckpointError, match="copy the folder 'stems' beside it"):
        read_checkpoint(pair[0].path)


@pytest.mark.parametrize("file", ["stem.safetensors", "weights.safetensors"])
def test_altered_weights_are_refused(checkpoint: Checkpoint, file: str) -> None:
    content = bytearray((checkpoint.path / file).read_bytes())
    content[-1] ^= 1
    (checkpoint.path / file).write_bytes(content)
    with pytest.raises(CheckpointError, match=f"the SHA-256 of {file} is not the one"):
        load_model(checkpoint)


def test_half_precision_files_are_half_as_large(tmp_path: Path) -> None:
    sizes = [
        (save_checkpoint(tmp_path / str(half), tiny_model(), tiny_classes(), half=half).path / "weights.safetensors")
        .stat()
        .st_size
        for half in (True, False)
    ]
    assert sizes[0] < 0.6 * sizes[1]


def test_everything_said_of_a_checkpoint_comes_back(checkpoint: Checkpoint) -> None:
    again = read_checkpoint(checkpoint.path)
    assert again == checkpoint
    assert again.class_names == tiny_classes().names
    assert again.classes == tiny_classes()
    assert again.concept_names == ("concept 1", "concept 2")
    assert len(again.fingerprint) == 64


def test_truncated_weights_are_refused(checkpoint: Checkpoint) -> None:
    file = checkpoint.path / "weights.safetensors"
    file.write_bytes(file.read_bytes()[:1000])
    with pytest.raises(CheckpointError, match="were altered or cut short"):
        load_model(read_checkpoint(checkpoint.path))


def test_weights_of_another_size_are_named(checkpoint: Checkpoint) -> None:
    config = dataclasses.replace(checkpoint.config, n_bits=16)
    with pytest.raises(CheckpointError, match=r"wrong shape hash_head\.to_subcode\.weight"):
        load_model(dataclasses.replace(checkpoint, config=config))


@pytest.mark.parametrize("file", ["config.json", "classes.json", "weights.safetensors"])
def test_a_missing_file_is_named(checkpoint: Checkpoint, file: str) -> None:
    (checkpoint.path / file).unlink()
    with pytest.raises(CheckpointError, match=file):
        read_checkpoint(checkpoint.path)


@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("config.json", "{"),
        ("config.json", "[]"),
        ("config.json", '{"format": 99}'),
        ("config.json", '{"format": 1, "weights_sha256": "0", "model": {"n_bits": 7, "n_concepts": 2}}'),
        ("config.json", '{"format": 1, "weights_sha256": "0", "model": {"surprise": 1}}'),
        ("config.json", '{"format": 1, "weights_sha256": "0", "model": []}'),
        ("config.json", '{"format": 1, "weights_sha256": "0", "model": {"backbone": []}}'),
        ("config.json", '{"format": 1, "weights_sha256": "0", "model": {"n_bits": 64.0}}'),
        ("config.json", '{"format": 1, "weights_sha256": "0", "stem_sha256": "../../secret", "model": {}}'),
        ("classes.json", '{"text_encoder": "x", "classes": []}'),
        ("classes.json", '{"classes": [{"name": "tern"}]}'),
        ("concepts.json", '{"names": ["only one"]}'),
        ("concepts.json", "\x00"),
    ],
)
def test_a_file_that_makes_no_sense_is_refused_in_one_sentence(checkpoint: Checkpoint, file: str, content: str) -> None:
    (checkpoint.path / file).write_text(content)
    with pytest.raises(CheckpointError) as caught:
        read_checkpoint(checkpoint.path)
    assert "Traceback" not in str(caught.value)


@pytest.mark.parametrize(
    ("part", "name", "value", "says"),
    [
        ("backbone", "name", 5, "name is 5; it must be text"),
        ("backbone", "image_size", [320.5, 320], "image_size is (320.5, 320)"),
        ("backbone", "mean", [0.5], "mean is (0.5,); it must be of another kind"),
        ("backbone", "stem_stage", "last", "stem_stage is 'last'"),
        ("backbone", "dropout", "much", "dropout is 'much'; it must be a number"),
        ("head", "batch_norm", "no", "batch_norm is 'no'; it must be true or false"),
    ],
)
def test_a_setting_of_another_kind_is_named(
    checkpoint: Checkpoint, part: str, name: str, value: object, says: str
) -> None:
    file = checkpoint.path / "config.json"
    config = json.loads(file.read_text())
    config["model"][part][name] = value
    file.write_text(json.dumps(config))
    with pytest.raises(CheckpointError, match=re.escape(says)):
        read_checkpoint(checkpoint.path)


def test_text_features_of_different_lengths_are_refused(checkpoint: Checkpoint) -> None:
    file = checkpoint.path / "classes.json"
    content = json.loads(file.read_text())
    content["classes"][1]["text_feature"].pop()
    file.write_text(json.dumps(content))
    with pytest.raises(CheckpointError, match="text features of classes differ in length"):
        read_checkpoint(checkpoint.path)


def test_a_missing_folder_is_refused(tmp_path: Path) -> None:
    for name in ("nowhere", "x" * 300):
        with pytest.raises(CheckpointError, match=f"There is no checkpoint folder '{name}'"):
            read_checkpoint(tmp_path / name)


def test_a_stem_that_timm_does_not_know_is_refused(checkpoint: Checkpoint) -> None:
    backbone = dataclasses.replace(checkpoint.config.backbone, stem="no_such_network")
    unknown = dataclasses.replace(checkpoint, config=dataclasses.replace(checkpoint.config, backbone=backbone))
    with pytest.raises(CheckpointError, match="timm has no network 'no_such_network'"):
        load_model(unknown)


def test_names_of_concepts_travel_with_the_folder(checkpoint: Checkpoint) -> None:
    rename_concepts(checkpoint.path, [" head ", "wing"])
    assert read_checkpoint(checkpoint.path).concept_names == ("head", "wing")
    assert read_checkpoint(checkpoint.path).fingerprint == checkpoint.fingerprint


@pytest.mark.parametrize("names", [["head"], ["head", " "], ["head", "HEAD"], ["head", "x" * 41]])
def test_names_that_cannot_be_told_apart_are_refused(checkpoint: Checkpoint, names: list[str]) -> None:
    with pytest.raises(ConfigError):
        rename_concepts(checkpoint.path, names)
    assert read_checkpoint(checkpoint.path).concept_names == ("concept 1", "concept 2")


def test_the_encoder_takes_images_of_any_size(checkpoint: Checkpoint) -> None:
    encoder = Encoder(checkpoint, "cpu")
    random = np.random.default_rng(0)
    images = [random.integers(0, 255, size, dtype=np.uint8) for size in ((1, 1, 3), (50, 300, 3), (96, 128, 3))]
    logits = encoder.code_logits(images)
    assert logits.shape == (3, 8)
    for image, row in zip(images, logits, strict=True):
        explanation = encoder.explain(image)
        np.testing.assert_allclose(explanation.code_logits, row, rtol=1e-3, atol=1e-4)
        np.testing.assert_allclose(explanation.concept_maps.sum(axis=(1, 2)), 1, rtol=1e-5)
    assert encoder.code_logits([]).shape == (0, 8)
    assert encoder.class_centers.shape == (5, 8)


def test_half_precision_gives_the_same_codes(checkpoint: Checkpoint) -> None:
    encoder, random = Encoder(checkpoint, "cpu", half=True), np.random.default_rng(0)
    images = [random.integers(0, 255, (40, 50, 3), dtype=np.uint8) for _ in range(24)]
    full = encoder.code_logits(images)
    assert not encoder.half  # it is for CUDA only, where the same code runs as here
    encoder.half = True
    half = encoder.code_logits(images)
    assert not np.array_equal(half, full)
    np.testing.assert_array_equal(half > 0, full > 0)
    assert (np.abs(half) >= encoder.HALF_TOLERANCE / 2).all(where=np.abs(full) >= encoder.HALF_TOLERANCE)


def test_a_bit_that_does_not_exist_is_refused(checkpoint: Checkpoint) -> None:
    encoder = Encoder(checkpoint, "cpu")
    image = np.zeros((20, 20, 3), np.uint8)
    np.testing.assert_allclose(encoder.bit_map(image, 7).sum(), 1, rtol=1e-5)
    with pytest.raises(ConfigError, match="bits 0 to 7"):
        encoder.bit_map(image, 8)


@pytest.mark.parametrize("device", ["tpu", "cuda:99" if not torch.cuda.is_available() else "gpu"])
def test_a_device_that_is_not_there_is_refused(checkpoint: Checkpoint, device: str) -> None:
    with pytest.raises(ConfigError, match="device"):
        Encoder(checkpoint, device)


def test_a_config_holds_no_surprises(checkpoint: Checkpoint) -> None:
    stored = json.loads((checkpoint.path / "config.json").read_text())
    assert set(stored) == {"format", "weights_sha256", "stem_sha256", "model"}


def test_an_empty_file_of_weights_is_refused(checkpoint: Checkpoint) -> None:
    (checkpoint.path / "weights.safetensors").write_bytes(b"")
    with pytest.raises(CheckpointError, match="were altered or cut short"):
        weights_of(checkpoint)


@pytest.mark.skipif(not Path("/proc/self/maps").exists(), reason="only Linux lists what a process has mapped")
def test_weights_are_mapped_and_not_read_into_memory(checkpoint: Checkpoint) -> None:
    state = weights_of(checkpoint)
    assert str(checkpoint.path / "weights.safetensors") in Path("/proc/self/maps").read_text()
    assert state
