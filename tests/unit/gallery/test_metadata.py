"""Columns of the user's own: a CSV file is read with types found in it, and said no to in one sentence."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from stored_images import PROVENANCE

from concepthash.data import ImageTable
from concepthash.errors import DataError, GalleryError
from concepthash.gallery.metadata import MetadataColumn, columns_from_text, columns_to_text
from concepthash.gallery.metadata_file import Metadata, read_metadata
from concepthash.gallery.provenance import Provenance

ROOT = Path("/photos")
IDS = ("a/1.png", "a/2.png", "b/3.png")
TABLE = ImageTable(
    "photos", ROOT, IDS, tuple(ROOT / name for name in IDS), np.zeros(3, np.int64), ("wren",), ("wren",), None
)


def read(folder: Path, text: str, *stored: MetadataColumn) -> Metadata:
    (folder / "more.csv").write_bytes(text.encode())
    return read_metadata(folder / "more.csv", TABLE, stored)


def kinds(metadata: Metadata) -> dict[str, str]:
    return {column.name: column.kind for column in metadata.columns}


def test_types_are_found_and_values_go_to_their_images(tmp_path: Path) -> None:
    found = read(
        tmp_path,
        "\ufeffimage_id,year,price,note,code,empty\r\n"
        'b/3.png,2021,1,"a ""wren"", in June",007,\r\n'
        "\r\n"
        "a/1.png,-5,2.5e3,,9,\r\n",
    )
    assert kinds(found) == {"year": "BIGINT", "price": "DOUBLE", "note": "TEXT", "code": "TEXT", "empty": "TEXT"}
    assert found.of("b/3.png") == {
        "year": 2021,
        "price": 1.0,
        "note": 'a "wren", in June',
        "code": "007",
        "empty": None,
    }
    assert found.of("a/1.png") == {"year": -5, "price": 2500.0, "note": None, "code": "9", "empty": None}
    assert found.of("a/2.png") == dict.fromkeys(kinds(found))


@pytest.mark.parametrize(
    ("cells", "kind"),
    [
        (["1", "-2", "0"], "BIGINT"),
        ([str(2**63 - 1), str(-(2**63))], "BIGINT"),
        ([str(2**63)], "TEXT"),
        (["1" * 30], "TEXT"),
        (["1", "2.5"], "DOUBLE"),
        ([".5", "1.", "-1e-3", "+4"], "DOUBLE"),
        (["1_000"], "TEXT"),
        (["١"], "TEXT"),
        (["nan"], "TEXT"),
        (["inf", "1"], "TEXT"),
        (["1e999"], "TEXT"),
        (["007", "7.5"], "TEXT"),
        ([" 1"], "TEXT"),
        (["0x10"], "TEXT"),
    ],
)
def test_a_column_is_a_number_only_where_all_its_cells_are(tmp_path: Path, cells: list[str], kind: str) -> None:
    lines = [f"{name},{cell}" for name, cell in zip(IDS, cells, strict=False)]
    assert kinds(read(tmp_path, "\n".join(["image_id,x", *lines, ""]))) == {"x": kind}


def test_a_path_names_an_image_relative_or_absolute(tmp_path: Path) -> None:
    found = read(tmp_path, "x,path\n1,a/1.png\n2,/photos/b/3.png\n")
    assert (found.of("a/1.png"), found.of("b/3.png")) == ({"x": 1}, {"x": 2})


def test_a_wider_column_that_is_stored_keeps_its_type(tmp_path: Path) -> None:
    stored = [MetadataColumn(name, kind) for name, kind in (("a", "DOUBLE"), ("b", "TEXT"), ("c", "BIGINT"))]
    found = read(tmp_path, "image_id,a,b,c,d\na/1.png,1,1.50,,1\n", *stored)
    assert found.of("a/1.png") == {"a": 1.0, "b": "1.50", "c": None, "d": 1}
    assert kinds(found) == {"a": "DOUBLE", "b": "TEXT", "c": "BIGINT", "d": "BIGINT"}
    assert kinds(read(tmp_path, "image_id,c\na/1.png,1.5\n", *stored)) == {"c": "DOUBLE"}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "is empty"),
        ("\n\n", "is empty"),
        ("name,x\na/1.png,1\n", "0 of the columns image_id and path"),
        ("image_id,path,x\na/1.png,a/1.png,1\n", "2 of the columns image_id and path"),
        ("image_id,x\na/1.png,1\na/9.png,2\n", r"1 of 2 lines .* about no image .*'a/9\.png'"),
        ("image_id,x\na/1.png,1\na/2.png,1\na/1.png,2\n", r"two lines about 'a/1\.png'"),
        ("path,x\na/1.png,1\n/photos/a/1.png,2\n", r"two lines about 'a/1\.png'"),
        ("image_id,x\na/1.png\n", "Line 2 .* has 1 cells instead of 2"),
        ("image_id,x\na/1.png,1,2\n", "Line 2 .* has 3 cells instead of 2"),
        ("image_id,x,X\na/1.png,1,2\n", "has the column [xX] twice"),
        ('image_id,x\na/1.png,"1\n', "cannot be read as a CSV"),
    ],
)
def test_a_file_that_does_not_fit_is_refused(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(DataError, match=words):
        read(tmp_path, text)


def test_a_file_that_is_no_text_or_not_there_is_refused(tmp_path: Path) -> None:
    (tmp_path / "latin.csv").write_bytes(b"image_id,x\na/1.png,caf\xe9\n")
    (tmp_path / "picture.csv").write_bytes(b"\x89PNG\r\n\x1a\n\0\0\0\r")
    for name in ("latin.csv", "picture.csv", "missing.csv", "."):
        with pytest.raises(DataError, match="cannot be read as a CSV"):
            read_metadata(tmp_path / name, TABLE)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("", "cannot name a column"),
        ("1st", "cannot name a column"),
        ("two words", "cannot name a column"),
        ('x"; DROP TABLE images; --', "cannot name a column"),
        ("größe", "cannot name a column"),
        ("x" * 64, "cannot name a column"),
        ("row", "every gallery has"),
        ("Code12", "every gallery has"),
        ("SUB0", "every gallery has"),
        ("file_bytes", "every gallery has"),
        ("rowid", "every gallery has"),
    ],
)
def test_a_name_that_is_none_or_taken_is_refused(tmp_path: Path, name: str, words: str) -> None:
    quoted = name.replace('"', '""')
    with pytest.raises(GalleryError, match=words):
        read(tmp_path, f'image_id,"{quoted}"\na/1.png,1\n')


def test_every_column_of_a_gallery_is_reserved() -> None:
    from concepthash.gallery.database import image_columns

    for name in image_columns(dataclasses.replace(PROVENANCE, n_bits=130, n_concepts=13)):
        with pytest.raises(GalleryError, match="every gallery has"):
            MetadataColumn(name.strip('"'), "TEXT")


columns = st.lists(
    st.builds(
        MetadataColumn, st.from_regex(r"m[A-Za-z0-9_]{0,20}", fullmatch=True), st.sampled_from(["TEXT", "DOUBLE"])
    ),
    unique_by=lambda column: column.name.lower(),
)


@settings(deadline=None)
@given(columns)
def test_columns_are_written_and_read_again(given_columns: list[MetadataColumn]) -> None:
    made = dataclasses.replace(PROVENANCE, metadata=tuple(given_columns))
    assert columns_from_text(columns_to_text(made.metadata)) == made.metadata
    assert Provenance.from_facts(made.facts) == made


@pytest.mark.parametrize(
    "text", ["", "[]", "3", '{"x": 3}', '{"x": "BLOB"}', '{"x": "TEXT", "X": "TEXT"}', '{"row": "TEXT"}']
)
def test_columns_that_are_none_are_not_read(text: str) -> None:
    with pytest.raises(ValueError):
        columns_from_text(text)
