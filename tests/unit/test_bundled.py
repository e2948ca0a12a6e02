"""What is bundled fits together: models, the gallery the app opens on, and the figures both are said to have."""

import hashlib
import re
from pathlib import Path

import numpy as np
import pytest

from concepthash.checkpoint import read_checkpoint
from concepthash.data import read_dataset, read_image
from concepthash.encoder import Encoder
from concepthash.evaluate import evaluate
from concepthash.gallery import open_gallery

ROOT = Path(__file__).parents[2]


CHECKPOINTS = ROOT / "checkpoints"
LISTED = dict(re.findall("^- `(.+)`: `([0-9a-f]{64})`$", (CHECKPOINTS / "README.md").read_text(), re.MULTILINE))


def test_the_weights_are_those_that_are_listed() -> None:
    found = {name: (CHECKPOINTS / name / "weights.safetensors").read_bytes() for name in LISTED}
    assert {name: hashlib.sha256(content).hexdigest() for name, content in found.items()} == LISTED
    assert {name: read_checkpoint(CHECKPOINTS / name).fingerprint for name in found} == LISTED


def test_hubs_take_every_file_of_the_checkpoints_as_it_is() -> None:
    files = [file for name in (*LISTED, "stems") for file in (CHECKPOINTS / name).iterdir()]
    assert not [file for file in files if file.stat().st_size > 10 * 2**20]  # those above need large-file storage
    assert 10e6 < sum(file.stat().st_size for file in files) < 100e6


@pytest.mark.parametrize("name", ["aviary-32", "aviary-6"])
def test_a_bundled_gallery_was_made_by_its_model_and_holds_every_picture(name: str) -> None:
    checkpoint = read_checkpoint(ROOT / "checkpoints" / name)
    gallery = open_gallery(ROOT / "assets" / "galleries" / name, fingerprint=checkpoint.fingerprint)
    table = read_dataset(ROOT / "assets" / "aviary")
    assert gallery.image_ids == table.image_ids
    assert len(gallery) >= 900
    assert gallery.thumbnail_path(0) == table.paths[0]


@pytest.mark.parametrize("name", ["aviary-32", "aviary-6"])
def test_figures_of_the_aviary_models_can_be_measured_again(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    encoder = Encoder(read_checkpoint(ROOT / "checkpoints" / name), "cpu")
    gallery = open_gallery(ROOT / "assets" / "galleries" / name, fingerprint=encoder.checkpoint.fingerprint)
    table = read_dataset(ROOT / "assets" / "aviary")
    train = np.flatnonzero(table.is_train)
    some = train[:: len(train) // 20]
    encoded = encoder.code_logits([read_image(table.paths[row]) for row in some])
    np.testing.assert_array_equal(encoded > 0, gallery.codes_of(some))
    stored = iter(gallery.code_logits_of(train))  # of the pictures that evaluate asks for first, in their order
    monkeypatch.setattr(encoder, "code_logits", lambda images: np.array([next(stored) for _ in images]))
    measured = evaluate(encoder, table)
    said = encoder.checkpoint.metrics["figures"]
    assert measured["best_part"] == said["best_part"]
    for figure in ("map", "precision_at_10", "concept_overlap", "best_part_ratio", "pointing_game"):
        np.testing.assert_allclose(measured[figure], said[figure], atol=0.02, rtol=0.02, err_msg=figure)
