"""Training killed with -9 at bad moments, in processes of its own: it goes on, and ends with the same weights."""

import hashlib
import io
import json
import os
import signal
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any

import torch
from forked import Forked

from concepthash import train, train_setup, trainer
from concepthash.checkpoint import read_checkpoint


def dying(function: Callable[..., Any], count: int) -> Callable[..., Any]:
    """The function, whose call number ``count`` kills the process."""
    calls: list[int] = []

    def called(*args: Any, **kwargs: Any) -> Any:
        calls.append(1)
        if len(calls) == count:
            os.kill(os.getpid(), signal.SIGKILL)
        return function(*args, **kwargs)

    return called


def train_until(say: Callable[[str], None], moment: str, arguments: list[str]) -> None:
    """Run the command, which ends the process, or be killed before."""
    torch.set_num_threads(1)
    train_setup.load_stem_weights = lambda *_: None
    if moment == "mid-epoch":
        trainer.Trainer._train_step = dying(trainer.Trainer._train_step, 5)  # type: ignore[method-assign]
    elif moment == "mid-save":
        os.fsync = dying(os.fsync, 3)  # the new state is written and not yet in the place of the old one
    elif moment == "mid-checkpoint":
        train.evaluate = dying(train.evaluate, 1)  # type: ignore[attr-defined]
    with redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()) as errors:
        status = train.main(arguments)
    say(errors.getvalue()[-2000:])  # the other end reads it later, and a pipe holds so much
    raise SystemExit(status)


def run(moment: str, data: Path, out: Path) -> tuple[int | None, str]:
    """How the process ended, and what it wrote on standard error where it came to an end."""
    arguments = f"--data {data} --out {out} --bits 8 --concepts 2 --centers learnable --image-size 64 --width 32"
    arguments += " --epochs 3 --views 2 --batch-size 5 --save-steps 1 --device cpu"
    return Forked(train_until, moment, arguments.split()).end(seconds=300)


def weights(out: Path) -> str:
    return hashlib.sha256((out / "weights.safetensors").read_bytes()).hexdigest()


def test_a_killed_run_ends_with_the_weights_of_an_unbroken_one(cub_folder: Path, tmp_path: Path) -> None:
    unbroken = tmp_path / "unbroken"
    status, said = run("never", cub_folder, unbroken)
    assert status == 0, said
    for moment in ("mid-epoch", "mid-save", "mid-checkpoint"):
        out = tmp_path / moment
        status, said = run(moment, cub_folder, out)
        assert status == -signal.SIGKILL, said
        assert not (out / "config.json").exists()  # nothing there that a reader would take for a checkpoint
        status, said = run("never", cub_folder, out)
        assert status == 0, said
        assert weights(out) == weights(unbroken), moment
        assert json.loads((out / "history.json").read_text()) == json.loads((unbroken / "history.json").read_text())
        assert read_checkpoint(out).metrics["figures"] == read_checkpoint(unbroken).metrics["figures"]
        assert not (out / "run").exists()
