"""A disk that fills up while a real worker trains: a sentence, an app that goes on, and a run that can be resumed."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from builders import tiny_classes, tiny_model
from training_rig import wait_for, zip_of_images

from concepthash.checkpoint import read_checkpoint, save_checkpoint
from explorer.services.models import ModelShelf
from explorer.services.training.service import TrainingService
from explorer.settings import Settings
from explorer.training_records import Plan

pytestmark = pytest.mark.skipif(os.name != "posix", reason="workers are looked after with POSIX locks")


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 60 MB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=60m", "tmpfs", folder]
    if not shutil.which("mount") or subprocess.run(mount).returncode:
        pytest.skip("only who may mount a small disk can fill it")
    yield folder
    subprocess.run(["umount", "-l", folder], check=True)


def test_a_disk_that_fills_up_while_a_worker_trains_is_a_sentence_and_the_run_goes_on_later(
    small_disk: Path, tmp_path: Path
) -> None:
    save_checkpoint(tmp_path / "checkpoints" / "birds-8", tiny_model(), tiny_classes())
    cache, ballast = small_disk / "cache", small_disk / "ballast"
    settings = Settings(checkpoints=tmp_path / "checkpoints", cache=cache, device="cpu", may_train=True)
    service = TrainingService(settings, ModelShelf(settings), pause=0.05, patience=30.0)
    try:
        checked = service.check_zip("visitor", zip_of_images(tmp_path / "images.zip", n=8))
        plan = replace(Plan(checked.intake, "birds-8", epochs=12, language="none"), n_bits=8, n_concepts=2)
        run = service.start("visitor", plan, "mine")
        wait_for(lambda: service.status(run).epoch >= 1)
        with ballast.open("wb", buffering=0) as opened, pytest.raises(OSError, match="No space left"):
            while True:  # without a buffer, which would be written once more when the file is closed
                opened.write(bytes(1 << 16))
        wait_for(lambda: service.status(run).state in ("failed", "done"))
        ended = service.status(run)
        assert ended.state == "failed"
        assert "No space left on device" in ended.said or "The disk of this server is full" in ended.said
        assert not [path for path in cache.rglob("*") if path.suffix in (".tmp", ".part")]
        ballast.unlink()
        service.resume(run)
        wait_for(lambda: service.status(run).state in ("failed", "done"), seconds=300)
        assert service.status(run).state == "done"
        model = service.open_model(run)
        assert read_checkpoint(next(cache.rglob("config.json")).parent).fingerprint
        assert model.startswith("run-")
    finally:
        service.close()
