"""Reading Stanford Cars, as tables and as its authors packed it."""

import os
from pathlib import Path

import numpy as np
import pytest
from scipy.io import savemat

from concepthash.data import read_cars, read_dataset
from concepthash.data.table import ImageTable
from concepthash.errors import ConfigError, DataError

REAL = Path(os.environ.get("CONCEPTHASH_SHARED", "")) / "data" / "cars196"
INDEX = "path,class_id,split\nimages/2/b.jpg,2,test\nimages/1/a.jpg,1,train\nimages/10/c.jpg,10,train\n"
CLASSES = (
    "class_id,class_name,make,body_type\n10,BMW M3 Coupe 2012,BMW,Coupe\n1,AM General Hummer SUV 2000,AM General,SUV\n"
    "2,Acura RL Sedan 2012,Acura,Sedan\n"
)


def write(root: Path, files: dict[str, str | bytes]) -> Path:
    for name, content in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(content.encode() if isinstance(content, str) else content)
    return root


@pytest.fixture
def cars(tmp_path: Path) -> Path:
    photos = dict.fromkeys(("images/1/a.jpg", "images/2/b.jpg", "images/10/c.jpg"), "not read here")
    return write(tmp_path / "cars", {"index.csv": INDEX, "classes.csv": CLASSES, **photos})


def test_rows_follow_the_index_and_classes_their_numbers(cars: Path) -> None:
    table = read_dataset(cars)
    assert table.image_ids == ("images/2/b.jpg", "images/1/a.jpg", "images/10/c.jpg")
    assert all(path.is_file() for path in table.paths)
    assert table.class_names == ("AM General Hummer SUV 2000", "Acura RL Sedan 2012", "BMW M3 Coupe 2012")
    assert table.labels.dtype == np.int64 and table.labels.tolist() == [1, 0, 2]
    assert table.families == ("AM General", "Acura", "BMW")
    assert table.is_train is not None and table.is_train.tolist() == [False, True, True]


def test_families_may_be_bodies(cars: Path) -> None:
    assert read_dataset(cars, "body").families == ("SUV", "Sedan", "Coupe")
    with pytest.raises(ConfigError, match="choose one of make, body"):
        read_dataset(cars, "color")
    with pytest.raises(ConfigError, match="one kind of families"):
        read_dataset(write(cars.parent / "plain", {"Crow/a.jpg": ""}), "body")


def test_photos_without_a_file_are_left_out_with_a_line_in_the_log(
    cars: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (cars / "images/1/a.jpg").unlink()
    table = read_cars(cars)
    assert table.labels.tolist() == [1, 2] and len(table.class_names) == 3 and "1 of 3 images" in caplog.text


@pytest.mark.parametrize(
    ("name", "text", "part_of_message"),
    [
        ("index.csv", "", "no rows"),
        ("index.csv", "path,class_id,split\n", "no rows"),
        ("index.csv", "path,split\na,train\n", "no column class_id"),
        ("index.csv", "path,class_id,split\nimages/1/a.jpg,1\n", "Line 2 of index.csv has another number of columns"),
        ("index.csv", "path,class_id,split\nimages/1/a.jpg,1,train,x\n", "another number of columns"),
        ("index.csv", "path,class_id,split\n../secret.jpg,1,train\n", "leaves the folder"),
        ("index.csv", "path,class_id,split\n/etc/hostname,1,train\n", "leaves the folder"),
        ("index.csv", "path,class_id,split\nC:\\a.jpg,1,train\n", "leaves the folder"),
        ("index.csv", "path,class_id,split\n,1,train\n", "leaves the folder"),
        ("index.csv", "path,class_id,split\nnone.jpg,1,train\n", "none is there"),
        ("index.csv", f"path,class_id,split\n{'x' * 5000},1,train\n", "none is there"),
        ("index.csv", "path,class_id,split\nimages/1/a.jpg,7,train\n", "no class 7"),
        ("index.csv", "path,class_id,split\nimages/1/a.jpg,1,maybe\n", "train or test"),
        ("index.csv", INDEX + "images/1/a.jpg,1,train\n", "listed twice"),
        ("index.csv", b"\xff\xfe\x00", "UTF-8"),
        ("classes.csv", CLASSES.replace("make", "maker"), "no column make"),
        ("classes.csv", CLASSES + "2,Twice,A,B\n", "a class twice"),
        ("classes.csv", CLASSES.replace("10,", "ten,"), "number its classes"),
        ("classes.csv", None, "no classes.csv"),
        ("index.csv", None, "not a complete cars layout, since it has no index.csv"),
    ],
)
def test_a_malformed_table_is_named_in_one_sentence(
    cars: Path, name: str, text: str | bytes | None, part_of_message: str
) -> None:
    (cars / name).unlink() if text is None else write(cars, {name: text})
    check_refusal(cars, part_of_message)


def test_a_folder_of_images_may_have_a_table_of_classes(tmp_path: Path) -> None:
    root = write(tmp_path, {"classes.csv": "class_id,class_name,make\n1,Crow,none\n", "Crow/a.jpg": ""})
    assert read_dataset(root).class_names == ("Crow",)


def test_a_folder_of_images_and_a_kit_may_have_an_index_of_something_else(tmp_path: Path, kit: Path) -> None:
    index = "id,label\n1,a\n"
    root = write(tmp_path / "plain", {"index.csv": index, "Crow/a.jpg": ""})
    assert read_dataset(root).class_names == ("Crow",)
    assert read_dataset(write(kit, {"index.csv": index})).class_names == NAMES


def check_refusal(root: Path, part_of_message: str) -> None:
    with pytest.raises(DataError) as refused:
        read_dataset(root)
    message = str(refused.value)
    assert part_of_message in message and message.endswith(".") and "\n" not in message and str(root) not in message


NAMES = ("Acura Integra Type R 2001", "Land Rover LR2 SUV 2012")
FIELDS = [(f"bbox_{side}", "f8") for side in ("x1", "y1", "x2", "y2")] + [("class", "i4"), ("test", "i4")]


def annotations(path_field: str, *rows: tuple[int, int, int, int, int, int, str]) -> dict[str, np.ndarray]:
    return {"annotations": np.array([list(rows)], dtype=[*FIELDS, (path_field, "O")])}


@pytest.fixture
def kit(tmp_path: Path) -> Path:
    root = write(tmp_path / "kit", dict.fromkeys(("cars_train/1.jpg", "cars_train/2.jpg", "cars_test/1.jpg"), ""))
    (root / "devkit").mkdir()
    savemat(root / "devkit/cars_meta.mat", {"class_names": np.array([NAMES], dtype=object)})
    train = annotations("fname", (11, 21, 110, 70, 2, 0, "1.jpg"), (1, 1, 5, 5, 1, 0, "2.jpg"))
    savemat(root / "devkit/cars_train_annos.mat", train)
    savemat(root / "cars_test_annos_withlabels.mat", annotations("fname", (1, 1, 9, 9, 2, 0, "1.jpg")))
    return root


def check_kit(table: ImageTable, image_ids: tuple[str, ...]) -> None:
    assert table.image_ids == image_ids and all(path.is_file() for path in table.paths)
    assert table.class_names == NAMES and table.families == ("Acura", "Land Rover")
    assert table.labels.tolist() == [1, 0, 1]
    assert table.is_train is not None and table.is_train.tolist() == [True, True, False]
    assert table.boxes is not None and table.boxes.tolist() == [[10, 20, 100, 50], [0, 0, 5, 5], [0, 0, 9, 9]]


def test_the_folders_of_the_authors_are_read(kit: Path) -> None:
    check_kit(read_dataset(kit), ("cars_train/1.jpg", "cars_train/2.jpg", "cars_test/1.jpg"))
    assert read_dataset(kit, "body").families == ("Coupe", "SUV")


def test_the_one_list_of_the_authors_is_read(tmp_path: Path) -> None:
    names = ("car_ims/1.jpg", "car_ims/2.jpg", "car_ims/3.jpg")
    root = write(tmp_path / "one", dict.fromkeys(names, ""))
    rows = ((1, 1, 9, 9, 2, 1, names[0]), (11, 21, 110, 70, 2, 0, names[1]), (1, 1, 5, 5, 1, 0, names[2]))
    names_of_classes = {"class_names": np.array([NAMES], dtype=object)}
    savemat(root / "cars_annos.mat", annotations("relative_im_path", *rows) | names_of_classes)
    check_kit(read_dataset(root), (names[1], names[2], names[0]))


def test_a_kit_is_read_where_the_one_list_lies_beside_it(kit: Path) -> None:
    write(kit, {"cars_annos.mat": "not read here"})
    check_kit(read_dataset(kit), ("cars_train/1.jpg", "cars_train/2.jpg", "cars_test/1.jpg"))


def test_test_photos_without_labels_are_left_out_with_a_line_in_the_log(
    kit: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (kit / "cars_test_annos_withlabels.mat").unlink()
    assert len(read_dataset(kit)) == 2 and "test photos have no class" in caplog.text


@pytest.mark.parametrize("content", [b"", b"MATLAB 5.0 MAT-file", b"MATLAB 7.3 MAT-file" + b" " * 500, b"\0" * 4000])
def test_an_annotation_file_that_is_none_is_named(kit: Path, content: bytes) -> None:
    (kit / "devkit/cars_train_annos.mat").write_bytes(content)
    check_refusal(kit, '"cars_train_annos.mat" cannot be read as a MATLAB file')


@pytest.mark.parametrize("keep", [130, 200, 300, 400, -40, -8])
def test_a_truncated_annotation_file_is_named(kit: Path, keep: int) -> None:
    file = kit / "devkit/cars_train_annos.mat"
    file.write_bytes(file.read_bytes()[:keep])
    check_refusal(kit, "cars_train_annos.mat")


@pytest.mark.parametrize(
    ("row", "part_of_message"),
    [
        ((1, 1, 2, 2, 3, 0, "1.jpg"), "a class that cars_meta.mat does not name"),
        ((1, 1, 2, 2, 0, 0, "1.jpg"), "a class that cars_meta.mat does not name"),
        ((1, 1, 2, 2, 1, 0, "../../secret.jpg"), "leaves the folder"),
        ((1, 1, 2, 2, 1, 0, "none.jpg"), "none is there"),
    ],
)
def test_a_hostile_annotation_is_named(
    kit: Path, row: tuple[int, int, int, int, int, int, str], part_of_message: str
) -> None:
    (kit / "cars_test_annos_withlabels.mat").unlink()
    savemat(kit / "devkit/cars_train_annos.mat", annotations("fname", row))
    check_refusal(kit, part_of_message)


def test_annotations_without_a_field_and_an_incomplete_kit_are_named(kit: Path) -> None:
    savemat(kit / "devkit/cars_train_annos.mat", annotations("name", (1, 1, 2, 2, 1, 0, "1.jpg")))
    check_refusal(kit, "lacks a field")
    (kit / "devkit/cars_train_annos.mat").unlink()
    check_refusal(kit, "no devkit/cars_train_annos.mat")
    (kit / "devkit/cars_meta.mat").unlink()
    check_refusal(kit, "no devkit/cars_meta.mat")


@pytest.mark.skipif(
    not os.environ.get("CONCEPTHASH_SHARED") or not REAL.is_dir(),
    reason="CONCEPTHASH_SHARED names no folder with data/cars196",
)
def test_real_cars_tell_their_make_and_body_by_their_names() -> None:
    from concepthash.data.car_names import body_of, make_of

    by_make, by_body = read_dataset(REAL), read_dataset(REAL, "body")
    assert len(by_make) == 6994 and len(by_make.class_names) == 196
    assert by_make.families == tuple(map(make_of, by_make.class_names))
    assert by_body.families == tuple(map(body_of, by_body.class_names))
