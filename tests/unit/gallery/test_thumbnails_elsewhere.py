"""Thumbnails in an object store: written and read, while it is there, away, silent, and back."""

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from clickhouse_rig import ChdbServer, needs_chdb
from object_stores import MovingStore, S3Store
from stored_images import PROVENANCE, centers, image, logits

from concepthash.errors import GalleryError
from concepthash.gallery import thumbnail_source
from concepthash.gallery.clickhouse_writer import ClickHouseWriter
from concepthash.gallery.opening import open_any_gallery
from concepthash.gallery.thumbnail_source import ThumbnailSource
from concepthash.gallery.thumbnail_store import ThumbnailStore

Store = MovingStore | S3Store
PICTURES = {row: b"picture %d" % row for row in range(20)}


@pytest.fixture(params=["moving", "s3"])
def store(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    if request.param == "s3":
        for package in ("s3fs", "moto.server", "flask"):
            pytest.importorskip(package, reason="pip install s3fs 'moto[s3,server]' to test S3, 40 packages")
    made = MovingStore() if request.param == "moving" else S3Store(monkeypatch)
    yield made
    with suppress(RuntimeError):
        made.start() if isinstance(made, MovingStore) else made.stop()


@pytest.fixture
def source(store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ThumbnailSource:
    ThumbnailStore(store.place).write(PICTURES)
    monkeypatch.setattr(thumbnail_source, "_PAUSE", 0.0)
    return ThumbnailSource(store.place, tmp_path / "copies")


def shown(source: ThumbnailSource) -> dict[int, bytes]:
    return {row: Path(source.name(row)).read_bytes() for row in range(30) if Path(source.name(row)).exists()}


def own_words(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.name == thumbnail_source.__name__]


def test_what_is_written_is_read_again(store: Store) -> None:
    pictures = ThumbnailStore(store.place)
    pictures.write(PICTURES)
    pictures.write({7: b"a newer one", 300: b"in another folder"})
    assert {row: pictures.read(row) for row in (*PICTURES, 300)} == PICTURES | {
        7: b"a newer one",
        300: b"in another folder",
    }
    with pytest.raises(GalleryError, match="cannot be read") as caught:
        pictures.read(301)
    assert isinstance(caught.value.__cause__, FileNotFoundError)


def test_a_store_that_is_away_is_one_sentence_and_the_same_works_when_it_is_back(store: Store) -> None:
    pictures = ThumbnailStore(store.place)
    pictures.write(PICTURES)
    store.stop()
    for work, words in ((lambda: pictures.read(3), "read"), (lambda: pictures.write({3: b"new"}), "written")):
        with pytest.raises(GalleryError, match=rf"Thumbnails at {store.place} cannot be {words} \(.+\); see") as caught:
            work()
        assert len(str(caught.value).splitlines()) == 1
        assert not isinstance(caught.value.__cause__, FileNotFoundError)
    store.start()
    pictures.write({4: b"new"})
    assert (pictures.read(3), pictures.read(4)) == (b"picture 3", b"new")


def test_a_bucket_that_is_not_there_is_not_made(store: Store) -> None:
    if isinstance(store, MovingStore):
        pytest.skip("a store in memory has no buckets")
    with pytest.raises(GalleryError, match="cannot be written"):
        ThumbnailStore("s3://buckte/birds").write(PICTURES)


def test_folders_are_made_where_a_store_has_them(tmp_path: Path) -> None:
    pictures = ThumbnailStore(f"file://{tmp_path}/birds")
    pictures.write(PICTURES)
    pictures.write({3: b"new", 300: b"other"})
    assert (tmp_path / "birds/thumbnails/03/3.webp").read_bytes() == pictures.read(3) == b"new"
    assert pictures.read(300) == b"other"


def test_pages_go_without_pictures_while_the_store_is_away_and_have_them_again(
    store: Store, source: ThumbnailSource, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    source.fetch([0, 1, 25])  # of which the last one is in no store
    assert (shown(source), source.trouble) == ({0: b"picture 0", 1: b"picture 1"}, "")
    store.stop()
    for _ in range(2):
        source.fetch(range(1, 4))
    assert source.trouble.startswith(f"Thumbnails at {store.place} cannot be read (")
    assert own_words(caplog) == [source.trouble]
    assert shown(source) == {0: b"picture 0", 1: b"picture 1"}

    store.start()
    monkeypatch.setattr(thumbnail_source, "_PAUSE", 1e9)
    source.fetch([2])  # too early to ask again
    assert 2 not in shown(source) and source.ask()
    monkeypatch.setattr(thumbnail_source, "_PAUSE", 0.0)
    assert source.ask() == source.trouble == ""
    assert shown(source) == {row: PICTURES[row] for row in range(4)}  # all that were missed
    source.fetch(range(20))
    assert shown(source) == PICTURES
    assert own_words(caplog)[1:] == [f"Thumbnails at {store.place} can be read again."]


def test_a_page_does_not_wait_for_a_store_that_is_silent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = MovingStore()
    ThumbnailStore(store.place).write(PICTURES)
    source = ThumbnailSource(store.place, tmp_path / "copies")
    monkeypatch.setattr(thumbnail_source, "_PATIENCE", 0.2)
    monkeypatch.setattr(thumbnail_source, "_PAUSE", 0.0)
    store.hang()
    try:
        source.fetch(range(20))  # does not return, if it waits
        assert source.trouble.startswith(f"Thumbnails at {store.place} do not come, so pages go without")
    finally:
        store.start()
    monkeypatch.setattr(thumbnail_source, "_PATIENCE", 60)
    source.fetch(range(20))
    assert (shown(source), source.trouble) == (PICTURES, "")


def test_a_disk_without_room_for_copies_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    store = MovingStore()
    ThumbnailStore(store.place).write(PICTURES)
    source = ThumbnailSource(store.place, tmp_path / "copies")
    monkeypatch.setattr(thumbnail_source, "write_atomically", full)
    source.fetch([1])
    assert "cannot be kept" in source.trouble and "No space left" in source.trouble
    assert shown(source) == {}


@needs_chdb
def test_a_gallery_whose_pictures_are_away_answers_without_them(tmp_path: Path, store: Store) -> None:
    with ChdbServer(tmp_path / "server") as server:
        url = server.new_database("birds")
        with ClickHouseWriter(url, PROVENANCE, thumbnails=store.place) as writer:
            writer.append([image(i) for i in range(5)], logits(5), centers(5))
            store.stop()
            with pytest.raises(GalleryError, match="cannot be written"):
                writer.append([image(5)], logits(1), centers(1))
            store.start()
            writer.append([image(i) for i in range(5, 9)], logits(4), centers(4))
            writer.finish()
        gallery = open_any_gallery(url, tmp_path)
        store.stop()
        found = gallery.images(np.arange(9))
        assert [one.image_id for one in found] == [f"a/{i}.png" for i in range(9)]
        assert not any(Path(one.thumbnail).exists() for one in found)
        store.start()
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(thumbnail_source, "_PAUSE", 0.0)
            again = gallery.images(np.arange(9))
        assert [Path(one.thumbnail).read_bytes() for one in again] == [b"webp %d" % i for i in range(9)]
