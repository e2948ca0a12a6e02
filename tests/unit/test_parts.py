"""Concepts against part masks and attributes, on a world small enough to count by hand."""

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest

from concepthash.data import ImageTable
from concepthash.errors import DataError
from concepthash.localization import best_parts, part_table, peaks_in_parts
from concepthash.parts import attribute_agreement, part_figures

MASK = np.zeros((8, 8), np.uint8)
MASK[:4, :4] = 1  # a quarter of the picture is the head
MASK[4:6, 4:] = 2  # an eighth is the tail
MASK[7, 0] = 3


def maps_at(*cells: tuple[int, int]) -> np.ndarray:
    """One concept a cell, all of its mass there: (1, M, 4, 4)."""
    maps = np.zeros((1, len(cells), 4, 4))
    for concept, cell in enumerate(cells):
        maps[(0, concept, *cell)] = 1
    return maps


def table_of(attributes: list[list[str]], parts: tuple[str, ...]) -> ImageTable:
    n = len(attributes)
    return ImageTable(
        name="toy", root=Path("/"), image_ids=tuple(map(str, range(n))), paths=tuple(Path(str(i)) for i in range(n)),
        labels=np.arange(n), class_names=tuple(f"bird {i}" for i in range(n)), families=("bird",) * n, is_train=None,
        part_names=("head", "tail"), attributes=np.array(attributes), attribute_parts=parts,
        attribute_names=tuple(f"{part} {i}" for i, part in enumerate(parts)),
    )  # fmt: skip


def test_a_part_table_counts_mass_over_area() -> None:
    table = part_table(maps_at((0, 0), (2, 2), (3, 3)), [MASK], 4)
    np.testing.assert_allclose(table[:, :3], [[4, 0, 0], [0, 8, 0], [0, 0, 0]])
    assert np.isnan(table[:, 3]).all()  # a part that is nowhere
    assert best_parts(table).tolist() == [0, 1, 0]


def test_parts_of_which_none_is_visible_have_no_best() -> None:
    for table in (part_table(maps_at((0, 0)), [np.zeros_like(MASK)], 2), np.empty((1, 0))):
        with pytest.raises(DataError, match="No part is visible"):
            best_parts(table)


def test_uniform_maps_are_at_chance_on_every_part() -> None:
    np.testing.assert_allclose(part_table(np.full((1, 2, 4, 4), 1 / 16), [MASK], 3), 1)


def test_a_mask_need_not_split_into_cells() -> None:
    mask = np.zeros((6, 9), np.uint8)
    mask[:3] = 1  # the upper half: one and a half of three rows of cells
    table = part_table(np.array([[[[1.0], [0], [0]], [[0], [1], [0]], [[0], [0], [1]]]]), [mask], 1)
    np.testing.assert_allclose(table, [[2], [1], [0]])
    coarse = np.array([[[[1.0, 0, 0, 0], [0] * 4, [0] * 4, [0] * 4], [[0] * 4, [1.0, 0, 0, 0], [0] * 4, [0] * 4]]])
    np.testing.assert_allclose(part_table(coarse, [mask], 1), [[2], [2]])
    sevenths = np.zeros((1, 1, 7, 7))
    sevenths[0, 0, 3] = 1 / 7  # the middle row, of which a half is in the part
    np.testing.assert_allclose(part_table(sevenths, [mask], 1), [[1]])


def test_a_part_that_is_in_no_image_is_none_in_json() -> None:
    figures = part_figures(maps_at((1, 1)), [MASK], ("head", "tail", "leg", "horn"))
    assert figures["part_table"][0]["horn"] is None
    json.dumps(figures, allow_nan=False)


def test_the_pointing_game_asks_for_the_cell_of_the_peak() -> None:
    maps = maps_at((0, 0), (2, 2), (3, 0))
    assert peaks_in_parts(maps, [MASK], np.array([0, 0, 2])).tolist() == [[True, False, True]]


def test_part_figures_name_the_best_part() -> None:
    figures = part_figures(maps_at((1, 1), (2, 3)), [MASK], ("head", "tail", "leg"))
    assert figures["best_part"] == ["head", "tail"]
    assert figures["best_part_ratio"] == [4.0, 8.0]
    assert figures["pointing_game"] == [1.0, 1.0]
    assert figures["part_table"][1] == {"head": 0.0, "tail": 8.0, "leg": 0.0}


def test_a_concept_that_writes_its_part_agrees_on_it_and_another_does_not() -> None:
    table = table_of([["red", "long"], ["red", "short"], ["blue", "long"], ["blue", "short"]], ("head", "tail"))
    code = np.array([[red, long] for red in (1, 0) for long in (1, 0)], dtype=bool)  # one bit a concept
    labels, stored = np.arange(4), np.repeat(np.arange(4), 10)
    rows = attribute_agreement(code, code[stored], labels, stored, table, ["head", "tail"])
    assert [row["part"] for row in rows] == ["head", "tail"]
    assert [(row["own"], row["others"], row["ratio"]) for row in rows] == [(1.0, 0.5, 2.0)] * 2


def test_a_part_without_attributes_has_no_agreement() -> None:
    table = table_of([["red"], ["blue"]], ("tail",))
    code = np.eye(2, dtype=bool)
    rows = attribute_agreement(code, code, np.arange(2), np.arange(2), table, ["head", "tail"])
    assert rows[0] == {"part": "head", "own": None, "others": None, "ratio": None}
    assert rows[1]["own"] is not None


def test_attributes_must_fit_the_classes() -> None:
    table = table_of([["red"], ["blue"]], ("tail",))
    with pytest.raises(DataError, match="Attributes have the shape"):
        dataclasses.replace(table, attributes=np.array([["red"]]))
