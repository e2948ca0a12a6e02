"""Galleries on disk: what is stored comes back, nothing half-made is opened, and one writer works at a time."""

import dataclasses
import errno
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest.mock import patch

import duckdb
import numpy as np
import pytest
from stored_images import PROVENANCE, centers, edit, image, logits, make_older, write

from concepthash.codes import binarize, pack_words, subcode_values
from concepthash.errors import DataError, GalleryError
from concepthash.gallery import Gallery, GalleryWriter, Skipped, open_gallery
from concepthash.gallery.database import connect
from concepthash.gallery.editor import GalleryEditor


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_what_is_written_comes_back_in_order(tmp_path: Path) -> None:
    out = tmp_path / "birds"
    with GalleryWriter(out, PROVENANCE) as writer:
        writer.append([image(0), image(1)], logits(2), centers(2), [Skipped("a/bad.png", "it is cut short")])
        writer.append([image(2, class_name=None, label=-1, family=None, split=None)], logits(1), centers(1))
        assert (writer.n_images, writer.n_skipped) == (3, 1)
        writer.finish()
    gallery = open_gallery(out)

    assert len(gallery) == 3
    assert gallery.image_ids == ("a/0.png", "a/1.png", "a/2.png")
    assert (gallery.class_names, gallery.labels.tolist()) == (("class 0", "class 1"), [0, 1, -1])
    assert (gallery.family_names, gallery.family_ids.tolist()) == (("finch",), [0, 0, -1])
    expected = np.concatenate([logits(2), logits(1)])
    np.testing.assert_array_equal(gallery.code_logits, expected)
    np.testing.assert_array_equal(gallery.words, pack_words(binarize(expected)))
    assert gallery.code_logits.dtype == np.float32 and gallery.words.dtype == np.int64
    assert gallery.attention_centers is not None and gallery.attention_centers.dtype == np.float32
    np.testing.assert_array_equal(gallery.attention_centers, np.concatenate([centers(2), centers(1)]))
    assert gallery.sizes.tolist() == [[40, 30], [41, 30], [42, 30]]
    assert gallery.skipped == (Skipped("a/bad.png", "it is cut short"),)
    assert gallery.thumbnail_path(2).read_bytes() == b"webp 2"
    assert (gallery.row_of("a/1.png"), gallery.row_of("a/9.png")) == (1, None)
    assert gallery.path == out
    assert (gallery.fingerprint, gallery.checkpoint_name, gallery.transform) == (
        "0123456789abcdef",
        "fake",
        "squash-8x8",
    )


def test_a_value_that_does_not_fit_is_a_sentence_and_stores_nothing(tmp_path: Path) -> None:
    with GalleryWriter(tmp_path / "birds", PROVENANCE) as writer:
        for changes in ({"class_name": "\ud800"}, {"width": 2**80}):
            with pytest.raises(GalleryError, match="cannot hold one of the values"):
                writer.append([image(0, **changes)], logits(1), centers(1))
        assert writer.n_images == 0
        writer.append([image(0)], logits(1), centers(1))
        writer.finish()
    assert open_gallery(tmp_path / "birds").image_ids == ("a/0.png",)


def test_the_logits_of_one_bit_lie_side_by_side(tmp_path: Path) -> None:
    stored = write(tmp_path / "birds", n=5).code_logits
    assert stored.flags.f_contiguous and stored[:, 7].flags.c_contiguous
    np.testing.assert_array_equal(stored, logits(5))


def test_a_finished_gallery_is_one_database_and_thumbnails_and_nothing_else(tmp_path: Path) -> None:
    write(tmp_path / "birds", n=3)
    assert names(tmp_path) == ["birds"]
    assert names(tmp_path / "birds") == ["gallery.duckdb", "thumbnails"]
    assert (tmp_path / "birds/thumbnails/02/2.webp").is_file()


def test_the_database_holds_words_and_one_column_per_subcode(tmp_path: Path) -> None:
    write(tmp_path / "birds", n=4)
    with duckdb.connect(str(tmp_path / "birds/gallery.duckdb"), read_only=True) as database:
        columns = database.execute("SELECT code0, sub0, sub1, sub2, split FROM images ORDER BY row").fetchall()
    code = binarize(logits(4))
    words, values = pack_words(code), subcode_values(code, 3)
    assert columns == [(int(w[0]), *map(int, v), "train") for w, v in zip(words, values, strict=True)]


@pytest.mark.parametrize(("n_bits", "n_concepts"), [(64, 1), (64, 4), (63, 1), (130, 2), (6, 3), (128, 2)])
def test_codes_of_any_length_survive(tmp_path: Path, n_bits: int, n_concepts: int) -> None:
    gallery = write(tmp_path / "g", 7, dataclasses.replace(PROVENANCE, n_bits=n_bits, n_concepts=n_concepts))
    np.testing.assert_array_equal(gallery.words, pack_words(binarize(logits(7, n_bits))))
    assert (gallery.n_bits, gallery.n_concepts) == (n_bits, n_concepts)


def test_originals_are_found_below_the_data_root_and_may_be_gone(tmp_path: Path) -> None:
    (tmp_path / "photos/a").mkdir(parents=True)
    (tmp_path / "photos/a/1.png").write_bytes(b"1")
    gallery = write(tmp_path / "g", 2, dataclasses.replace(PROVENANCE, data_root=str(tmp_path / "photos")))
    assert gallery.image_path(0) is None
    assert gallery.image_path(1) == tmp_path / "photos/a/1.png"


def test_an_unfinished_gallery_is_not_opened_and_is_resumed(tmp_path: Path) -> None:
    out = tmp_path / "birds"
    with GalleryWriter(out, PROVENANCE) as writer:
        writer.append([image(0)], logits(1), centers(1))
    for path in (out, tmp_path / "birds.partial"):
        with pytest.raises(GalleryError, match="unfinished"):
            open_gallery(path)
    with GalleryWriter(out, PROVENANCE) as writer:
        assert writer.n_images == 1
        writer.append([image(1)], logits(1), centers(1))
        writer.finish()
    assert open_gallery(out).image_ids == ("a/0.png", "a/1.png")


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("fingerprint", "ffff", "fingerprint"),
        ("transform", "squash-9x9", "transform"),
        ("n_concepts", 4, "n concepts"),
        ("data_root", "/elsewhere", "data root"),
        ("images", "others", "list of images"),
        ("thumbnails", "originals", "thumbnails"),
    ],
)
def test_an_unfinished_gallery_made_otherwise_is_not_resumed(
    tmp_path: Path, field: str, value: object, words: str
) -> None:
    out = tmp_path / "birds"
    with GalleryWriter(out, PROVENANCE) as writer:
        writer.append([image(0)], logits(1), centers(1))
    other = dataclasses.replace(PROVENANCE, **{field: value})  # type: ignore[arg-type]
    with pytest.raises(GalleryError, match=rf"another {words}.*--overwrite"):
        GalleryWriter(out, other)
    with GalleryWriter(out, PROVENANCE) as writer:
        assert writer.n_images == 1
    with GalleryWriter(out, other, overwrite=True) as writer:
        assert writer.n_images == 0


def test_a_gallery_is_replaced_only_when_asked_and_stays_until_then(tmp_path: Path) -> None:
    out = tmp_path / "birds"
    write(out, n=5)
    with pytest.raises(GalleryError, match=r"already a gallery.*--overwrite"):
        GalleryWriter(out, PROVENANCE)
    with GalleryWriter(out, PROVENANCE, overwrite=True) as writer:
        writer.append([image(0)], logits(1), centers(1))
        assert len(open_gallery(out)) == 5
        writer.finish()
    assert len(open_gallery(out)) == 1
    assert names(tmp_path) == ["birds"]


def test_a_folder_of_something_else_is_not_taken_for_what_was_replaced(tmp_path: Path) -> None:
    (tmp_path / ".birds.replaced").mkdir()
    (tmp_path / ".birds.replaced/notes.txt").write_text("precious")
    assert len(write(tmp_path / "birds")) == 5
    assert (tmp_path / ".birds.replaced/notes.txt").read_text() == "precious"


@pytest.mark.parametrize("overwrite", [False, True])
def test_a_folder_of_something_else_is_never_replaced(tmp_path: Path, overwrite: bool) -> None:
    photos = tmp_path / "photos"
    write(photos, n=1)
    (photos / "holiday.jpg").write_bytes(b"precious")
    with pytest.raises(GalleryError, match="not a gallery"):
        GalleryWriter(photos, PROVENANCE, overwrite=overwrite)
    (tmp_path / "new.partial").mkdir()
    (tmp_path / "new.partial/notes.txt").write_text("precious")
    with pytest.raises(GalleryError, match="something else"):
        GalleryWriter(tmp_path / "new", PROVENANCE, overwrite=overwrite)
    assert (photos / "holiday.jpg").exists() and (tmp_path / "new.partial/notes.txt").exists()


def test_a_gallery_may_be_written_to_an_empty_folder(tmp_path: Path) -> None:
    (tmp_path / "birds").mkdir()
    assert len(write(tmp_path / "birds")) == 5
    assert names(tmp_path) == ["birds"]


def test_a_gallery_of_no_images_is_refused_and_leaves_nothing(tmp_path: Path) -> None:
    with GalleryWriter(tmp_path / "birds", PROVENANCE) as writer:
        writer.append([], logits(0), centers(0), [Skipped("a.png", "empty"), Skipped("b.png", "empty")])
        with pytest.raises(DataError, match="No image could be read, out of 2"):
            writer.finish()
    assert names(tmp_path) == []


@pytest.mark.parametrize("bad", [np.zeros((1, 11)), np.zeros((2, 12)), np.full((1, 12), np.nan)])
def test_code_logits_that_do_not_fit_are_refused(tmp_path: Path, bad: np.ndarray) -> None:
    with GalleryWriter(tmp_path / "birds", PROVENANCE) as writer:
        with pytest.raises(GalleryError, match="code logits"):
            writer.append([image(0)], bad, centers(1))
        assert writer.n_images == 0


@pytest.mark.parametrize(
    ("bad", "words"),
    [
        (np.zeros((1, 2, 2)), r"attention centers of shape \(1, 2, 2\).*\(1, 3, 2\)"),
        (np.zeros((1, 3, 3)), "attention centers of shape"),
        (np.zeros((2, 3, 2)), "attention centers of shape"),
        (np.full((1, 3, 2), np.nan), "not all of them finite"),
        (np.full((1, 3, 2), 1.5), "from 1.5 to 1.5"),
        (np.full((1, 3, 2), -0.5), "from -0.5 to -0.5"),
    ],
)
def test_attention_centers_that_do_not_fit_are_refused(tmp_path: Path, bad: np.ndarray, words: str) -> None:
    with GalleryWriter(tmp_path / "birds", PROVENANCE) as writer:
        with pytest.raises(GalleryError, match=words):
            writer.append([image(0)], logits(1), bad)
        assert writer.n_images == 0


def test_a_full_disk_is_said_and_the_rest_can_be_resumed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    out = tmp_path / "birds"
    with GalleryWriter(out, PROVENANCE) as writer:
        writer.append([image(0)], logits(1), centers(1))
        with monkeypatch.context() as patch, pytest.raises(GalleryError, match=r"disk is full.*goes on"):
            patch.setattr(Path, "write_bytes", full)
            writer.append([image(1)], logits(1), centers(1))
    with GalleryWriter(out, PROVENANCE) as writer:
        assert writer.n_images == 1


def test_a_disk_that_is_full_for_the_database_is_said_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise duckdb.IOException('IO Error: Could not write file "gallery.duckdb.wal": No space left on device')

    with GalleryWriter(tmp_path / "birds", PROVENANCE) as writer:
        with monkeypatch.context() as patch, pytest.raises(GalleryError, match="disk is full"):
            patch.setattr("concepthash.gallery.changes.insert", full)
            writer.append([image(0)], logits(1), centers(1))
        assert writer.n_images == 0
        writer.append([image(0)], logits(1), centers(1))
        writer.finish()


def test_a_place_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("a file, not a folder")
    with pytest.raises(GalleryError, match="cannot be written"):
        GalleryWriter(tmp_path / "file/birds", PROVENANCE)


@pytest.mark.parametrize("damage", ["half", "no tables", "no database", "no next row"])
def test_a_damaged_unfinished_gallery_is_said_and_can_be_begun_anew(tmp_path: Path, damage: str) -> None:
    out, file = tmp_path / "birds", tmp_path / "birds.partial/gallery.duckdb"
    with GalleryWriter(out, PROVENANCE) as writer:
        writer.append([image(i) for i in range(5)], logits(5), centers(5))
    if damage == "no next row":
        edit(file.parent, "DELETE FROM provenance WHERE key = 'next_row'")
    else:
        content = file.read_bytes()
        file.write_bytes({"half": content[: len(content) // 2], "no tables": b""}.get(damage, b"no database" * 1000))
    with pytest.raises(GalleryError, match=r"birds\.partial cannot be read \(.+\); begin anew with --overwrite"):
        GalleryWriter(out, PROVENANCE)
    assert len(write(out, n=3, overwrite=True)) == 3
    assert names(tmp_path) == ["birds"]


def test_a_disk_that_is_full_at_the_opening_discards_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise duckdb.IOException("IO Error: No space left on device")

    out = tmp_path / "birds"
    with GalleryWriter(out, PROVENANCE) as writer:
        writer.append([image(0)], logits(1), centers(1))
    with monkeypatch.context() as patched, pytest.raises(GalleryError, match="disk is full"):
        patched.setattr("concepthash.gallery.store.sweep", full)
        GalleryWriter(out, PROVENANCE, overwrite=True)
    with GalleryWriter(out, PROVENANCE) as writer:
        assert writer.n_images == 1


def test_a_gallery_cannot_be_named_like_an_unfinished_one(tmp_path: Path) -> None:
    with pytest.raises(GalleryError, match="named like an unfinished gallery"):
        GalleryWriter(tmp_path / "birds.partial", PROVENANCE)
    assert names(tmp_path) == []


@pytest.mark.parametrize("use", [GalleryEditor, open_gallery, lambda path: GalleryWriter(path, PROVENANCE)])
def test_a_place_that_cannot_be_one_is_refused_in_a_sentence(tmp_path: Path, use: Callable[[Path], object]) -> None:
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    for place in (tmp_path / ("n" * 300), Path("~nobody-of-that-name/birds"), Path("a\0b"), tmp_path / "loop/birds"):
        with pytest.raises(GalleryError):
            use(place)


def test_a_place_that_may_not_be_looked_at_is_refused_in_a_sentence(tmp_path: Path) -> None:
    def refuse(path: Path, **_: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied", str(path))

    for use in (GalleryEditor, open_gallery, lambda path: GalleryWriter(path, PROVENANCE)):
        with patch.object(Path, "stat", refuse), pytest.raises(GalleryError, match="Permission denied"):
            use(tmp_path / "birds")


def test_a_second_writer_is_refused_until_the_first_ends(tmp_path: Path) -> None:
    with GalleryWriter(tmp_path / "birds", PROVENANCE) as writer:
        writer.append([image(0)], logits(1), centers(1))
        for overwrite in (False, True):
            with pytest.raises(GalleryError, match="Another process is writing"):
                GalleryWriter(tmp_path / "birds", PROVENANCE, overwrite=overwrite)
        assert writer.n_images == 1
    with GalleryWriter(tmp_path / "birds", PROVENANCE) as writer:
        assert writer.n_images == 1


HOLD = """
import sys
from concepthash.gallery import GalleryWriter, Provenance
writer = GalleryWriter(sys.argv[1], Provenance("0123456789abcdef", "fake", 12, 3, "squash-8x8", "/nowhere", "digest"))
print("ready", flush=True)
sys.stdin.read()
"""


def test_the_lock_of_a_killed_writer_is_free_again(tmp_path: Path) -> None:
    out = tmp_path / "birds"
    command = [sys.executable, "-c", HOLD, str(out)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None and other.stdout.readline() == "ready\n"
        with pytest.raises(GalleryError, match="Another process is writing"):
            GalleryWriter(out, PROVENANCE)
        other.kill()
        other.wait()
        assert len(write(out)) == 5


def test_an_open_gallery_holds_no_file_open(tmp_path: Path) -> None:
    gallery = write(tmp_path / "birds")
    with duckdb.connect(str(gallery.path / "gallery.duckdb")) as database:  # refused while another has it open
        database.execute("CREATE TABLE proof (x INT)")


def test_a_gallery_of_another_checkpoint_is_refused(tmp_path: Path) -> None:
    write(tmp_path / "birds")
    assert len(open_gallery(tmp_path / "birds", fingerprint="0123456789abcdef")) == 5
    with pytest.raises(GalleryError, match=r"another checkpoint.*fake.*0123456789ab.*ffffffffffff"):
        open_gallery(tmp_path / "birds", fingerprint="f" * 64)


def test_a_gallery_of_a_newer_format_is_refused(tmp_path: Path) -> None:
    write(tmp_path / "birds")
    edit(tmp_path / "birds", "UPDATE provenance SET value = '5' WHERE key = 'format'")
    with pytest.raises(GalleryError, match=r"format 5.*up to 4.*upgrade"):
        open_gallery(tmp_path / "birds")


def test_a_gallery_of_the_first_format_is_opened(tmp_path: Path) -> None:
    write(tmp_path / "birds")
    make_older(tmp_path / "birds", 1)
    edit(tmp_path / "birds", "DELETE FROM provenance WHERE key = 'thumbnails'")
    gallery = open_gallery(tmp_path / "birds")
    assert gallery.thumbnail_path(1).read_bytes() == b"webp 1" and not gallery.shows_originals
    assert gallery.data_root == Path("/nowhere")
    assert gallery.attention_centers is None


def test_a_gallery_of_the_second_format_is_opened_and_knows_no_attention_centers(tmp_path: Path) -> None:
    write(tmp_path / "birds")
    make_older(tmp_path / "birds", 2)
    gallery = open_gallery(tmp_path / "birds")
    assert gallery.attention_centers is None
    np.testing.assert_array_equal(gallery.code_logits, logits(5))


def test_a_gallery_of_the_third_format_is_opened(tmp_path: Path) -> None:
    write(tmp_path / "birds")
    make_older(tmp_path / "birds", 3)
    gallery = open_gallery(tmp_path / "birds")
    assert gallery.rows.tolist() == [0, 1, 2, 3, 4]
    np.testing.assert_array_equal(gallery.attention_centers, centers(5))


def test_an_unfinished_gallery_of_an_older_format_is_not_resumed(tmp_path: Path) -> None:
    out = tmp_path / "birds"
    with GalleryWriter(out, PROVENANCE) as writer:
        writer.append([image(0)], logits(1), centers(1))
    make_older(tmp_path / "birds.partial", 2)
    with pytest.raises(GalleryError, match=r"begun with another format \(2, now 4\).*version.*--overwrite"):
        GalleryWriter(out, PROVENANCE)
    with GalleryWriter(out, PROVENANCE, overwrite=True) as writer:
        assert writer.n_images == 0
        writer.append([image(0)], logits(1), centers(1))
        writer.finish()
    assert open_gallery(out).attention_centers is not None


def test_rows_may_have_gaps_and_thumbnails_follow_their_numbers(tmp_path: Path) -> None:
    write(tmp_path / "birds")
    edit(tmp_path / "birds", "DELETE FROM images WHERE row IN (0, 2)")
    gallery = open_gallery(tmp_path / "birds")
    assert gallery.rows.tolist() == [1, 3, 4] and gallery.rows.dtype == np.int64
    assert [gallery.thumbnail_path(i).read_bytes() for i in range(3)] == [b"webp 1", b"webp 3", b"webp 4"]
    assert gallery.row_of("a/3.png") == 1
    np.testing.assert_array_equal(gallery.code_logits, logits(5)[[1, 3, 4]])


def originals(root: Path, n: int = 4) -> Gallery:
    """A gallery at ``root/made/birds`` that shows the images in ``root/photos`` themselves."""
    (root / "photos/a/b").mkdir(parents=True)
    paths = ["c.png" if i == 9 else f"a/b/{i}.png" if i % 2 else f"a/{i}.png" for i in range(n)]
    for path in paths:
        (root / "photos" / path).write_bytes(path.encode())
    provenance = dataclasses.replace(PROVENANCE, data_root="../../photos", thumbnails="originals")
    with GalleryWriter(root / "made/birds", provenance) as writer:
        images = [image(i, image_id=path, path=path, thumbnail=None) for i, path in enumerate(paths)]
        writer.append(images, logits(n), centers(n))
        writer.finish()
    return open_gallery(root / "made/birds")


def test_a_gallery_of_originals_stores_no_pictures_and_moves_with_its_images(tmp_path: Path) -> None:
    gallery = originals(tmp_path / "here")
    assert names(gallery.path) == ["gallery.duckdb"]
    assert gallery.data_root == tmp_path / "here/photos"
    (tmp_path / "here").rename(tmp_path / "there")
    moved = open_gallery(tmp_path / "there/made/birds")
    assert [moved.thumbnail_path(row).read_bytes() for row in (0, 1)] == [b"a/0.png", b"a/b/1.png"]
    assert moved.image_path(1) == moved.thumbnail_path(1) == tmp_path / "there/photos/a/b/1.png"


def test_thumbnails_lie_in_the_folders_that_are_listed_and_these_are_few(tmp_path: Path) -> None:
    assert originals(tmp_path).thumbnail_folders() == (tmp_path / "photos/a",)
    assert originals(tmp_path / "more", 10).thumbnail_folders() == (tmp_path / "more/photos",)
    own = write(tmp_path / "own")
    assert own.thumbnail_folders() == (tmp_path / "own/thumbnails",)
    assert own.thumbnail_path(3).is_relative_to(tmp_path / "own/thumbnails")


def test_a_gallery_of_originals_that_are_gone_says_where_they_were(tmp_path: Path) -> None:
    gallery = originals(tmp_path)
    (tmp_path / "photos/a/2.png").unlink()
    with pytest.raises(GalleryError, match=r"1 of 4 are gone from .*photos \(the first is a/2\.png\)"):
        open_gallery(gallery.path)
    gallery.path.rename(tmp_path / "alone")
    with pytest.raises(GalleryError, match="4 of 4 are gone"):
        open_gallery(tmp_path / "alone")


@pytest.mark.parametrize("path", ["../secret.png", "/etc/passwd", "a/../../secret.png"])
def test_a_gallery_cannot_show_what_lies_outside_the_folder_of_its_images(tmp_path: Path, path: str) -> None:
    gallery = originals(tmp_path)
    (tmp_path / "secret.png").write_bytes(b"secret")
    edit(gallery.path, f"UPDATE images SET path = '{path}' WHERE row = 0")
    with pytest.raises(GalleryError, match="outside the folder"):
        open_gallery(gallery.path)


@pytest.mark.parametrize(
    "statement",
    [
        "DROP TABLE images",
        "DROP TABLE provenance",
        "DELETE FROM provenance WHERE key = 'n_bits'",
        "UPDATE provenance SET value = 'many' WHERE key = 'n_bits'",
        "UPDATE provenance SET value = 'none' WHERE key = 'thumbnails'",
        "UPDATE images SET row = 3 WHERE row = 2",
        "UPDATE images SET row = -1 WHERE row = 0",
        "UPDATE images SET code_logits = [1.0] WHERE row = 2",
        "ALTER TABLE images DROP COLUMN code0",
        "ALTER TABLE images DROP COLUMN attention",
        "UPDATE images SET attention = [0.5, 0.5] WHERE row = 2",
        "UPDATE images SET attention = [0.5, 0.5, 0.5, 0.5, 0.5, 1.5] WHERE row = 2",
        "UPDATE images SET attention = [0.5, 0.5, 0.5, 0.5, 0.5, 'nan'::FLOAT] WHERE row = 2",
    ],
)
def test_an_altered_gallery_is_refused(tmp_path: Path, statement: str) -> None:
    write(tmp_path / "birds")
    edit(tmp_path / "birds", statement)
    with pytest.raises(GalleryError, match="cannot be read"):
        open_gallery(tmp_path / "birds")


def test_a_damaged_database_is_refused(tmp_path: Path) -> None:
    file = write(tmp_path / "birds").path / "gallery.duckdb"
    content = file.read_bytes()
    for damaged in (b"", b"no database" * 1000, b"SQLite format 3\0" + bytes(5000), content[: len(content) // 2]):
        file.write_bytes(damaged)
        with pytest.raises(GalleryError, match="cannot be read"):
            open_gallery(tmp_path / "birds")


def test_what_is_no_gallery_is_refused(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").write_text("text")
    for name, sentence in (("missing", "There is no gallery"), ("folder", "not a gallery"), ("file", "not a gallery")):
        with pytest.raises(GalleryError, match=sentence):
            open_gallery(tmp_path / name)


def test_a_log_that_cannot_be_replayed_without_writing_is_replayed_for_writing(tmp_path: Path) -> None:
    """As DuckDB 1 refuses some that a killed writer has left."""
    file, open_file, asked = tmp_path / "gallery.duckdb", duckdb.connect, []
    open_file(str(file)).execute("CREATE TABLE images AS SELECT 7 AS row").close()

    def refuse_once(path: str, *, read_only: bool = False, **more: Any) -> duckdb.DuckDBPyConnection:
        asked.append(read_only)
        if asked == [True]:
            raise duckdb.IOException("IO Error: Failure while replaying WAL file: Bad file descriptor")
        return open_file(path, read_only=read_only, **more)

    with patch.object(duckdb, "connect", refuse_once), connect(file, read_only=True) as database:
        assert database.execute("FROM images").fetchall() == [(7,)]
    assert asked == [True, False, True]
