"""Training that starts from another model, tells how it stands, and stops when asked."""

import dataclasses
import json
import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from builders import CLASS_NAMES, tiny_classes, tiny_config, tiny_model

from concepthash import train
from concepthash.checkpoint import Checkpoint, read_checkpoint, save_checkpoint
from concepthash.config import BackboneConfig
from concepthash.errors import CheckpointError
from concepthash.gallery import open_gallery
from concepthash.model import ConceptHash
from concepthash.run_report import RunReport, RunStoppedError
from concepthash.start import start_from
from concepthash.trainer import Trainer


@pytest.fixture
def start(tmp_path: Path) -> Checkpoint:
    return save_checkpoint(tmp_path / "start", tiny_model(), tiny_classes(), half=False)


def other_model(**changes: object) -> ConceptHash:
    torch.manual_seed(5)
    return ConceptHash(tiny_config(**changes), torch.tensor(tiny_classes().text_features))  # type: ignore[arg-type]


def test_with_the_same_classes_every_weight_is_taken(start: Checkpoint) -> None:
    model = other_model()
    assert start_from(model, start, CLASS_NAMES) == []
    for name, tensor in tiny_model().state_dict().items():
        assert torch.equal(model.state_dict()[name], tensor), name


def test_stages_of_a_stem_that_was_frozen_may_train_from_now_on(start: Checkpoint, images: torch.Tensor) -> None:
    backbone = dataclasses.replace(tiny_config().backbone, trained_stages=2)
    model = other_model(backbone=backbone).eval()
    assert start_from(model, start, CLASS_NAMES) == []
    torch.testing.assert_close(model(images).code_logits, tiny_model()(images).code_logits, rtol=1e-3, atol=1e-4)


def test_stages_before_those_that_have_trained_may_train_too(tmp_path: Path, images: torch.Tensor) -> None:
    backbone = dataclasses.replace(tiny_config().backbone, trained_stages=1)
    before = other_model(backbone=backbone).eval()
    start = save_checkpoint(tmp_path / "tail", before, tiny_classes(), half=False)
    model = other_model(backbone=dataclasses.replace(backbone, trained_stages=3)).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(1.0)  # whatever is not taken shows
    assert start_from(model, start, CLASS_NAMES) == []
    torch.testing.assert_close(model(images).code_logits, before(images).code_logits, rtol=1e-3, atol=1e-4)


def test_stages_that_have_trained_do_not_become_frozen(tmp_path: Path) -> None:
    backbone = dataclasses.replace(tiny_config().backbone, trained_stages=1)
    start = save_checkpoint(tmp_path / "tail", other_model(backbone=backbone), tiny_classes())
    model = other_model(backbone=dataclasses.replace(backbone, trained_stages=0))
    with pytest.raises(CheckpointError, match="cannot start from 'tail': its network is another one"):
        start_from(model, start, CLASS_NAMES)


def test_with_other_classes_what_belongs_to_single_classes_stays_fresh(start: Checkpoint) -> None:
    model, before = other_model(), other_model().state_dict()
    fresh = start_from(model, start, tuple(f"car {i}" for i in range(5)))
    assert sorted(fresh) == ["concept_centroids", "patch_classifier.bias", "patch_classifier.weight"]
    for name in fresh:
        assert torch.equal(model.state_dict()[name], before[name])
    assert torch.equal(model.concept_tokens.concept_tokens, tiny_model().concept_tokens.concept_tokens)


def test_more_concepts_begin_with_those_that_are_there(start: Checkpoint) -> None:
    model = other_model(n_concepts=4, n_bits=16)
    fresh = start_from(model, start, CLASS_NAMES)
    tokens = model.concept_tokens.concept_tokens
    assert torch.equal(tokens[:2], tiny_model().concept_tokens.concept_tokens)
    assert not torch.equal(tokens[2:], tokens[:2])
    assert "hash_head.norm.weight" in fresh  # 16 bits instead of 8
    assert "hash_head.to_subcode.weight" not in fresh  # 4 bits a concept, as before


def test_another_network_is_refused(start: Checkpoint) -> None:
    deeper = BackboneConfig(image_size=(96, 128), width=32, depth=3, n_heads=4)
    with pytest.raises(CheckpointError, match=r"its network is another one, from backbone\.vit\.blocks\.2"):
        start_from(other_model(backbone=deeper), start, CLASS_NAMES)


def arguments_for(data: Path, start: Checkpoint, out: Path, *more: str) -> list[str]:
    base = f"--data {data} --from {start.path} --out {out} --centers learnable --epochs 2 --views 2 --batch-size 5"
    return [*base.split(), "--device", "cpu", "--report", str(out.parent / "report" / "report.jsonl"), *more]


def events(out: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in (out.parent / "report" / "report.jsonl").read_text().splitlines()]


def test_a_run_tells_how_it_stands_and_compares_with_its_start(
    cub_folder: Path, start: Checkpoint, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "made"
    assert train.main(arguments_for(cub_folder, start, out, "--bits", "12", "--concepts", "3", "--gallery")) == 0
    told = events(out)
    kinds = [event["event"] for event in told]
    assert kinds.index("features") < kinds.index("begin") < kinds.index("epoch") < kinds.index("finishing")
    assert kinds[-1] == "done"
    begin, *_ = [event for event in told if event["event"] == "begin"]
    assert (begin["n_train"], begin["n_test"], begin["epochs"], begin["steps"]) == (15, 15, 2, 3)
    assert all(Path(str(path)).is_file() for path in begin["watched"])  # type: ignore[attr-defined]
    epochs = [event for event in told if event["event"] == "epoch"]
    assert [event["epoch"] for event in epochs] == [1, 2]
    assert all(0 <= event["map"] <= 1 and "total" in event["losses"] for event in epochs)  # type: ignore[operator]
    assert epochs[-1]["seconds_left"] == 0
    maps = np.load(tmp_path / "report" / "maps-0002.npz")
    assert maps["maps"].shape == (3, 3, 3, 4)
    figures = next(event for event in told if event["event"] == "figures")
    assert set(figures["before"]) == set(figures["after"]) == {"map", "interval"}  # type: ignore[call-overload]
    comparison = np.load(tmp_path / "report" / "comparison.npz")
    assert comparison["before_logits"].shape == (15, 8)
    assert comparison["after_logits"].shape == (15, 12)
    checkpoint = read_checkpoint(out)
    assert checkpoint.config.backbone.image_size == (96, 128)
    assert open_gallery(out / "gallery", fingerprint=checkpoint.fingerprint).checkpoint_name == "made"
    assert checkpoint.metrics["figures"]["map"] == pytest.approx(figures["after"]["map"], abs=0.05)  # type: ignore[index]


def test_a_run_that_trains_stages_of_the_stem_compares_with_its_start_alike(
    cub_folder: Path, start: Checkpoint, tmp_path: Path
) -> None:
    before = []
    for n in (0, 1):
        out = tmp_path / str(n) / "made"
        assert train.main(arguments_for(cub_folder, start, out, "--trained-stages", str(n))) == 0
        before.append(np.load(out.parent / "report" / "comparison.npz")["before_logits"])
        assert read_checkpoint(out).config.backbone.trained_stages == n
    np.testing.assert_allclose(before[0], before[1], rtol=1e-2, atol=1e-2)
    later = tmp_path / "2" / "made"
    assert train.main(arguments_for(cub_folder, read_checkpoint(out), later, "--trained-stages", "2")) == 0
    one, two = (np.load(made.parent / "report" / "comparison.npz") for made in (out, later))
    np.testing.assert_allclose(one["after_logits"], two["before_logits"], rtol=1e-2, atol=2e-2)


def test_a_run_that_is_asked_to_stop_says_so_and_goes_on_later(
    cub_folder: Path, start: Checkpoint, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    unbroken, out = tmp_path / "a" / "made", tmp_path / "b" / "made"
    assert train.main(arguments_for(cub_folder, start, unbroken)) == 0
    train_step = Trainer._train_step

    def asked(self: Trainer, parts: object) -> object:
        if self.step == 1:
            os.kill(os.getpid(), signal.SIGTERM)
        return train_step(self, parts)  # type: ignore[arg-type]

    monkeypatch.setattr(Trainer, "_train_step", asked)
    was = signal.getsignal(signal.SIGTERM)
    try:
        assert train.main(arguments_for(cub_folder, start, out)) == 75
    finally:
        signal.signal(signal.SIGTERM, was)
    assert events(out)[-1]["event"] == "stopped"
    assert not (out / "config.json").exists()
    monkeypatch.setattr(Trainer, "_train_step", train_step)
    assert train.main(arguments_for(cub_folder, start, out)) == 0
    assert (out / "weights.safetensors").read_bytes() == (unbroken / "weights.safetensors").read_bytes()


def test_an_error_is_told_in_the_report_too(
    cub_folder: Path, start: Checkpoint, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "made"
    assert train.main(arguments_for(cub_folder, start, out, "--width", "64")) == 2
    assert "keeps the network of 'start'; leave out --width" in capsys.readouterr().err
    assert "leave out --width" in str(events(out)[-1]["said"])


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 30 MB, room for one state of the tiny model and not for the next one beside it."""
    folder = tmp_path / "disk"
    folder.mkdir()
    if (
        not shutil.which("mount")
        or subprocess.run(["mount", "-t", "tmpfs", "-o", "size=30m", "tmpfs", folder]).returncode
    ):
        pytest.skip("only who may mount a small disk can fill it")
    yield folder
    subprocess.run(["umount", folder], check=True)


def test_a_disk_that_fills_up_in_mid_run_loses_nothing(
    cub_folder: Path, start: Checkpoint, tmp_path: Path, small_disk: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    unbroken, out = tmp_path / "a" / "made", small_disk / "made"
    assert train.main(arguments_for(cub_folder, start, unbroken)) == 0
    assert train.main(arguments_for(cub_folder, start, out)) == 2
    assert capsys.readouterr().err.endswith(
        "Training stopped: No space left on device. Run the same command again to go on.\n"
    )
    assert sorted(path.name for path in (out / "run").iterdir()) == ["features", "state.pt"]  # no half file
    subprocess.run(["mount", "-o", "remount,size=200m", small_disk], check=True)
    assert train.main(arguments_for(cub_folder, start, out)) == 0
    assert (out / "weights.safetensors").read_bytes() == (unbroken / "weights.safetensors").read_bytes()


def test_a_folder_without_a_split_can_hold_images_out(cub_folder: Path, start: Checkpoint, tmp_path: Path) -> None:
    out = tmp_path / "made"
    assert train.main(arguments_for(cub_folder / "images", start, out, "--hold-out", "0.34")) == 0
    begin = next(event for event in events(out) if event["event"] == "begin")
    assert (begin["n_train"], begin["n_test"]) == (20, 10)
    assert "map" in read_checkpoint(out).metrics["figures"]


def test_an_estimate_trains_nothing(
    cub_folder: Path, start: Checkpoint, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "made"
    assert train.main(arguments_for(cub_folder, start, out, "--estimate")) == 0
    seconds = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert set(seconds) == {"features", "training", "finishing", "seconds"}
    assert seconds["seconds"] == pytest.approx(sum(seconds.values()) - seconds["seconds"], abs=0.2)
    assert not (out / "config.json").exists()
    assert not (out / "run").exists()


def test_ticks_are_rare_and_a_wish_to_stop_is_heard_at_the_next_one(tmp_path: Path) -> None:
    report = RunReport(tmp_path / "deep" / "report.jsonl")
    for number in range(50):
        report.tick("step", step=number)
    assert len((tmp_path / "deep" / "report.jsonl").read_text().splitlines()) < 10
    report.is_to_stop = True
    with pytest.raises(RunStoppedError):
        report.tick("step", step=51)
