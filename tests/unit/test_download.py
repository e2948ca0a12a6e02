"""Fetching data sets from a server on this machine, which breaks off, changes its files, or lies."""

import errno
import hashlib
import io
import os
import ssl
import tarfile
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from http.client import HTTPConnection, HTTPResponse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from concepthash import download as command
from concepthash import fetch as fetching
from concepthash.download import download, main, notice
from concepthash.download_sources import SOURCES, Archive, Source
from concepthash.errors import DataError
from concepthash.fetch import fetch
from concepthash.unpack import unpack


@dataclass
class Shop:
    """What the server has, how it behaves, and what it was asked for."""

    url: str = ""
    files: dict[str, bytes] = field(default_factory=dict)
    etag: str = '"one"'
    break_after: list[int] = field(default_factory=list)  # bytes of each answer, then all of it
    ranges: bool = True
    length: str | None = ""  # what it says of the length; empty for the truth
    status: int = 200
    asked: list[str | None] = field(default_factory=list)  # the Range of each request

    def archive(self, name: str, **known: object) -> Archive:
        return Archive(f"{self.url}/{name}", **known)  # type: ignore[arg-type]


@pytest.fixture
def shop() -> Iterator[Shop]:
    shop = Shop()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            shop.asked.append(self.headers["Range"])
            content = shop.files.get(self.path[1:])
            if content is None or shop.status != 200:
                self.send_error(404 if content is None else shop.status)
                return
            first = self._first(len(content))
            if first is None:
                return
            self.send_header("ETag", shop.etag)
            if shop.length is not None:
                self.send_header("Content-Length", shop.length or str(len(content) - first))
            self.end_headers()
            rest = content[first:]
            self.wfile.write(rest[: shop.break_after.pop(0)] if shop.break_after else rest)
            self.close_connection = True

        def _first(self, size: int) -> int | None:
            asked = self.headers["Range"]
            if not asked or not shop.ranges or self.headers["If-Range"] not in (None, shop.etag):
                self.send_response(200)
                return 0
            first = int(asked.removeprefix("bytes=").removesuffix("-"))
            if first >= size:
                self.send_response(416)
                self.send_header("Content-Range", f"bytes */{size}")
                self.send_header("Content-Length", "0")
                self.end_headers()
                return None
            self.send_response(206)
            self.send_header("Content-Range", f"bytes {first}-{size - 1}/{size}")
            return first

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.handle_error = lambda *_: None  # type: ignore[method-assign]  # a client that leaves is no fault
    shop.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield shop
    server.shutdown()
    server.server_close()
    thread.join()


CONTENT = bytes(range(256)) * 20
MD5 = f"md5:{hashlib.md5(CONTENT).hexdigest()}"


def get(archive: Archive, folder: Path) -> Path:
    return fetch(archive, folder, progress=False, pause=0)


def refusal(archive: Archive, folder: Path) -> str:
    with pytest.raises(DataError) as refused:
        get(archive, folder)
    message = str(refused.value)
    assert message.endswith(".") and "\n" not in message
    return message


def test_a_file_is_fetched_once_and_checked(shop: Shop, tmp_path: Path) -> None:
    shop.files["a.tgz"] = CONTENT
    archive = shop.archive("a.tgz", digest=MD5, n_bytes=len(CONTENT))
    assert get(archive, tmp_path).read_bytes() == CONTENT
    assert get(archive, tmp_path).read_bytes() == CONTENT
    assert shop.asked == [None] and os.listdir(tmp_path) == ["a.tgz"]


def test_a_broken_connection_goes_on_at_the_byte_where_it_broke(shop: Shop, tmp_path: Path) -> None:
    shop.files["a.tgz"], shop.break_after = CONTENT, [1000, 500]
    assert get(shop.archive("a.tgz", digest=MD5), tmp_path).read_bytes() == CONTENT
    assert shop.asked == [None, "bytes=1000-", "bytes=1500-"]


def test_a_later_run_goes_on_and_gives_up_only_without_progress(shop: Shop, tmp_path: Path) -> None:
    shop.files["a.tgz"], shop.break_after = CONTENT, [1000, *[0] * 20]
    message = refusal(shop.archive("a.tgz"), tmp_path)
    assert "broke off" in message and "again to go on" in message
    assert (tmp_path / "a.tgz.part").read_bytes() == CONTENT[:1000] and len(shop.asked) == 5
    shop.break_after, shop.asked = [], []
    assert get(shop.archive("a.tgz"), tmp_path).read_bytes() == CONTENT
    assert shop.asked == ["bytes=1000-"]


@pytest.mark.parametrize("change", ["another version", "no ranges"])
def test_the_whole_file_is_fetched_anew_where_its_rest_does_not_fit(shop: Shop, tmp_path: Path, change: str) -> None:
    shop.files["a.tgz"], shop.break_after = CONTENT[::-1], [1000, *[0] * 20]
    refusal(shop.archive("a.tgz"), tmp_path)
    shop.files["a.tgz"], shop.break_after = CONTENT, []
    if change == "another version":
        shop.etag = '"two"'
    else:
        shop.ranges = False
    assert get(shop.archive("a.tgz"), tmp_path).read_bytes() == CONTENT


def test_without_version_and_checksum_nothing_is_pieced_together(shop: Shop, tmp_path: Path) -> None:
    shop.files["a.tgz"] = CONTENT
    (tmp_path / "a.tgz.part").write_bytes(b"x" * 100)
    assert get(shop.archive("a.tgz"), tmp_path).read_bytes() == CONTENT
    assert shop.asked == [None]


@pytest.mark.parametrize(("extra", "n_requests"), [(b"", 1), (b"more than there is now", 2)])
def test_a_part_that_is_all_or_too_much_is_understood(
    shop: Shop, tmp_path: Path, extra: bytes, n_requests: int
) -> None:
    shop.files["a.tgz"] = CONTENT
    (tmp_path / "a.tgz.part").write_bytes(CONTENT + extra)
    assert get(shop.archive("a.tgz", digest=MD5), tmp_path).read_bytes() == CONTENT
    assert len(shop.asked) == n_requests


@pytest.mark.parametrize("length", [None, "abc", "-7"])
def test_a_server_need_not_tell_the_length(shop: Shop, tmp_path: Path, length: str | None) -> None:
    shop.files["a.tgz"], shop.length, shop.break_after = CONTENT, length, [1000]
    assert get(shop.archive("a.tgz", digest=MD5, n_bytes=len(CONTENT)), tmp_path).read_bytes() == CONTENT
    assert shop.asked == [None, "bytes=1000-"]


def test_a_wrong_checksum_sets_the_file_aside_and_says_so(shop: Shop, tmp_path: Path) -> None:
    shop.files["a.tgz"] = CONTENT[:-1] + b"x"
    message = refusal(shop.archive("a.tgz", digest=MD5), tmp_path)
    assert "md5 checksum" in message and "renamed to a.tgz.wrong" in message
    assert os.listdir(tmp_path) == ["a.tgz.wrong"]


def test_a_file_that_a_person_put_there_is_checked_too(shop: Shop, tmp_path: Path) -> None:
    (tmp_path / "a.tgz").write_bytes(CONTENT)
    assert get(shop.archive("a.tgz", digest=MD5), tmp_path).read_bytes() == CONTENT
    (tmp_path / "a.tgz").write_bytes(b"something else")
    assert "md5 checksum" in refusal(shop.archive("a.tgz", digest=MD5), tmp_path)
    assert (tmp_path / "a.tgz.wrong").read_bytes() == b"something else" and shop.asked == []


def test_a_file_of_another_size_is_refused_before_it_is_fetched(shop: Shop, tmp_path: Path) -> None:
    shop.files["a.tgz"] = CONTENT
    assert "offers a.tgz with 5120 bytes" in refusal(shop.archive("a.tgz", n_bytes=99), tmp_path)
    assert not (tmp_path / "a.tgz.part").exists()


def test_a_missing_file_says_where_to_put_a_copy(shop: Shop, tmp_path: Path) -> None:
    message = refusal(shop.archive("gone.tgz"), tmp_path)
    assert "no longer has it (404" in message and "put it in the folder" in message and len(shop.asked) == 1


def test_a_server_in_trouble_is_asked_again_and_named(shop: Shop, tmp_path: Path) -> None:
    shop.files["a.tgz"], shop.status = CONTENT, 503
    assert "answers 503; check" in refusal(shop.archive("a.tgz"), tmp_path) and len(shop.asked) == 4


def test_no_network_is_one_sentence(tmp_path: Path) -> None:
    assert "cannot be reached" in refusal(Archive("http://127.0.0.1:1/a.tgz"), tmp_path)


def test_nothing_but_the_web_is_read(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("x")
    (tmp_path / "out").mkdir()
    assert "cannot be reached" in refusal(Archive(f"file://{tmp_path}/secret"), tmp_path / "out")


def test_a_disk_too_small_is_found_out_before(shop: Shop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shop.files["a.tgz"] = CONTENT
    usage = type("Usage", (), {"free": 10})()
    monkeypatch.setattr(fetching.shutil, "disk_usage", lambda _: usage)
    assert "needs 5120 more bytes, but 10 are free" in refusal(shop.archive("a.tgz"), tmp_path)


@pytest.mark.parametrize(
    "fault", [OSError(errno.EHOSTUNREACH, "No route to host"), ssl.SSLEOFError(8, "EOF"), ssl.SSLError(1, "bad record")]
)
@pytest.mark.parametrize("place", ["read", "getresponse"])
def test_a_fault_of_the_network_is_tried_again_and_no_fault_of_the_disk(
    shop: Shop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: OSError, place: str
) -> None:
    def fail(*_: object) -> None:
        tries.append(1)
        raise fault

    shop.files["a.tgz"], tries = CONTENT, []
    monkeypatch.setattr(HTTPResponse if place == "read" else HTTPConnection, place, fail)
    assert f"broke off ({fault.strerror}); check the connection" in refusal(shop.archive("a.tgz"), tmp_path)
    assert len(tries) == 4


def test_a_full_disk_is_one_sentence(shop: Shop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    shop.files["a.tgz"] = CONTENT
    monkeypatch.setattr(fetching, "_append", full)
    assert "disk is full" in refusal(shop.archive("a.tgz"), tmp_path)


def packed(members: dict[str, bytes | tarfile.TarInfo], mode: str = "w:gz") -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode=mode) as archive:  # type: ignore[call-overload]
        for name, content in members.items():
            info = content if isinstance(content, tarfile.TarInfo) else tarfile.TarInfo(name)
            if isinstance(content, bytes):
                info.size = len(content)
            archive.addfile(info, io.BytesIO(content) if isinstance(content, bytes) else None)
    return stream.getvalue()


def link(kind: bytes) -> tarfile.TarInfo:
    info = tarfile.TarInfo("link")
    info.type, info.linkname = kind, "/etc/hostname"
    return info


def test_folders_and_files_are_unpacked_without_rights_of_their_own(tmp_path: Path) -> None:
    folder, odd = tarfile.TarInfo("kit/empty"), tarfile.TarInfo("kit/run")
    folder.type, odd.mode = tarfile.DIRTYPE, 0o6777
    file = tmp_path / "a.tgz"
    file.write_bytes(packed({"1": folder, "kit/a.txt": b"hello", "./kit/b.txt": b"", "2": odd}))
    out = tmp_path / "out"
    out.mkdir()
    assert unpack(file, out, 100, progress=False) == 5
    assert (out / "kit/a.txt").read_bytes() == b"hello" and (out / "kit/b.txt").is_file()
    assert (out / "kit/empty").is_dir() and not (out / "kit/run").stat().st_mode & 0o6111


@pytest.mark.parametrize(
    ("content", "part_of_message"),
    [
        (packed({"../evil": b"x"}), "would leave the folder"),
        (packed({"a/../../evil": b"x"}), "would leave the folder"),
        (packed({"/evil": b"x"}), "would leave the folder"),
        (packed({"C:\\evil": b"x"}), "would leave the folder"),
        (packed({"..\\evil": b"x"}), "would leave the folder"),
        (packed({"link": link(tarfile.SYMTYPE)}), "link or device"),
        (packed({"link": link(tarfile.LNKTYPE)}), "link or device"),
        (packed({"link": link(tarfile.CHRTYPE)}), "link or device"),
        (packed({"link": link(tarfile.FIFOTYPE)}), "link or device"),
        (packed({"a": b"x" * 2000}), "more than 1000 bytes"),
        (packed({"a": os.urandom(600)})[:300], "damaged"),
        (packed({"a": b"x"})[:-6] + b"wrong!", "damaged"),
        (packed({"a": b"x" * 900}, "w")[:700], "damaged"),
        (b"<html>404</html>", "damaged"),
        (b"", "damaged"),
    ],
    ids=lambda value: None if isinstance(value, str) else str(len(value)),  # bytes hold the time they were packed at
)
def test_a_bad_archive_is_one_sentence_and_writes_nothing_outside(
    tmp_path: Path, content: bytes, part_of_message: str
) -> None:
    file, out = tmp_path / "a.tgz", tmp_path / "deep" / "out"
    file.write_bytes(content)
    out.mkdir(parents=True)
    with pytest.raises(DataError, match=part_of_message) as refused:
        unpack(file, out, 1000, progress=False)
    assert str(refused.value).endswith(".") and "\n" not in str(refused.value)
    kept = "a.tgz.wrong" if part_of_message == "damaged" else "a.tgz"
    assert sorted(p.name for p in tmp_path.rglob("*") if not p.is_relative_to(out)) == [kept, "deep"]


def birds() -> bytes:
    lists = {"images": "1 001.Crow/a.jpg", "classes": "1 001.Crow", "image_class_labels": "1 1"}
    files: dict[str, bytes | tarfile.TarInfo] = {
        f"CUB_200_2011/{name}.txt": text.encode() for name, text in lists.items()
    }
    return packed(files | {"CUB_200_2011/images/001.Crow/a.jpg": b"photo", "attributes.txt": b"1"})


def source(*archives: Archive) -> Source:
    return Source("Birds", "http://home", "Be kind.", archives, unpacked_bytes=10_000)


def test_a_data_set_appears_whole_and_can_be_read(shop: Shop, tmp_path: Path) -> None:
    shop.files = {"CUB.tgz": birds(), "extra.mat": b"labels"}
    out = tmp_path / "new" / "cub"
    both = source(shop.archive("CUB.tgz"), shop.archive("extra.mat", into="kit"))
    table = download(both, out, progress=False, pause=0)
    assert table.class_names == ("crow",) and table.root == out / "CUB_200_2011"
    assert (out / "kit/extra.mat").read_bytes() == b"labels" and os.listdir(out.parent) == ["cub"]


def test_nothing_appears_until_all_is_there_and_right(shop: Shop, tmp_path: Path) -> None:
    shop.files = {"CUB.tgz": birds()}
    out = tmp_path / "cub"
    both = source(shop.archive("CUB.tgz"), shop.archive("more.tgz"))
    with pytest.raises(DataError, match="404"):
        download(both, out, progress=False, pause=0)
    assert os.listdir(tmp_path) == ["cub.partial"] and os.listdir(tmp_path / "cub.partial") == ["CUB.tgz"]
    (tmp_path / "cub.partial" / "more.tgz").write_bytes(packed({"a.txt": b"found elsewhere"}))
    out.mkdir()  # an empty folder is no hindrance
    assert len(download(both, out, progress=False, pause=0)) == 1
    assert len(shop.asked) == 2 and (out / "a.txt").is_file()
    assert sorted(os.listdir(tmp_path / "cub.partial")) == ["CUB.tgz", "more.tgz"]  # who put them there is not known


def test_what_a_person_put_there_stays_and_what_was_fetched_goes(
    shop: Shop, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    shop.files = {"CUB.tgz": birds(), "extra.mat": b"labels"}
    own = {"more.tgz": packed({"a.txt": b""}), "CUB.tgz.wrong": b"mine"}
    partial = tmp_path / "cub.partial"
    partial.mkdir()
    for name, content in (own | {"more.tgz.part": b"x", "CUB.tgz.part": birds()[:50]}).items():
        (partial / name).write_bytes(content)
    three = source(*map(shop.archive, ("CUB.tgz", "extra.mat", "more.tgz")))
    assert len(download(three, tmp_path / "cub", progress=False, pause=0)) == 1
    assert {file.name: file.read_bytes() for file in partial.iterdir()} == own
    assert "cub.partial holds files that this run did not fetch; delete it" in caplog.text


def test_a_damaged_archive_is_fetched_anew_by_the_next_run(shop: Shop, tmp_path: Path) -> None:
    shop.files = {"CUB.tgz": birds()[:-20]}
    one = source(shop.archive("CUB.tgz"))
    with pytest.raises(DataError, match=r"damaged or cut short, and was renamed to CUB\.tgz\.wrong"):
        download(one, tmp_path / "cub", progress=False, pause=0)
    shop.files = {"CUB.tgz": birds()}
    assert len(download(one, tmp_path / "cub", progress=False, pause=0)) == 1
    assert os.listdir(tmp_path / "cub.partial") == ["CUB.tgz.wrong"]


def test_an_archive_with_something_else_in_it_does_not_appear(shop: Shop, tmp_path: Path) -> None:
    shop.files = {"CUB.tgz": packed({"readme.txt": b"moved"})}
    with pytest.raises(DataError, match="holds no images"):
        download(source(shop.archive("CUB.tgz")), tmp_path / "cub", progress=False, pause=0)
    assert not (tmp_path / "cub").exists()


def test_a_folder_with_something_in_it_is_left_alone(shop: Shop, tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("x")
    with pytest.raises(DataError, match="not empty"):
        download(source(shop.archive("a.tgz")), tmp_path, progress=False)
    with pytest.raises(DataError, match="not empty"):
        download(source(shop.archive("a.tgz")), tmp_path / "mine", progress=False)
    assert os.listdir(tmp_path) == ["mine"] and shop.asked == []


def test_a_place_where_a_disk_is_mounted_is_refused_at_once(
    shop: Shop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(command.os.path, "ismount", lambda path: path == tmp_path)
    with pytest.raises(DataError, match=r"give a new folder in it\.$"):
        download(source(shop.archive("a.tgz")), tmp_path, progress=False)
    assert shop.asked == [] and not tmp_path.with_name(f"{tmp_path.name}.partial").exists()


def test_an_empty_folder_may_be_a_link(shop: Shop, tmp_path: Path) -> None:
    shop.files = {"CUB.tgz": birds()}
    (tmp_path / "disk").mkdir()
    (tmp_path / "cub").symlink_to("disk")
    table = download(source(shop.archive("CUB.tgz")), tmp_path / "cub", progress=False, pause=0)
    assert table.root == tmp_path / "disk/CUB_200_2011" and (tmp_path / "cub").is_symlink()


def test_the_notice_stands_before_anything_is_fetched(
    shop: Shop, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    shop.files = {"CUB.tgz": birds()}
    monkeypatch.setitem(command.SOURCES, "cub200", source(shop.archive("CUB.tgz")))
    printed_before: list[str] = []
    monkeypatch.setattr(
        command, "fetch", lambda *a, **k: (printed_before.append(capsys.readouterr().out), fetch(*a, **k))[1]
    )
    assert main(["cub200", "--out", str(tmp_path / "cub")]) == 0
    assert "Be kind." in printed_before[0] and "no checksum is known" in printed_before[0]
    assert "1 images of 1 classes" in capsys.readouterr().out


def test_nabirds_is_only_explained(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["nabirds", "--out", str(tmp_path / "n")]) == 2
    said = capsys.readouterr()
    assert "form" in said.err and "https://dl.allaboutbirds.org/nabirds" in said.err and "Traceback" not in said.err
    assert os.listdir(tmp_path) == []


def test_a_stopped_command_says_how_to_go_on(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(command, "fetch", stop)
    assert main(["cub200", "--out", str(tmp_path / "n")]) == 130
    assert "again to go on" in capsys.readouterr().err


def test_every_source_is_well_formed() -> None:
    for known in SOURCES.values():
        assert known.home.startswith("http") and known.terms.endswith(".") and known.title in notice(known)
        for archive in known.archives:
            kind, _, digest = archive.digest.partition(":")
            assert len(digest) == {"md5": 32, "sha256": 64}[kind] and archive.name == replace(archive).name
            assert archive.url.startswith(("https://", "http://ai.stanford.edu/"))
