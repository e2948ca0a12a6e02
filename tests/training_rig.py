"""What the tests of training share: a service with a fake worker, images of three classes, and patience."""

import sys
import time
import zipfile
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image

from explorer.services.models import ModelShelf
from explorer.services.training.service import TrainingService
from explorer.settings import Settings

WORKER = Path(__file__).with_name("training_worker.py")
CLASSES = ("marsh wren", "cactus wren", "sooty tern")


def make_settings(root: Path, **changes: object) -> Settings:
    """Settings for models in ``root/checkpoints``; what visitors send goes to ``root/cache``."""
    return Settings(checkpoints=root / "checkpoints", cache=root / "cache", device="cpu", **changes)  # type: ignore[arg-type]


def make_service(root: Path, now: Callable[[], float] = time.time, **changes: object) -> TrainingService:
    """A service whose worker copies ``root/finished/model`` and obeys the words in ``root/mode``."""
    settings = make_settings(root, **changes)

    def command(record, out, report):  # type: ignore[no-untyped-def]
        paths = (root / "finished" / "model", root / "mode", report, out)
        return [sys.executable, str(WORKER), *map(str, paths), str(record.plan.epochs)]

    return TrainingService(settings, ModelShelf(settings), command=command, now=now, pause=0.05, patience=1.0)


def zip_of_images(file: Path, n: int = 6, classes: tuple[str, ...] = CLASSES) -> Path:
    """A zip of ``n`` small pictures of each class, no two alike."""
    random = np.random.default_rng(len(classes))
    with zipfile.ZipFile(file, "w") as archive:
        for name in classes:
            for number in range(n):
                content = BytesIO()
                Image.fromarray(random.integers(0, 255, (24, 32, 3)).astype(np.uint8)).save(content, "PNG")
                archive.writestr(f"photos/{name}/{number}.png", content.getvalue())
    return file


def wait_for(ask: Callable[[], object], seconds: float = 300.0) -> None:
    """Ask until the answer is yes."""
    end = time.monotonic() + seconds
    while not ask():
        assert time.monotonic() < end, "it never came"
        time.sleep(0.02)
