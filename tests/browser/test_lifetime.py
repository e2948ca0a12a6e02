"""From the start of the app to its end: the page that waits, what it says when something is down, and how it goes."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from app_process import AppProcess
from clickhouse_rig import ChdbServer, needs_chdb
from playwright.sync_api import Browser, Error, Page, expect

from concepthash.encode import main as encode

LINE = "#ch-server [role=status]"
PATIENT = 60_000


@pytest.fixture
def run(model_folder: Path, gallery_folder: Path, tmp_path: Path) -> Callable[..., AppProcess]:
    """Make an app that is not running yet."""

    def make(gallery: str = str(gallery_folder), **options: str) -> AppProcess:
        return AppProcess(tmp_path, "--checkpoint", str(model_folder), "--gallery", gallery, **options)

    return make


@contextmanager
def open_page(browser: Browser) -> Iterator[Page]:
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    yield context.new_page()
    context.close()


def goto_when_it_answers(page: Page, address: str) -> None:
    for _ in range(400):
        try:
            page.goto(address)
            return
        except Error:
            time.sleep(0.02)
    raise AssertionError(f"nobody answers at {address}")


def test_a_page_waits_while_the_app_loads_and_opens_by_itself(browser: Browser, run: Callable[..., AppProcess]) -> None:
    with run() as app, open_page(browser) as page:
        errors: list[str] = []
        page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
        goto_when_it_answers(page, f"{app.address}?v=1&t=match")
        expect(page.get_by_role("heading")).to_have_text("ConceptHash Explorer is loading")
        assert app.health()[0] == 503
        expect(page.get_by_role("status")).to_contain_text("The page opens by itself.")
        expect(page.locator("#ch-match .ch-pick").first).to_be_visible(timeout=PATIENT)  # the link was kept
        assert app.health()[0] == 200
        before = wakeups(app)
        page.wait_for_timeout(2000)
        assert wakeups(app) - before < 600  # who waits for a question sleeps meanwhile
    once = [text for text in errors if "503" in text]  # the waiting page itself says honestly that it is not the app
    assert len(once) <= 1


def wakeups(app: AppProcess) -> int:
    """Count how often the threads of the app have been woken; 0 where there is no /proc."""
    assert app.process is not None
    times = 0
    for file in Path(f"/proc/{app.process.pid}/task").glob("*/status"):
        with suppress(OSError):  # of a thread that has just ended
            times += int(file.read_text().split("\nvoluntary_ctxt_switches:")[1].split()[0])
    return times


def test_a_page_that_waits_is_told_why_the_app_could_not_start(
    browser: Browser, model_folder: Path, tmp_path: Path
) -> None:
    with AppProcess(tmp_path, "--checkpoint", str(model_folder), "--gallery", str(tmp_path)) as app:
        with open_page(browser) as page:
            goto_when_it_answers(page, app.address)
            expect(page.get_by_role("heading")).to_have_text("ConceptHash Explorer could not start", timeout=PATIENT)
            expect(page.get_by_role("status")).to_contain_text("is not a gallery")
            assert app.process is not None and app.process.wait(30) == 2
            expect(page.get_by_role("status")).to_contain_text("is not a gallery")  # it stays when nobody answers
        assert app.log.read_text().strip().count("\n") == 0 and "is not a gallery" in app.log.read_text()


def test_a_page_says_that_the_server_is_away_and_goes_on_when_it_is_back(
    browser: Browser, run: Callable[..., AppProcess]
) -> None:
    with run() as app, open_page(browser) as page:
        app.wait()
        page.goto(app.address)
        expect(page.locator(".ch-card").first).to_be_visible(timeout=PATIENT)
        page.locator(".ch-thumb").nth(4).click()
        expect(page.locator(".ch-thumb").nth(4)).to_have_attribute("aria-current", "true")
        page.wait_for_url("**/?v=1&**")
        link, place = page.url, page.locator("#ch-query").bounding_box()
        expect(page.locator(LINE)).to_have_text("")
        page.evaluate("window.isOutOfDate = true")
        app.kill()
        expect(page.locator(LINE)).to_contain_text("The server does not answer.", timeout=PATIENT)
        assert page.locator("#ch-query").bounding_box() == place  # nothing jumps
        app.start()
        app.wait()
        page.wait_for_function("!window.isOutOfDate", timeout=PATIENT)  # the server knows nothing of the old one
        expect(page.locator(".ch-card").first).to_be_visible(timeout=PATIENT)
        expect(page.locator(LINE)).to_have_text("", timeout=PATIENT)
        expect(page.locator(".ch-thumb").nth(4)).to_have_attribute("aria-current", "true", timeout=PATIENT)
        assert page.url == link


@needs_chdb
def test_a_page_says_that_the_server_of_the_gallery_is_away_and_goes_on_when_it_is_back(
    browser: Browser, run: Callable[..., AppProcess], model_folder: Path, photo_folder: Path, tmp_path: Path
) -> None:
    pictures = tmp_path / "pictures"
    with ChdbServer(tmp_path / "server") as server:
        url = server.new_database("drawn")
        command = ["--checkpoint", str(model_folder), "--data", str(photo_folder), "--out", str(pictures)]
        assert encode([*command, "--engine", url, "--device", "cpu", "--quiet"]) == 0
        with run(url) as app, open_page(browser) as page:
            app.wait()
            assert app.health()[1]["engine"] == "clickhouse"
            page.goto(app.address)
            expect(page.locator(".ch-card").first).to_be_visible(timeout=PATIENT)
            server.kill()
            expect(page.locator(LINE)).to_contain_text("does not answer", timeout=PATIENT)
            status, health = app.health()
            assert status == 200 and health["status"] == "degraded" and "p@ss" not in str(health)
            server.start()
            expect(page.locator(LINE)).to_have_text("", timeout=PATIENT)
            assert app.health()[1]["status"] == "ok"


def test_questions_about_health_are_answered_while_the_model_is_busy(
    browser: Browser, run: Callable[..., AppProcess]
) -> None:
    with run(script="tests/slow_app.py", SLOW_SECONDS="20") as app, open_page(browser) as page:
        app.wait()
        page.goto(app.address)
        expect(page.locator(".ch-card").first).to_be_visible(timeout=PATIENT)
        page.locator(".ch-thumb").nth(2).click()
        wait_until(lambda: app.health()[1]["queue"]["running"] > 0)
        status, health = app.health()
        assert (status, health["status"], health["model"], health["device"]) == (200, "ok", "tiny", "cpu")


def test_a_running_question_is_answered_before_the_app_ends(browser: Browser, run: Callable[..., AppProcess]) -> None:
    with run(script="tests/slow_app.py", SLOW_SECONDS="4") as app, open_page(browser) as page:
        app.wait()
        page.goto(app.address)
        expect(page.locator(".ch-card").first).to_be_visible(timeout=PATIENT)
        wait_until(lambda: app.health()[1]["queue"]["running"] == 0)
        before = page.locator(".ch-hero img").first.get_attribute("src")
        page.locator(".ch-thumb").nth(2).click()
        time.sleep(1)  # what is quick has been answered
        wait_until(lambda: app.health()[1]["queue"]["running"] > 0)
        app.ask_to_end()
        expect(page.locator(".ch-hero img").first).not_to_have_attribute("src", before or "", timeout=15_000)
        assert app.process is not None and app.process.wait(20) == 0


def test_a_question_that_takes_too_long_does_not_keep_the_app_from_ending(
    browser: Browser, run: Callable[..., AppProcess]
) -> None:
    with run(script="tests/slow_app.py", SLOW_SECONDS="600") as app, open_page(browser) as page:
        app.wait()
        page.goto(app.address)
        expect(page.locator(".ch-card").first).to_be_visible(timeout=PATIENT)
        page.locator(".ch-thumb").nth(2).click()
        wait_until(lambda: app.health()[1]["queue"]["running"] > 0)
        app.ask_to_end()
        assert app.process is not None and app.process.wait(30) == 0
        expect(page.locator(LINE)).to_contain_text("The server does not answer.", timeout=PATIENT)


@pytest.mark.parametrize("seconds", [0, 1.5, 3.5])
def test_the_app_ends_at_once_while_it_loads(run: Callable[..., AppProcess], seconds: float) -> None:
    with run() as app:
        wait_until(lambda: is_loading(app))
        time.sleep(seconds)  # most of them are spent in libraries that are imported
        app.ask_to_end()
        assert app.process is not None and app.process.wait(20) == 0
        assert app.log.read_text() == ""


def is_loading(app: AppProcess) -> bool:
    try:
        return app.health() == (503, {"status": "loading", "doing": "Loading the model and its gallery"})
    except OSError:
        return False


def wait_until(happens: Callable[[], bool]) -> None:
    for _ in range(600):
        if happens():
            return
        time.sleep(0.05)
    raise AssertionError("it did not happen in 30 seconds")
