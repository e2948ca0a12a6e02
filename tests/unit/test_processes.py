"""Two processes of one `accelerate launch`, on the CPU: they train, measure and encode what one process would."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from builders import tiny_classes, tiny_config, tiny_model

from concepthash.checkpoint import save_checkpoint
from concepthash.gallery import open_gallery

ROOT = Path(__file__).resolve().parents[2]
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
"""


def run(*arguments: str, processes: int) -> str:
    launch = [] if processes == 1 else ["-m", "accelerate.commands.launch", "--cpu", "--num_machines", "1",
              "--num_processes", str(processes), "--mixed_precision", "no", "--dynamo_backend", "no"]  # fmt: skip
    environment = os.environ | {"PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'tests'}", "OMP_NUM_THREADS": "1"}
    finished = subprocess.run(
        [sys.executable, *launch, *arguments], capture_output=True, text=True, cwd=ROOT, env=environment, timeout=300
    )
    assert finished.returncode == 0, finished.stderr
    return finished.stdout


@pytest.mark.parametrize("parts", [1, 2])
def test_two_processes_have_the_losses_of_one(tmp_path: Path, parts: int) -> None:
    """Without dropout and batch norm, which each process does for its own images, nothing else differs."""
    driver = tmp_path / "driver.py"
    driver.write_text(TRAIN)
    curves = []
    for processes, split in ((1, 1), (2, parts)):
        run(str(driver), str(tmp_path / "history.json"), str(split), processes=processes)
        curves.append(json.loads((tmp_path / "history.json").read_text()))
    for one, two in zip(*curves, strict=True):
        assert two == pytest.approx(one, rel=2e-4)
    assert curves[0][2]["total"] < curves[0][0]["total"]


def test_two_processes_measure_and_encode_what_one_does(cub_folder: Path, tmp_path: Path) -> None:
    model = tmp_path / "model"
    save_checkpoint(model, tiny_model(tiny_config()), tiny_classes())
    printed, galleries = [], []
    for processes in (1, 2):
        out = tmp_path / f"gallery-{processes}"
        module = ["-m"] if processes == 1 else ["--module"]
        common = ["--checkpoint", str(model), "--data", str(cub_folder), "--device", "cpu", "--json"]
        printed.append(json.loads(run(*module, "concepthash.evaluate", *common, processes=processes)))
        encode = [*module, "concepthash.encode", *common, "--out", str(out), "--batch-size", "4", "--quiet"]
        summary = json.loads(run(*encode, processes=processes))
        assert (summary["n_encoded"], summary["n_skipped"]) == (30, 0)
        galleries.append(open_gallery(out))
    for name, value in printed[0].items():
        assert printed[1][name] == (pytest.approx(value, abs=1e-5) if isinstance(value, float) else value), name
    one, two = galleries
    assert one.image_ids == two.image_ids
    np.testing.assert_array_equal(one.words, two.words)
    np.testing.assert_allclose(one.code_logits, two.code_logits, atol=1e-5)
    assert Path(one.thumbnail_name(29)).read_bytes() == Path(two.thumbnail_name(29)).read_bytes()
