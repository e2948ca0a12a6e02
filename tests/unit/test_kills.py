"""Training killed with -9 at bad moments, in processes of its own: it goes on, and ends with the same weights."""

import hashlib
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

from concepthash.checkpoint import read_checkpoint

ROOT = Path(__file__).resolve().parents[2]
DRIVER = '''
import os, signal, sys
import torch
from concepthash import train, train_setup, trainer

moment, arguments = sys.argv[1], sys.argv[2:]

def dying(function, count):
    """The function, whose call number `count` kills the process."""
    calls = []

    def called(*args, **kwargs):
        calls.append(1)
        if len(calls) == count:
            os.kill(os.getpid(), signal.SIGKILL)
        return function(*args, **kwargs)

    return called

torch.set_num_threads(1)
train_setup.load_stem_weights = lambda *_: None
if moment == "mid-epoch":
    trainer.Trainer._train_step = dying(trainer.Trainer._train_step, 5)
elif moment == "mid-save":
    os.fsync = dying(os.fsync, 3)  # the new state is written and not yet in the place of the old one
elif moment == "mid-checkpoint":
    train.evaluate = dying(train.evaluate, 1)
sys.exit(train.main(arguments))
'''


def run(moment: str, data: Path, out: Path) -> subprocess.CompletedProcess[str]:
    arguments = f"--data {data} --out {out} --bits 8 --concepts 2 --centers learnable --image-size 64 --width 32"
    arguments += " --epochs 3 --views 2 --batch-size 5 --save-steps 1 --device cpu"
    return subprocess.run(
        [sys.executable, "-c", DRIVER, moment, *arguments.split()],
        capture_output=True, text=True, cwd=ROOT, env=os.environ | {"PYTHONPATH": str(ROOT)}, timeout=300,
    )  # fmt: skip


def weights(out: Path) -> str:
    return hashlib.sha256((out / "weights.safetensors").read_bytes()).hexdigest()


def test_a_killed_run_ends_with_the_weights_of_an_unbroken_one(cub_folder: Path, tmp_path: Path) -> None:
    unbroken = tmp_path / "unbroken"
    finished = run("never", cub_folder, unbroken)
    assert finished.returncode == 0, finished.stderr
    for moment in ("mid-epoch", "mid-save", "mid-checkpoint"):
        out = tmp_path / moment
        killed = run(moment, cub_folder, out)
        assert killed.returncode == -signal.SIGKILL, killed.stderr
        assert not (out / "config.json").exists()  # nothing there that a reader would take for a checkpoint
        resumed = run("never", cub_folder, out)
        assert resumed.returncode == 0, resumed.stderr
        assert weights(out) == weights(unbroken), moment
        assert json.loads((out / "history.json").read_text()) == json.loads((unbroken / "history.json").read_text())
        assert read_checkpoint(out).metrics["figures"] == read_checkpoint(unbroken).metrics["figures"]
        assert not (out / "run").exists()
