"""Training from a folder to a checkpoint, on pictures made here."""

import argparse
import dataclasses
import errno
import json
import math
import os
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from accelerate.state import AcceleratorState
from builders import tiny_classes, tiny_config, tiny_model
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from concepthash import feature_cache, train, train_setup
from concepthash.backbones import Backbone
from concepthash.card import model_card
from concepthash.checkpoint import Checkpoint, read_checkpoint
from concepthash.config import LOSS_PRESETS, TRAIN_PRESETS, BackboneConfig, ModelConfig, Precision, TrainConfig
from concepthash.data import read_dataset
from concepthash.errors import CheckpointError, ConfigError, DataError, ImageError
from concepthash.feature_cache import training_features
from concepthash.features import CachedFeatures, LiveFeatures, StemFeatures
from concepthash.image_views import Views
from concepthash.model import ConceptHash
from concepthash.objective import Objective
from concepthash.run_report import RunReport
from concepthash.train_loop import run_to_end
from concepthash.train_options import make_configs, make_parser
from concepthash.train_setup import make_accelerator, origin_of
from concepthash.trainer import Trainer

LABELS = np.arange(20) % 5


def random_features(model: ConceptHash) -> np.ndarray:
    """Two views of twenty images; the class is written into the first channels."""
    shape = model.backbone.stem(torch.zeros(1, 3, 96, 128)).shape[1:]
    features = np.random.default_rng(0).normal(0, 0.3, (20, 2, *shape))
    for row, label in enumerate(LABELS):
        features[row, :, label * 10 : label * 10 + 10] += 2
    return features.astype(np.float16)


def new_trainer(origin: str = "", trained_stages: int = 0, **changes: object) -> Trainer:
    backbone = dataclasses.replace(tiny_config().backbone, trained_stages=trained_stages)
    model = tiny_model(tiny_config(backbone=backbone))
    config = TrainConfig(**({"epochs": 4, "batch_size": 5, "warmup_epochs": 1, "learning_rate": 3e-3} | changes))  # type: ignore[arg-type]
    features, accelerator = CachedFeatures(random_features(model)), make_accelerator("cpu", config)
    return Trainer(Objective(model, LOSS_PRESETS["grounded"]), features, LABELS, config, accelerator, origin)


@pytest.fixture(autouse=True)
def _fresh_accelerator() -> None:
    """Accelerate keeps its precision for the whole process."""
    AcceleratorState._reset_state(reset_partial_state=True)


def test_training_lowers_every_loss_of_classes() -> None:
    trainer = new_trainer()
    history = [trainer.run_epoch() for _ in range(4)]
    for name in ("clf", "quan", "cd", "evidence", "total"):
        assert history[-1][name] < history[0][name]
    assert all(math.isfinite(value) for epoch in history for value in epoch.values())


@pytest.mark.parametrize("killed_after", [1, 4, 6])  # in the middle of an epoch, at its end, in the next one
@pytest.mark.parametrize("trained_stages", [0, 1])
def test_a_resumed_run_ends_with_the_same_weights(
    tmp_path: Path, trained_stages: int, killed_after: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    unbroken, broken, resumed = (new_trainer(trained_stages=trained_stages, save_steps=1) for _ in range(3))
    for _ in range(4):
        unbroken.run_epoch()

    def dying_step(parts: object) -> object:
        if broken.step == killed_after:
            raise KeyboardInterrupt
        return train_step(parts)  # type: ignore[arg-type]

    train_step = broken._train_step
    monkeypatch.setattr(broken, "_train_step", dying_step)
    with pytest.raises(KeyboardInterrupt):
        for _ in range(4):
            broken.run_epoch(tmp_path / "state.pt")
    resumed.resume(tmp_path / "state.pt")
    assert resumed.step == killed_after
    while resumed.epoch < 4:
        resumed.run_epoch()
    assert resumed.history == unbroken.history
    for name, tensor in unbroken.model.state_dict().items():
        assert torch.equal(tensor, resumed.model.state_dict()[name]), name


def test_the_time_of_a_run_counts_what_it_took_before_it_was_killed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = iter([0.0, 60.0, 1000.0, 1010.0, 1040.0])  # begun, saved; begun again, resumed, asked
    monkeypatch.setattr("concepthash.trainer.time", SimpleNamespace(monotonic=lambda: next(clock)))
    new_trainer().save(tmp_path / "state.pt")
    resumed = new_trainer()
    resumed.resume(tmp_path / "state.pt")
    assert resumed.seconds == 90.0


def test_stages_of_the_stem_train_at_their_own_rate_and_the_rest_of_it_not_at_all() -> None:
    slow, still = (new_trainer(trained_stages=1, stem_rate=rate, epochs=1) for rate in (0.1, 1e-12))
    before = {name: tensor.clone() for name, tensor in slow.model.backbone.state_dict().items()}
    for trainer in (slow, still):
        trainer.run_epoch()
    after, kept = (trainer.model.backbone.state_dict() for trainer in (slow, still))
    tail = [name for name in before if name.startswith("tail.")]
    frozen = [name for name in before if name.startswith("vit.patch_embed.backbone.")]
    assert tail and frozen
    assert all(torch.equal(after[name], before[name]) for name in frozen)
    assert all(not torch.equal(after[name], before[name]) for name in tail)
    assert all(torch.allclose(kept[name], before[name], atol=1e-9) for name in tail)
    assert [group["lr"] / slow.optimizer.param_groups[0]["lr"] for group in slow.optimizer.param_groups] == (
        pytest.approx([0.1 if group["share"] < 1 else 1.0 for group in slow.optimizer.param_groups])
    )


def test_a_run_with_other_settings_does_not_resume(tmp_path: Path) -> None:
    new_trainer().save(tmp_path / "state.pt")
    with pytest.raises(CheckpointError, match="unfinished run with other settings"):
        new_trainer(seed=1).resume(tmp_path / "state.pt")
    with pytest.raises(CheckpointError, match="data or --from"):
        new_trainer(origin="other photos").resume(tmp_path / "state.pt")


def test_a_run_with_other_classes_or_replaced_images_does_not_resume(cub_folder: Path) -> None:
    table, classes = read_dataset(cub_folder), tiny_classes()
    origins = {origin_of(table, classes, None), origin_of(table, classes, None)}
    assert len(origins) == 1
    origins.add(origin_of(table, dataclasses.replace(classes, names=("other", *classes.names[1:])), None))
    Image.new("RGB", (9, 9)).save(table.paths[3])
    origins.add(origin_of(table, classes, None))
    assert len(origins) == 3


def test_a_damaged_state_is_said_in_a_sentence(tmp_path: Path) -> None:
    new_trainer().save(tmp_path / "state.pt")
    content = (tmp_path / "state.pt").read_bytes()
    for damaged in (b"", content[: len(content) // 2], b"no state"):
        (tmp_path / "state.pt").write_bytes(damaged)
        with pytest.raises(CheckpointError, match="is damaged; delete that folder"):
            new_trainer().resume(tmp_path / "state.pt")


def test_divergence_is_said_in_a_sentence() -> None:
    trainer = new_trainer()
    with torch.no_grad():
        trainer.model.hash_head.specificity.fill_(float("nan"))
    with pytest.raises(DataError, match="Training diverged in epoch 1"):
        trainer.run_epoch()


def test_learning_rate_warms_up_and_then_falls_to_zero() -> None:
    trainer = new_trainer(epochs=4, warmup_epochs=1, learning_rate=1.0)
    rates = [trainer.learning_rate(step) for step in range(17)]
    assert rates[:4] == [0.25, 0.5, 0.75, 1.0]
    assert rates[4:] == sorted(rates[4:], reverse=True)
    assert rates[16] == pytest.approx(0)


def test_the_released_schedule_has_the_rates_of_the_reference() -> None:
    """Method reference, section C: learning rates at epochs 0, 9, 10, 50 and 99 of 100."""
    config = TRAIN_PRESETS["released"]
    trainer = new_trainer(epochs=config.epochs, warmup_epochs=config.warmup_epochs, schedule=config.schedule,
                          learning_rate=config.learning_rate)  # fmt: skip
    rates = [trainer.learning_rate(epoch * trainer.n_steps + 3) for epoch in (0, 9, 10, 50, 99)]
    assert rates == pytest.approx([1e-4, 1e-3, 9.997e-4, 5.774e-4, 3e-7], rel=1e-2)


def test_bfloat16_training_stays_close_to_float32() -> None:
    losses = []
    for precision in ("no", "bf16"):
        AcceleratorState._reset_state(reset_partial_state=True)
        losses.append(new_trainer(mixed_precision=precision).run_epoch()["total"])
    assert losses[0] == pytest.approx(losses[1], rel=0.05)
    assert losses[0] != losses[1]


def test_accumulated_parts_train_like_whole_batches() -> None:
    """Up to dropout and batch norm, whose statistics are those of a part."""
    quiet = {"batch_size": 10, "feature_dropout": 0.0, "epochs": 3}
    means = []
    for parts in (1, 2):
        AcceleratorState._reset_state(reset_partial_state=True)
        trainer = new_trainer(accumulation_steps=parts, **quiet)
        means.append([trainer.run_epoch()["total"] for _ in range(3)])
        assert trainer.optimizer.state_dict()["state"][0]["step"] == 6
    assert means[0] == pytest.approx(means[1], rel=0.1)
    assert means[0] != means[1]


def test_a_batch_that_does_not_split_is_refused() -> None:
    with pytest.raises(ConfigError, match="batch of 5 images cannot be split into 2 equal parts"):
        new_trainer(accumulation_steps=2)
    with pytest.raises(ConfigError, match=r"batch of 20 images cannot be split into 3 equal parts .* such as 18\."):
        new_trainer(batch_size=60, accumulation_steps=3)  # there are but 20


def test_one_image_is_not_enough_to_train_on() -> None:
    model, config = tiny_model(), TrainConfig()
    arguments = Objective(model, LOSS_PRESETS["grounded"]), CachedFeatures(random_features(model)), LABELS[:1]
    with pytest.raises(DataError, match=r"at least 2 images of known classes; there are 1\."):
        Trainer(*arguments, config, make_accelerator("cpu", config))


@pytest.mark.parametrize("has_labels", [True, False])
def test_what_cannot_be_measured_is_kept_all_the_same(
    has_labels: bool, checkpoint: Checkpoint, cub_folder: Path, monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    def refuse(*_: object) -> None:
        raise DataError("No part is visible.")

    table, options = read_dataset(cub_folder), argparse.Namespace(device="cpu")
    labels = np.where(table.is_train | has_labels, table.labels, -1)  # test labels of the Hub are often -1
    monkeypatch.setattr(train, "evaluate", refuse)
    assert train._measure(checkpoint, dataclasses.replace(table, labels=labels), options) == {}
    assert ("The model was not measured: No part is visible." in caplog.text) is has_labels


def test_a_card_says_what_is_so_of_each_network(cub_folder: Path) -> None:
    table, cards = read_dataset(cub_folder), []
    for name, encoder in (("hybrid", "minilm"), ("vit_tiny_patch16_224", "open_clip")):
        model = ModelConfig(text_dim=8, backbone=BackboneConfig(name=name))
        parts = {"model": model, "losses": LOSS_PRESETS["paper"], "train": TrainConfig()}
        settings = {name: dataclasses.asdict(part) for name, part in parts.items()}
        settings |= {"n_train": 15, "minutes": 1, "device": "cpu"}
        classes = dataclasses.replace(tiny_classes(), text_encoder=encoder)
        figures = {"figures": {"n_gallery": 23929, "table": [[0.25, None], [0.5, 1.0]]}}
        cards.append(model_card(table, classes, settings, figures))
    own = ("2 blocks of width 256", "efficientnet-lite", "all-MiniLM")
    assert [[words in card for words in own] for card in cards] == [[True] * 3, [False] * 3]
    assert "| n_gallery | 23929 |" in cards[0] and "| table | 0.25, –; 0.5, 1 |" in cards[0]


def test_images_of_no_known_class_are_not_trained_on(cub_folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    table = read_dataset(cub_folder)
    labels = np.where(np.arange(30) % 6 == 0, -1, table.labels)
    parts = train._parts(dataclasses.replace(table, labels=labels))
    assert sum(map(len, parts)) == 25 and all((part.labels >= 0).all() for part in parts)
    assert "5 images of no known class are left out" in caplog.text


def to_cache(folder: Path, n_views: int = 1) -> tuple[Backbone, BackboneConfig, Views]:
    """What `training_features` is given first, for all images of a data set."""
    model = tiny_model()
    config = model.config.backbone
    return model.backbone, config, Views(read_dataset(folder), config.image_size, n_views)


def test_cached_features_are_those_of_the_stem_and_survive_a_kill(
    cub_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    arguments = to_cache(cub_folder, n_views=2)
    calls: list[int] = []

    def dying_stem(self: StemFeatures, images: np.ndarray) -> torch.Tensor:
        calls.append(len(images))
        if len(calls) == 21:  # the first one finds the shape
            raise KeyboardInterrupt
        return original(self, images)

    original = StemFeatures.__call__
    monkeypatch.setattr(StemFeatures, "__call__", dying_stem)
    with pytest.raises(KeyboardInterrupt):
        training_features(*arguments, tmp_path / "cache")
    calls[:] = [0] * 21
    resumed = training_features(*arguments, tmp_path / "cache")
    assert len(calls) - 22 == 30 - feature_cache.SAVE_EVERY
    monkeypatch.setattr(StemFeatures, "__call__", original)
    whole = training_features(*arguments, tmp_path / "other")
    assert isinstance(resumed, CachedFeatures)
    assert isinstance(whole, CachedFeatures)
    assert isinstance(resumed.array, np.memmap)  # so that images are read from it, and its pages do not fill memory
    assert resumed.array.shape == (30, 2, 1280, 3, 4)
    np.testing.assert_array_equal(resumed.array, whole.array)
    stem = StemFeatures(*arguments[:2])
    np.testing.assert_array_equal(whole.array[7], stem(arguments[2].read_all(7)))


@pytest.mark.parametrize("n_workers", [0, 1])
def test_features_too_large_for_the_limit_are_computed_as_they_are_needed(
    cub_folder: Path, tmp_path: Path, n_workers: int, caplog: pytest.LogCaptureFixture
) -> None:
    arguments = (*to_cache(cub_folder, n_views=3), tmp_path / "cache")
    live = training_features(*arguments, cache_gb=0.001, n_workers=n_workers)
    assert isinstance(live, LiveFeatures)
    assert "the stem runs in every step" in caplog.text
    assert not (tmp_path / "cache").exists()
    rows, seen = np.array([3, 29, 3]), np.array([0, 2, 1])
    expected = training_features(*arguments).read(rows, seen)
    torch.testing.assert_close(live.read(rows, seen), expected, atol=2e-3, rtol=2e-3)  # other batches, float16


def test_a_run_whose_stem_runs_in_every_step_gives_the_same_weights_again(cub_folder: Path, tmp_path: Path) -> None:
    config, weights = TrainConfig(epochs=2, batch_size=5, n_views=3, cutmix_share=1.0), []
    for _ in range(2):
        backbone, settings, views = to_cache(cub_folder, n_views=3)
        live = training_features(backbone, settings, views, tmp_path, cache_gb=0.001)
        objective = Objective(tiny_model(), LOSS_PRESETS["grounded"])
        trainer = Trainer(objective, live, views.table.labels, config, make_accelerator("cpu", config))
        for _ in range(2):
            trainer.run_epoch()
        weights.append(torch.cat([p.flatten() for p in objective.parameters() if p.requires_grad]).detach())
    assert torch.equal(*weights)


def test_images_that_were_replaced_have_new_features(cub_folder: Path, tmp_path: Path) -> None:
    arguments = (*to_cache(cub_folder), tmp_path / "cache")
    before = training_features(*arguments).read(np.arange(3), np.zeros(3, int))
    file = arguments[2].table.paths[1]
    with Image.open(file) as image:
        image.transpose(Image.Transpose.FLIP_TOP_BOTTOM).save(file)
    after = training_features(*arguments).read(np.arange(3), np.zeros(3, int))
    assert [torch.equal(one, other) for one, other in zip(before, after, strict=True)] == [True, False, True]


@pytest.mark.parametrize("n_workers", [0, 1])
def test_a_broken_image_is_one_sentence_whoever_reads_it(cub_folder: Path, tmp_path: Path, n_workers: int) -> None:
    arguments = to_cache(cub_folder)
    arguments[2].table.paths[2].write_bytes(b"no image")
    with pytest.raises(ImageError) as error:
        training_features(*arguments, tmp_path / "cache", n_workers=n_workers)
    assert "\n" not in str(error.value)


def test_features_that_another_run_deletes_while_they_are_made_stay_usable(
    cub_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    arguments = to_cache(cub_folder)
    expected = training_features(*arguments, tmp_path / "whole").read(np.arange(30), np.zeros(30, int))

    def make_room() -> None:
        for file in (tmp_path / "cache").iterdir():
            file.unlink()

    monkeypatch.setattr(feature_cache, "wait", make_room)  # for the other processes, when all is done
    monkeypatch.setattr(feature_cache, "is_shared", lambda _: True)
    features = training_features(*arguments, tmp_path / "cache")
    torch.testing.assert_close(features.read(np.arange(30), np.zeros(30, int)), expected)
    assert not list((tmp_path / "cache").iterdir())


def test_features_unused_for_longest_make_room_for_new_ones(cub_folder: Path, tmp_path: Path) -> None:
    old, older, foreign = "0" * 16, "1" * 16, "thesis"
    for number, name in enumerate((old, older, foreign)):
        (tmp_path / f"{name}.npy").write_bytes(bytes(400_000))
        os.utime(tmp_path / f"{name}.npy", (1000 - number, 1000 - number))
    for name in (old, older):
        (tmp_path / f"{name}.done").touch()
    size = 30 * 1280 * 3 * 4 * 2
    training_features(*to_cache(cub_folder), tmp_path, cache_gb=(size + 500_000) / 1e9)
    assert len(list(tmp_path.glob("*.npy"))) == 3
    assert (tmp_path / f"{old}.npy").exists() and (tmp_path / f"{foreign}.npy").exists()
    assert not (tmp_path / f"{older}.done").exists()


def test_a_full_disk_is_said_before_training_and_leaves_no_file(
    cub_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    arguments = to_cache(cub_folder)
    monkeypatch.setattr(os, "posix_fallocate", full)
    with pytest.raises(DataError, match=r"no room for .* GB of features .*No space left"):
        training_features(*arguments, tmp_path / "cache")
    assert not list((tmp_path / "cache").iterdir())


def test_the_command_makes_a_checkpoint_that_loads(
    cub_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(train, "make_class_table", lambda *_: tiny_classes())
    monkeypatch.setattr(train_setup, "load_stem_weights", lambda *_: None)
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
    (out / "run").mkdir()  # as after a kill behind the last file
    assert train.main(arguments.split()) == 0
    assert not (out / "run").exists()
    assert train.main(arguments.split()) == 2
    assert "already holds a finished checkpoint" in capsys.readouterr().err
    (out / "run").mkdir()
    (out / "run" / "notes.txt").touch()
    assert train.main(arguments.split()) == 2
    assert "made/run holds 'notes.txt', which is no run's" in capsys.readouterr().err
    assert (out / "run" / "notes.txt").exists()


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
        ("--preset paper --ground-weight 1", ("all", "raw", False, 320, 1.0, "all")),
    ],
)  # fmt: skip
def test_a_preset_sets_network_and_losses_and_single_switches_go_over_it(
    arguments: str, expected: tuple[object, ...]
) -> None:
    options = make_parser(None).parse_args(f"--data D --out O {arguments}".split())
    model, losses, _ = make_configs(options, tiny_classes())
    got = (model.reading, model.center_input, model.prompt_generator, model.backbone.image_size[0], losses.csd_weight)
    assert (*got, losses.cd_margin) == expected
    if "clip" in arguments:
        assert model.backbone.mean != BackboneConfig().mean
    assert model.patch_classifier == (losses.ground_weight > 0)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--bits", "10", "--concepts", "4"], "10 bits do not split over 4 concepts"),
        (["--batch-size", "1"], "at least 2 images a step"),
        (["--device", "cuda:7"], "device"),
        (["--device", "cpu:x"], "There is no device 'cpu:x'"),
        (["--bits", "0"], "n_bits"),
        (["--seed", "-1"], "seed is -1"),
        (["--backbone", "vit_tiny_patch16_224", "--depth", "3"], "--depth is for hybrids only"),
        (["--backbone", "vit_tiny_patch16_224.", "--preset", "paper"], "timm does not know 'vit_tiny_patch16_224.'"),
        (["--adapter-dim", "8"], "name one with --backbone"),
        (["--seed", "20000000000000"], "seed is 20000000000000"),
        (["--workers", "-1"], "--workers is -1; give 0 or more."),
        (["--clf-weight", "nan"], "clf_weight is nan"),
        (["--learning-rate", "inf"], "learning_rate"),
        (["--report", "FILE/report"], "Training stopped: "),
        (["--out", "FILE"], "choose another --out."),
    ],
)
def test_the_command_refuses_what_cannot_work(
    cub_folder: Path, tmp_path: Path, arguments: list[str], says: str, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.setattr(train, "make_class_table", lambda *_: tiny_classes())
    monkeypatch.setattr(train_setup, "load_stem_weights", lambda *_: None)
    (tmp_path / "FILE").touch()
    monkeypatch.chdir(tmp_path)
    if "cuda:7" in arguments and torch.cuda.is_available():
        pytest.skip("this machine has CUDA")
    assert train.main(["--data", str(cub_folder), "--out", str(tmp_path / "x"), *arguments]) == 2
    said = capsys.readouterr().err
    assert says in said and said.count("\n") == 1


def test_an_estimate_counts_the_stem_in_every_step_where_features_do_not_fit(
    cub_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(train, "make_class_table", lambda *_: tiny_classes())
    monkeypatch.setattr(train_setup, "load_stem_weights", lambda *_: None)
    arguments = f"--data {cub_folder} --out {tmp_path / 'x'} --image-size 64 --width 32 --depth 1 --views 2 --estimate"
    seconds = []
    for gigabytes in (1, 0):
        assert train.main([*arguments.split(), "--epochs", "500", "--device", "cpu", "--cache-gb", str(gigabytes)]) == 0
        seconds.append(json.loads(capsys.readouterr().out))
    assert seconds[1]["features"] < seconds[0]["features"]
    assert seconds[1]["training"] > 2 * seconds[0]["training"]
    assert not (tmp_path / "x").exists()


def test_a_folder_without_images_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "empty").mkdir()
    assert train.main(["--data", str(tmp_path / "empty"), "--out", str(tmp_path / "x")]) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_the_fixture_has_the_classes_of_the_tiny_model() -> None:
    assert tiny_config().n_classes == len(tiny_classes().names)


def test_curves_can_go_to_tensorboard(tmp_path: Path) -> None:
    config = TrainConfig(epochs=2, batch_size=5, warmup_epochs=1)
    accelerator = make_accelerator("cpu", config, str(tmp_path))
    model = tiny_model()
    trainer = Trainer(
        Objective(model, LOSS_PRESETS["grounded"]), CachedFeatures(random_features(model)), LABELS, config, accelerator
    )
    run_to_end(trainer, tmp_path / "state.pt", RunReport(None), None)
    accelerator.end_training()
    log = EventAccumulator(str(tmp_path / "training")).Reload()
    assert [event.step for event in log.Scalars("total")] == [1, 2]
    assert log.Scalars("total")[1].value == pytest.approx(trainer.history[1]["total"])


@pytest.mark.parametrize("precision", ["no", "bf16"])
@pytest.mark.parametrize("has_bf16", [True, False])
def test_a_cpu_without_bf16_is_told_of_when_bf16_is_asked_for(
    precision: Precision, has_bf16: bool, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(train_setup, "_computes_bf16", lambda: has_bf16)
    make_accelerator("cpu", TrainConfig(mixed_precision=precision))
    assert ("leave it out" in caplog.text) == (precision == "bf16" and not has_bf16)


def test_torch_still_says_whether_a_cpu_has_bf16() -> None:
    assert train_setup._computes_bf16() in (True, False)
