"""Reading NABirds from a small made-up one."""

from pathlib import Path

import pytest

from concepthash.data import read_dataset, read_nabirds
from concepthash.errors import DataError

FILES = {
    "classes.txt": "0 Birds\n1 Ducks, Geese, and Swans\n2 Perching Birds\n3 Wrens\n4 Dabbling Ducks\n"
    "817 Wood Duck (Breeding male)\n900 House Wren\n901 Wood Duck\n",
    "hierarchy.txt": "1 0\n2 0\n3 2\n4 1\n901 4\n817 901\n900 3\n",
    "images.txt": "00-1b 0817/a.jpg\n00-2c 0900/b.jpg\n00-3d 0817/c.jpg\n",
    "image_class_labels.txt": "00-2c 900\n00-1b 817\n00-3d 817\n",
    "train_test_split.txt": "00-1b 1\n00-2c 0\n00-3d 1\n",
    "bounding_boxes.txt": "00-1b 1 2 3 4\n00-2c 5 6 7 8\n00-3d 9 9 9 9\n",
    "parts/parts.txt": "0 bill\n1 left eye\n",
    "parts/part_locs.txt": "00-1b 0 10 20 1\n00-3d 1 5 6 1\nother 1 5 6 1\n",
}


@pytest.fixture
def nabirds(tmp_path: Path) -> Path:
    root = tmp_path / "nabirds"
    for name, text in (
        FILES | dict.fromkeys(("images/0817/a.jpg", "images/0900/b.jpg", "images/0817/c.jpg"), "")
    ).items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return root


def test_every_column_follows_the_order_of_the_list_of_images(nabirds: Path) -> None:
    table = read_dataset(nabirds.parent)  # where the archive was unpacked
    assert table.root == nabirds and table.image_ids == ("0817/a.jpg", "0900/b.jpg", "0817/c.jpg")
    assert table.class_names == ("House Wren", "Wood Duck (Breeding male)")  # as the list of labels first names them
    assert table.families == ("Wrens", "Dabbling Ducks")
    assert table.labels.tolist() == [1, 0, 1]
    assert table.is_train is not None and table.is_train.tolist() == [True, False, True]
    assert table.boxes is not None and table.boxes[1].tolist() == [5, 6, 7, 8]
    assert table.keypoint_names == ("bill", "left eye") and table.keypoints is not None
    assert table.keypoints.tolist() == [[[10, 20, 1], [0, 0, 0]], [[0, 0, 0]] * 2, [[0, 0, 0], [5, 6, 1]]]


def test_split_boxes_and_parts_may_be_absent_and_images_missing(
    nabirds: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for name in ("train_test_split.txt", "bounding_boxes.txt", "parts/parts.txt", "images/0900/b.jpg"):
        (nabirds / name).unlink()
    table = read_nabirds(nabirds)
    assert table.is_train is None and table.boxes is None and table.keypoints is None
    assert table.class_names == ("Wood Duck (Breeding male)",) and "1 of 3 images" in caplog.text


def test_a_class_near_the_root_is_a_family_of_its_own(nabirds: Path) -> None:
    (nabirds / "hierarchy.txt").write_text("900 0\n")
    assert read_nabirds(nabirds).families == ("House Wren", "Wood Duck (Breeding male)")


@pytest.mark.parametrize(
    ("name", "text", "part_of_message"),
    [
        ("images.txt", "00-1b\n", "Line 1 of images.txt"),
        ("images.txt", "00-1b a.jpg\n00-1b b.jpg\n", "Line 2 of images.txt"),
        ("images.txt", "00-1b ../classes.txt\n", "leaves the folder"),
        ("images.txt", "00-1b /etc/hostname\n", "leaves the folder"),
        ("images.txt", "00-1b none.jpg\n", "none is there"),
        ("images.txt", "", "none is there"),
        ("image_class_labels.txt", "00-1b 817\n", "no line for 2 images"),
        ("image_class_labels.txt", "00-1b 817\n00-2c 5\n00-3d 817\n", "no class 5"),
        ("hierarchy.txt", "817 901\n901 817\n", "circle"),
        ("hierarchy.txt", "900 55\n55 56\n56 57\n", "no class 55"),
        ("hierarchy.txt", "900\n", "Line 1 of hierarchy.txt"),
        ("train_test_split.txt", "00-1b 1\n", "train_test_split.txt must hold"),
        ("train_test_split.txt", "00-1b 1\n00-2c 2\n00-3d 0\n", "train_test_split.txt must hold"),
        ("bounding_boxes.txt", "00-1b 1 2 3 4\n00-2c 1 2 3\n00-3d 1 2 3 4\n", "4 numbers a line"),
        ("bounding_boxes.txt", "00-1b 1 2 3 4\n00-2c 1 2 3 nan\n00-3d 1 2 3 4\n", "4 finite numbers"),
        ("bounding_boxes.txt", "00-1b 1 2 3 4\n", "no line for 2 images"),
        ("parts/part_locs.txt", "00-1b 9 1 1 1\n", "a part of parts.txt"),
        ("parts/part_locs.txt", "00-1b 0 1 1\n", "Line 1 of part_locs.txt"),
        ("parts/part_locs.txt", "00-1b 0 1 x 1\n", "3 numbers"),
        ("parts/part_locs.txt", "00-1b 0 1 inf 1\n", "3 finite numbers"),
    ],
)
def test_a_malformed_list_is_named_in_one_sentence(nabirds: Path, name: str, text: str, part_of_message: str) -> None:
    (nabirds / name).write_text(text)
    with pytest.raises(DataError) as refused:
        read_dataset(nabirds)
    message = str(refused.value)
    assert part_of_message in message and message.endswith(".") and "\n" not in message and str(nabirds) not in message


@pytest.mark.parametrize("missing", ["classes.txt", "images.txt", "image_class_labels.txt", "hierarchy.txt"])
def test_an_incomplete_layout_says_what_is_missing(nabirds: Path, missing: str) -> None:
    (nabirds / "photographers.txt").write_text("00-1b Somebody\n")
    (nabirds / missing).unlink()
    with pytest.raises(DataError, match=f"NABirds layout, since it has no {missing}"):
        read_dataset(nabirds)
