"""Encoding folders into galleries: unreadable files, kills at any moment, and the command."""

import errno
import json
import os
import shutil
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from clickhouse_rig import ChdbServer, needs_chdb
from fake_encoder import FakeEncoder, centers_of, content, logits_of, make_photos
from forked import Forked
from killed_encoding import be_killed
from PIL import Image

from concepthash import encode
from concepthash.data import ImageTable, read_dataset
from concepthash.encode import encode_table
from concepthash.encode_table import encode_images
from concepthash.encoding import EncodeOptions
from concepthash.errors import ConfigError, DataError, GalleryError
from concepthash.gallery import Gallery, open_gallery
from concepthash.gallery.opening import open_any_gallery


def run(table: ImageTable, out: Path, encoder: Any = None, **options: Any) -> Gallery:
    return encode_table(encoder or FakeEncoder(), table, out, **({"batch_size": 2, "progress": False} | options))


def test_a_folder_becomes_a_gallery_in_the_order_of_the_table(tmp_path: Path) -> None:
    table, encoder = make_photos(tmp_path / "photos"), FakeEncoder()
    gallery = run(table, tmp_path / "gallery", encoder)
    assert gallery.image_ids == table.image_ids
    assert gallery.class_names == ("class 0", "class 1")
    np.testing.assert_array_equal(gallery.labels, table.labels)
    assert encoder.numbers == list(range(11))
    assert encoder.batches == [2, 2, 2, 2, 2, 1]
    np.testing.assert_array_equal(gallery.code_logits, logits_of(range(11)))
    np.testing.assert_array_equal(gallery.attention_centers, centers_of(range(11)))
    assert gallery.sizes[3].tolist() == [43, 30]
    assert gallery.image_path(3) == table.paths[3]
    assert gallery.skipped == ()


def test_the_split_is_kept(tmp_path: Path) -> None:
    for split, number in (("train", 1), ("test", 2)):
        (tmp_path / "photos" / split / "wren").mkdir(parents=True)
        Image.new("RGB", (8, 8), (number, 0, 0)).save(tmp_path / "photos" / split / "wren" / "a.png")
    run(read_dataset(tmp_path / "photos"), tmp_path / "gallery")
    assert [row[8] for row in content(tmp_path / "gallery")["images"]] == ["test", "train"]


@pytest.mark.parametrize(
    ("size", "expected"), [((1000, 500), (256, 128)), ((300, 900), (85, 256)), ((40, 20), (40, 20)), ((1, 1), (1, 1))]
)
def test_thumbnails_are_webp_with_a_longer_side_of_256_and_never_enlarged(
    tmp_path: Path, size: tuple[int, int], expected: tuple[int, int]
) -> None:
    (tmp_path / "photos").mkdir()
    Image.new("RGB", size, (7, 200, 100)).save(tmp_path / "photos/a.png")
    gallery = run(read_dataset(tmp_path / "photos"), tmp_path / "gallery")
    with Image.open(gallery.thumbnail_path(0)) as thumbnail:
        assert (thumbnail.format, thumbnail.size) == ("WEBP", expected)
        pixel = np.array(thumbnail.convert("RGB"))[0, 0].astype(int)
    assert np.abs(pixel - (7, 200, 100)).max() < 12


def test_unreadable_files_are_skipped_and_listed(tmp_path: Path) -> None:
    table = make_photos(tmp_path / "photos", bad=(0, 4, 5, 10))
    gallery = run(table, tmp_path / "gallery")
    assert gallery.image_ids == tuple(table.image_ids[i] for i in (1, 2, 3, 6, 7, 8, 9))
    assert [entry.path for entry in gallery.skipped] == [table.image_ids[i] for i in (0, 4, 5, 10)]
    assert "not an image" in gallery.skipped[0].reason


def save_image(path: Path, size: tuple[int, int] = (256, 200), kind: str | None = None) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, (7, 200, 100)).save(path, kind)


def test_small_originals_are_their_own_thumbnails_and_move_with_the_gallery(tmp_path: Path) -> None:
    for name in ("a/1.jpg", "a/2.png", "b/3.webp"):
        save_image(tmp_path / "here/photos" / name)
    (tmp_path / "here/photos/b/4.jpg").write_bytes(b"not an image")
    table = read_dataset(tmp_path / "here/photos")
    gallery = run(table, tmp_path / "here/made/birds", thumbnails="originals")
    assert [gallery.thumbnail_path(row) for row in range(3)] == list(table.paths[:3])
    assert [entry.path for entry in gallery.skipped] == ["b/4.jpg"]
    assert [path.name for path in gallery.path.iterdir()] == ["gallery.duckdb"]
    (tmp_path / "here").rename(tmp_path / "there")
    assert open_gallery(tmp_path / "there/made/birds").thumbnail_path(2) == tmp_path / "there/photos/b/3.webp"


@pytest.mark.parametrize(
    ("size", "kind", "words"),
    [((257, 9), "JPEG", "257 x 9 pixels"), ((9, 300), "PNG", "9 x 300"), ((9, 9), "GIF", "GIF")],
)
def test_originals_that_cannot_be_thumbnails_are_refused_at_once(
    tmp_path: Path, size: tuple[int, int], kind: str, words: str
) -> None:
    save_image(tmp_path / "photos/a/1.png")
    save_image(tmp_path / "photos/a/2.png", size, kind)
    save_image(tmp_path / "photos/a/3.png", (900, 900))
    table, encoder = read_dataset(tmp_path / "photos"), FakeEncoder()
    with pytest.raises(GalleryError, match=rf'"2\.png" cannot be its own thumbnail: .*{words}'):
        run(table, tmp_path / "gallery", encoder, thumbnails="originals")
    assert not encoder.numbers and [path.name for path in tmp_path.iterdir()] == ["photos"]


def test_a_link_out_of_the_folder_is_no_thumbnail(tmp_path: Path) -> None:
    save_image(tmp_path / "elsewhere.png")
    save_image(tmp_path / "photos/a/1.png")
    (tmp_path / "photos/a/2.png").symlink_to(tmp_path / "elsewhere.png")
    with pytest.raises(GalleryError, match=r'"2\.png".*outside the folder'):
        run(read_dataset(tmp_path / "photos"), tmp_path / "gallery", thumbnails="originals")


def test_thumbnails_of_another_kind_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="own or originals, not 'none'"):
        run(make_photos(tmp_path / "photos", n=2), tmp_path / "gallery", thumbnails="none")


def test_nothing_readable_is_an_error_and_leaves_nothing(tmp_path: Path) -> None:
    table = make_photos(tmp_path / "photos", n=3, bad=(0, 1, 2))
    with pytest.raises(DataError, match="No image could be read, out of 3"):
        run(table, tmp_path / "gallery")
    with pytest.raises(DataError, match="has no images"):
        run(table.subset(np.array([], dtype=np.int64)), tmp_path / "gallery")
    assert [path.name for path in tmp_path.iterdir()] == ["photos"]


def test_a_file_name_that_is_no_text_is_stored_spelled_out(tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    odd = os.fsdecode(os.fsencode(tmp_path / "photos") + b"/caf\xe9.png")
    try:
        Image.new("RGB", (8, 8)).save(odd, "PNG")
    except OSError:
        pytest.skip("this file system takes UTF-8 names only")
    gallery = run(read_dataset(tmp_path / "photos"), tmp_path / "gallery")
    assert gallery.image_paths == ("caf\\udce9.png",)
    assert gallery.image_path(0) is None


def test_a_gallery_inside_the_folder_of_images_is_refused(tmp_path: Path) -> None:
    table = make_photos(tmp_path / "photos", n=2)
    for out in (tmp_path / "photos", tmp_path / "photos/gallery"):
        with pytest.raises(GalleryError, match="inside the folder of the images"):
            run(table, out)


def test_an_object_store_lies_outside_the_folder_of_images(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    table = make_photos(tmp_path / "photos", n=2)
    monkeypatch.chdir(tmp_path / "photos")
    monkeypatch.setattr("concepthash.encode_table._encode_to_server", lambda *_: 2)

    def encode_to(out: str) -> int:
        options = EncodeOptions(server="clickhouse://host/birds", pictures=out)
        return encode_images(FakeEncoder(), table, Path(out), options)

    assert encode_to("s3://bucket/birds") == 2
    with pytest.raises(GalleryError, match="inside the folder of the images"):
        encode_to("birds")


@pytest.mark.parametrize("out", ["~nobody-of-that-name/gallery", "gallery.partial", "n" * 300])
def test_a_place_that_cannot_be_one_is_refused_before_anything_is_encoded(tmp_path: Path, out: str) -> None:
    encoder = FakeEncoder()
    with pytest.raises(GalleryError):
        run(make_photos(tmp_path / "photos", n=2), Path(out) if out[0] == "~" else tmp_path / out, encoder)
    assert encoder.numbers == []


def test_a_batch_size_below_one_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="batch size is 0"):
        run(make_photos(tmp_path / "photos", n=2), tmp_path / "gallery", batch_size=0)


def test_an_error_of_the_model_leaves_what_is_stored_for_the_next_run(tmp_path: Path) -> None:
    class Failing(FakeEncoder):
        def encode(self, images: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
            if len(self.numbers) >= 4:
                raise RuntimeError("out of memory")
            return super().encode(images)

    table, encoder = make_photos(tmp_path / "photos", bad=(3,)), FakeEncoder()
    with pytest.raises(RuntimeError):
        run(table, tmp_path / "gallery", Failing())
    gallery = run(table, tmp_path / "gallery", encoder)
    assert encoder.numbers == [6, 7, 8, 9, 10]
    np.testing.assert_array_equal(gallery.attention_centers, centers_of([0, 1, 2, 4, 5, 6, 7, 8, 9, 10]))


def test_a_full_disk_is_said_and_the_next_run_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def write_until_full(path: Path, data: bytes) -> int:
        if path.name == "6.webp":
            raise OSError(errno.ENOSPC, "No space left on device")
        with path.open("wb") as file:
            return file.write(data)

    table, encoder = make_photos(tmp_path / "photos"), FakeEncoder()
    with monkeypatch.context() as patch, pytest.raises(GalleryError, match=r"disk is full.*already stored"):
        patch.setattr(Path, "write_bytes", write_until_full)
        run(table, tmp_path / "gallery")
    with pytest.raises(GalleryError, match="unfinished"):
        open_gallery(tmp_path / "gallery")
    run(table, tmp_path / "gallery", encoder)
    assert encoder.numbers == [6, 7, 8, 9, 10]
    run(table, tmp_path / "unbroken")
    assert content(tmp_path / "gallery") == content(tmp_path / "unbroken")


MOMENTS = {  # images and unreadable files that are stored by then
    "before the database has its tables": 0,
    "before the database has its name": 0,
    "before the first image": 0,
    "with a batch's first thumbnail written": 4,
    "inside a transaction": 4,
    "after some commits": 6,
    "after all commits": 11,
    "with all marked complete": 11,
    "just before it has its name": 11,
    "just after it has its name": 11,
    "with the replaced gallery half deleted": 11,
}
KILLS = [(moment, overwrite) for moment in MOMENTS for overwrite in (False, True)]
KILLS.remove(("with the replaced gallery half deleted", False))  # there nothing is replaced, and nothing deleted
COMPLETE = ("just after it has its name", "with the replaced gallery half deleted")


def kill_at(moment: str, photos: Path, out: Path, overwrite: bool) -> None:
    assert Forked(be_killed, moment, photos, out, overwrite).end()[0] == -signal.SIGKILL


@pytest.mark.skipif(sys.platform == "win32", reason="kills with a POSIX signal")
@pytest.mark.parametrize(("moment", "overwrite"), KILLS)
def test_a_run_killed_at_any_moment_leaves_the_old_state_and_is_resumed(
    tmp_path: Path, moment: str, overwrite: bool
) -> None:
    table, out = make_photos(tmp_path / "photos", bad=(7,)), tmp_path / "gallery"
    run(table, tmp_path / "unbroken")
    if overwrite:
        run(table.subset(np.arange(3)), out)
    kill_at(moment, tmp_path / "photos", out, overwrite)

    if moment in COMPLETE:
        assert len(open_gallery(out)) == 10
    elif overwrite:
        assert len(open_gallery(out)) == 3
    else:
        with pytest.raises(GalleryError, match="unfinished"):
            open_gallery(out)

    encoder = FakeEncoder()
    run(table, out, encoder, overwrite=overwrite or moment in COMPLETE)
    first = 0 if moment in COMPLETE else MOMENTS[moment]
    assert encoder.numbers == [n for n in range(first, 11) if n != 7]
    assert content(out) == content(tmp_path / "unbroken")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["gallery", "photos", "unbroken"]


@pytest.mark.skipif(sys.platform == "win32", reason="kills with a POSIX signal")
def test_a_gallery_killed_between_the_renames_comes_back_for_the_next_writer(tmp_path: Path) -> None:
    table, out = make_photos(tmp_path / "photos"), tmp_path / "gallery"
    run(table.subset(np.arange(3)), out)
    kill_at("just before it has its name", tmp_path / "photos", out, True)
    assert not out.exists()
    with pytest.raises(GalleryError, match="already a gallery"):
        run(table, out)
    assert out.exists() and len(open_gallery(out)) == 3
    shutil.rmtree(tmp_path / "gallery.partial")
    assert len(run(table, out, overwrite=True)) == 11


@pytest.fixture
def command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    monkeypatch.setattr(encode, "_load_encoder", lambda checkpoint, device, half: FakeEncoder())
    out = str(tmp_path / "gallery")
    return ["--checkpoint", "c", "--data", str(tmp_path / "photos"), "--out", out, "--batch-size", "4"]


def test_the_command_prints_one_json_object(
    tmp_path: Path, command: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    make_photos(tmp_path / "photos", bad=(2,))
    assert encode.main([*command, "--json"]) == 0
    output = capsys.readouterr()
    summary = json.loads(output.out)
    assert (summary["n_encoded"], summary["n_resumed"], summary["n_skipped"]) == (10, 0, 1)
    assert summary["out"] == str(tmp_path / "gallery")
    assert summary["seconds"] > 0 and summary["images_per_second"] > 0
    assert summary["skipped"][0]["path"] == "class_0/002.png"
    assert "11/11" in output.err


def test_the_command_can_leave_the_thumbnails_to_the_originals(tmp_path: Path, command: list[str]) -> None:
    make_photos(tmp_path / "photos", n=3)
    assert encode.main([*command, "--quiet", "--thumbnails", "originals"]) == 0
    assert open_gallery(tmp_path / "gallery").shows_originals
    assert [path.name for path in (tmp_path / "gallery").iterdir()] == ["gallery.duckdb"]


def test_the_command_lists_skipped_files_at_the_end(
    tmp_path: Path, command: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    make_photos(tmp_path / "photos", bad=(2, 3))
    assert encode.main([*command, "--quiet"]) == 0
    output = capsys.readouterr()
    lines = output.out.splitlines()
    assert [line.split(":")[0] for line in lines[:2]] == ["skipped class_0/002.png", "skipped class_0/003.png"]
    assert "9 images encoded" in lines[2]
    assert output.err == ""


def test_the_command_says_what_is_wrong_in_one_sentence(
    tmp_path: Path, command: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert encode.main(command) == 2
    assert "does not exist" in capsys.readouterr().err
    make_photos(tmp_path / "photos", n=3)
    assert encode.main([*command, "--quiet"]) == 0
    capsys.readouterr()
    assert encode.main([*command, "--quiet"]) == 2
    output = capsys.readouterr()
    assert "already a gallery" in output.err and len(output.err.splitlines()) == 1
    assert output.out == ""
    assert encode.main([*command, "--quiet", "--overwrite"]) == 0


def test_an_interrupted_command_says_that_it_can_go_on(
    tmp_path: Path, command: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    make_photos(tmp_path / "photos", n=3)
    with monkeypatch.context() as patch:
        patch.setattr(FakeEncoder, "encode", interrupt)
        assert encode.main([*command, "--quiet"]) == 130
    assert "run the same command again" in capsys.readouterr().err
    assert encode.main([*command, "--quiet"]) == 0


@needs_chdb
def test_a_gallery_on_a_server_is_the_one_in_a_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    table, pictures = make_photos(tmp_path / "photos", bad=(4,)), tmp_path / "pictures"
    whole = run(table, tmp_path / "gallery")
    monkeypatch.setattr(encode, "_load_encoder", lambda *_: FakeEncoder())
    with ChdbServer(tmp_path / "server") as server:
        url = server.new_database("birds")
        command = ["--checkpoint", "fake", "--data", str(tmp_path / "photos"), "--out", str(pictures), "--engine", url]
        assert encode.main([*command, "--quiet", "--json"]) == 0
        summary = json.loads(capsys.readouterr().out)
        assert (summary["n_encoded"], summary["n_skipped"]) == (10, 1)
        gallery = open_any_gallery(url, tmp_path)
        rows = np.arange(10)
        assert [one.image_id for one in gallery.images(rows)] == list(whole.image_ids)
        np.testing.assert_array_equal(gallery.code_logits_of(rows), whole.code_logits)
        assert Path(gallery.images(rows)[3].thumbnail).read_bytes() == whole.thumbnail_path(3).read_bytes()
        assert encode.main([*command, "--quiet"]) == 2
        assert "is already a gallery" in capsys.readouterr().err
        assert encode.main([*command, "--update"]) == 2
        assert "leave out --overwrite, --part, --thumbnails and --engine" in capsys.readouterr().err
        server.kill()
        assert encode.main([*command, "--quiet", "--overwrite"]) == 2
        error = capsys.readouterr().err
        assert error.count("\n") == 1 and "does not answer" in error and "p@ss" not in error
        server.start()
