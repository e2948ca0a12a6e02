"""Figures of a checkpoint on a data set, and where concept maps lie."""

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
from builders import tiny_classes, tiny_config, tiny_model

from concepthash.checkpoint import Checkpoint, save_checkpoint
from concepthash.data import read_dataset
from concepthash.encoder import Encoder
from concepthash.errors import DataError
from concepthash.evaluate import _labels_of_model, evaluate, main
from concepthash.localization import concept_overlap, peak_xy, peaks_in_boxes


def test_evaluate_prints_every_figure(
    checkpoint: Checkpoint, cub_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--checkpoint", str(checkpoint.path), "--data", str(cub_folder), "--device", "cpu", "--json"]) == 0
    figures = json.loads(capsys.readouterr().out)
    assert figures["n_gallery"] == figures["n_queries"] == 15
    assert not [name for name in figures if name.startswith("keypoint")]
    assert len(figures["map_per_concept"]) == len(figures["concept_on_object"]) == 2
    assert figures["concept_on_object_min"] == min(figures["concept_on_object"])
    for name in (
        "map",
        "map_topk",
        "precision_at_10",
        "accuracy",
        "bit_balance",
        "concept_overlap",
        "subcode_redundancy",
        "repeated_centers",
    ):
        assert 0 <= figures[name] <= 1


def test_one_concept_alone_has_no_figures_that_compare_several(
    tmp_path: Path, cub_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    alone = save_checkpoint(tmp_path / "alone", tiny_model(tiny_config(n_concepts=1)), tiny_classes())
    assert main(["--checkpoint", str(alone.path), "--data", str(cub_folder), "--device", "cpu", "--json"]) == 0
    figures = json.loads(capsys.readouterr().out, parse_constant=pytest.fail)  # NaN is no JSON
    assert not {"concept_overlap", "subcode_redundancy", "repeated_centers"} & set(figures)


def add_key_points(folder: Path) -> None:
    """A beak and two legs for every picture of 80 x 60 pixels; the left leg never shows."""
    (folder / "parts").mkdir()
    (folder / "parts" / "parts.txt").write_text("1 beak\n2 left leg\n3 right leg\n")
    rows = [f"{i} 1 20.0 20.0 1\n{i} 2 0.0 0.0 0\n{i} 3 40.0 45.0 {i % 2}\n" for i in range(1, 31)]
    (folder / "parts" / "part_locs.txt").write_text("".join(rows))


def test_evaluate_prints_how_near_concepts_come_to_key_points(
    checkpoint: Checkpoint, cub_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    add_key_points(cub_folder)
    assert main(["--checkpoint", str(checkpoint.path), "--data", str(cub_folder), "--device", "cpu", "--json"]) == 0
    figures = json.loads(capsys.readouterr().out)
    assert figures["keypoint_parts"] == ["head", "body", "wing", "tail", "leg"]
    assert figures["keypoint_images"] == [15, 0, 0, 0, 7]
    for name in ("keypoint_table", "keypoint_pointing"):
        for row, bounds in zip(figures[name], figures[f"{name}_interval"], strict=True):
            assert row[1:4] == [None] * 3 and bounds[1:4] == [[None, None]] * 3
            assert all(0 <= bounds[part][0] <= row[part] <= bounds[part][1] <= 1 for part in (0, 4))
    assert figures["keypoint_chance"][0] == pytest.approx(np.pi * 0.01 * (60**2 + 40**2) / 2400, rel=0.05)


def test_figures_do_not_depend_on_the_batch_size(checkpoint: Checkpoint, cub_folder: Path) -> None:
    encoder, table = Encoder(checkpoint, "cpu"), read_dataset(cub_folder)
    one, other = (evaluate(encoder, table, batch_size=size) for size in (4, 15))
    for name, value in one.items():
        np.testing.assert_allclose(value, other[name], rtol=1e-3, atol=1e-4)


def test_data_without_a_split_is_refused(checkpoint: Checkpoint, cub_folder: Path) -> None:
    table = dataclasses.replace(read_dataset(cub_folder), is_train=None)
    with pytest.raises(DataError, match="no train and test split"):
        evaluate(Encoder(checkpoint, "cpu"), table)


def test_images_of_no_known_class_are_left_out(checkpoint: Checkpoint, cub_folder: Path) -> None:
    encoder, table = Encoder(checkpoint, "cpu"), read_dataset(cub_folder)
    is_known = np.arange(30) % 5 > 0
    found = evaluate(encoder, dataclasses.replace(table, labels=np.where(is_known, table.labels, -1)))
    assert found["n_gallery"] + found["n_queries"] == 24
    assert found == evaluate(encoder, table.subset(is_known))


def test_classes_that_the_model_does_not_know_are_taken_for_none_of_its_own(tmp_path: Path, cub_folder: Path) -> None:
    names = ("A", "a", *tiny_classes().names[2:])
    model = save_checkpoint(tmp_path / "twice", tiny_model(), dataclasses.replace(tiny_classes(), names=names))
    encoder, table = Encoder(model, "cpu"), read_dataset(cub_folder)
    labels = _labels_of_model(encoder, table)
    assert sorted(set(labels.tolist())) == [2, 3, 4, 5, 6]
    strange = dataclasses.replace(table, class_names=tuple(f"nobody {i}" for i in range(5)))
    assert "accuracy" in evaluate(encoder, table) and "accuracy" not in evaluate(encoder, strange)


def test_accuracy_is_that_of_the_classes_that_the_model_knows(tmp_path: Path, cub_folder: Path) -> None:
    classes = tiny_classes()
    names = ("a class of its own", *classes.names[1:])
    checkpoint = save_checkpoint(tmp_path / "c", tiny_model(), dataclasses.replace(classes, names=names))
    encoder, table = Encoder(checkpoint, "cpu"), read_dataset(cub_folder)
    strangers = _labels_of_model(encoder, table) >= len(names)
    assert 0 < strangers.sum() < len(table)
    known = table.subset(~strangers)
    assert evaluate(encoder, table)["accuracy"] == evaluate(encoder, known)["accuracy"]
    only_in_training = table.subset(table.is_train | strangers)
    assert "accuracy" not in evaluate(encoder, only_in_training)


def test_wrong_paths_give_one_sentence(checkpoint: Checkpoint, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--checkpoint", "nowhere", "--data", "nowhere"]) == 2
    assert main(["--checkpoint", str(checkpoint.path), "--data", "nowhere"]) == 2
    assert capsys.readouterr().err.count("\n") == 2


def test_a_peak_lies_in_the_middle_of_its_cell_in_original_pixels() -> None:
    maps = np.zeros((2, 1, 3, 4))
    maps[0, 0, 2, 0] = maps[1, 0, 0, 3] = 1
    sizes = np.array([[300, 400], [30, 800]])
    np.testing.assert_allclose(peak_xy(maps, sizes)[:, 0], [[50, 250], [700, 5]])
    boxes = np.array([[40.0, 240, 20, 20], [0, 0, 600, 30]])
    assert peaks_in_boxes(maps, sizes, boxes)[:, 0].tolist() == [True, False]


def test_a_peak_leans_to_its_larger_neighbor() -> None:
    maps = np.zeros((1, 1, 1, 5))
    maps[0, 0, 0] = [0, 3, 4, 1, 0]
    expected = 2.5 + (1 - 3) / (2 * (2 * 4 - 3 - 1))
    np.testing.assert_allclose(peak_xy(maps, np.array([[100, 500]]))[0, 0], [expected * 100, 50])


def test_overlap_is_one_for_equal_and_zero_for_disjoint_maps() -> None:
    assert concept_overlap(np.ones((2, 3, 2, 2))) == pytest.approx(1)
    assert concept_overlap(np.eye(4).reshape(1, 4, 2, 2)) == 0
    assert np.isnan(concept_overlap(np.ones((2, 1, 2, 2))))
