"""Two machines of one `accelerate launch`, both played by this one: they work as one, and outlive a kill."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest
from builders import tiny_classes, tiny_config, tiny_model
from fake_encoder import content
from launcher import launch, launched, run

from concepthash.checkpoint import save_checkpoint
from concepthash.errors import GalleryError
from concepthash.gallery import open_gallery

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="kills with a POSIX signal")
DYING = '''
import os, signal, sys
from concepthash import encode, train
from concepthash.gallery import GalleryWriter
from concepthash.trainer import Trainer

command, last, *arguments = sys.argv[1:]
owner, name = {"encode": (GalleryWriter, "append"), "train": (Trainer, "_train_step")}[command]
real, calls = getattr(owner, name), []

def dying(*values):
    """On the second machine end at the ``last`` call, the launcher first, as if the power failed."""
    calls.append(1)
    if os.environ["RANK"] == "1" and len(calls) == int(last):
        os.kill(os.getppid(), signal.SIGKILL)
        os.kill(os.getpid(), signal.SIGKILL)
    return real(*values)

setattr(owner, name, dying)
sys.exit({"encode": encode, "train": train}[command].main(arguments))
'''


@pytest.fixture
def dying(tmp_path: Path) -> str:
    (tmp_path / "dying.py").write_text(DYING)
    return str(tmp_path / "dying.py")


def kill_second(*arguments: str) -> None:
    """Run until the second machine dies; the first one says so and ends, too."""
    first, second = launch(*arguments, machines=2)
    assert second.returncode == -9 and first.returncode == 1
    said = [line for line in first.stderr.splitlines() if line.startswith("Another of the 2 processes has ended")]
    assert len(said) == 1 and "[rank0]: Traceback" not in first.stderr, first.stderr


def test_two_machines_encode_what_one_process_does_though_one_is_killed(
    cub_folder: Path, tmp_path: Path, dying: str
) -> None:
    save_checkpoint(tmp_path / "model", tiny_model(tiny_config()), tiny_classes())
    command = ["--checkpoint", str(tmp_path / "model"), "--data", str(cub_folder), "--device", "cpu", "--json"]
    command += ["--batch-size", "4", "--quiet", "--out"]
    one, two = tmp_path / "one", tmp_path / "two"
    assert run("-m", "concepthash.encode", *command, str(one)).returncode == 0

    kill_second(dying, "encode", "3", *command, str(two))
    with pytest.raises(GalleryError, match="unfinished"):
        open_gallery(two)
    summary = json.loads(launched("-m", "concepthash.encode", *command, str(two), machines=2))

    assert (summary["n_resumed"], summary["n_encoded"], summary["n_skipped"]) == (15 + 2 * 4, 7, 0)
    galleries = open_gallery(one), open_gallery(two)
    assert galleries[0].image_ids == galleries[1].image_ids
    np.testing.assert_array_equal(galleries[0].words, galleries[1].words)
    np.testing.assert_allclose(galleries[0].code_logits, galleries[1].code_logits, atol=1e-5)  # of other batches
    rest = [{name: held for name, held in content(out).items() if name != "images"} for out in (one, two)]
    assert rest[0] == rest[1] and len(rest[0]) == 2 + 30


def test_two_machines_train_as_two_processes_of_one_though_one_is_killed(
    cub_folder: Path, tmp_path: Path, dying: str
) -> None:
    command = f"--data {cub_folder} --bits 8 --concepts 2 --centers learnable --image-size 64 --width 32 --depth 1"
    command += " --epochs 3 --views 2 --batch-size 4 --save-steps 1 --device cpu --gallery --out"
    one, two = tmp_path / "one", tmp_path / "two"
    launched("-m", "concepthash.train", *command.split(), str(one))

    kill_second(dying, "train", "5", *command.split(), str(two))
    assert not (two / "config.json").exists()
    launched("-m", "concepthash.train", *command.split(), str(two), machines=2)

    curves = [json.loads((out / "history.json").read_text()) for out in (one, two)]
    assert curves[0] == curves[1]
    assert (one / "weights.safetensors").read_bytes() == (two / "weights.safetensors").read_bytes()
    metrics = json.loads((two / "metrics.json").read_text())
    assert metrics["processes"] == 2
    assert len(open_gallery(two / "gallery")) == 30
