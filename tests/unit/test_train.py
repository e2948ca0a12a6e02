"""Training from a folder to a checkpoint, on pictures made here."""

import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from builders import tiny_classes, tiny_config, tiny_model

from concepthash import feature_cache, train
from concepthash.checkpoint import read_checkpoint
from concepthash.config import LOSS_PRESETS, BackboneConfig, TrainConfig
from concepthash.data import read_dataset
from concepthash.errors import CheckpointError, DataError
from concepthash.model import ConceptHash
from concepthash.trainer import Trainer, cut_and_paste

LABELS = np.arange(20) % 5


def random_features(model: ConceptHash) -> np.ndarray:
    """Two views of twenty images; the class is written into the first channels."""
    shape = model.backbone.stem(torch.zeros(1, 3, 96, 128)).shape[1:]
    features = np.random.default_rng(0).normal(0, 0.3, (20, 2, *shape))
    for row, label in enumerate(LABELS):
        features[row, :, label * 10 : label * 10 + 10] += 2
    return features.astype(np.float16)


def new_trainer(origin: str = "", **changes: object) -> Trainer:
    model = tiny_model()
    config = TrainConfig(**({"epochs": 4, "batch_size": 5, "warmup_epochs": 1, "learning_rate": 3e-3} | changes))  # type: ignore[arg-type]
    return Trainer(model, random_features(model), LABELS, LOSS_PRESETS["grounded"], config, origin)


def test_training_lowers_every_loss_of_classes() -> None:
    trainer = new_trainer()
    history = [trainer.run_epoch() for _ in range(4)]
    for name in ("clf", "quan", "cd", "evidence", "total"):
        assert history[-1][name] < history[0][name]
    assert all(math.isfinite(value) for epoch in history for value in epoch.values())


def test_a_resumed_run_ends_with_the_same_weights(tmp_path: Path) -> None:
    unbroken, broken = new_trainer(), new_trainer()
    for _ in range(4):
        unbroken.run_epoch()
    broken.run_epoch()
    broken.save(tmp_path / "state.pt")
    resumed = new_trainer()
    resumed.resume(tmp_path / "state.pt")
    for _ in range(3):
        resumed.run_epoch()
    assert resumed.history == unbroken.history
    for name, tensor in unbroken.model.state_dict().items():
        assert torch.equal(tensor, resumed.model.state_dict()[name]), name


def test_a_run_with_other_settings_does_not_resume(tmp_path: Path) -> None:
    new_trainer().save(tmp_path / "state.pt")
    with pytest.raises(CheckpointError, match="unfinished run with other settings"):
        new_trainer(seed=1).resume(tmp_path / "state.pt")
    with pytest.raises(CheckpointError, match="data or --from"):
        new_trainer(origin="other photos").resume(tmp_path / "state.pt")


def test_divergence_is_said_in_a_sentence() -> None:
    trainer = new_trainer()
    with torch.no_grad():
        trainer.model.hash_head.specificity.fill_(float("nan"))
    with pytest.raises(DataError, match="Training diverged in epoch 1"):
        trainer.run_epoch()


def test_learning_rate_warms_up_and_then_falls_to_zero() -> None:
    trainer = new_trainer(epochs=4, warmup_epochs=1)
    rates = [trainer._learning_rate(step) for step in range(17)]
    assert rates[:4] == [0.25, 0.5, 0.75, 1.0]
    assert rates[4:] == sorted(rates[4:], reverse=True)
    assert rates[16] == pytest.approx(0)


def test_bfloat16_training_stays_close_to_float32() -> None:
    losses = [new_trainer(bfloat16=flag).run_epoch()["total"] for flag in (True, False)]
    assert losses[0] == pytest.approx(losses[1], rel=0.05)


def test_cut_and_paste_takes_one_rectangle_from_the_other_image() -> None:
    random = np.random.default_rng(0)
    pasted = cut_and_paste(torch.zeros(50, 2, 6, 9), torch.ones(50, 2, 6, 9), random)
    for image in pasted:
        rows, columns = image[0].any(dim=1), image[0].any(dim=0)
        assert torch.equal(image[0], torch.outer(rows, columns).float())
        assert torch.equal(image[0], image[1])
        assert 2 <= rows.sum() <= 5
        assert 3 <= columns.sum() <= 8


def test_every_image_is_seen_once_an_epoch_with_its_own_label() -> None:
    trainer = new_trainer(cutmix_share=1.0, plain_share=0.5, feature_dropout=0.0)
    seen = list(trainer._batches())
    assert sorted(int(label) for _, labels in seen for label in labels) == sorted(LABELS.tolist())
    for features, labels in seen:  # the class is written into ten channels, wherever a rectangle came from
        votes = features[:, :50].mean(dim=(2, 3)).unflatten(1, (5, 10)).mean(dim=2)
        assert torch.equal(votes.argmax(dim=1), labels)


def test_cached_features_are_those_of_the_stem_and_survive_a_kill(
    cub_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, table = tiny_model(), read_dataset(cub_folder)
    arguments = (model.backbone, model.config.backbone, table, tmp_path / "cache")
    calls: list[int] = []

    def dying_stem(stem: object, images: torch.Tensor, config: object) -> np.ndarray:
        calls.append(1)
        if len(calls) == 20:
            raise KeyboardInterrupt
        return original(stem, images, config)  # type: ignore[arg-type]

    original = feature_cache._stem_features
    monkeypatch.setattr(feature_cache, "_stem_features", dying_stem)
    with pytest.raises(KeyboardInterrupt):
        feature_cache.cached_features(*arguments, n_views=2)
    broken_at = len(calls)
    resumed = feature_cache.cached_features(*arguments, n_views=2)
    assert len(calls) - broken_at == 30 - feature_cache.SAVE_EVERY
    monkeypatch.setattr(feature_cache, "_stem_features", original)
    whole = feature_cache.cached_features(*(*arguments[:3], tmp_path / "other"), n_views=2)
    assert resumed.shape == (30, 2, 1280, 3, 4)
    np.testing.assert_array_equal(resumed, whole)


def test_the_command_makes_a_checkpoint_that_loads(
    cub_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(train, "make_class_table", lambda *_: tiny_classes())
    monkeypatch.setattr(train, "load_stem_weights", lambda *_: None)
    out = tmp_path / "made"
    arguments = f"--data {cub_folder} --out {out} --bits 8 --concepts 2 --image-size 64 --width 32 --depth 1"
    arguments += " --epochs 2 --views 2 --batch-size 4 --device cpu"
    assert train.main(arguments.split()) == 0
    printed = json.loads(capsys.readouterr().out.splitlines()[-1])
    checkpoint = read_checkpoint(out)
    assert checkpoint.metrics["figures"] == printed["figures"]
    assert set(checkpoint.metrics["figures"]) >= {"map", "map_topk", "precision_at_10", "concept_on_object_min"}
    assert sorted(p.name for p in out.iterdir()) == [
        "card.md", "classes.json", "config.json", "history.json", "metrics.json",
        "stem.safetensors", "weights.safetensors",
    ]  # fmt: skip
    assert "16" not in checkpoint.concept_names
    assert "Limits" in (out / "card.md").read_text()
    assert train.main(arguments.split()) == 2
    assert "already holds a finished checkpoint" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ("", ("patches", "raw", False, 320, 1.5, "all")),
        ("--preset released", ("all", "sign", True, 320, 0.0, "first")),
        ("--preset paper", ("all", "raw", False, 320, 1.0, "all")),
        ("--preset released --center-input raw --no-prompt-generator --csd-weight 2 --cd-margin all",
         ("all", "raw", False, 320, 2.0, "all")),
        ("--backbone vit_base_patch32_clip_quickgelu_224.openai --reading all", ("all", "raw", False, 224, 1.5, "all")),
        ("--image-size 96", ("patches", "raw", False, 96, 1.5, "all")),
    ],
)  # fmt: skip
def test_a_preset_sets_network_and_losses_and_single_switches_go_over_it(
    arguments: str, expected: tuple[object, ...]
) -> None:
    options = train._parser().parse_args(f"--data D --out O {arguments}".split())
    model, losses, _ = train._configs(options, tiny_classes())
    got = (model.reading, model.center_input, model.prompt_generator, model.backbone.image_size[0], losses.csd_weight)
    assert (*got, losses.cd_margin) == expected
    if "clip" in arguments:
        assert model.backbone.mean != BackboneConfig().mean


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--bits", "10", "--concepts", "4"], "10 bits do not split over 4 concepts"),
        (["--batch-size", "1"], "at least 2 images a step"),
        (["--device", "cuda:7"], "device"),
    ],
)
def test_the_command_refuses_what_cannot_work(
    cub_folder: Path, tmp_path: Path, arguments: list[str], says: str, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.setattr(train, "make_class_table", lambda *_: tiny_classes())
    if "cuda:7" in arguments and torch.cuda.is_available():
        pytest.skip("this machine has CUDA")
    assert train.main(["--data", str(cub_folder), "--out", str(tmp_path / "x"), *arguments]) == 2
    assert says in capsys.readouterr().err


def test_a_folder_without_images_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "empty").mkdir()
    assert train.main(["--data", str(tmp_path / "empty"), "--out", str(tmp_path / "x")]) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_the_fixture_has_the_classes_of_the_tiny_model() -> None:
    assert tiny_config().n_classes == len(tiny_classes().names)
