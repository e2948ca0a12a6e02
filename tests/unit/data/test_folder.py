"""Reading folders of images, and choosing the reader."""

import os
from pathlib import Path

import pytest

from concepthash.data import read_dataset, read_image_folder
from concepthash.errors import DataError


def fill(root: Path, *names: str) -> Path:
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"")
    return root


def test_the_folder_below_the_root_is_the_class(tmp_path: Path) -> None:
    root = fill(tmp_path / "set", "Snow_Goose/b.JPG", "Snow_Goose/deep/er/a.png", "Crow/c.webp", "Crow/notes.txt")
    table = read_image_folder(root)
    assert table.name == "set" and table.root == root.resolve()
    assert table.image_ids == ("Crow/c.webp", "Snow_Goose/b.JPG", "Snow_Goose/deep/er/a.png")
    assert table.class_names == ("Crow", "Snow Goose") and table.families == ("Crow", "Goose")
    assert table.labels.tolist() == [0, 1, 1]
    assert table.is_train is None and table.boxes is None and table.keypoints is None
    assert all(path.is_absolute() and path.is_file() for path in table.paths)


def test_images_right_in_the_root_are_unlabeled(tmp_path: Path) -> None:
    assert read_image_folder(fill(tmp_path / "a", "x.jpg", "y.png")).class_names == ("unlabeled",)
    mixed = read_image_folder(fill(tmp_path / "b", "x.jpg", "Crow/y.png"))
    assert [mixed.class_names[label] for label in mixed.labels] == ["Crow", "unlabeled"]


def test_two_folders_of_the_same_readable_name_are_one_class(tmp_path: Path) -> None:
    table = read_image_folder(fill(tmp_path, "Blue_Jay/a.jpg", "Blue Jay/a.jpg"))
    assert table.class_names == ("Blue Jay",) and len(table) == 2


def test_train_and_test_folders_are_a_split_and_not_classes(tmp_path: Path) -> None:
    table = read_image_folder(fill(tmp_path, "train/Crow/a.jpg", "test/Crow/b.jpg", "test/Jay/c.jpg"))
    assert table.class_names == ("Crow", "Jay")
    assert table.is_train is not None and table.is_train.tolist() == [False, False, True]
    assert table.image_ids == ("test/Crow/b.jpg", "test/Jay/c.jpg", "train/Crow/a.jpg")


@pytest.mark.parametrize(("train", "test"), [("Train", "Test"), ("training", "validation"), ("TRAIN", "dev")])
def test_a_split_may_be_called_otherwise(tmp_path: Path, train: str, test: str) -> None:
    table = read_image_folder(fill(tmp_path, f"{train}/Crow/a.jpg", f"{test}/Crow/b.jpg"))
    assert table.class_names == ("Crow",) and table.is_train is not None
    assert table.is_train.tolist() == [name.startswith(f"{train}/") for name in table.image_ids]


def test_classes_that_are_called_like_a_split_are_named(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    assert read_image_folder(fill(tmp_path, "Train/a.jpg", "Test/b.jpg")).class_names == ("Test", "Train")
    assert "called Test, Train, like the parts of a split" in caplog.text


@pytest.mark.parametrize(
    "names", [("train/a.jpg", "test/b.jpg"), ("train/x/a.jpg",), ("train/x/a.jpg", "test/x/b.jpg", "bus/x/c.jpg")]
)
def test_a_class_may_be_called_train(tmp_path: Path, names: tuple[str, ...]) -> None:
    table = read_image_folder(fill(tmp_path, *names))
    assert table.is_train is None and "train" in table.class_names


def test_hidden_files_and_folders_are_left_out(tmp_path: Path) -> None:
    table = read_image_folder(fill(tmp_path, ".cache/a.jpg", "Crow/._a.jpg", "__MACOSX/a.jpg", "Crow/a.jpg"))
    assert table.image_ids == ("Crow/a.jpg",)


def test_linked_folders_are_followed_but_not_in_circles(tmp_path: Path) -> None:
    fill(tmp_path / "store", "Crow/a.jpg")
    root = tmp_path / "root"
    root.mkdir()
    (root / "Linked_Crow").symlink_to(tmp_path / "store" / "Crow")
    (tmp_path / "store" / "Crow" / "back").symlink_to(root)
    table = read_image_folder(root)
    assert table.image_ids == ("Linked_Crow/a.jpg",)


def test_weird_names_become_text_that_can_be_stored(tmp_path: Path) -> None:
    fill(tmp_path, "птица/鳥 🐦.png", "e\u0301/a\nb.png")
    raw = os.fsencode(tmp_path) + b"/\xff\xfe"
    os.mkdir(raw)
    with open(raw + b"/\xfd.png", "wb"):
        pass
    table = read_image_folder(tmp_path)
    assert len(table) == 3 and all(path.is_file() for path in table.paths)
    for text in (*table.image_ids, *table.class_names):
        assert text.encode("utf-8")


def test_a_folder_without_images_is_refused(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    fill(tmp_path / "texts", "notes.txt")
    for name in ("empty", "texts"):
        with pytest.raises(DataError, match=f'"{name}" holds no images; put'):
            read_dataset(tmp_path / name)


def test_a_missing_folder_and_a_file_are_refused(tmp_path: Path) -> None:
    fill(tmp_path, "photo.jpg")
    with pytest.raises(DataError, match='"none" does not exist; check'):
        read_dataset(str(tmp_path / "none"))
    with pytest.raises(DataError, match=r"does not exist; check"):
        read_dataset(tmp_path / ("x" * 300))
    with pytest.raises(DataError, match=r'"photo\.jpg" is a file; give the folder'):
        read_dataset(tmp_path / "photo.jpg")
    with pytest.raises(DataError):
        read_image_folder(tmp_path / "none")


def test_the_reader_is_chosen_by_what_the_folder_holds(tmp_path: Path) -> None:
    cub = fill(tmp_path / "unpacked" / "CUB_200_2011", "images/001.Crow/a.jpg")
    for name, text in {"images": "1 001.Crow/a.jpg", "classes": "1 001.Crow", "image_class_labels": "1 1"}.items():
        (cub / f"{name}.txt").write_text(text)
    assert read_dataset(cub).class_names == ("crow",)
    assert read_dataset(str(tmp_path / "unpacked")).root == cub
    assert read_dataset(fill(tmp_path / "plain", "Crow/a.jpg")).class_names == ("Crow",)
