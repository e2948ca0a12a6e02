"""What stands at the port while the app is loading."""

import http.client
import json
import socket
import struct
import threading

import pytest
from app_process import free_port

from concepthash.errors import ConfigError, GalleryError
from explorer import doorway as module
from explorer.doorway import Doorway


def ask(port: int, method: str, path: str) -> tuple[int, str, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    connection.request(method, path)
    answer = connection.getresponse()
    found = answer.status, answer.getheader("Content-Type") or "", answer.read()
    connection.close()
    return found


def test_every_address_shows_the_page_that_waits_and_none_looks_like_the_app() -> None:
    port = free_port()
    with Doorway("127.0.0.1", port):
        for path in ("/", "/?v=1&t=match", "/gradio_api/app_id", "/config"):
            status, kind, content = ask(port, "GET", path)
            assert (status, kind) == (503, "text/html; charset=utf-8") and b"is loading" in content
        assert ask(port, "HEAD", "/")[2] == b""
        assert ask(port, "POST", "/gradio_api/queue/join")[0] == 503


def test_health_says_what_is_being_done() -> None:
    port = free_port()
    with Doorway("127.0.0.1", port) as doorway:
        doorway.doing = "Counting birds"
        for path in ("/health", "/prefix/health?now"):
            status, kind, content = ask(port, "GET", path)
            assert (status, kind) == (503, "application/json")
            assert json.loads(content) == {"status": "loading", "doing": "Counting birds"}
        assert (ask(port, "GET", "/health?page")[0], ask(port, "GET", "/?page")[0]) == (200, 503)


def test_visitors_who_leave_unanswered_are_no_error_and_a_flaw_is_one(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    port = free_port()
    handled = threading.Semaphore(0)
    shut = module._Server.shutdown_request

    def shut_and_count(server: module._Server, request: socket.socket) -> None:
        shut(server, request)
        handled.release()

    monkeypatch.setattr(module._Server, "shutdown_request", shut_and_count)
    with Doorway("127.0.0.1", port) as doorway:
        with socket.create_connection(("127.0.0.1", port)) as visitor:
            visitor.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # closing resets
            visitor.sendall(b"GET / HT")
        assert handled.acquire(timeout=10)
        assert not capfd.readouterr().err
        monkeypatch.setattr(doorway, "state", lambda: 1 / 0)
        with pytest.raises(http.client.RemoteDisconnected):
            ask(port, "GET", "/health")
        assert handled.acquire(timeout=10)
        assert "ZeroDivisionError" in capfd.readouterr().err


def test_the_port_is_free_again_when_the_app_takes_it() -> None:
    port = free_port()
    with Doorway("127.0.0.1", port):
        ask(port, "GET", "/")
    with socket.socket() as taker:
        taker.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        taker.bind(("127.0.0.1", port))


def test_pages_that_wait_are_told_why_it_failed_before_the_port_is_left() -> None:
    port, told = free_port(), []
    is_told = threading.Event()

    def watch() -> None:
        while not is_told.is_set():
            state = json.loads(ask(port, "GET", "/health")[2])
            if state["status"] == "failed":
                told.append(state["doing"])
                is_told.set()

    with pytest.raises(GalleryError), Doorway("127.0.0.1", port) as doorway:
        doorway.state()  # a page has asked
        threading.Thread(target=watch, daemon=True).start()
        raise GalleryError("There is no gallery.")
    assert is_told.wait(5) and told == ["There is no gallery."]


def test_what_is_no_sentence_for_visitors_is_kept_from_them() -> None:
    doorway = Doorway("127.0.0.1", free_port())
    with pytest.raises(RuntimeError), doorway:
        raise RuntimeError("/secret/path")
    assert doorway.failed == module.UNEXPECTED


def test_a_failure_that_nobody_waits_for_is_not_held_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LINGERS", threading.TIMEOUT_MAX)
    with pytest.raises(GalleryError), Doorway("127.0.0.1", free_port()):
        raise GalleryError("There is no gallery.")


@pytest.mark.parametrize("host", ["127.0.0.1", "no-such-host.invalid"])
def test_a_port_that_cannot_be_had_is_a_sentence(host: str) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(ConfigError, match="choose another one with --port or --host"):
            Doorway(host, taken.getsockname()[1])
