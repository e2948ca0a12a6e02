"""The shipped bird model on real photos; they are not part of the project and lie where CONCEPTHASH_SHARED says."""

import os
from pathlib import Path

import numpy as np
import pytest

from concepthash.checkpoint import read_checkpoint
from concepthash.data import read_dataset, read_image
from concepthash.encoder import Encoder
from concepthash.evaluate import evaluate

ROOT = Path(__file__).parents[2]
PHOTOS = Path(os.environ.get("CONCEPTHASH_SHARED", "")) / "data" / "cub50"

pytestmark = pytest.mark.skipif(
    not os.environ.get("CONCEPTHASH_SHARED") or not PHOTOS.is_dir(),
    reason="CONCEPTHASH_SHARED names no folder with data/cub50",
)


OF_ALL = ("n_gallery", "n_queries", "keypoint_images", "precision_at_10")  # a fifth has six photos of a species


@pytest.fixture(scope="module")
def encoder() -> Encoder:
    return Encoder(read_checkpoint(ROOT / "checkpoints" / "birds-64"), "cpu")


def test_every_fifth_photo_gives_the_figures_of_the_card(encoder: Encoder) -> None:
    table = read_dataset(PHOTOS)
    assert table.is_train is not None
    fifth = np.concatenate([np.flatnonzero(part)[::5] for part in (table.is_train, ~table.is_train)])
    measured = evaluate(encoder, table.subset(fifth))
    for name, said in encoder.checkpoint.metrics["figures"].items():
        if name not in OF_ALL and not name.endswith("_interval"):
            np.testing.assert_allclose(measured[name], said, atol=0.05, err_msg=name)
    np.testing.assert_allclose(measured["map"], encoder.checkpoint.metrics["figures"]["map"], atol=0.01)


def test_half_precision_leaves_the_codes_of_photos_as_they_are(encoder: Encoder) -> None:
    images = [read_image(path) for path in read_dataset(PHOTOS).paths[::266]]
    full = encoder.code_logits(images)
    encoder.half = True
    try:
        half = encoder.code_logits(images)
    finally:
        encoder.half = False
    np.testing.assert_array_equal(half > 0, full > 0)
    assert np.abs(half - full).max() < encoder.HALF_TOLERANCE
