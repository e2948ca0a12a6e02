"""A model that needs no weights, one-colored photos for it, and all that a gallery of them holds."""

from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import duckdb
import numpy as np
from PIL import Image

from concepthash.data import ImageTable, read_dataset

N_BITS, N_CONCEPTS = 12, 3


class FakeEncoder:
    """Code logits and attention centers from an image's first pixel; remembers the number of each image."""

    transform_id = "squash-16x24"

    def __init__(self) -> None:
        backbone = SimpleNamespace(image_size=(16, 24))
        config = SimpleNamespace(n_bits=N_BITS, n_concepts=N_CONCEPTS, backbone=backbone)
        self.checkpoint = SimpleNamespace(fingerprint="f" * 64, name="fake", config=config)
        self.numbers: list[int] = []
        self.batches: list[int] = []

    def encode(self, images: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
        assert all(image.shape == (16, 24, 3) and image.dtype == np.uint8 for image in images)
        numbers = [int(image[0, 0, 0]) for image in images]
        self.numbers += numbers
        self.batches.append(len(images))
        return logits_of(numbers), centers_of(numbers)


def logits_of(numbers: Sequence[int]) -> np.ndarray:
    logits = [np.random.default_rng(n).standard_normal(N_BITS) for n in numbers]
    return np.array(logits, np.float32).reshape(-1, N_BITS)


def centers_of(numbers: Sequence[int]) -> np.ndarray:
    centers = [np.random.default_rng(n).random((N_CONCEPTS, 2)) for n in numbers]
    return np.array(centers, np.float32).reshape(-1, N_CONCEPTS, 2)


def make_photos(folder: Path, n: int = 11, bad: Sequence[int] = ()) -> ImageTable:
    """Make one-colored images in two classes; the red of image i is i."""
    for number in range(n):
        path = folder / f"class_{2 * number // n}" / f"{number:03}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        if number in bad:
            path.write_bytes(b"not an image")
        else:
            Image.new("RGB", (40 + number, 30), (number, 80, 160)).save(path)
    return read_dataset(folder)


def content(out: Path) -> dict[str, Any]:
    """Everything in a gallery but when and in how many parts it was made."""
    with duckdb.connect(str(out / "gallery.duckdb"), read_only=True) as database:
        tables = {
            name: database.execute(f"SELECT {columns} FROM {name} ORDER BY ALL").fetchall()
            for name, columns in {"images": "* EXCLUDE (encoded)", "skipped": "*", "provenance": "*"}.items()
        }
    when = ("created", "changed", "part", "merged")
    tables["provenance"] = [row for row in tables["provenance"] if row[0] not in when]
    files = {str(p.relative_to(out)): p.read_bytes() for p in sorted((out / "thumbnails").rglob("*.webp"))}
    return tables | files
