"""How the parts of the app say that they are down, and what ``/health`` makes of it."""

import asyncio
import shutil
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.testclient import TestClient

from concepthash.errors import GalleryError
from explorer import health as module
from explorer.health import FULL, SLOW, HealthRoute
from explorer.services import load_services
from explorer.services.gate import Gate
from explorer.services.health import Health
from explorer.settings import Settings

FINE = Health("birds-8", "cpu", "the aviary", "memory")


@dataclass
class Queue:
    """Counts as Gradio's does."""

    waiting: int = 0
    active_jobs: list[Any] = field(default_factory=lambda: [None, None])
    max_size: int | None = 5

    def __len__(self) -> int:
        return self.waiting


def visit(look: Callable[[], Health], queue: Queue, gate: Gate | None = None) -> TestClient:
    page = SimpleNamespace(_queue=queue)
    return TestClient(Starlette(routes=[HealthRoute(look, page, gate or Gate(1, 1, 1.0)).route]))


def test_health_names_what_runs_and_counts_who_waits() -> None:
    answer = visit(lambda: FINE, Queue(2, [["a", "b"], None, ["c"]])).get("/health")
    state = answer.json()
    state.pop("page")
    assert answer.status_code == 200
    assert state == {
        "status": "ok",
        "model": "birds-8",
        "device": "cpu",
        "gallery": "the aviary",
        "engine": "memory",
        "queue": {"waiting": 2, "running": 3},
        "calls": {"waiting": 0, "running": 0},
        "troubles": [],
    }


def test_a_full_queue_cannot_answer() -> None:
    answer = visit(lambda: FINE, Queue(5)).get("/health")
    assert (answer.status_code, answer.json()["status"], answer.json()["troubles"]) == (503, "degraded", [FULL])


def test_health_counts_the_calls_of_programs_and_says_when_no_more_may_come() -> None:
    gate, may_end = Gate(1, 1, 10.0), threading.Event()

    async def ask_twice() -> None:
        await asyncio.gather(*(gate.run(lambda: may_end.wait(10)) for _ in range(2)))

    asking = threading.Thread(target=asyncio.run, args=[ask_twice()])
    asking.start()
    while not gate.is_full:
        time.sleep(0.01)
    answer = visit(lambda: FINE, Queue(), gate).get("/health")
    may_end.set()
    asking.join()
    state = answer.json()
    assert (answer.status_code, state["calls"], state["troubles"]) == (503, {"waiting": 1, "running": 1}, [FULL])
    assert visit(lambda: FINE, Queue(), gate).get("/health").status_code == 200


@pytest.mark.parametrize(("can_answer", "status"), [(True, 200), (False, 503)])
def test_what_is_down_is_said_in_words(can_answer: bool, status: int) -> None:
    answer = visit(lambda: replace(FINE, troubles=("It is away.",), can_answer=can_answer), Queue()).get("/health")
    assert (answer.status_code, answer.json()["status"]) == (status, "degraded")
    assert answer.json()["troubles"] == ["It is away."]


def test_a_part_that_does_not_respond_keeps_nobody_waiting_and_is_said_to_be_down(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    goes_on, is_started = threading.Event(), threading.Event()

    def look() -> Health:
        if is_started.is_set():
            goes_on.wait()
        is_started.set()
        return FINE

    monkeypatch.setattr(module, "FRESH", 0.0)
    monkeypatch.setattr(module, "SILENT", 0.0)
    with visit(look, Queue()) as client:
        client.get("/health")
        assert client.get("/health").json()["troubles"] == [SLOW]
        goes_on.set()


def test_a_failure_of_the_look_itself_is_no_failure_of_health(monkeypatch: pytest.MonkeyPatch) -> None:
    looks = iter([FINE])

    def look() -> Health:
        return next(looks)  # StopIteration the second time

    monkeypatch.setattr(module, "FRESH", 0.0)
    with visit(look, Queue()) as client:
        assert client.get("/health").json()["troubles"] == [SLOW]


def test_a_page_is_out_of_date_when_the_server_or_its_gallery_is_another_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "FRESH", 0.0)
    galleries = iter(["the aviary", "the aviary", "birds"])
    with visit(lambda: replace(FINE, gallery=next(galleries)), Queue()) as client:
        first, second = client.get("/health").json()["page"], client.get("/health").json()["page"]
        assert first != second
    assert visit(lambda: FINE, Queue()).get("/health").json()["page"] != first


def test_a_model_whose_files_are_gone_goes_on_from_memory(settings: Settings, tmp_path: Path) -> None:
    shutil.copytree(settings.checkpoints, tmp_path / "checkpoints")
    services = load_services(replace(settings, checkpoints=tmp_path / "checkpoints"))
    assert services.health.look() == Health("birds-8", "cpu", "the example birds", "memory")
    shutil.move(tmp_path / "checkpoints" / "birds-8", tmp_path / "away")
    found = services.health.look()
    assert found.can_answer
    assert found.troubles == ("The files of the model birds-8 are gone; it goes on from memory until they are back.",)
    shutil.move(tmp_path / "away", tmp_path / "checkpoints" / "birds-8")
    assert services.health.look().troubles == ()


def test_a_gallery_whose_files_are_gone_is_named(settings: Settings, tmp_path: Path) -> None:
    services = load_services(replace(settings, cache=tmp_path / "cache"))
    shutil.rmtree(tmp_path / "cache")
    assert services.health.look().troubles == (
        "The files of the example birds are gone; some pictures are missing until they are back.",
    )


def test_a_server_that_is_away_is_told_in_its_own_words(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    services = load_services(settings)
    monkeypatch.setattr(services.galleries, "ask_server", lambda: "ClickHouse does not answer.")
    assert services.health.look().troubles == ("ClickHouse does not answer.",)


def test_a_model_that_cannot_be_had_cannot_answer(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    services = load_services(settings)

    def fail(name: str) -> object:
        raise GalleryError("There is no gallery.")

    monkeypatch.setattr(services.galleries, "of", fail)
    assert services.health.look() == Health("birds-8", troubles=("There is no gallery.",), can_answer=False)
