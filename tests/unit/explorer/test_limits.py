"""What one visitor may send and ask, how long it is kept, and what is answered beyond that."""

import asyncio
import base64
import io
import os
import struct
import threading
import time
import zlib
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import httpx
import pytest
from live_page import LEAKS, live_page
from PIL import Image

from app import sweep
from concepthash.data import read_image
from concepthash.errors import ImageError
from explorer.body_limit import BodyLimit
from explorer.callers import address_of
from explorer.rate_limit import Allowance
from explorer.services import load_services
from explorer.services.cache import AnswerCache
from explorer.services.gate import Gate
from explorer.services.sweeper import delete_older, start_sweeping
from explorer.services.uploads import UploadStore
from explorer.settings import Settings, read_settings

pytestmark = pytest.mark.filterwarnings(*LEAKS)


def png(width: int = 40, height: int = 30) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (width, height), "teal").save(file, "PNG")
    return file.getvalue()


def bomb(side: int) -> bytes:
    """A PNG of a few bytes that announces ``side`` x ``side`` pixels."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


@pytest.fixture(scope="module")
def small(settings: Settings) -> Settings:
    """Limits that are easy to reach."""
    return replace(
        settings,
        max_upload_bytes=20_000,
        max_pixels=10_000,
        max_call_bytes=60_000,
        calls_per_minute=6,
        is_behind_proxy=True,
        may_train=False,
    )


@pytest.fixture(scope="module")
def address(small: Settings) -> Iterator[str]:
    with live_page(load_services(small)) as address:
        yield address


@pytest.fixture
def client(address: str, request: pytest.FixtureRequest) -> Iterator[httpx.Client]:
    """A visitor of its own, as the proxy in front tells."""
    number = zlib.crc32(request.node.name.encode()) % 200 + 1
    with httpx.Client(base_url=address, timeout=30, headers={"X-Forwarded-For": f"9.9.9.{number}"}) as client:
        yield client


def classify(client: httpx.Client, image: bytes) -> httpx.Response:
    data = [base64.b64encode(image).decode(), "", 5]
    return client.post("/gradio_api/run/classify", json={"data": data})


def test_a_picture_within_all_limits_is_answered(client: httpx.Client) -> None:
    assert classify(client, png()).json()["data"][0]["classes"]


@pytest.mark.parametrize(
    ("image", "words"), [(bomb(60_000), "pixels"), (png(200, 100), "pixels"), (bytes(30_000), "MB")]
)
def test_a_picture_beyond_a_limit_is_refused_in_a_sentence(image: bytes, words: str, client: httpx.Client) -> None:
    answer = classify(client, image)
    assert answer.status_code == 422 and words in answer.json()["error"]


def test_a_bomb_is_refused_from_its_header(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Image.Image, "load", lambda _: pytest.fail("it was decoded"))
    with pytest.raises(ImageError, match="too many pixels"):
        read_image(bomb(9_000))
    with pytest.raises(ImageError, match=r"at most 0\.01 million"):
        read_image(bomb(101), max_pixels=10_000)


def test_a_body_that_is_too_large_is_refused_before_it_is_read(client: httpx.Client) -> None:
    answer = client.post("/gradio_api/run/classify", content=b"x" * 70_000)
    assert answer.status_code == 413 and "MB" in answer.json()["error"]


def test_a_body_that_does_not_say_its_size_is_refused_while_it_is_read(client: httpx.Client) -> None:
    answer = client.post("/gradio_api/run/classify", content=(b"x" * 1000 for _ in range(70)))
    assert answer.status_code == 413


@pytest.mark.parametrize("path", ["run/upload", "call/upload", "mcp/gradio_api/upload"])
def test_only_uploads_may_be_as_large_as_files(path: str, client: httpx.Client) -> None:
    assert client.post(f"/gradio_api/{path}", content=b"x" * 70_000).status_code == 413


def test_an_upload_that_is_too_large_is_refused(client: httpx.Client) -> None:
    answer = client.post("/gradio_api/upload", files={"files": ("a.png", bytes(30_000))})
    assert answer.status_code == 413 and "Traceback" not in answer.text


def test_whoever_asks_too_much_is_told_when_to_come_back_and_nobody_else_is(client: httpx.Client) -> None:
    answers = [classify(client, b"nothing") for _ in range(8)]
    assert [answer.status_code for answer in answers] == [422] * 6 + [429] * 2
    assert 1 <= int(answers[-1].headers["Retry-After"]) <= 10 and "try again" in answers[-1].json()["error"]
    assert client.get("/gradio_api/info").status_code == 200
    other = {"X-Forwarded-For": "8.8.8.8"}
    assert client.post("/gradio_api/run/classify", json={"data": []}, headers=other).status_code == 400


def test_the_page_itself_may_ask_eight_times_as_often(client: httpx.Client) -> None:
    statuses = [client.post("/gradio_api/queue/join", json={"data": []}).status_code for _ in range(50)]
    assert set(statuses[:48]) == {400} and statuses[49] == 429


def test_a_listener_that_is_not_there_is_no_fault_of_the_server(client: httpx.Client) -> None:
    asked = {"data": [], "fn_index": 9999, "session_hash": "nobody"}
    answer = client.post("/gradio_api/queue/join", json=asked, headers={"X-Forwarded-For": "8.8.4.4"})
    assert answer.status_code == 400


def test_an_allowance_comes_back_with_time() -> None:
    now = [0.0]
    allowance = Allowance(60, lambda: now[0])
    assert [allowance.take("a", 1) for _ in range(60)] == [0] * 60
    assert allowance.take("a", 1) == pytest.approx(1)
    assert allowance.take("b", 1) == 0
    now[0] += 1
    assert allowance.take("a", 1) == 0 and allowance.take("a", 1) > 0


@pytest.mark.parametrize(
    ("forwarded", "peer", "is_behind_proxy", "expected"),
    [
        ("6.6.6.6", "9.9.9.9", False, "9.9.9.9"),
        ("6.6.6.6, 8.8.8.8", "10.0.0.1", True, "8.8.8.8"),
        ("6.6.6.6, 8.8.8.8, 10.1.2.3", "10.0.0.1", True, "8.8.8.8"),
        ("nonsense", "10.0.0.1", True, "nonsense"),
        ("", "10.0.0.1", True, "10.0.0.1"),
        ("2a00:1:2:3:4:5:6:7", "10.0.0.1", True, "2a00:1:2:3::/64"),
        ("::ffff:8.8.8.8", "10.0.0.1", True, "8.8.8.8"),
        ("8.8.8.8", "172.67.10.1", True, "8.8.8.8"),
        ("192.168.1.20", "172.67.10.1", True, "192.168.1.20"),
    ],
)
def test_a_sender_is_whom_the_last_proxy_saw(forwarded: str, peer: str, is_behind_proxy: bool, expected: str) -> None:
    scope = {"type": "http", "client": (peer, 1), "headers": [(b"x-forwarded-for", forwarded.encode())]}
    assert address_of(scope, is_behind_proxy) == expected


def test_what_was_sent_is_deleted_after_an_hour() -> None:
    now = [0.0]
    store = UploadStore(2, 2, 100, 3600, lambda: now[0])
    digest = store.keep("a", "owl.png", b"pixels")
    now[0] = 3599.0
    assert store.find("a", digest) == ("owl.png", b"pixels")
    now[0] = 3601.0
    store.sweep()
    assert store.n_bytes == 0
    with pytest.raises(ImageError, match="no longer kept"):
        store.find("a", digest)


def test_answers_about_what_was_sent_go_with_it() -> None:
    now, answers = [0.0], iter("ab")
    cache = AnswerCache(4, 3600, lambda: now[0])
    assert cache.get("key", lambda: next(answers)) == "a"
    now[0] = 3601.0
    cache.sweep()
    assert len(cache) == 0 and cache.get("key", lambda: next(answers)) == "b"


def test_files_of_an_hour_ago_are_deleted_with_their_folders_and_newer_ones_are_not(tmp_path: Path) -> None:
    for name in ("a/old.png", "b/new.png", "cut-short"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"pixels")
    now = time.time()
    for name in ("a/old.png", "cut-short"):
        os.utime(tmp_path / name, (now - 3700, now - 3700))
    delete_older(tmp_path, 3600, lambda: now)
    assert [str(path.relative_to(tmp_path)) for path in sorted(tmp_path.rglob("*"))] == ["b", "b/new.png"]
    delete_older(tmp_path / "not there", 0)


def test_uploads_never_take_more_than_their_share(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("explorer.body_limit.MOST", 10_000_000)
    (tmp_path / "sent").write_bytes(bytes(6_000_000))
    assert put(tmp_path).status_code == 507
    (tmp_path / "sent").unlink()
    assert put(tmp_path).status_code == 200


def test_uploads_are_few_enough_to_be_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("explorer.body_limit.MOST_FILES", 2)
    for name in ("a", "b"):
        assert put(tmp_path).status_code == 200
        (tmp_path / name).touch()
    answer = put(tmp_path)
    assert answer.status_code == 507 and "cannot store" in answer.json()["error"]


def test_uploads_are_counted_now_and_then_beside_the_server_and_added_meanwhile(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    counted = []
    monkeypatch.setattr("explorer.body_limit.MOST", 7_000_000)
    monkeypatch.setattr("explorer.body_limit._stored", lambda _: counted.append(threading.current_thread()) or (0, 0))
    assert [answer.status_code for answer in put_each(tmp_path, [bytes(1_000_000)] * 3)] == [200, 200, 507]
    assert len(counted) == 1 and counted[0] is not threading.main_thread()


def test_uploads_that_are_deleted_while_they_are_counted_do_no_harm(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scandir, gone = os.scandir, tmp_path / "gone"
    gone.mkdir()

    def deleted_before(path: str) -> object:
        if str(path) == str(gone):
            gone.rmdir()
        return scandir(path)

    monkeypatch.setattr(os, "scandir", deleted_before)
    assert put(tmp_path).status_code == 200


def put(folder: Path) -> httpx.Response:
    """Send a small file to a server that keeps uploads in a folder."""
    return put_each(folder, [b"a file"])[0]


def put_each(folder: Path, files: list[bytes]) -> list[httpx.Response]:
    """Send files to one such server."""

    async def app(scope, receive, send) -> None:  # type: ignore[no-untyped-def]
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    async def ask() -> list[httpx.Response]:
        transport = httpx.ASGITransport(app=BodyLimit(app, 100, 100, 100, folder))
        async with httpx.AsyncClient(transport=transport, base_url="http://here") as client:
            return [await client.post("/gradio_api/upload", content=file) for file in files]

    return asyncio.run(ask())


def test_uploads_are_forgotten_by_name_when_they_are_deleted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sweeps: list[Callable[[], None]] = []
    monkeypatch.setattr("explorer.services.sweeper.start_sweeping", lambda *given: sweeps.extend(given))
    settings, idle = SimpleNamespace(uploads=tmp_path, upload_seconds=3600), SimpleNamespace(sweep=lambda: None)
    page = SimpleNamespace(upload_file_set=set())
    sweep(SimpleNamespace(settings=settings, photos=idle, explain=idle), page)
    for name, age in (("old", 3700), ("new", 0)):
        (tmp_path / name).touch()
        os.utime(tmp_path / name, (time.time() - age,) * 2)
        page.upload_file_set.add(str(tmp_path / name))
    for one in sweeps:
        one()
    assert page.upload_file_set == {str(tmp_path / "new")}


def test_sweeping_goes_on_by_itself() -> None:

    swept = threading.Event()
    is_over = start_sweeping(swept.set, seconds=0.001)
    assert swept.wait(10)
    is_over.set()


def test_a_disk_without_room_refuses_uploads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("explorer.body_limit.shutil.disk_usage", lambda _: type("Usage", (), {"free": 1000}))
    answer = put(tmp_path / "not there yet")
    assert answer.status_code == 507 and "cannot store" in answer.json()["error"]


def test_many_large_requests_at_once_are_told_to_wait(tmp_path: Path) -> None:
    async def ask() -> list[int]:
        gate = asyncio.Event()

        async def app(scope, receive, send) -> None:  # type: ignore[no-untyped-def]
            await receive()
            await gate.wait()
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": b""})

        transport = httpx.ASGITransport(app=BodyLimit(app, 100, 100, 250, tmp_path))
        async with httpx.AsyncClient(transport=transport, base_url="http://here") as client:
            first = [asyncio.create_task(client.post("/", content=bytes(100))) for _ in range(2)]
            await asyncio.sleep(0.05)
            late = await client.post("/", content=bytes(100))
            gate.set()
            after = [await task for task in first] + [await client.post("/", content=bytes(100))]
            return [late.status_code, *(answer.status_code for answer in after)]

    assert asyncio.run(ask()) == [503, 200, 200, 200]


def test_the_gate_refuses_who_comes_late_and_who_takes_long_and_lets_the_next_one_in() -> None:

    async def ask() -> tuple[object, ...]:
        gate, hold = Gate(1, 1, 0.2), threading.Event()
        answers = await asyncio.gather(*(gate.run(hold.wait) for _ in range(3)), return_exceptions=True)
        hold.set()
        while gate.running:
            await asyncio.sleep(0.01)
        return (*(type(answer).__name__ for answer in answers), await gate.run(lambda: "good"))

    assert sorted(map(str, asyncio.run(ask()))) == ["BusyError", "TooLateError", "TooLateError", "good"]


def test_a_local_server_has_no_rate_and_a_public_one_has() -> None:
    assert read_settings([], {}).calls_per_minute == 0
    assert read_settings(["--host", "0.0.0.0"], {}).calls_per_minute == 240
    assert read_settings(["--calls-per-minute", "9"], {}).calls_per_minute == 9
    assert read_settings(["--calls-per-minute", "1"], {}).calls_per_minute == 1
    assert read_settings(["--host", "0.0.0.0", "--calls-per-minute", "0"], {}).calls_per_minute == 0
    assert read_settings([], {"CONCEPTHASH_CALLS_PER_MINUTE": "7"}).calls_per_minute == 7


def test_a_proxy_is_believed_in_a_space_only() -> None:
    assert read_settings([], {}).is_behind_proxy is False
    assert read_settings([], {"SPACE_ID": "someone/explorer"}).is_behind_proxy is True
    assert read_settings(["--no-behind-proxy"], {"SPACE_ID": "someone/explorer"}).is_behind_proxy is False


@pytest.mark.parametrize(
    "flags",
    [
        ["--upload-mb", "0"],
        ["--calls-per-minute", "-1"],
        ["--calls-per-minute", "0.5"],  # with which nobody ever has a whole call
        ["--calls-at-once", "0"],
    ],
)
def test_a_limit_without_meaning_is_refused(flags: list[str]) -> None:
    with pytest.raises(SystemExit):
        read_settings(flags, {})


def test_sizes_follow_the_upload_limit() -> None:
    settings = read_settings(["--upload-mb", "50", "--calls-at-once", "4"], {})
    assert (settings.max_upload_bytes, settings.max_call_bytes, settings.calls_at_once) == (50_000_000, 140_000_000, 4)
