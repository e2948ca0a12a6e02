"""The mean of several models."""

import json
from pathlib import Path

import pytest
import torch
from builders import tiny_classes, tiny_config, tiny_model

from concepthash.average import average, main
from concepthash.checkpoint import STEM, Checkpoint, load_model, read_checkpoint, save_checkpoint
from concepthash.errors import CheckpointError

SETTINGS = {
    "model": {"n_bits": 8, "n_concepts": 2, "reading": "patches", "centers": "language",
              "backbone": {"name": "hybrid", "image_size": [96, 128], "depth": 2, "width": 32}},
    "losses": {"clf_weight": 1.0, "csd_map": "rollout"},
    "train": {"epochs": 3, "batch_size": 8, "optimizer": "adamw", "learning_rate": 0.001, "n_views": 2, "seed": 0},
    "n_train": 15, "minutes": 1, "device": "cpu", "figures": {"map": 0.5},
}  # fmt: skip


def made(folder: Path, shift: float = 0.0, n_bits: int = 8) -> Checkpoint:
    """A model whose weights that train are all moved; its stem is that of all others."""
    model = tiny_model(tiny_config(n_bits=n_bits))
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if not name.startswith(STEM):
                weight.add_(shift)
    return save_checkpoint(folder, model, tiny_classes(), metrics=SETTINGS, half=False, share_stem=True)


def test_every_weight_of_the_mean_is_the_mean(tmp_path: Path) -> None:
    several = [made(tmp_path / str(shift), shift) for shift in (0.0, 0.3, 0.9)]
    mean, base = average(several).state_dict(), tiny_model().state_dict()
    moved = [name for name in base if not torch.equal(mean[name], base[name])]
    assert len(moved) > 20 and not [name for name in moved if name.startswith(STEM)]
    for name in moved:
        torch.testing.assert_close(mean[name], base[name] + 0.4)


def test_the_mean_of_a_model_and_itself_is_that_model(tmp_path: Path, images: torch.Tensor) -> None:
    one = made(tmp_path / "one", 0.1)
    saved = save_checkpoint(tmp_path / "two", average([one, one]), tiny_classes(), half=False, share_stem=True)
    assert (saved.fingerprint, saved.stem) == (one.fingerprint, one.stem)
    assert torch.equal(load_model(saved)(images).code_logits, load_model(one)(images).code_logits)


def test_what_did_not_start_from_the_same_is_refused_by_name(tmp_path: Path) -> None:
    one, longer = made(tmp_path / "one"), made(tmp_path / "longer", n_bits=16)
    with pytest.raises(CheckpointError, match="'one' and 'longer' differ in sizes, classes or frozen stem"):
        average([one, longer])
    with pytest.raises(CheckpointError, match="takes two checkpoints or more"):
        average([one])


def test_the_command_writes_a_measured_checkpoint(
    tmp_path: Path, cub_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    several, out = [made(tmp_path / name, shift) for name, shift in (("a", 0.0), ("b", 0.2))], tmp_path / "mean"
    arguments = [*(str(c.path) for c in several), "--data", str(cub_folder), "--out", str(out), "--device", "cpu"]
    assert main(arguments) == 0
    said, mean = json.loads(capsys.readouterr().out), read_checkpoint(out)
    assert said["averaged"] == mean.metrics["averaged"] == ["a", "b"]
    assert mean.metrics["minutes"] == 2
    assert mean.metrics["figures"]["n_queries"] == 15
    assert "Weights: the means of a, b; the settings are the first's." in (out / "card.md").read_text()
    assert main(arguments) == 2
    assert capsys.readouterr().err == "'mean' is there already; choose another --out.\n"


def test_a_checkpoint_that_says_nothing_of_its_training_is_refused(
    tmp_path: Path, checkpoint: Checkpoint, cub_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = str(checkpoint.path)
    assert main([folder, folder, "--data", str(cub_folder), "--out", str(tmp_path / "mean"), "--device", "cpu"]) == 2
    assert capsys.readouterr().err.startswith("'tiny' does not say how it was trained")


def test_data_without_a_split_are_refused_and_nothing_is_left(
    tmp_path: Path, cub_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    several, out = [str(made(tmp_path / name).path) for name in ("a", "b")], tmp_path / "mean"
    assert main([*several, "--data", str(cub_folder / "images"), "--out", str(out), "--device", "cpu"]) == 2
    assert "has no train and test split" in capsys.readouterr().err
    assert not out.exists()
