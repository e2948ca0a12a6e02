"""From the grid of a map to the pixels of a photo, and how near maps come to the parts of a bird."""

import numpy as np
import pytest

from concepthash.errors import DataError
from concepthash.keypoints import (
    KEYPOINT_PARTS,
    PartScores,
    bootstrap_interval,
    keypoint_figures,
    part_columns,
    score_parts,
)
from concepthash.localization import peak_xy

CUB = [
    "back", "beak", "belly", "breast", "crown", "forehead", "left eye", "left leg", "left wing", "nape", "right eye",
    "right leg", "right wing", "tail", "throat",
]  # fmt: skip
HEAD, BODY, WING, TAIL, LEG = range(5)
SIZE = np.array([[100, 400]])  # height and width: a grid of (2, 4) has cells of 100 x 50 pixels
BOX = np.array([[0.0, 0, 40, 30]])  # a diagonal of 50 pixels


def map_of(cells: dict[tuple[int, int], float], grid: tuple[int, int] = (2, 4)) -> np.ndarray:
    maps = np.zeros((1, 1, *grid))
    for cell, mass in cells.items():
        maps[(0, 0, *cell)] = mass
    return maps


def tail_at(x: float, y: float) -> np.ndarray:
    return np.array([[[x, y, 1.0]]])


def test_every_key_point_of_cub_belongs_to_one_part_and_sides_are_merged() -> None:
    columns = part_columns(CUB)
    assert columns.sum(axis=1).tolist() == [1] * 15
    members = [[CUB[row] for row in np.flatnonzero(columns[:, part])] for part in range(len(KEYPOINT_PARTS))]
    assert members[HEAD] == ["beak", "crown", "forehead", "left eye", "nape", "right eye", "throat"]
    assert members[BODY] == ["back", "belly", "breast"]
    assert members[WING:] == [["left wing", "right wing"], ["tail"], ["left leg", "right leg"]]


def test_mass_lies_in_its_cell_of_an_oblong_image_and_grid() -> None:
    maps = map_of({(1, 2): 1.0})  # x from 200 to 300, y from 50 to 100
    whole = 1.2  # 60 pixels: more than the 56 from the middle of the cell to its corners
    inside = score_parts(maps, SIZE, BOX, tail_at(250, 75), ["tail"], whole)
    assert inside.mass[0, 0].tolist() == [0, 0, 0, 1, 0] and inside.hits[0, 0].tolist() == [0, 0, 0, 1, 0]
    for x, y in ((150, 25), (75, 50), (139, 75), (361, 75), (250, -11)):
        outside = score_parts(maps, SIZE, BOX, tail_at(x, y), ["tail"], whole)
        assert outside.mass.sum() == 0 and not outside.hits.any(), (x, y)


def test_mass_within_r_is_the_share_of_the_cell_under_the_circle() -> None:
    maps = map_of({(1, 2): 0.5, (0, 0): 0.5})
    scores = score_parts(maps, SIZE, BOX, tail_at(250, 75), ["tail"], 0.4)  # 20 pixels, all inside the cell
    assert scores.mass[0, 0, TAIL] == pytest.approx(0.5 * np.pi * 20**2 / 5000, rel=0.1)


@pytest.mark.parametrize(("border", "cells"), [((300, 75), ((1, 2), (1, 3))), ((250, 50), ((0, 2), (1, 2)))])
def test_a_key_point_on_a_cell_border_counts_for_both_cells_alike(
    border: tuple[int, int], cells: tuple[tuple[int, int], ...]
) -> None:
    near = [
        score_parts(map_of({cell: 1.0}), SIZE, BOX, tail_at(*border), ["tail"], 0.4).mass[0, 0, TAIL] for cell in cells
    ]
    assert near[0] == near[1] == pytest.approx(np.pi * 20**2 / 2 / 5000, rel=0.1)


def test_a_peak_between_two_equal_cells_is_on_their_border() -> None:
    maps = map_of({(1, 1): 0.5, (1, 2): 0.5})
    np.testing.assert_allclose(peak_xy(maps, SIZE)[0, 0], [200, 75])
    assert score_parts(maps, SIZE, BOX, tail_at(200, 75), ["tail"], 1e-6).hits[0, 0, TAIL]


def test_a_peak_exactly_r_away_is_a_hit_and_a_farther_one_is_not() -> None:
    maps = map_of({(1, 2): 1.0})
    assert score_parts(maps, SIZE, BOX, tail_at(255, 75), ["tail"], 0.1).hits[0, 0, TAIL]
    assert not score_parts(maps, SIZE, BOX, tail_at(255.1, 75), ["tail"], 0.1).hits.any()


def test_a_hidden_key_point_attracts_nothing() -> None:
    keypoints = np.array([[[250, 75, 0.0], [20.0, 15, 1.0]]])
    scores = score_parts(map_of({(1, 2): 1.0}), SIZE, BOX, keypoints, ["tail", "beak"], 0.5)
    assert scores.visible[0].tolist() == [True, False, False, False, False]
    assert not scores.hits.any() and scores.mass.sum() == 0 and scores.chance[0, TAIL] == 0


def test_two_key_points_of_a_part_are_one_region() -> None:
    keypoints = np.array([[[250.0, 75, 1], [250.0, 75, 1]]])
    one, two = (
        score_parts(map_of({(1, 2): 1.0}), SIZE, BOX, keypoints[:, :k], names[:k], 0.4).mass
        for k, names in ((1, CUB[6:7]), (2, [CUB[6], CUB[10]]))
    )
    np.testing.assert_array_equal(one, two)


def test_chance_is_the_share_of_the_box_that_is_near() -> None:
    boxes = np.array([[100.0, 20, 40, 30]])
    scores = score_parts(map_of({(0, 0): 1.0}), SIZE, boxes, tail_at(120, 35), ["tail"], 0.2)  # 10 pixels
    assert scores.chance[0, TAIL] == pytest.approx(np.pi * 100 / 1200, rel=0.03)
    corner = score_parts(map_of({(0, 0): 1.0}), SIZE, boxes, tail_at(100, 20), ["tail"], 0.2)
    assert corner.chance[0, TAIL] == pytest.approx(np.pi * 25 / 1200, rel=0.05)


def test_the_middle_of_the_box_is_scored_like_a_peak() -> None:
    boxes = np.array([[100.0, 20, 40, 30]])
    for x, y, is_near in ((124, 38, True), (125, 39, False), (100, 20, False)):  # 5 pixels around (120, 35)
        scores = score_parts(map_of({(0, 0): 1.0}), SIZE, boxes, tail_at(x, y), ["tail"], 0.1)
        assert scores.middle[0].tolist() == [False, False, False, is_near, False] and scores.hits.shape == (1, 1, 5)


def test_a_radius_of_nothing_is_refused() -> None:
    with pytest.raises(DataError, match="use a positive one"):
        score_parts(map_of({(0, 0): 1.0}), SIZE, BOX, tail_at(0, 0), ["tail"], 0)


def test_figures_average_over_the_images_that_show_the_part() -> None:
    hits = np.zeros((4, 1, 5), dtype=bool)
    hits[:2, 0, HEAD] = True
    visible = np.zeros((4, 5), dtype=bool)
    visible[:, BODY], visible[:2, HEAD] = True, True
    mass, chance = hits * 0.5, np.full((4, 5), 0.25) * visible
    figures = keypoint_figures(PartScores(hits, mass, chance, hits[:, 0], visible))
    assert figures["keypoint_pointing"] == [[1.0, 0.0, None, None, None]]
    assert figures["keypoint_table"] == [[0.5, 0.0, None, None, None]]
    assert figures["keypoint_table_interval"] == [[[0.5, 0.5], [0.0, 0.0], *[[None, None]] * 3]]
    assert figures["keypoint_chance"] == [0.25, 0.25, None, None, None]
    assert figures["keypoint_middle"] == [1.0, 0.0, None, None, None]
    assert figures["keypoint_images"] == [2, 4, 0, 0, 0]


def test_the_interval_is_that_of_a_share_and_the_same_for_the_same_seed() -> None:
    values = np.zeros((400, 1, 2))
    values[:100, 0, 0], values[:, 0, 1] = 1, np.arange(400)
    visible = np.ones((400, 2), dtype=bool)
    visible[200:, 1] = False  # so that the second mean is over 0 to 199
    low, high = bootstrap_interval(values, visible)
    assert low[0, 0] < 0.25 < high[0, 0] and low[0, 1] < 99.5 < high[0, 1]
    assert (high - low)[0, 0] == pytest.approx(2 * 1.96 * np.sqrt(0.25 * 0.75 / 400), rel=0.1)
    assert (high - low)[0, 1] == pytest.approx(2 * 1.96 * 57.7 / np.sqrt(200), rel=0.1)
    np.testing.assert_array_equal(bootstrap_interval(values, visible), [low, high])
    assert (bootstrap_interval(values, visible, seed=1) != [low, high]).any()
