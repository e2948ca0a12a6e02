"""Two processes of one `accelerate launch`, on the CPU: they train and measure what one process would."""

import json
from pathlib import Path

import pytest
from builders import tiny_classes, tiny_config, tiny_model
from launcher import launch, launched, run

from concepthash.checkpoint import save_checkpoint

TRAIN = """
import dataclasses, json, sys
import numpy as np, torch
from builders import tiny_config, tiny_model
from concepthash.config import LOSS_PRESETS, HeadConfig, TrainConfig
from concepthash.features import CachedFeatures
from concepthash.objective import Objective
from concepthash.train_setup import make_accelerator
from concepthash.trainer import Trainer

torch.set_num_threads(1)
backbone = dataclasses.replace(tiny_config().backbone, dropout=0.0, drop_path=0.0)
model = tiny_model(tiny_config(backbone=backbone, head=HeadConfig(batch_norm=False)))
config = TrainConfig(epochs=3, batch_size=8, warmup_epochs=1, feature_dropout=0.0, save_steps=2,
                     accumulation_steps=int(sys.argv[2]))
shape = model.backbone.stem(torch.zeros(1, 3, 96, 128)).shape[1:]
features = np.random.default_rng(0).normal(0, 0.3, (24, 2, *shape)).astype(np.float16)
trainer = Trainer(Objective(model, LOSS_PRESETS["grounded"]), CachedFeatures(features), np.arange(24) % 5, config,
                  make_accelerator("cpu", config))
for _ in range(3):
    trainer.run_epoch()
if trainer.accelerator.is_main_process:
    with open(sys.argv[1], "w") as file:
        json.dump(trainer.history, file)
sys.stdout.write(f"{trainer.accelerator.num_processes} processes\\n")  # in one piece, as the other writes, too
"""


def test_two_processes_have_the_losses_of_one(tmp_path: Path) -> None:
    """Without dropout and batch norm, which each process does for its own images, nothing else differs."""
    driver, history = tmp_path / "driver.py", tmp_path / "history.json"
    driver.write_text(TRAIN)
    assert run(str(driver), str(history), "1").stdout == "1 processes\n"
    one = json.loads(history.read_text())
    assert one[2]["total"] < one[0]["total"]
    for parts in ("1", "2"):
        assert launched(str(driver), str(history), parts).splitlines() == ["2 processes"] * 2
        for expected, means in zip(one, json.loads(history.read_text()), strict=True):
            assert means == pytest.approx(expected, rel=2e-4)


def test_two_processes_measure_what_one_does(cub_folder: Path, tmp_path: Path) -> None:
    model = str(save_checkpoint(tmp_path / "model", tiny_model(tiny_config()), tiny_classes()).path)
    command = ["-m", "concepthash.evaluate", "--checkpoint", model, "--data", str(cub_folder), "--device", "cpu"]
    one, two = json.loads(run(*command, "--json").stdout), json.loads(launched(*command, "--json"))
    for name, value in one.items():
        assert two[name] == (pytest.approx(value, abs=1e-5) if isinstance(value, float) else value), name


def test_a_launcher_that_starts_one_process_only_is_told_of(tmp_path: Path) -> None:
    """With --cpu, and with one GPU or none, accelerate does so without a word, whatever number it is given."""
    driver = tmp_path / "driver.py"
    driver.write_text("from concepthash.devices import join, n_processes\njoin('cpu')\nprint(n_processes())")
    (alone,) = launch(str(driver), device="--cpu")
    assert (alone.stdout, alone.returncode) == ("1\n", 0)
    assert "started one process here, not several" in alone.stderr and "--multi_gpu in place of --cpu" in alone.stderr
    assert "started one process" not in run(str(driver)).stderr
