"""Resizing, its coordinates, and training views."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from concepthash.data import resize_for_model, to_original_coordinates, training_view
from concepthash.errors import ImageError

SIDES = st.integers(1, 4000)


def photo(height: int = 60, width: int = 90) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)


@pytest.mark.parametrize("shape", [(1, 1), (1, 500), (500, 1), (37, 91), (64, 48)])
def test_the_whole_image_is_squashed_to_the_size(shape: tuple[int, int]) -> None:
    resized = resize_for_model(np.full((*shape, 3), 90, dtype=np.uint8), (64, 48))
    assert resized.shape == (64, 48, 3) and resized.dtype == np.uint8 and resized.flags.writeable
    assert (resized == 90).all()


def test_an_image_of_the_right_size_stays_as_it_is() -> None:
    resized = resize_for_model(photo(), (60, 90))
    np.testing.assert_array_equal(resized, photo())


def test_shrinking_averages_instead_of_picking_pixels() -> None:
    stripes = np.zeros((256, 256, 3), dtype=np.uint8)
    stripes[:, ::2] = 255
    assert np.abs(resize_for_model(stripes, (32, 32))[4:-4, 4:-4].astype(int) - 127).max() <= 2


def test_a_view_that_is_turned_around_in_memory_is_resized() -> None:
    turned = photo()[::-1, ::-1]
    np.testing.assert_array_equal(resize_for_model(turned, (60, 90)), turned)


@pytest.mark.parametrize(
    "image",
    [
        np.zeros((4, 4), dtype=np.uint8),
        np.zeros((4, 4, 4), dtype=np.uint8),
        np.zeros((4, 4, 3), dtype=np.float32),
        np.zeros((0, 4, 3), dtype=np.uint8),
    ],
)
def test_an_array_that_is_no_rgb_image_is_refused(image: np.ndarray) -> None:
    with pytest.raises(ImageError, match="give RGB uint8"):
        resize_for_model(image, (8, 8))
    with pytest.raises(ImageError, match="give RGB uint8"):
        training_view(image, (8, 8), seed=0)


def test_a_point_follows_what_it_marks() -> None:
    image = np.zeros((100, 400, 3), dtype=np.uint8)
    image[40:60, 300:320] = 255
    resized = resize_for_model(image, (320, 160))
    rows, columns = np.nonzero(resized[..., 0] > 127)
    found = np.array([[columns.mean() + 0.5, rows.mean() + 0.5]])
    np.testing.assert_allclose(to_original_coordinates(found, (100, 400), (320, 160)), [[310, 50]], atol=1.5)


@settings(deadline=None, database=None)
@given(st.tuples(SIDES, SIDES), st.tuples(SIDES, SIDES), st.lists(st.tuples(SIDES, SIDES), max_size=5))
def test_coordinates_come_back(
    original: tuple[int, int], model: tuple[int, int], points: list[tuple[int, int]]
) -> None:
    xy = np.array(points, dtype=np.float32).reshape(-1, 2)
    there = to_original_coordinates(xy, model, original)
    assert there.shape == xy.shape
    np.testing.assert_allclose(to_original_coordinates(there, original, model), xy, rtol=1e-12)


def test_a_training_view_depends_on_its_seed_only() -> None:
    views = [training_view(photo(), (32, 48), seed=seed) for seed in (1, 1, 2)]
    assert views[0].shape == (32, 48, 3) and views[0].dtype == np.uint8
    np.testing.assert_array_equal(views[0], views[1])
    assert (views[0] != views[2]).any()


def test_training_views_leave_the_random_state_of_torch_alone() -> None:
    torch.manual_seed(3)
    expected = torch.rand(2)
    torch.manual_seed(3)
    training_view(photo(), (16, 16), seed=99)
    assert torch.equal(torch.rand(2), expected)


def test_training_views_of_many_threads_are_those_of_one() -> None:
    image = photo()
    with ThreadPoolExecutor(4) as pool:
        views = list(pool.map(lambda seed: training_view(image, (16, 16), seed=seed), range(24)))
    for seed, view in enumerate(views):
        np.testing.assert_array_equal(view, training_view(image, (16, 16), seed=seed))


@pytest.mark.parametrize("shape", [(1, 1), (1, 300), (300, 1)])
def test_a_training_view_of_a_tiny_or_thin_image_has_the_size(shape: tuple[int, int]) -> None:
    for seed in range(5):
        assert training_view(np.full((*shape, 3), 9, dtype=np.uint8), (16, 24), seed=seed).shape == (16, 24, 3)


def test_views_are_flipped_about_every_second_time() -> None:
    slope = np.repeat(np.arange(0, 240, 2, dtype=np.uint8)[None, :, None], 120, axis=0).repeat(3, axis=2)
    flipped = [
        view[:, 0].mean() > view[:, -1].mean() for view in (training_view(slope, (8, 8), seed=s) for s in range(60))
    ]
    assert 15 < sum(flipped) < 45


def test_a_trivial_view_has_the_size_depends_on_its_seed_and_keeps_most_of_the_image() -> None:
    image = photo()
    views = [training_view(image, (32, 48), seed=seed, augmentation="trivial") for seed in range(12)]
    assert {view.shape for view in views} == {(32, 48, 3)}
    np.testing.assert_array_equal(views[3], training_view(image, (32, 48), seed=3, augmentation="trivial"))
    assert len({view.tobytes() for view in views}) > 6
