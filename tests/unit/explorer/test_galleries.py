"""Which model and which gallery the app opens with: bundled galleries, the menu, and what is served to a browser."""

import logging
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from builders import tiny_classes, tiny_config, tiny_model
from PIL import Image

from concepthash.checkpoint import read_checkpoint, save_checkpoint
from concepthash.config import BackboneConfig
from concepthash.data import read_image_folder
from concepthash.encode import encode_table
from concepthash.encoder import Encoder
from concepthash.errors import ImageError
from concepthash.model import ConceptHash
from explorer.services import load_services
from explorer.services.galleries import GalleryShelf
from explorer.services.models import ModelShelf
from explorer.session import Session
from explorer.settings import Settings
from explorer.ui import with_model

ROOT = Path(__file__).parents[3]


def small_model(n_bits: int) -> ConceptHash:
    """A model that is loaded in no time: it keeps the beginning of the stem only."""
    backbone = BackboneConfig(image_size=(32, 48), width=32, depth=1, n_heads=4, stem_stage=1)
    return tiny_model(tiny_config(2, n_bits, backbone=backbone))


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """A project with three models, rendered pictures with part masks, and a gallery of them for aviary-32."""
    root, random = tmp_path_factory.mktemp("bundle"), np.random.default_rng(0)
    for name, bits in (("birds-64", 8), ("birds-6", 6), ("aviary-32", 4)):
        checkpoint = save_checkpoint(root / "checkpoints" / name, small_model(bits), tiny_classes())
        if name == "aviary-32":
            encoder = Encoder(checkpoint, "cpu")
    (root / "checkpoints" / "stems").mkdir()
    (root / "checkpoints" / "stems" / "0123456789abcdef.safetensors").write_bytes(b"shared")
    for number in range(6):
        pixels = Image.fromarray(random.integers(0, 255, (6, 8, 3)).astype(np.uint8)).resize((80, 60))
        for folder in ("assets/aviary/images", "assets/aviary/masks", "assets/examples"):
            (root / folder / "wren").mkdir(parents=True, exist_ok=True)
            pixels.save(root / folder / "wren" / f"{number}.{'jpg' if 'aviary' in folder else 'webp'}")
    table = read_image_folder(root / "assets/aviary/images")
    table = replace(table, root=root / "assets/aviary", image_ids=tuple(f"images/{name}" for name in table.image_ids))
    encode_table(encoder, table, root / "assets/galleries/shown", progress=False, thumbnails="originals")
    return Settings(
        checkpoints=root / "checkpoints",
        galleries=root / "assets/galleries",
        examples=root / "assets/examples",
        cache=root / "cache",
        device="cpu",
    )


@pytest.fixture
def root(bundle: Settings, tmp_path: Path) -> Path:
    """A copy of the project, to be changed."""
    shutil.copytree(bundle.checkpoints.parent, tmp_path / "copy")
    return tmp_path / "copy"


def moved(bundle: Settings, root: Path, **changes: Any) -> Settings:
    places = {"checkpoints": "checkpoints", "galleries": "assets/galleries", "examples": "assets/examples"}
    return replace(bundle, cache=root / "cache", **{name: root / place for name, place in places.items()}, **changes)


def test_the_bundled_gallery_is_opened_by_default_and_nothing_is_encoded(bundle: Settings) -> None:
    services = load_services(bundle)
    info = services.info(services.default_model)
    assert (info.name, info.n_gallery, info.gallery_name, info.gallery_kind) == (
        "aviary-32",
        6,
        "the aviary",
        "bundled",
    )
    assert info.foreign_gallery == ""
    assert not list(bundle.cache.glob("*"))
    assert services.photos.pixels("aviary-32", "me", services.photos.first_image("aviary-32")).shape == (60, 80, 3)


def shelf(settings: Settings) -> GalleryShelf:
    return GalleryShelf(settings, ModelShelf(settings))


def test_a_model_without_a_bundled_gallery_shows_the_examples(bundle: Settings) -> None:
    shown = shelf(bundle).of("birds-64")
    assert (shown.kind, shown.name, len(shown.gallery)) == ("examples", "the example birds", 6)


def test_the_visitors_own_gallery_goes_before_the_bundled_one(bundle: Settings, root: Path) -> None:
    settings = moved(bundle, root)
    for name in ("aviary-32", "birds-6"):
        encoder = Encoder(read_checkpoint(settings.checkpoints / name), "cpu")
        encode_table(encoder, read_image_folder(settings.examples), root / f"mine-{name}", progress=False)
    own = shelf(replace(settings, gallery=str(root / "mine-aviary-32"))).of("aviary-32")
    assert (own.kind, own.name, own.foreign) == ("own", "mine-aviary-32", "")
    other = shelf(replace(settings, gallery=str(root / "mine-birds-6")))
    assert other.default_model == "birds-6"
    assert other.of("aviary-32").kind == "bundled"
    assert other.of("aviary-32").foreign.endswith("made with birds-6, so aviary-32 shows the aviary.")
    assert other.of("birds-64").foreign.endswith("made with birds-6, so birds-64 shows the example birds.")


@pytest.mark.parametrize("wrong", ["damaged", "outdated", "unfinished", "without pictures"])
def test_a_bundled_gallery_that_cannot_be_used_is_logged_and_replaced_by_examples(
    bundle: Settings, root: Path, wrong: str, caplog: pytest.LogCaptureFixture
) -> None:
    gallery = root / "assets/galleries/shown"
    if wrong == "damaged":
        (gallery / "gallery.duckdb").write_bytes(b"no database" * 1000)
    elif wrong == "outdated":
        save_checkpoint(root / "checkpoints/aviary-32", small_model(12), tiny_classes())
    elif wrong == "unfinished":
        gallery.rename(gallery.with_suffix(".partial"))
    else:
        shutil.rmtree(root / "assets/aviary/images")
    with caplog.at_level(logging.WARNING):
        galleries = shelf(moved(bundle, root))
    assert galleries.default_model == "aviary-32"
    assert galleries.of("aviary-32").kind == "examples"
    assert "is left out" in caplog.text and "Traceback" not in caplog.text


def test_a_bundled_gallery_of_a_model_that_is_not_here_is_no_reason_to_warn(
    bundle: Settings, root: Path, caplog: pytest.LogCaptureFixture
) -> None:
    shutil.rmtree(root / "checkpoints/aviary-32")
    assert shelf(moved(bundle, root)).default_model == "birds-64"
    assert not caplog.records


def test_an_original_that_goes_while_the_app_runs_is_one_sentence(bundle: Settings, root: Path) -> None:
    services = load_services(moved(bundle, root))
    (root / "assets/aviary/images/wren/0.jpg").unlink()
    for ask in (services.photos.pixels, services.photos.small):
        with pytest.raises(ImageError, match=r'"0\.jpg" does not exist'):
            ask("aviary-32", "me", "gallery:images/wren/0.jpg")


def test_the_menu_has_the_default_model_first_and_no_folder_of_shared_stems(bundle: Settings) -> None:
    assert load_services(bundle).model_names == ("aviary-32", "birds-6", "birds-64")
    assert load_services(replace(bundle, checkpoint="birds-6")).model_names == ("birds-6", "aviary-32", "birds-64")


def test_without_the_preferred_models_the_first_one_is_opened(bundle: Settings, root: Path) -> None:
    for gone, default in (("aviary-32", "birds-64"), ("birds-64", "birds-6")):
        shutil.rmtree(root / "checkpoints" / gone)
        assert ModelShelf(moved(bundle, root)).default == default


def test_thumbnails_are_served_and_masks_code_and_models_are_not(bundle: Settings) -> None:
    services, root = load_services(bundle), bundle.checkpoints.parent
    served = services.galleries.thumbnail_folders()
    assert is_served("assets/aviary/images/wren/0.jpg", root, served)
    for name in services.model_names:
        cards = services.photos.strip(name, "", 0, 9).cards
        assert len(cards) == 6 and all(is_served(card.path, root, served) for card in cards)
    kept = [
        "assets/aviary/masks/wren/0.jpg",
        "assets/galleries/shown/gallery.duckdb",
        "checkpoints/birds-6/config.json",
    ]
    assert all((root / path).is_file() for path in kept)
    assert not [path for path in [*kept, str(ROOT / "app.py")] if is_served(path, root, served)]


def is_served(path: str, root: Path, folders: list[Path]) -> bool:
    return any((root / path).resolve().is_relative_to(folder.resolve()) for folder in folders)


def test_another_model_keeps_the_image_where_it_can_show_it(bundle: Settings) -> None:
    services = load_services(bundle)
    second = "gallery:wren/1.webp"
    for image, model, expected in (
        (second, "birds-6", second),
        (second, "aviary-32", "gallery:images/wren/0.jpg"),
        ("upload:1", "aviary-32", "upload:1"),
    ):
        assert with_model(services, Session("birds-64", image, agree=(1, 1)), model) == Session(model, expected)
