"""Galleries made in parts: put together they are what one process makes, whatever happens on the way."""

import json
import sys
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pytest
from fake_encoder import FakeEncoder, content, make_photos
from stored_images import edit
from together import together

from concepthash import encode
from concepthash.data import ImageTable
from concepthash.encode_table import encode_table
from concepthash.errors import ConfigError, DataError, GalleryError
from concepthash.gallery import merging, open_gallery
from concepthash.gallery.editor import GalleryEditor
from concepthash.gallery.merging import merge_parts, read_parts


@pytest.fixture
def table(tmp_path: Path) -> ImageTable:
    return make_photos(tmp_path / "photos", n=11, bad=(1, 7))


def make_parts(table: ImageTable, root: Path, count: int = 3, **options: Any) -> list[Path]:
    return [
        encode_table(
            FakeEncoder(), table, root / f"part{i}", batch_size=2, progress=False, part=(i + 1, count), **options
        ).path
        for i in range(count)
    ]


def merge(folders: list[Path], out: Path, **options: bool) -> None:
    parts, made = read_parts(folders, out)
    merge_parts(out, made, parts, progress=False, **options)


def unbroken(table: ImageTable, root: Path) -> dict[str, Any]:
    return content(encode_table(FakeEncoder(), table, root / "unbroken", progress=False).path)


@pytest.mark.parametrize("count", [1, 3, 13])
def test_parts_put_together_are_what_one_process_makes(tmp_path: Path, table: ImageTable, count: int) -> None:
    parts = make_parts(table, tmp_path, count)
    assert sum(len(open_gallery(part)) for part in parts) == 9
    merge(parts[::-1], tmp_path / "gallery")
    assert content(tmp_path / "gallery") == unbroken(table, tmp_path)
    assert all(open_gallery(part).thumbnail_path(i).exists() for part in parts for i in range(len(open_gallery(part))))


@pytest.mark.parametrize("chunk", [1, 2, 3])
def test_parts_are_copied_in_chunks(
    tmp_path: Path, table: ImageTable, chunk: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(merging, "_CHUNK", chunk)
    merge(make_parts(table, tmp_path), tmp_path / "gallery")
    assert content(tmp_path / "gallery") == unbroken(table, tmp_path)


@pytest.mark.parametrize("name", ["_link_thumbnails", "set_facts"])
@pytest.mark.parametrize("stop", [1, 2, 4, 5])
def test_a_merge_that_stops_anywhere_goes_on(
    tmp_path: Path, table: ImageTable, monkeypatch: pytest.MonkeyPatch, name: str, stop: int
) -> None:
    parts, out, calls, real = make_parts(table, tmp_path), tmp_path / "gallery", [], getattr(merging, name)

    def stopping(*arguments: Any) -> None:
        calls.append(arguments)
        real(*arguments)
        if len(calls) == stop:
            raise KeyboardInterrupt

    monkeypatch.setattr(merging, "_CHUNK", 2)
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(merging, name, stopping)
        merge(parts, out)
    with pytest.raises(GalleryError, match="unfinished"):
        open_gallery(out)
    merge(parts, out)
    assert content(out) == unbroken(table, tmp_path)


def test_a_part_that_was_changed_since_keeps_its_order(tmp_path: Path, table: ImageTable) -> None:
    parts = make_parts(table, tmp_path)
    with GalleryEditor(parts[1]) as editor:
        editor.delete(["class_0/004.png"])
    merge(parts, tmp_path / "gallery")
    gallery, had = open_gallery(tmp_path / "gallery"), [open_gallery(part) for part in parts]
    assert gallery.rows.tolist() == list(range(8))
    assert gallery.image_ids == tuple(name for part in had for name in part.image_ids)
    np.testing.assert_array_equal(gallery.code_logits, np.concatenate([part.code_logits for part in had]))
    shown = [part.thumbnail_path(i).read_bytes() for part in had for i in range(len(part))]
    assert [gallery.thumbnail_path(i).read_bytes() for i in range(8)] == shown


def test_parts_of_originals_show_them_from_elsewhere(tmp_path: Path) -> None:
    table = make_photos(tmp_path / "photos", n=4)
    merge(make_parts(table, tmp_path / "parts", 2, thumbnails="originals"), tmp_path / "deep/er/gallery")
    gallery = open_gallery(tmp_path / "deep/er/gallery")
    assert [gallery.thumbnail_path(i) for i in range(4)] == list(table.paths)


def test_parts_of_one_gallery_are_asked_for_all_and_once(tmp_path: Path, table: ImageTable) -> None:
    parts, out = make_parts(table, tmp_path), tmp_path / "gallery"
    whole = encode_table(FakeEncoder(), table, tmp_path / "whole", progress=False).path
    for folders, words in (
        ([], "No part was named"),
        (parts[:1], "There are 3 parts, and 2, 3 are missing"),
        (parts[1:], "There are 3 parts, and 1 is missing"),
        ([*parts, parts[1]], "are both part 2"),
        ([*parts[:2], whole], "whole is no part"),
        ([*parts[:2], tmp_path / "photos"], "photos is no part"),
        ([*parts[:2], tmp_path / "missing"], "missing is no part"),
    ):
        with pytest.raises(GalleryError, match=words):
            merge(folders, out)
    assert not out.exists()


def test_parts_of_different_galleries_are_not_put_together(tmp_path: Path, table: ImageTable) -> None:
    parts = make_parts(table, tmp_path, 2)
    other = make_parts(table.subset(np.arange(9)), tmp_path / "other", 2)
    with pytest.raises(GalleryError, match="part of another gallery"):
        merge([parts[0], other[1]], tmp_path / "gallery")
    edit(other[0], "UPDATE provenance SET value = '3' WHERE key = 'format'")
    with pytest.raises(GalleryError, match="another version made it"):
        merge([other[0], parts[1]], tmp_path / "gallery")


def test_an_image_that_is_in_two_parts_is_named(tmp_path: Path, table: ImageTable) -> None:
    parts = make_parts(table, tmp_path, 2)
    edit(parts[1], "UPDATE images SET image_id = 'class_0/000.png' WHERE \"row\" = 1")
    with pytest.raises(GalleryError, match=r"The image class_0/000\.png is in more than one part"):
        merge(parts, tmp_path / "gallery")


def test_a_part_cannot_read_other_files(tmp_path: Path, table: ImageTable) -> None:
    parts = make_parts(table, tmp_path, 2)
    (tmp_path / "secret.csv").write_text("path,reason\nsecret,secret\n")
    edit(parts[1], "DROP TABLE skipped")
    with duckdb.connect(str(parts[1] / "gallery.duckdb")) as database:
        database.execute(
            f"CREATE VIEW skipped AS SELECT *, 1 AS file_bytes, 1 AS file_modified FROM '{tmp_path}/secret.csv'"
        )
    with pytest.raises(GalleryError, match=r"The part .*part1 cannot be read .*disabled"):
        merge(parts, tmp_path / "gallery")


def test_a_damaged_part_is_named(tmp_path: Path, table: ImageTable) -> None:
    parts = make_parts(table, tmp_path, 2)
    edit(parts[1], "ALTER TABLE images DROP COLUMN code0")
    with pytest.raises(GalleryError, match=r"The part .*part1 cannot be read .*code0"):
        merge(parts, tmp_path / "gallery")


def test_parts_without_images_make_no_gallery(tmp_path: Path) -> None:
    table = make_photos(tmp_path / "photos", n=2, bad=(0, 1))
    parts = make_parts(table, tmp_path, 2)
    with pytest.raises(DataError, match="No image could be read, out of 2"):
        merge(parts, tmp_path / "gallery")
    assert not (tmp_path / "gallery.partial").exists() and len(open_gallery(parts[0]).skipped) == 1


@pytest.mark.parametrize("part", [(0, 2), (3, 2), (1, 0)])
def test_a_part_that_is_none_is_refused(tmp_path: Path, table: ImageTable, part: tuple[int, int]) -> None:
    with pytest.raises(ConfigError, match="There is no part"):
        encode_table(FakeEncoder(), table, tmp_path / "gallery", progress=False, part=part)


def test_the_command_makes_parts_and_puts_them_together(
    tmp_path: Path, table: ImageTable, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(encode, "_load_encoder", lambda *_: FakeEncoder())
    parts, out = [str(tmp_path / f"part{i}") for i in (1, 2)], str(tmp_path / "gallery")
    made = ["--checkpoint", "c", "--data", str(table.root), "--quiet"]
    for i, part in enumerate(parts, start=1):
        assert encode.main([*made, "--out", part, "--part", f"{i}/2"]) == 0
    capsys.readouterr()
    assert encode.main(["--merge", out, *parts, "--json", "--quiet"]) == 0
    summary = json.loads(capsys.readouterr().out)
    assert (summary["n_encoded"], summary["n_resumed"], summary["n_skipped"]) == (0, 9, 2)
    assert content(tmp_path / "gallery") == unbroken(table, tmp_path)
    for arguments, words in (
        (["--merge", out, *parts], "already a gallery"),
        (["--merge", out], "then those of its parts"),
        (["--merge", out, *parts, "--data", "x"], "leave out --data"),
        ([*made, "--out", out, "--part", "two"], "write --part 2/4"),
        ([*made, "--out", out, "--part", "3/2"], "There is no part 3 of 2"),
        (made, "--out is missing"),
    ):
        assert encode.main(arguments) == 2
        error = capsys.readouterr().err
        assert words in error and len(error.splitlines()) == 1


@pytest.mark.skipif(sys.platform == "win32", reason="kills with a POSIX signal")
@pytest.mark.parametrize("moment", ["process 1 encodes", "half is put together", "the parts are deleted"])
def test_processes_that_are_killed_go_on_where_they_were(tmp_path: Path, table: ImageTable, moment: str) -> None:
    out = tmp_path / "gallery"
    together(table.root, out, 2, moment)
    with pytest.raises(GalleryError, match="unfinished"):
        open_gallery(out)
    if moment == "process 1 encodes":
        for words in together(table.root, out, 3)[:1]:
            assert "begun with another number of processes or parts (all of 2, now all of 3)" in words
    assert together(table.root, out, 2) == ["9", "9"]
    assert content(out) == unbroken(table, tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {"gallery", "photos", "unbroken"}


@pytest.mark.skipif(sys.platform == "win32", reason="kills with a POSIX signal")
def test_another_number_of_processes_may_begin_anew(tmp_path: Path, table: ImageTable) -> None:
    out = tmp_path / "gallery"
    together(table.root, out, 2, "process 1 encodes")
    with pytest.raises(GalleryError, match=r"another number of processes or parts \(all of 2, now all\)"):
        encode_table(FakeEncoder(), table, out, progress=False)
    encoder = FakeEncoder()
    encode_table(encoder, table, out, progress=False, overwrite=True)
    assert len(encoder.numbers) == 9 and content(out) == unbroken(table, tmp_path)
    assert {path.name for path in out.iterdir()} == {"gallery.duckdb", "thumbnails"}
    assert together(table.root, out, 2, how="overwrite") == ["9", "9"]
    assert content(out) == content(tmp_path / "unbroken")


def test_machines_without_a_common_folder_are_told_so_at_once(tmp_path: Path, table: ImageTable) -> None:
    for words in together(table.root, tmp_path / "gallery", 2, how="apart"):
        assert "is not one folder for all machines" in words and "encode with --part" in words
