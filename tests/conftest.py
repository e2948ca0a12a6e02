"""Small models and data sets that tests share; no network, no GPU, no photo."""

from pathlib import Path

import numpy as np
import pytest
import torch
from builders import CLASS_NAMES, tiny_classes, tiny_model
from PIL import Image

from concepthash.checkpoint import Checkpoint, save_checkpoint
from concepthash.model import ConceptHash

torch.set_num_threads(1)  # files are tested two at once, and the same sums come out on every machine


@pytest.fixture
def model() -> ConceptHash:
    """An untrained model of 2 concepts and 8 bits on a 3 x 4 grid."""
    return tiny_model()


@pytest.fixture
def checkpoint(tmp_path: Path) -> Checkpoint:
    """The same model in a folder."""
    return save_checkpoint(tmp_path / "tiny", tiny_model(), tiny_classes())


@pytest.fixture
def images() -> torch.Tensor:
    """Three normalized images, (3, 3, 96, 128)."""
    return torch.randn(3, 3, 96, 128, generator=torch.Generator().manual_seed(2))


@pytest.fixture
def cub_folder(tmp_path: Path) -> Path:
    """Thirty pictures of five classes in the CUB layout, each class with a color of its own; half of them test."""
    root, random = tmp_path / "cub", np.random.default_rng(0)
    lines: dict[str, list[str]] = {
        name: [] for name in ("images", "image_class_labels", "train_test_split", "bounding_boxes")
    }
    for number in range(30):
        label = number % 5
        name = f"{label + 1:03d}.{CLASS_NAMES[label].replace(' ', '_')}/{number}.png"
        (root / "images" / name).parent.mkdir(parents=True, exist_ok=True)
        pixels = random.integers(0, 80, (60, 80, 3)) + 35 * label
        Image.fromarray(pixels.astype(np.uint8)).save(root / "images" / name)
        lines["images"].append(f"{number + 1} {name}")
        lines["image_class_labels"].append(f"{number + 1} {label + 1}")
        lines["train_test_split"].append(f"{number + 1} {int(number < 15)}")
        lines["bounding_boxes"].append(f"{number + 1} 10.0 10.0 60.0 40.0")
    for file, rows in lines.items():
        (root / f"{file}.txt").write_text("\n".join(rows) + "\n")
    names = [f"{i + 1} {i + 1:03d}.{name.replace(' ', '_')}" for i, name in enumerate(CLASS_NAMES)]
    (root / "classes.txt").write_text("\n".join(names) + "\n")
    return root
