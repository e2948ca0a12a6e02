"""Reading the CUB-200-2011 layout from a small made-up one."""

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from concepthash.data import read_cub, read_dataset, read_image
from concepthash.data.table import ImageTable, family_of
from concepthash.errors import DataError

REAL = Path(os.environ.get("CONCEPTHASH_SHARED", "")) / "data" / "cub50"
FILES = {
    "classes.txt": "1 001.Black_footed_Albatross\n2 002.Laysan_Albatross\n7 007.Blue_Jay\n",
    "images.txt": "3 007.Blue_Jay/jay one.jpg\n1 001.Black_footed_Albatross/a.jpg\n9 007.Blue_Jay/b.jpg\n",
    "image_class_labels.txt": "1 1\n3 7\n9 7\n",
    "train_test_split.txt": "1 1\n3 0\n9 1\n",
    "bounding_boxes.txt": "9 9.5 8 7 6\n3 1 2 3 4\n1 5 6 7 8\n",
    "parts/parts.txt": "1 back\n2 left eye\n",
    "parts/part_locs.txt": "1 1 10.5 20 1\n1 2 0 0 0\n3 2 5 6 1\n9 1 7 8 1\n77 1 1 1 1\n",
}


@pytest.fixture
def cub(tmp_path: Path) -> Path:
    root = tmp_path / "birds"
    (root / "parts").mkdir(parents=True)
    for name, text in FILES.items():
        (root / name).write_text(text)
    for line in FILES["images.txt"].splitlines():
        image = root / "images" / line.partition(" ")[2]
        image.parent.mkdir(parents=True, exist_ok=True)
        image.write_bytes(b"not read here")
    return root


def test_every_column_follows_the_order_of_the_list_of_images(cub: Path) -> None:
    table = read_cub(cub)
    assert len(table) == 3 and table.name == "birds" and table.root == cub
    assert table.image_ids == ("007.Blue_Jay/jay one.jpg", "001.Black_footed_Albatross/a.jpg", "007.Blue_Jay/b.jpg")
    assert all(path.is_absolute() and path.is_file() for path in table.paths)
    assert table.class_names == ("black footed albatross", "blue jay")
    assert table.families == ("albatross", "jay")
    assert table.labels.dtype == np.int64 and table.labels.tolist() == [1, 0, 1]
    assert (
        table.is_train is not None and table.is_train.dtype == bool and table.is_train.tolist() == [False, True, True]
    )
    assert table.boxes is not None and table.boxes.dtype == np.float32
    assert table.boxes.tolist() == [[1, 2, 3, 4], [5, 6, 7, 8], [9.5, 8, 7, 6]]
    assert table.keypoint_names == ("back", "left eye")
    assert table.keypoints is not None and table.keypoints.dtype == np.float32
    assert table.keypoints.tolist() == [
        [[0, 0, 0], [5, 6, 1]],
        [[10.5, 20, 1], [0, 0, 0]],
        [[7, 8, 1], [0, 0, 0]],
    ]


def test_split_boxes_and_parts_may_be_absent(cub: Path) -> None:
    for name in ("train_test_split.txt", "bounding_boxes.txt", "parts/part_locs.txt"):
        (cub / name).unlink()
    table = read_cub(cub)
    assert table.is_train is None and table.boxes is None and table.keypoints is None and table.keypoint_names == ()


def test_images_without_a_file_are_left_out_with_a_line_in_the_log(cub: Path, caplog: pytest.LogCaptureFixture) -> None:
    (cub / "images/001.Black_footed_Albatross/a.jpg").unlink()
    table = read_cub(cub)
    assert table.image_ids == ("007.Blue_Jay/jay one.jpg", "007.Blue_Jay/b.jpg")
    assert table.class_names == ("blue jay",) and table.labels.tolist() == [0, 0]
    assert "1 of 3 images" in caplog.text


def test_lines_may_end_as_on_windows_and_start_with_a_byte_order_mark(cub: Path) -> None:
    for name, text in FILES.items():
        (cub / name).write_bytes(b"\xef\xbb\xbf" + text.replace("\n", "\r\n").encode() + b"\r\n")
    assert read_cub(cub).class_names == ("black footed albatross", "blue jay")


@pytest.mark.parametrize(
    ("name", "text", "part_of_message"),
    [
        ("images.txt", "", "none is there"),
        ("images.txt", "1\n", "Line 1 of images.txt"),
        ("images.txt", "1 001.Black_footed_Albatross/a.jpg\n1 b.jpg\n", "Line 2 of images.txt"),
        ("images.txt", "x 001.Black_footed_Albatross/a.jpg\n", "Line 1 of images.txt"),
        ("images.txt", f"{'9' * 20} 007.Blue_Jay/b.jpg\n", "a new number of at most 15 digits"),
        ("images.txt", f"{'9' * 5000} 007.Blue_Jay/b.jpg\n", "a new number of at most 15 digits"),
        ("images.txt", f"1 {'x' * 300}.jpg\n", "none is there"),
        ("images.txt", "1 ../classes.txt\n", "outside the images folder"),
        ("images.txt", "1 /etc/hostname\n", "outside the images folder"),
        ("images.txt", "1 007.Blue_Jay/b.jpg\n3 007.Blue_Jay/b.jpg\n", "listed twice"),
        ("image_class_labels.txt", "1 1\n3 7\n", "no line for 1 images, such as image 9"),
        ("image_class_labels.txt", "1 1\n3 7\n9 7\n9 1\n", "several lines"),
        ("image_class_labels.txt", "1 1\n3 7\n9 8\n", "no class 8"),
        ("image_class_labels.txt", "1 one\n", "2 numbers a line"),
        ("image_class_labels.txt", "1 1 1\n", "2 finite numbers a line"),
        ("image_class_labels.txt", "", "no line for 3 images"),
        ("train_test_split.txt", "1 1\n3 2\n9 0\n", "1 (train) or 0 (test)"),
        ("bounding_boxes.txt", "1 1 2 3 nan\n", "finite"),
        ("bounding_boxes.txt", "1 1 2 3 4\n2 1 2 3\n", "5 numbers a line"),
        ("parts/part_locs.txt", "1 5 1 1 1\n", "parts.txt does not name"),
    ],
)
def test_a_malformed_list_is_named_in_one_sentence(cub: Path, name: str, text: str, part_of_message: str) -> None:
    (cub / name).write_text(text)
    with pytest.raises(DataError) as refused:
        read_cub(cub)
    message = str(refused.value)
    assert part_of_message in message and message.endswith(".") and "\n" not in message and str(cub) not in message


def test_a_list_that_is_no_text_is_named(cub: Path) -> None:
    (cub / "classes.txt").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(DataError, match=r"classes\.txt cannot be read as UTF-8"):
        read_cub(cub)


@pytest.mark.parametrize("missing", ["images.txt", "classes.txt", "image_class_labels.txt"])
def test_an_incomplete_layout_says_what_is_missing(cub: Path, missing: str) -> None:
    (cub / missing).unlink()
    with pytest.raises(DataError, match=f"has no {missing}"):
        read_cub(cub)


@pytest.mark.parametrize("missing", ["images.txt", "classes.txt", "image_class_labels.txt"])
def test_an_incomplete_layout_is_not_taken_for_a_folder_of_images(cub: Path, missing: str) -> None:
    (cub / missing).unlink()
    with pytest.raises(DataError, match=f"CUB-200-2011 layout, since it has no {missing}"):
        read_dataset(cub)


def test_a_subset_keeps_the_columns_together(cub: Path) -> None:
    table = read_cub(cub)
    assert table.is_train is not None
    for rows in (np.array([1, 2]), table.is_train):
        part = table.subset(rows)
        assert part.image_ids == table.image_ids[1:] and part.paths == table.paths[1:]
        assert part.labels.tolist() == [0, 1] and part.class_names == table.class_names
        assert part.is_train is not None and part.is_train.all()
        assert part.boxes is not None and part.boxes.tolist() == [[5, 6, 7, 8], [9.5, 8, 7, 6]]
        assert part.keypoints is not None and part.keypoints.shape == (2, 2, 3)
    assert len(table.subset(np.array([], dtype=int))) == 0


@pytest.mark.parametrize(
    "change",
    [
        lambda table: {"labels": table.labels[:2]},
        lambda table: {"labels": table.labels + 5},
        lambda table: {"families": ()},
        lambda table: {"image_ids": ("a", "a", "b")},
        lambda table: {"boxes": table.boxes[:1]},
    ],
)
def test_columns_that_do_not_fit_together_are_refused(
    cub: Path, change: Callable[[ImageTable], dict[str, object]]
) -> None:
    table = read_cub(cub)
    with pytest.raises(DataError):
        ImageTable(**{**vars(table), **change(table)})


def test_the_family_is_the_last_word() -> None:
    assert [family_of(name) for name in ("black footed albatross", "Ovenbird", " a  b ", "")] == [
        "albatross",
        "Ovenbird",
        "b",
        "",
    ]


@pytest.mark.skipif(
    not os.environ.get("CONCEPTHASH_SHARED") or not REAL.is_dir(),
    reason="CONCEPTHASH_SHARED names no folder with data/cub50",
)
def test_boxes_and_key_points_of_real_photos_lie_inside_them() -> None:
    table = read_dataset(REAL)
    assert table.boxes is not None and table.keypoints is not None and table.is_train is not None
    for row in range(0, len(table), len(table) // 20):
        height, width, _ = read_image(table.paths[row]).shape
        x, y, box_width, box_height = table.boxes[row]
        visible = table.keypoints[row, table.keypoints[row, :, 2] > 0]
        assert -1 <= x < x + box_width <= width + 2 and -1 <= y < y + box_height <= height + 2
        assert len(visible) and (visible[:, :2] <= (width + 1, height + 1)).all()
