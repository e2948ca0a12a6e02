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

# Of every fourth species, measured with the weights whose card has the figures of all; those take a core minutes.
OF_A_QUARTER = {
    "map": 0.9058,
    "map_topk": 0.9079,
    "precision_at_10": 0.8852,
    "map_per_concept": [0.8354, 0.8196, 0.8141, 0.8170],
    "bit_balance": 0.8131,
    "subcode_redundancy": 0.3096,
    "accuracy": 0.7760,
    "repeated_centers": 0.0,
    "concept_overlap": 0.1018,
    "concept_on_object": [0.9708, 0.8312, 0.9610, 0.9740],
    "keypoint_table": [
        [0.5368, 0.3933, 0.1596, 0.0095, 0.0170],
        [0.6071, 0.2674, 0.0809, 0.0106, 0.0163],
        [0.2035, 0.3740, 0.2456, 0.0217, 0.0811],
        [0.2325, 0.4153, 0.2588, 0.0196, 0.0274],
    ],
    "keypoint_chance": [0.1452, 0.1531, 0.0846, 0.0671, 0.0961],
    "keypoint_middle": [0.0260, 0.2248, 0.4059, 0.0280, 0.0717],
}


@pytest.fixture(scope="module")
def encoder() -> Encoder:
    return Encoder(read_checkpoint(ROOT / "checkpoints" / "birds-64"), "cpu")


def test_the_shipped_weights_have_the_figures_they_had(encoder: Encoder) -> None:
    table = read_dataset(PHOTOS)
    measured = evaluate(encoder, table.subset(np.flatnonzero(table.labels % 4 == 0)))
    for name, said in OF_A_QUARTER.items():
        np.testing.assert_allclose(measured[name], said, atol=0.005, err_msg=name)


def test_half_precision_leaves_the_codes_of_photos_as_they_are(encoder: Encoder) -> None:
    images = [read_image(path) for path in read_dataset(PHOTOS).paths[::133]]
    full = encoder.code_logits(images)
    encoder.half = True
    try:
        half = encoder.code_logits(images)
    finally:
        encoder.half = False
    np.testing.assert_array_equal(half > 0, full > 0)
    assert np.abs(half - full).max() < encoder.HALF_TOLERANCE
