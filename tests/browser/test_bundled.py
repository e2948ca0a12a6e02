"""The app as it opens with nothing asked: on the gallery that comes with its default model."""

import shutil
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Page, expect

from concepthash.checkpoint import read_checkpoint
from concepthash.data import read_image_folder
from concepthash.encode import encode_table
from concepthash.encoder import Encoder


@pytest.fixture(scope="module")
def project(model_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint, and assets with fourteen rendered pictures, a mask beside them, and a gallery that shows them."""
    root, random = tmp_path_factory.mktemp("project"), np.random.default_rng(0)
    shutil.copytree(model_folder, root / "checkpoints/aviary-32")
    for number in range(14):
        folder = root / "assets/aviary/images" / ("hedge_wren", "reed_wren")[number % 2]
        folder.mkdir(parents=True, exist_ok=True)
        small = Image.fromarray(random.integers(0, 255, (6, 8, 3)).astype(np.uint8))
        small.resize((128, 96)).save(folder / f"{number}.jpg")
    small.save(root / "assets/aviary/mask.png")
    encoder = Encoder(read_checkpoint(root / "checkpoints/aviary-32"), "cpu")
    table = read_image_folder(root / "assets/aviary/images")
    encode_table(encoder, table, root / "assets/galleries/aviary-32", progress=False, thumbnails="originals")
    return root


@pytest.fixture(scope="module")
def bundled_address(
    project: Path, serve: Callable[..., AbstractContextManager[str]], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("served")
    places = {"CONCEPTHASH_CHECKPOINTS": "checkpoints", "CONCEPTHASH_GALLERIES": "assets/galleries"}
    with serve(folder=folder, **{name: str(project / place) for name, place in places.items()}) as address:
        yield address
    assert {path.name for path in (folder / "cache").glob("*")} <= {"uploads"}, "something was encoded"


def test_the_bundled_gallery_is_opened_and_its_pictures_load(
    visit: Callable[[str], AbstractContextManager[Page]], bundled_address: str, project: Path
) -> None:
    with visit(bundled_address) as page:
        expect(page.locator("#ch-notice")).to_contain_text("the aviary: 14 rendered pictures, not photographs")
        expect(page.locator(".ch-status")).to_contain_text("aviary-32")
        expect(page.locator(".ch-thumb img")).to_have_count(12)
        page.wait_for_function("[...document.querySelectorAll('.ch-thumb img')].every(i => i.naturalWidth === 128)")
        assert str(project / "assets/aviary/images") in (page.locator(".ch-thumb img").first.get_attribute("src") or "")


def test_only_the_pictures_of_the_bundled_gallery_are_served(bundled_address: str, project: Path) -> None:
    assert status_of(bundled_address, next(project.rglob("*.jpg"))) == 200
    kept = ("assets/aviary/mask.png", "assets/galleries/aviary-32/gallery.duckdb", "checkpoints/aviary-32/config.json")
    assert {status_of(bundled_address, project / path) for path in kept} <= {403, 404}


def status_of(address: str, file: Path) -> int:
    try:
        with urllib.request.urlopen(f"{address}gradio_api/file={file}", timeout=10) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code
