"""Reading tables of images as they lie on the Hub, written by DuckDB."""

import io
import json
import os
from pathlib import Path

import duckdb
import numpy as np
import pytest
from PIL import Image

from concepthash.data import parquet_images, read_dataset, read_image, read_parquet
from concepthash.data.parquet import is_parquet_layout
from concepthash.data.table import ImageTable
from concepthash.errors import DataError

NAMES = ["Crow", "Blue Jay"]
STRUCT = "{'bytes': ?::BLOB, 'path': ?::VARCHAR}"


def photo(gray: int, kind: str = "PNG") -> bytes:
    stream = io.BytesIO()
    Image.new("RGB", (4, 3), (gray, gray, gray)).save(stream, kind)
    return stream.getvalue()


def write(
    file: Path,
    rows: list[tuple[bytes | None, str | None, object]],
    *,
    label: str = "BIGINT",
    column: str = "label",
    metadata: object = None,
) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    options = "FORMAT parquet"
    if metadata is not None:
        text = metadata if isinstance(metadata, str) else json.dumps(metadata)
        options += f", KV_METADATA {{huggingface: '{text}'}}"
    with duckdb.connect() as connection:
        connection.execute(f'CREATE TABLE t (image STRUCT(bytes BLOB, path VARCHAR), "{column}" {label}, note VARCHAR)')
        for content, path, value in rows:
            connection.execute(f"INSERT INTO t VALUES ({STRUCT}, ?, 'n')", [content, path, value])
        connection.execute(f"COPY t TO '{file}' ({options})")
    return file


def features(names: object) -> dict[str, object]:
    return {"image": {"_type": "Image"}, "label": {"names": names, "_type": "ClassLabel"}}


ROWS = [(photo(10), "a.png", 1), (photo(20, "JPEG"), None, 0), (photo(30), "c.png", 1)]


@pytest.fixture
def hub(tmp_path: Path) -> Path:
    root = tmp_path / "hub [1]"
    metadata = {"info": {"features": features(NAMES)}}
    write(root / "data/train-00000-of-00001.parquet", ROWS, metadata=metadata)
    write(root / "data/test-00000-of-00001.parquet", [(photo(40), "d.png", 0)], metadata=metadata)
    return root


def test_images_labels_names_and_split_are_read(hub: Path) -> None:
    table = read_dataset(hub)
    assert table.class_names == ("Crow", "Blue Jay") and table.families == ("Crow", "Jay")
    assert table.labels.dtype == np.int64 and table.labels.tolist() == [0, 1, 0, 1]
    assert table.is_train is not None and table.is_train.tolist() == [False, True, True, True]
    assert table.image_ids[1:3] == (
        "data/train-00000-of-00001/000000.png",
        "data/train-00000-of-00001/000001.jpg",
    )
    assert [int(read_image(path)[0, 0, 0]) for path in table.paths] == [40, 10, 20, 30]
    assert all(path.is_relative_to(table.root) for path in table.paths)


def test_images_are_unpacked_once_and_anew_when_the_table_changes(hub: Path) -> None:
    before = read_dataset(hub).paths[1].stat()
    assert read_dataset(hub).paths[1].stat().st_ino == before.st_ino
    file = write(hub / "data/train-00000-of-00001.parquet", [(photo(99), None, 0)])
    os.utime(file, ns=(1, 1))
    table = read_dataset(hub)
    assert len(table) == 2 and int(read_image(table.paths[1])[0, 0, 0]) == 99


def test_a_run_that_was_killed_leaves_nothing_that_counts(hub: Path) -> None:
    folder = hub / ".images/data/train-00000-of-00001"
    folder.mkdir(parents=True)
    (folder / "000000.png").write_bytes(b"half")
    assert int(read_image(read_dataset(hub).paths[1])[0, 0, 0]) == 10


@pytest.mark.parametrize("place", ["dataset_infos.json", "README.md", "README.md of several", "README.md list"])
def test_names_may_stand_beside_the_table(tmp_path: Path, place: str) -> None:
    write(tmp_path / "train.parquet", ROWS)
    if place == "dataset_infos.json":
        (tmp_path / place).write_text(json.dumps({"default": {"features": features(NAMES)}}))
    else:
        names = "['Crow', 'Blue Jay']" if place.endswith("list") else "{'0': Crow, '1': Blue Jay}"
        feature = f"{{features: [{{name: label, dtype: {{class_label: {{names: {names}}}}}}}]}}"
        info = f"[{{features: []}}, {feature}]" if place.endswith("several") else feature
        (tmp_path / "README.md").write_text(f"---\nlicense: mit\ndataset_info: {info}\n---\n# Birds\n")
    table = read_dataset(tmp_path)
    assert table.class_names == ("Crow", "Blue Jay") and table.labels.tolist() == [1, 0, 1] and table.is_train is None


def test_labels_may_be_names_or_numbers_without_a_name(tmp_path: Path) -> None:
    write(tmp_path / "text/a.parquet", [(*row[:2], "Jay" if row[2] else "Crow") for row in ROWS], label="VARCHAR")
    table = read_dataset(tmp_path / "text")
    assert table.class_names == ("Crow", "Jay") and table.labels.tolist() == [1, 0, 1]
    write(tmp_path / "number/a.parquet", [(*row[:2], row[2] * 7) for row in ROWS], column="species")
    table = read_dataset(tmp_path / "number")
    assert table.class_names == ("0", "7") and table.labels.tolist() == [1, 0, 1]


def test_unknown_labels_are_minus_one(tmp_path: Path) -> None:
    write(tmp_path / "a.parquet", [(photo(1), None, -1), (photo(2), None, None), (photo(3), None, 1)])
    assert read_dataset(tmp_path).labels.tolist() == [-1, -1, 0]


def test_images_may_be_plain_bytes_or_lie_beside_the_table(tmp_path: Path) -> None:
    (tmp_path / "plain").mkdir()
    with duckdb.connect() as connection:
        connection.execute("CREATE TABLE t AS SELECT ?::BLOB AS image, 0 AS label", [photo(50)])
        connection.execute(f"COPY t TO '{tmp_path}/plain/a.parquet' (FORMAT parquet)")
    assert int(read_image(read_dataset(tmp_path / "plain").paths[0])[0, 0, 0]) == 50
    write(tmp_path / "beside/a.parquet", [(None, "photos/x.png", 0), (None, "x" * 300, 0), (None, None, 0)])
    (tmp_path / "beside/photos").mkdir()
    (tmp_path / "beside/photos/x.png").write_bytes(photo(60))
    assert read_dataset(tmp_path / "beside").image_ids == ("photos/x.png",)


@pytest.mark.parametrize(
    ("name", "is_train"),
    [
        ("train/0000.parquet", True),
        ("default/validation/0000.parquet", False),
        ("train-00000-of-00002.parquet", True),
        ("trainees.parquet", None),
    ],
)
def test_the_split_is_a_word_of_the_name(tmp_path: Path, name: str, is_train: bool | None) -> None:
    write(tmp_path / name, ROWS)
    other = "test.parquet" if is_train else "train.parquet"
    write((tmp_path / name).parent / other if "/" not in name else tmp_path / "z" / other, ROWS[:1])
    flags = read_dataset(tmp_path).is_train
    assert (flags is None) == (is_train is None)
    assert flags is None or sorted(flags.tolist()) == sorted([is_train] * 3 + [not is_train])


def test_a_table_that_describes_a_folder_of_images_is_none(tmp_path: Path) -> None:
    write(tmp_path / "metadata.parquet", ROWS)
    (tmp_path / "Crow").mkdir()
    (tmp_path / "Crow/a.png").write_bytes(photo(1))
    assert read_dataset(tmp_path).image_ids == ("Crow/a.png",)


def test_a_table_of_something_else_leaves_a_folder_of_images_one(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    write(tmp_path / "Crow/notes.parquet", ROWS, column="what")
    (tmp_path / "bad.parquet").write_bytes(b"")
    (tmp_path / "Crow/a.png").write_bytes(photo(1))
    assert read_dataset(tmp_path).image_ids == ("Crow/a.png",) and "2 Parquet files beside the images" in caplog.text
    write(tmp_path / "Crow/a.parquet", ROWS)
    assert is_parquet_layout(tmp_path)


def check_refusal(root: Path, part_of_message: str) -> None:
    with pytest.raises(DataError) as refused:
        read_parquet(root)
    message = str(refused.value)
    assert part_of_message in message and message.endswith(".") and "\n" not in message and str(root) not in message


@pytest.mark.parametrize("keep", [0, 4, 100, -1, -30])
def test_a_damaged_file_is_named(hub: Path, keep: int) -> None:
    file = hub / "data/train-00000-of-00001.parquet"
    file.write_bytes(file.read_bytes()[:keep])
    check_refusal(hub, '"train-00000-of-00001.parquet" cannot be read as a Parquet file')


def test_a_file_damaged_in_the_middle_leaves_no_images(hub: Path) -> None:
    file = hub / "data/train-00000-of-00001.parquet"
    content = bytearray(file.read_bytes())
    content[4:200] = b"\xff" * 196
    file.write_bytes(content)
    check_refusal(hub, "is damaged")
    assert not (hub / ".images/data/train-00000-of-00001.parquet").exists()


@pytest.mark.parametrize("is_outdated", [False, True])
def test_who_unpacks_more_slowly_leaves_the_images_of_the_faster_one(
    hub: Path, monkeypatch: pytest.MonkeyPatch, is_outdated: bool
) -> None:
    if is_outdated:
        read_parquet(hub)
        for file in (hub / "data").iterdir():
            os.utime(file, (0, 0))
    faster: list[ImageTable] = []
    suffix = parquet_images._suffix

    def meanwhile(*of_an_image: object) -> str:
        monkeypatch.setattr(parquet_images, "_suffix", suffix)
        with monkeypatch.context() as other_process:
            other_process.setattr(parquet_images.os, "getpid", lambda: 0)
            faster.append(read_parquet(hub))
        inodes.extend(path.stat().st_ino for path in faster[0].paths)
        return suffix(*of_an_image)  # type: ignore[arg-type]

    inodes: list[int] = []
    monkeypatch.setattr(parquet_images, "_suffix", meanwhile)
    assert read_parquet(hub).paths == faster[0].paths and len(inodes) == 4
    assert [path.stat().st_ino for path in faster[0].paths] == inodes
    assert sorted(os.listdir(hub / ".images/data")) == sorted(os.listdir(hub / "data"))


def test_a_table_and_a_folder_may_have_one_name(tmp_path: Path) -> None:
    write(tmp_path / "a.parquet", ROWS)
    write(tmp_path / "a/a.parquet", ROWS)
    for _ in range(2):
        table = read_dataset(tmp_path)
        assert len(table) == 6 and all(path.is_file() for path in table.paths)
        assert table.image_ids[0] == "a/a/000000.png" and table.image_ids[3] == "a/000000.png"


def test_hostile_tables_are_named(tmp_path: Path) -> None:
    write(tmp_path / "leaves/a.parquet", [(None, "../../secret.png", 0)])
    check_refusal(tmp_path / "leaves", "leaves the folder")
    write(tmp_path / "none/a.parquet", [(None, None, 0)])
    check_refusal(tmp_path / "none", "hold no images")
    write(tmp_path / "real/a.parquet", [(photo(1), None, 0.5)], label="DOUBLE")
    check_refusal(tmp_path / "real", "must hold names or whole numbers")
    write(tmp_path / "nolabel/a.parquet", ROWS, column="what")
    check_refusal(tmp_path / "nolabel", "no column label")
    write(tmp_path / "two/a.parquet", ROWS)
    write(tmp_path / "two/b.parquet", [(photo(1), None, "Crow")], label="VARCHAR")
    check_refusal(tmp_path / "two", "different columns")
    (tmp_path / "noimage").mkdir()
    duckdb.sql("SELECT 1 AS label").write_parquet(str(tmp_path / "noimage/a.parquet"))
    check_refusal(tmp_path / "noimage", "no column of images")


@pytest.mark.parametrize(
    ("metadata", "part_of_message"),
    [
        ({"info": {"features": features(["Crow"])}}, "A label is 1, but the data set names 1 classes"),
        ({"info": {"features": features({"0": "Crow", "5": "Jay"})}}, "numbered 0, 1, 2"),
        ({"info": {"features": features("Crow")}}, "numbered 0, 1, 2"),
        ("not json", "cannot be read as JSON"),
        ("[1]", "must be a JSON object"),
    ],
)
def test_names_that_do_not_fit_are_named(tmp_path: Path, metadata: object, part_of_message: str) -> None:
    write(tmp_path / "a.parquet", ROWS, metadata=metadata)
    check_refusal(tmp_path, part_of_message)


def test_a_card_with_a_broken_head_is_named(tmp_path: Path) -> None:
    write(tmp_path / "a.parquet", ROWS)
    (tmp_path / "README.md").write_text("---\na: [1\n---\n")
    check_refusal(tmp_path, "README.md cannot be read as YAML")


def test_a_folder_that_cannot_be_written_to_is_named(hub: Path) -> None:
    (hub / ".images").write_text("a file in the way")
    check_refusal(hub, "cannot be unpacked")
