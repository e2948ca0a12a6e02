"""Several threads may ask one encoder at once, and each gets the answer that it would get alone."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from concepthash.checkpoint import Checkpoint
from concepthash.encoder import Encoder


@pytest.mark.parametrize("copies", [1, 3])
def test_threads_at_once_get_the_answers_they_get_alone(checkpoint: Checkpoint, copies: int) -> None:
    encoder, random = Encoder(checkpoint, "cpu", copies=copies), np.random.default_rng(0)
    images = [random.integers(0, 255, (60, 80, 3)).astype(np.uint8) for _ in range(12)]
    alone = [(encoder.explain(image).concept_maps, encoder.code_logits([image])) for image in images]
    with ThreadPoolExecutor(6) as pool:
        maps = pool.map(lambda image: encoder.explain(image).concept_maps, images * 4)
        codes = pool.map(lambda image: encoder.code_logits([image]), images * 4)
        for (map_alone, code_alone), map_, code in zip(alone * 4, maps, codes, strict=True):
            np.testing.assert_allclose(map_, map_alone, atol=1e-5)
            np.testing.assert_allclose(code, code_alone, atol=1e-4)


def test_copies_share_their_weights(checkpoint: Checkpoint) -> None:
    encoder = Encoder(checkpoint, "cpu", copies=2)
    with encoder._turn() as first, encoder._turn() as second:
        assert first is not second
        pairs = zip(first.parameters(), second.parameters(), strict=True)
        assert all(a.data_ptr() == b.data_ptr() for a, b in pairs)
