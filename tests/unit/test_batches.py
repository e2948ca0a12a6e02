"""What the steps of training see."""

from pathlib import Path

import numpy as np
import torch

from concepthash.batches import Batch, BatchOrder
from concepthash.config import TrainConfig
from concepthash.features import CachedFeatures

LABELS = np.arange(24) % 3


def new_order(**changes: object) -> BatchOrder:
    return BatchOrder(LABELS, 4, TrainConfig(**({"batch_size": 8} | changes)))  # type: ignore[arg-type]


def test_every_image_is_seen_once_an_epoch() -> None:
    order = new_order()
    epochs = [np.concatenate([order.batch(3 * epoch + step).rows for step in range(3)]) for epoch in range(2)]
    for rows in epochs:
        assert sorted(rows) == list(range(24))
    assert (epochs[0] != epochs[1]).any()


def test_a_batch_depends_on_seed_and_step_only() -> None:
    first, again, other = new_order().batch(4), new_order().batch(4), new_order(seed=1).batch(4)
    for name, values in vars(first).items():
        np.testing.assert_array_equal(values, getattr(again, name))
    assert (first.rows != other.rows).any()


def test_parts_of_a_batch_are_the_whole_of_it() -> None:
    batch = new_order().batch(1)
    parts = [batch.part(index, 4) for index in range(4)]
    for name, values in vars(batch).items():
        np.testing.assert_array_equal(np.concatenate([getattr(part, name) for part in parts]), values)


def test_relatives_are_of_the_same_class_and_shares_hold() -> None:
    order = new_order(cutmix_share=0.25, plain_share=0.5)
    batches = [order.batch(step) for step in range(300)]
    assert all((LABELS[batch.rows] == LABELS[batch.relatives]).all() for batch in batches)
    mixed = np.concatenate([batch.boxes[:, 1] > 0 for batch in batches])
    assert 0.22 < mixed.mean() < 0.28
    plain = np.concatenate([batch.views == 0 for batch in batches])
    assert 0.59 < plain.mean() < 0.66  # one half, and a fourth of the rest


def test_without_a_plain_share_no_image_is_seen_as_it_is_unless_it_has_no_other_view() -> None:
    views = np.concatenate([new_order(plain_share=0.0).batch(step).views for step in range(60)])
    assert set(views.tolist()) == {1, 2, 3}
    assert not BatchOrder(LABELS, 1, TrainConfig(batch_size=8, plain_share=0.0)).batch(0).views.any()


def test_a_rectangle_comes_from_the_relative_and_nothing_else() -> None:
    array = np.stack([np.full((1, 2, 6, 9), row, np.float16) for row in range(24)])
    order = BatchOrder(LABELS, 1, TrainConfig(batch_size=24, cutmix_share=1.0))
    batch = order.batch(0)
    for image, row, relative in zip(batch.read(CachedFeatures(array)), batch.rows, batch.relatives, strict=True):
        pasted = image[0] == relative
        assert torch.equal(image[0], image[1])
        assert ((image[0] == row) | pasted).all()
        if row != relative:
            rows, columns = pasted.any(dim=1), pasted.any(dim=0)
            assert torch.equal(pasted, torch.outer(rows, columns))
            assert 1 <= rows.sum() <= 6
            assert 2 <= columns.sum() <= 9


def test_without_rectangles_features_are_read_as_they_are() -> None:
    array = np.random.default_rng(0).normal(size=(24, 4, 2, 3, 3)).astype(np.float16)
    batch = new_order(cutmix_share=0.0).batch(2)
    assert isinstance(batch, Batch)
    np.testing.assert_array_equal(batch.read(CachedFeatures(array)), array[batch.rows, batch.views])


def test_features_of_a_file_are_read_also_when_another_run_has_removed_it(tmp_path: Path) -> None:
    array = np.random.default_rng(0).standard_normal((5, 3, 4, 2, 2)).astype(np.float16)
    np.save(tmp_path / "features.npy", array)
    features = CachedFeatures(np.load(tmp_path / "features.npy", mmap_mode="c"))
    rows, views = np.array([4, 0, 2, 4]), np.array([2, 0, 1, 1])
    for is_there in (True, False):
        np.testing.assert_array_equal(features.read(rows, views), array[rows, views])
        if is_there:
            (tmp_path / "features.npy").unlink()
