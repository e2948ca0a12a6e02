"""The gallery named on the command line: a folder must open, a server may be away and come back."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from builders import make_gallery

from concepthash.errors import GalleryError
from concepthash.gallery.large_gallery import LargeGallery
from explorer.services import own_gallery
from explorer.services.own_gallery import OwnGallery

AWAY = "The gallery clickhouse://host:8123/birds does not answer."


class Server:
    """Answers when it is up, and counts how often it was asked."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.is_up, self.n_asked, self.now = False, 0, 100.0
        monkeypatch.setattr(own_gallery, "open_any_gallery", self.open)
        monkeypatch.setattr(own_gallery.time, "monotonic", lambda: self.now)

    def open(self, place: str, copies: Path, memory: int) -> object:
        self.n_asked += 1
        if not self.is_up:
            raise GalleryError(AWAY)
        return make_gallery(np.zeros((3, 8), dtype=bool), 2)


def test_a_server_that_is_away_is_asked_again_after_a_pause(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    server = Server(monkeypatch)
    own = OwnGallery("clickhouse://host/birds", tmp_path, 1000)
    assert own.get() is None
    assert (own.trouble, server.n_asked) == (AWAY, 1)
    server.is_up = True
    assert own.get() is None  # not asked for every question of a visitor
    server.now += own_gallery.PAUSE
    found = own.get()
    assert found is not None and len(found) == 3
    assert (own.trouble, server.n_asked) == ("", 2)
    server.now += own_gallery.PAUSE
    assert own.get() is found
    assert server.n_asked == 2


def test_asking_says_that_the_server_is_away_until_it_is_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    server = Server(monkeypatch)
    own = OwnGallery("clickhouse://host/birds", tmp_path, 1000)
    assert own.ask() == AWAY
    server.is_up, server.now = True, server.now + own_gallery.PAUSE
    assert own.ask() == "" and own.get() is not None


def test_asking_an_open_gallery_finds_that_its_server_is_away(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    server, gallery = Server(monkeypatch), object.__new__(LargeGallery)
    server.is_up = True
    monkeypatch.setattr(own_gallery, "open_any_gallery", lambda *_, **__: gallery)
    own = OwnGallery("clickhouse://host/birds", tmp_path, 1000)

    def fetch(text: str) -> dict[str, object]:
        if not server.is_up:
            raise GalleryError(AWAY)
        return {}

    pictures = SimpleNamespace(ask=lambda: "")
    gallery.engine, gallery.sample = SimpleNamespace(fetch=fetch), SimpleNamespace(thumbnails=pictures)
    assert own.ask() == ""
    server.is_up = False
    assert own.ask() == AWAY
    server.is_up = True
    assert own.ask() == ""
    pictures.ask = lambda: "Thumbnails at s3://birds do not come."
    assert own.ask() == "Thumbnails at s3://birds do not come."


def test_copies_of_thumbnails_have_a_place_before_the_server_answers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Server(monkeypatch)
    assert OwnGallery("clickhouse://host/birds", tmp_path, 1000).folders == [tmp_path / "copies"]


def test_a_folder_that_is_no_gallery_is_an_error_at_once(tmp_path: Path) -> None:
    with pytest.raises(GalleryError, match="There is no gallery"):
        OwnGallery(str(tmp_path / "none"), tmp_path, 1000)


def test_without_a_name_there_is_no_gallery_and_no_trouble(tmp_path: Path) -> None:
    own = OwnGallery("", tmp_path, 1000)
    assert (own.get(), own.trouble, own.folders) == (None, "", [])
