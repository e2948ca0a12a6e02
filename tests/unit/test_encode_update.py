"""A gallery in step with its folder: new, changed and vanished images, and what is known about them."""

import json
import os
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from fake_encoder import FakeEncoder, content, make_photos
from PIL import Image
from stored_images import make_older
from together import together

from concepthash import encode
from concepthash.data import read_dataset
from concepthash.encode_table import encode_table
from concepthash.encode_update import Update, update_gallery
from concepthash.encoding import EncodeOptions
from concepthash.errors import DataError, GalleryError
from concepthash.gallery import Gallery, open_gallery
from concepthash.gallery.database import connect
from concepthash.gallery.merging import merge_parts, read_parts
from concepthash.gallery.metadata_file import read_metadata

QUIET = EncodeOptions(batch_size=2, progress=False)


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    make_photos(tmp_path / "photos", n=8, bad=(5,))
    return tmp_path / "photos"


@pytest.fixture
def out(photos: Path, tmp_path: Path) -> Path:
    return encode_table(FakeEncoder(), read_dataset(photos), tmp_path / "gallery", batch_size=3, progress=False).path


def save(path: Path, number: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (40 + number, 30), (number, 80, 160)).save(path)


def update(photos: Path, out: Path, encoder: Any = None, more: Path | None = None) -> tuple[Update, list[int]]:
    """What was done, and the numbers of the images that were encoded."""
    encoder = encoder or FakeEncoder()
    return update_gallery(encoder, read_dataset(photos), out, QUIET, more), encoder.numbers


def check(photos: Path, out: Path) -> Gallery:
    """A gallery in step holds what a new one would, in whatever order."""
    gallery = open_gallery(out)
    new = encode_table(FakeEncoder(), read_dataset(photos), out.with_name("new"), progress=False, overwrite=True)
    order = [gallery.image_ids.index(image_id) for image_id in new.image_ids]
    assert len(gallery) == len(new)
    np.testing.assert_array_equal(gallery.code_logits[order], new.code_logits)
    np.testing.assert_array_equal(gallery.sizes[order], new.sizes)
    names = [(gallery.class_names[gallery.labels[i]], gallery.family_names[gallery.family_ids[i]]) for i in order]
    assert names == [(new.class_names[a], new.family_names[b]) for a, b in zip(new.labels, new.family_ids, strict=True)]
    pictures = [gallery.thumbnail_path(i).read_bytes() for i in order]
    assert pictures == [new.thumbnail_path(i).read_bytes() for i in range(len(new))]
    assert sorted(gallery.skipped, key=str) == sorted(new.skipped, key=str)
    assert len(list((out / "thumbnails").rglob("*.webp"))) == len(gallery)
    digest = "SELECT value FROM provenance WHERE key = 'images'"
    assert query(out, digest) == query(new.path, digest)
    return gallery


def query(out: Path, statement: str) -> list[tuple[Any, ...]]:
    with connect(out / "gallery.duckdb", read_only=True) as database:
        return database.execute(statement).fetchall()


def test_a_gallery_in_step_is_left_as_it_is(photos: Path, out: Path) -> None:
    before = content(out)
    assert update(photos, out) == (Update(), [])
    assert content(out) == before


def test_new_changed_and_vanished_images_are_followed_and_nothing_else_is_encoded(photos: Path, out: Path) -> None:
    save(photos / "class_0/100.png", 100)
    save(photos / "class_0/001.png", 101)
    (photos / "class_1/006.png").unlink()
    assert update(photos, out) == (Update(n_new=1, n_changed=1, n_gone=1), [101, 100])
    gallery = check(photos, out)
    assert gallery.rows.tolist() == [0, 2, 3, 4, 6, 7, 8]
    assert update(photos, out) == (Update(), [])


def test_a_file_that_was_written_again_with_the_same_size_is_seen(photos: Path, out: Path) -> None:
    file = photos / "class_0/001.png"
    size = file.stat().st_size
    save(file, 2)
    os.utime(file, ns=(1, 1))
    assert file.stat().st_size in range(size - 1, size + 2)
    assert update(photos, out) == (Update(n_changed=1), [2])
    check(photos, out)


def test_unreadable_files_are_tried_again_only_when_they_changed(photos: Path, out: Path) -> None:
    (photos / "class_0/002.png").write_bytes(b"broken now")
    assert update(photos, out) == (Update(n_gone=1), [])  # nothing was stored for it
    assert [entry.path for entry in check(photos, out).skipped] == ["class_1/005.png", "class_0/002.png"]
    assert update(photos, out) == (Update(), [])
    save(photos / "class_1/005.png", 5)
    (photos / "class_0/002.png").unlink()
    assert update(photos, out) == (Update(n_new=1), [5])
    assert check(photos, out).skipped == ()


def test_images_in_other_classes_are_described_anew_without_being_encoded(photos: Path, out: Path) -> None:
    save(photos / "ant/050.png", 50)  # first in the alphabet, so that all labels move up
    assert update(photos, out) == (Update(n_new=1, n_described=7), [50])
    check(photos, out)
    assert query(out, "SELECT DISTINCT label FROM images WHERE class = 'class 1'") == [(2,)]


def test_an_update_that_was_interrupted_goes_on_with_what_is_left(photos: Path, out: Path) -> None:
    class Failing(FakeEncoder):
        def encode(self, images: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
            if len(self.numbers) >= 4:
                raise RuntimeError("out of memory")
            return super().encode(images)

    for number in range(50, 57):
        save(photos / f"class_0/{number}.png", number)
    with pytest.raises(RuntimeError):
        update(photos, out, Failing())
    assert len(open_gallery(out)) == 11
    assert update(photos, out) == (Update(n_new=3), [54, 55, 56])
    check(photos, out)


def change(photos: Path) -> None:
    """Seven images come, two are others now, one is broken and one goes."""
    for number in range(50, 57):
        save(photos / f"class_0/{number}.png", number)
    for number in (1, 3):
        save(photos / f"class_0/00{number}.png", 60 + number)
    (photos / "class_0/002.png").write_bytes(b"broken now")
    (photos / "class_1/006.png").unlink()


def test_several_processes_share_the_images_and_change_the_gallery_as_one(photos: Path, out: Path) -> None:
    shutil.copytree(out, out.with_name("alone"))
    change(photos)
    done = Update(n_new=7, n_changed=2, n_gone=2)
    assert update(photos, out.with_name("alone"))[0] == done
    shares = together(photos, out, 3, how="update")
    assert shares == [f"12 3 {done}", f"12 4 {Update()}", f"12 2 {Update()}"]
    assert content(out) == content(out.with_name("alone"))  # the numbers of rows, too
    check(photos, out)
    assert together(photos, out, 2, how="update") == [f"12 0 {Update()}"] * 2


@pytest.mark.skipif(sys.platform == "win32", reason="kills with a POSIX signal")
@pytest.mark.parametrize("moment", ["process 1 encodes", "half is updated"])
def test_an_update_by_several_processes_goes_on_when_one_was_killed(photos: Path, out: Path, moment: str) -> None:
    change(photos)
    said = together(photos, out, 2, moment, how="update")
    assert sorted(words.partition(" has ended")[0] for words in said) == ["", "Another of the 2 processes"]
    ids = open_gallery(out).image_ids
    assert len(ids) == 6 and set(ids) & {f"class_0/{number}.png" for number in range(50, 57)} == {"class_0/50.png"}
    together(photos, out, 2, how="update")
    check(photos, out)


def test_an_update_that_is_refused_ends_all_processes(photos: Path, tmp_path: Path) -> None:
    said = together(photos, tmp_path / "nowhere", 2, how="update")
    assert said[0].startswith("There is no complete gallery at")
    assert said[1].startswith("Another of the 2 processes has ended")


def test_the_model_must_be_the_one_that_made_the_gallery(photos: Path, out: Path) -> None:
    other, before = FakeEncoder(), content(out)
    other.checkpoint.fingerprint = "e" * 64
    with pytest.raises(
        GalleryError, match=r"made with fake \(ffffffffffff, squash-16x24\), not with fake \(eeeeeeeeeeee"
    ):
        update(photos, out, other)
    other = FakeEncoder()
    other.transform_id = "squash-9x9"
    with pytest.raises(GalleryError, match=r"not with fake \(ffffffffffff, squash-9x9\)"):
        update(photos, out, other)
    assert content(out) == before


def test_the_folder_must_be_the_one_the_gallery_was_made_of(photos: Path, out: Path, tmp_path: Path) -> None:
    shutil.copytree(photos, tmp_path / "elsewhere")
    with pytest.raises(GalleryError, match=r"was made of .*photos, not of .*elsewhere"):
        update(tmp_path / "elsewhere", out)
    with pytest.raises(GalleryError, match="There is no complete gallery"):
        update(photos, tmp_path / "missing")
    with pytest.raises(DataError, match="has no images"):
        update_gallery(FakeEncoder(), read_dataset(photos).subset(np.array([], np.int64)), out, QUIET)


def test_a_gallery_of_the_third_format_is_encoded_once_again(photos: Path, out: Path) -> None:
    make_older(out, 3)
    assert update(photos, out) == (Update(n_changed=7), [0, 1, 2, 3, 4, 6, 7])  # the eighth is unreadable
    assert update(photos, out) == (Update(), [])
    check(photos, out)


def test_a_gallery_of_originals_stays_one(photos: Path, tmp_path: Path) -> None:
    table = read_dataset(photos)
    out = encode_table(FakeEncoder(), table, tmp_path / "own", progress=False, thumbnails="originals").path
    save(photos / "class_0/100.png", 100)
    assert update(photos, out) == (Update(n_new=1), [100])
    assert open_gallery(out).shows_originals and [path.name for path in out.iterdir()] == ["gallery.duckdb"]
    Image.new("RGB", (300, 300)).save(photos / "class_0/101.png")
    with pytest.raises(GalleryError, match="cannot be its own thumbnail"):
        update(photos, out)


def test_metadata_is_kept_written_over_and_added(photos: Path, out: Path, tmp_path: Path) -> None:
    more = tmp_path / "more.csv"
    more.write_text("image_id,price,note\nclass_0/000.png,1,first\nclass_0/001.png,2.5,\n")
    assert update(photos, out, more=more) == (Update(n_described=2), [])
    assert update(photos, out, more=more) == (Update(), [])
    save(photos / "class_0/000.png", 100)
    save(photos / "class_0/100.png", 101)
    assert update(photos, out) == (Update(n_new=1, n_changed=1), [100, 101])
    wanted = "SELECT image_id, price, note FROM images WHERE price IS NOT NULL ORDER BY ALL"
    assert query(out, wanted) == [("class_0/000.png", 1.0, "first"), ("class_0/001.png", 2.5, None)]
    more.write_text("image_id,price,year\nclass_0/100.png,3,1999\n")
    assert update(photos, out, more=more) == (Update(n_described=3), [])
    assert query(out, wanted.replace("note", "note, year")) == [("class_0/100.png", 3.0, None, 1999)]
    more.write_text("image_id,price\nclass_0/100.png,cheap\n")
    with pytest.raises(GalleryError, match="price would be TEXT, and the gallery has price as DOUBLE"):
        update(photos, out, more=more)


def test_a_part_is_not_updated_but_what_parts_make_is(photos: Path, tmp_path: Path) -> None:
    parts = [tmp_path / "part1", tmp_path / "part2"]
    for number, part in enumerate(parts, start=1):
        encode_table(FakeEncoder(), read_dataset(photos), part, progress=False, part=(number, 2))
    before = content(parts[1])
    with pytest.raises(GalleryError, match=r"part2 is part 2 of 2 of a gallery.*merge the parts first"):
        update(photos, parts[1])
    assert content(parts[1]) == before
    merge_parts(tmp_path / "merged", read_parts(parts, tmp_path / "merged")[1], parts, progress=False)
    assert update(photos, tmp_path / "merged") == (Update(), [])


@pytest.fixture
def command(photos: Path, out: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    monkeypatch.setattr(encode, "_load_encoder", lambda *_: FakeEncoder())
    return ["--checkpoint", "c", "--data", str(photos), "--out", str(out), "--quiet"]


def test_the_command_says_what_it_did(
    photos: Path, command: list[str], capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    save(photos / "class_0/100.png", 100)
    (photos / "class_0/001.png").unlink()
    assert encode.main([*command, "--update", "--json"]) == 0
    summary = SimpleNamespace(**json.loads(capsys.readouterr().out))
    assert (summary.n_new, summary.n_changed, summary.n_gone, summary.n_described) == (1, 0, 1, 0)
    assert (summary.n_encoded, summary.n_resumed, summary.n_skipped) == (1, 6, 1)
    (photos / "class_0/002.png").write_bytes(b"broken now")
    (photos / "class_0/101.png").write_bytes(b"never whole")
    assert encode.main([*command, "--update", "--json"]) == 0
    summary = SimpleNamespace(**json.loads(capsys.readouterr().out))
    assert (summary.n_new, summary.n_changed, summary.n_gone) == (0, 0, 1)
    assert (summary.n_encoded, summary.n_resumed, summary.n_skipped) == (0, 6, 3)
    assert encode.main([*command, "--update"]) == 0
    assert "0 images new, 0 changed, 0 gone, 0 described otherwise" in capsys.readouterr().out


def test_the_command_takes_metadata(photos: Path, command: list[str], tmp_path: Path, out: Path) -> None:
    (tmp_path / "more.csv").write_text("path,price\nclass_0/001.png,2\n")
    assert encode.main([*command, "--overwrite", "--metadata", str(tmp_path / "more.csv")]) == 0
    assert query(out, "SELECT image_id FROM images WHERE price = 2") == [("class_0/001.png",)]
    (tmp_path / "more.csv").write_text("path,price\nclass_0/001.png,3\n")
    assert encode.main([*command, "--update", "--metadata", str(tmp_path / "more.csv")]) == 0
    assert query(out, "SELECT price FROM images WHERE price IS NOT NULL") == [(3,)]


def test_an_unfinished_gallery_is_not_resumed_with_other_metadata(photos: Path, tmp_path: Path) -> None:
    table = read_dataset(photos)

    class Failing(FakeEncoder):
        def encode(self, images: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
            raise RuntimeError

    for cell, error in (("1", "^$"), ("2", "begun with another list of images"), ("x", "another list of images")):
        (tmp_path / "more.csv").write_text(f"image_id,price\nclass_0/001.png,{cell}\n")
        metadata = read_metadata(tmp_path / "more.csv", table)
        with pytest.raises((GalleryError, RuntimeError), match=error):
            encode_table(Failing(), table, tmp_path / "half", progress=False, metadata=metadata)


@pytest.mark.parametrize("other", [["--overwrite"], ["--part", "1/2"], ["--thumbnails", "own"]])
def test_an_update_takes_no_options_of_a_new_gallery(
    command: list[str], other: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert encode.main([*command, "--update", *other]) == 2
    assert "leave out --overwrite, --part, --thumbnails and --engine" in capsys.readouterr().err
