"""Changing a complete gallery: what comes, goes and stays, who may do it, and what is left when it fails."""

import dataclasses
import errno
import shutil
import subprocess
import sys
from pathlib import Path

import duckdb
import numpy as np
import pytest
from stored_images import PROVENANCE, centers, image, logits, make_older, write

from concepthash.errors import GalleryError
from concepthash.gallery import GalleryWriter, Skipped, open_gallery
from concepthash.gallery.database import connect, read_facts
from concepthash.gallery.editor import GalleryEditor
from concepthash.gallery.metadata import MetadataColumn, Value

PRICE, NOTE = MetadataColumn("price", "DOUBLE"), MetadataColumn("Note", "TEXT")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write(tmp_path / "birds").path


def query(folder: Path, statement: str) -> list[tuple[object, ...]]:
    with connect(folder / "gallery.duckdb", read_only=True) as database:
        return database.execute(statement).fetchall()


def pictures(folder: Path) -> dict[int, bytes]:
    return {int(path.stem): path.read_bytes() for path in (folder / "thumbnails").rglob("*.webp")}


def test_images_are_added_behind_those_there_are(folder: Path) -> None:
    with GalleryEditor(folder) as editor:
        editor.append([image(7), image(8)], logits(2), centers(2), [Skipped("a/bad.png", "it is cut short", 9, 10)])
    gallery = open_gallery(folder)
    assert gallery.image_ids == (*(f"a/{i}.png" for i in range(5)), "a/7.png", "a/8.png")
    np.testing.assert_array_equal(gallery.code_logits, np.concatenate([logits(5), logits(2)]))
    assert gallery.thumbnail_path(6).read_bytes() == b"webp 8"
    assert gallery.skipped == (Skipped("a/bad.png", "it is cut short"),)
    assert sorted(path.name for path in folder.iterdir()) == ["gallery.duckdb", "thumbnails"]


def test_a_replaced_image_gets_a_new_row_and_a_new_picture(folder: Path) -> None:
    with GalleryEditor(folder) as editor:
        editor.replace(["a/1.png", "a/2.png"], [image(1, thumbnail=b"new", width=77)], logits(1), centers(1))
    gallery = open_gallery(folder)
    assert (gallery.rows.tolist(), gallery.image_ids[-1]) == ([0, 3, 4, 5], "a/1.png")
    assert pictures(folder) == {0: b"webp 0", 3: b"webp 3", 4: b"webp 4", 5: b"new"}
    assert gallery.sizes[3].tolist() == [77, 30]
    np.testing.assert_array_equal(gallery.code_logits, np.concatenate([logits(5)[[0, 3, 4]], logits(1)]))


def test_numbers_of_removed_rows_are_never_given_again(folder: Path) -> None:
    for n in range(3):
        with GalleryEditor(folder) as editor:
            editor.append([image(9)], logits(1), centers(1))
        assert open_gallery(folder).rows.tolist() == [0, 1, 2, 3, 4, 5 + n]
        with GalleryEditor(folder) as editor:
            editor.delete(["a/9.png"])
    assert pictures(folder).keys() == {0, 1, 2, 3, 4}


def test_a_gallery_may_lose_all_its_images_and_get_others(folder: Path) -> None:
    with GalleryEditor(folder) as editor:
        editor.delete([f"a/{i}.png" for i in range(5)])
    gallery = open_gallery(folder)
    assert (len(gallery), gallery.words.shape, gallery.code_logits.shape) == (0, (0, 1), (0, 12))
    with GalleryEditor(folder) as editor:
        editor.append([image(2)], logits(1), centers(1))
    assert open_gallery(folder).image_ids == ("a/2.png",)


def test_files_that_can_be_read_again_are_no_longer_listed(folder: Path) -> None:
    with GalleryEditor(folder) as editor:
        editor.append([], logits(0), centers(0), [Skipped(f"a/{i}.png", "cut short") for i in (7, 8, 9)])
        editor.append([image(7)], logits(1), centers(1), [Skipped("a/8.png", "empty")])
        editor.delete([], ["a/9.png"])
    assert open_gallery(folder).skipped == (Skipped("a/8.png", "empty"),)


@pytest.mark.parametrize(
    ("going", "coming", "words"),
    [
        ([], [7, 3], "a/3.png would be in the gallery .* twice"),
        ([], [7, 7], "a/7.png would be in the gallery .* twice"),
        (["a/1.png"], [1, 3], "a/3.png would be in the gallery .* twice"),
        (["a/1.png", "a/8.png", "a/9.png"], [1], "has no image a/8.png and lacks 1 more"),
    ],
)
def test_an_image_is_there_once_and_only_what_is_there_goes(
    folder: Path, going: list[str], coming: list[int], words: str
) -> None:
    with GalleryEditor(folder) as editor, pytest.raises(GalleryError, match=words):
        editor.replace(going, [image(i) for i in coming], logits(len(coming)), centers(len(coming)))
    assert open_gallery(folder).rows.tolist() == [0, 1, 2, 3, 4]


def test_numbers_that_do_not_fit_change_nothing(folder: Path) -> None:
    with GalleryEditor(folder) as editor:
        with pytest.raises(GalleryError, match="code logits"):
            editor.replace(["a/1.png"], [image(1)], np.full((1, 12), np.nan), centers(1))
        with pytest.raises(GalleryError, match="'price', which is no column"):
            editor.replace(["a/1.png"], [image(1, metadata={"price": 2.5})], logits(1), centers(1))
    assert open_gallery(folder).rows.tolist() == [0, 1, 2, 3, 4]


@pytest.mark.parametrize(
    "changes",
    [
        {"path": None},
        {"path": "a/\ud800.png"},
        {"image_id": "a/\ud800.png"},
        {"width": 2**40},
        {"metadata": {"price": "cheap"}},
        {"metadata": {"Note": "\ud800"}},
    ],
    ids=str,
)
def test_values_that_do_not_fit_change_nothing(folder: Path, changes: dict[str, object]) -> None:
    with GalleryEditor(folder) as editor:
        editor.add_columns([PRICE, NOTE])
        with pytest.raises(GalleryError, match="cannot hold one of the values"):
            editor.append([image(7), image(**({"number": 8} | changes))], logits(2), centers(2))
    assert open_gallery(folder).rows.tolist() == [0, 1, 2, 3, 4]


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"a/0.png": {"price": "cheap"}}, "cannot hold one of the values"),
        ({"a/0.png": {"price": 2**200}}, "cannot hold one of the values"),
        ({"a/0.png": {"label": None}}, "cannot hold one of the values"),
        ({"a/0.png": {"Note": "\ud800"}}, "cannot hold one of the values"),
        ({"a/\ud800.png": {"Note": "x"}}, "cannot hold one of the values"),
        ({"a/0.png": {"price": 1.0}, "a/1.png": {"Note": "x"}}, "different columns; give the same columns"),
        ({"a/0.png": {"price": 1.0}, "a/1.png": {"price": 1.0, "Note": "x"}}, "different columns"),
    ],
    ids=str,
)
def test_descriptions_that_do_not_fit_change_nothing(
    folder: Path, values: dict[str, dict[str, Value]], words: str
) -> None:
    with GalleryEditor(folder) as editor:
        editor.add_columns([PRICE, NOTE])
        with pytest.raises(GalleryError, match=words):
            editor.describe(values)
    assert query(folder, "SELECT count(*) FROM images WHERE price IS NULL AND Note IS NULL") == [(5,)]


def test_metadata_can_be_added_and_written_over(folder: Path) -> None:
    with GalleryEditor(folder) as editor:
        editor.add_columns([PRICE, NOTE])
        editor.add_columns([PRICE])
        editor.append([image(7, metadata={"price": 2.5})], logits(1), centers(1))
        editor.describe({"a/0.png": {"price": 1.0, "Note": "it's"}, "a/7.png": {"price": None, "Note": None}})
        editor.describe({"a/1.png": {"class": "wren", "label": 5, "family": None, "split": None}})
        editor.describe({})
    found = query(folder, "SELECT image_id, price, Note, class, label FROM images WHERE row IN (0, 1, 5) ORDER BY row")
    assert found == [
        ("a/0.png", 1.0, "it's", "class 0", 0),
        ("a/1.png", None, None, "wren", 5),
        ("a/7.png", None, None, "class 1", 1),
    ]
    with GalleryEditor(folder) as editor:
        assert editor.made.metadata == (PRICE, NOTE)
    assert open_gallery(folder).class_names == ("class 0", "class 1", "wren")


@pytest.mark.parametrize("values", [{"price": 1.0}, {'x" = 1 --': 1.0}, {"code0": 1}, {"row": 1}, {}])
def test_only_columns_that_describe_can_be_written_over(folder: Path, values: dict[str, int | float]) -> None:
    with GalleryEditor(folder) as editor, pytest.raises(GalleryError, match="no column to write to"):
        editor.describe({"a/0.png": values})


def test_a_column_keeps_its_type_and_its_letters(folder: Path) -> None:
    with GalleryEditor(folder) as editor:
        editor.add_columns([PRICE])
        for other in (MetadataColumn("price", "TEXT"), MetadataColumn("Price", "DOUBLE")):
            with pytest.raises(GalleryError, match="and the gallery has price as DOUBLE"):
                editor.add_columns([NOTE, other])
        assert editor.made.metadata == (PRICE,)


def test_time_and_file_are_kept_of_every_image(folder: Path) -> None:
    with GalleryEditor(folder) as editor:
        editor.append([image(7, file_bytes=123, file_modified=1_700_000_000_123_456_789)], logits(1), centers(1))
    ((size, modified, age),) = query(
        folder, "SELECT file_bytes, file_modified, epoch(now()) - encoded FROM images WHERE row = 5"
    )
    assert (size, modified) == (123, 1_700_000_000_123_456_789)
    assert 0 <= float(str(age)) < 3600


def test_a_second_editor_is_refused_until_the_first_ends(folder: Path) -> None:
    with GalleryEditor(folder) as editor:
        with pytest.raises(GalleryError, match="Another process is writing"):
            GalleryEditor(folder)
        editor.delete(["a/0.png"])
    with GalleryEditor(folder) as editor:
        editor.delete(["a/1.png"])
    with pytest.raises(GalleryError, match="closed"):
        editor.delete(["a/2.png"])
    assert len(open_gallery(folder)) == 3


def test_a_gallery_that_is_being_changed_is_not_replaced(tmp_path: Path, folder: Path) -> None:
    with GalleryWriter(folder, PROVENANCE, overwrite=True) as writer:
        writer.append([image(0)], logits(1), centers(1))
        with GalleryEditor(folder) as editor:
            with pytest.raises(GalleryError, match="Another process is writing"):
                writer.finish()
            editor.delete(["a/4.png"])
    assert len(open_gallery(folder)) == 4
    with GalleryWriter(folder, PROVENANCE, overwrite=True) as writer:
        writer.finish()
    assert len(open_gallery(folder)) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["birds"]


HOLD = """
import sys
from pathlib import Path
from concepthash.gallery.database import connect
from concepthash.gallery.editor import GalleryEditor
folder = Path(sys.argv[1])
held = GalleryEditor(folder) if sys.argv[2] == "edit" else connect(folder / "gallery.duckdb", read_only=True)
print("ready", flush=True)
sys.stdin.read()
"""


@pytest.mark.parametrize(
    ("what", "words"),
    [("read", r"in use by another process, such as the app \(PID \d+\)"), ("edit", "Another process is writing")],
)
def test_a_gallery_that_another_process_holds_is_not_changed(folder: Path, what: str, words: str) -> None:
    command = [sys.executable, "-c", HOLD, str(folder), what]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None and other.stdout.readline() == "ready\n"
        with pytest.raises(GalleryError, match=words):
            GalleryEditor(folder)
        if what == "edit":
            with pytest.raises(GalleryError, match=r"being changed by another process, .*\(PID \d+\)"):
                open_gallery(folder)
        else:
            assert len(open_gallery(folder)) == 5
        other.kill()
        other.wait()
    with GalleryEditor(folder) as editor:
        editor.delete(["a/0.png"])
    assert len(open_gallery(folder)) == 4


def test_a_gallery_that_this_process_reads_is_not_changed(folder: Path) -> None:
    with (
        connect(folder / "gallery.duckdb", read_only=True),
        pytest.raises(GalleryError, match="in use by another process, such as the app"),
    ):
        GalleryEditor(folder)
    GalleryEditor(folder).close()


def test_a_full_disk_changes_nothing(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    def full_database(*_: object) -> None:
        raise duckdb.IOException('IO Error: Could not write file "gallery.duckdb.wal": No space left on device')

    with GalleryEditor(folder) as editor:
        for owner, name, broken in (
            (Path, "write_bytes", full),
            (sys.modules["concepthash.gallery.changes"], "insert", full_database),
        ):
            with monkeypatch.context() as patch, pytest.raises(GalleryError, match=r"disk is full.*same command"):
                patch.setattr(owner, name, broken)
                editor.replace(["a/1.png"], [image(1, thumbnail=b"new")], logits(1), centers(1))
        assert pictures(folder)[1] == b"webp 1"
    GalleryEditor(folder).close()
    assert open_gallery(folder).rows.tolist() == [0, 1, 2, 3, 4]
    assert pictures(folder).keys() == {0, 1, 2, 3, 4}


def test_too_little_memory_is_said(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise duckdb.OutOfMemoryException("Out of Memory Error: failed to pin block of size 256.0 KiB\nand more")

    with GalleryEditor(folder) as editor, monkeypatch.context() as patch:
        patch.setattr("concepthash.gallery.changes.insert", full)
        with pytest.raises(
            GalleryError, match=r"too little memory to write .*pin block of size 256\.0 KiB\); end other"
        ):
            editor.append([image(7)], logits(1), centers(1))
    assert len(open_gallery(folder)) == 5


def mount(place: Path, size: str) -> None:
    place.mkdir()
    if sys.platform != "linux" or shutil.which("mount") is None:
        pytest.skip("a small disk needs Linux")
    made = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", place], capture_output=True)
    if made.returncode:
        pytest.skip("a small disk needs the right to mount one")


def test_a_disk_that_is_really_full_leaves_what_was_acknowledged(tmp_path: Path) -> None:
    place = tmp_path / "small"
    mount(place, "4m")
    try:
        folder, n = write(place / "birds").path, 5
        with pytest.raises(GalleryError, match="disk is full"), GalleryEditor(folder) as editor:
            while n < 400:
                batch = [image(i, thumbnail=bytes(30_000)) for i in range(n, n + 5)]
                editor.append(batch, logits(5), centers(5))
                n += 5
        gallery = open_gallery(folder)
        assert gallery.image_ids == tuple(f"a/{i}.png" for i in range(n)) and n > 5
        assert all(gallery.thumbnail_path(i).stat().st_size == (30_000 if i > 4 else 6) for i in range(n))
        with GalleryEditor(folder) as editor:
            editor.delete([f"a/{i}.png" for i in range(5, n)])
            editor.append([image(7)], logits(1), centers(1))
        assert len(open_gallery(folder)) == 6
    finally:
        subprocess.run(["umount", place], check=True)


def test_a_gallery_of_the_third_format_is_brought_to_this_one(folder: Path) -> None:
    make_older(folder, 3)
    with GalleryEditor(folder) as editor:
        assert editor.made == PROVENANCE
        editor.replace(["a/0.png"], [image(0, thumbnail=b"new", file_bytes=7)], logits(1), centers(1))
        facts = read_facts(editor.database)
    assert (facts["format"], facts["next_row"]) == ("4", "6")
    assert query(folder, "SELECT file_bytes FROM images ORDER BY row") == [(None,)] * 4 + [(7,)]
    assert open_gallery(folder).rows.tolist() == [1, 2, 3, 4, 5]


@pytest.mark.parametrize(
    ("statement", "words"),
    [
        ("UPDATE provenance SET value = '2' WHERE key = 'format'", "format 2, which kept no attention centers"),
        ("UPDATE provenance SET value = '5' WHERE key = 'format'", "newer format"),
        ("UPDATE provenance SET value = 'false' WHERE key = 'complete'", "unfinished"),
        ("UPDATE provenance SET value = 'many' WHERE key = 'n_bits'", "cannot be read"),
        ("UPDATE provenance SET value = '[]' WHERE key = 'metadata'", "cannot be read"),
        ("UPDATE provenance SET value = '{\"x; DROP\": \"TEXT\"}' WHERE key = 'metadata'", "cannot name a column"),
        ("DROP TABLE provenance", "cannot be read"),
        ("DROP TABLE removed", "cannot be read"),
    ],
)
def test_a_gallery_that_cannot_be_changed_says_why_and_stays(folder: Path, statement: str, words: str) -> None:
    with duckdb.connect(str(folder / "gallery.duckdb")) as database:
        database.execute(statement)
    with pytest.raises(GalleryError, match=words):
        GalleryEditor(folder)
    assert not (folder / "writer.lock").exists()
    with duckdb.connect(str(folder / "gallery.duckdb"), read_only=True) as database:  # let go of
        assert database.execute("SELECT count(*) FROM images").fetchall() == [(5,)]


def test_what_is_no_gallery_is_not_changed(tmp_path: Path, folder: Path) -> None:
    for place in (tmp_path / "missing", tmp_path):
        with pytest.raises(GalleryError, match="There is no complete gallery"):
            GalleryEditor(place)
    (folder / "gallery.duckdb").write_bytes(b"no database" * 1000)
    with pytest.raises(GalleryError, match="cannot be"):
        GalleryEditor(folder)
    assert not (folder / "writer.lock").exists()


def test_a_gallery_of_originals_is_changed_without_pictures(tmp_path: Path) -> None:
    for i in range(3):
        (tmp_path / f"photos/a/{i}.png").parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / f"photos/a/{i}.png").write_bytes(b"%d" % i)
    made = dataclasses.replace(PROVENANCE, data_root="../photos", thumbnails="originals")
    with GalleryWriter(tmp_path / "birds", made) as writer:
        writer.append([image(i, thumbnail=None) for i in range(2)], logits(2), centers(2))
        writer.finish()
    with GalleryEditor(tmp_path / "birds") as editor:
        editor.replace(["a/0.png"], [image(2, thumbnail=None)], logits(1), centers(1))
    gallery = open_gallery(tmp_path / "birds")
    assert [gallery.thumbnail_path(i).read_bytes() for i in range(2)] == [b"1", b"2"]
    assert [path.name for path in gallery.path.iterdir()] == ["gallery.duckdb"]
