"""The app started as a Hugging Face Space starts it, and walked through: nothing to write to, no network, little room.

The checkout is mounted read-only, HOME with it, /tmp holds 64 MB, and the process lives in a network of its own that
leads nowhere; the browser joins that network. Without the right to make such a place the test is skipped.
"""

import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from app_process import ROOT, find_chromium
from playwright.sync_api import Browser, Error, Page, expect

PORT = 7860
ENVIRON = {  # what a Space sets, as far as Gradio or the app look at it
    "SYSTEM": "spaces",
    "SPACE_ID": "somebody/concepthash-explorer",
    "SPACE_HOST": "somebody-concepthash-explorer.hf.space",
    "SPACE_AUTHOR_NAME": "somebody",
    "SPACE_REPO_NAME": "concepthash-explorer",
    "SPACE_TITLE": "ConceptHash Explorer",
    "SPACES_GRADIO_AUTO_WRAP": "false",
    "GRADIO_SERVER_NAME": "0.0.0.0",
    "GRADIO_SERVER_PORT": str(PORT),
    "GRADIO_SSR_MODE": "true",
    "GRADIO_ALLOW_FLAGGING": "never",
    "GRADIO_THEME": "huggingface",
    "GRADIO_ANALYTICS_ENABLED": "false",
    "GRADIO_NUM_PORTS": "1",
    "PYTHONUNBUFFERED": "1",
    "OMP_NUM_THREADS": "2",
}
SETTINGS = " ".join(f"'{name}={value}'" for name, value in ENVIRON.items())
PLACE = "/mnt"  # where the checkout lies there
BOX = f"""
mount --bind "$3" /media && python="/media${{2#"$3"}}" || exit 9
mount --bind "$1" {PLACE} && mount -o remount,ro,bind {PLACE} && mount -t tmpfs -o size=64m tmpfs /tmp || exit 9
ip link set lo up && cd {PLACE} && exec env -i PATH="$PATH" HOME={PLACE} {SETTINGS} "$python" app.py
"""
# `spaces` is part of every Space; Gradio looks for its version and for what starts its hot reload.
STAND_IN = {
    "spaces/__init__.py": "def GPU(task=None, **_):\n    return task or (lambda task: task)\ngradio_auto_wrap = GPU\n",
    "spaces/reloading.py": "def start_reload_server(prerun, postrun, stop_event):\n    stop_event.wait()\n",
    "spaces-0.51.3.dist-info/METADATA": "Metadata-Version: 2.1\nName: spaces\nVersion: 0.51.3\n",
}


def may_make_a_box() -> bool:
    tools = all(map(shutil.which, ("unshare", "nsenter", "mount", "ip", "git")))
    return tools and not subprocess.run(["unshare", "-mn", "mount", "-t", "tmpfs", "tmpfs", "/tmp"]).returncode


pytestmark = pytest.mark.skipif(not may_make_a_box(), reason="only who may unshare mounts and network can make a Space")


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What git would bring to a Space, and the package that every Space has."""
    folder = tmp_path_factory.mktemp("space") / "app"
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        check=True,
    )
    for name in filter(None, listed.stdout.decode().split("\0")):
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, folder / name)
    for name, text in STAND_IN.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(text)
    return folder


@pytest.fixture(scope="module")
def space(checkout: Path) -> Iterator["subprocess.Popen[bytes]"]:
    log = checkout.parent / "app.log"
    with log.open("wb") as out:
        process = subprocess.Popen(
            ["unshare", "-mn", "sh", "-c", BOX, "sh", str(checkout), sys.executable, sys.prefix], stdout=out, stderr=out
        )
    yield process
    process.terminate()
    assert process.wait(20) == 0, log.read_text()
    assert "Traceback" not in log.read_text() and "rror" not in log.read_text(), log.read_text()


@pytest.fixture(scope="module")
def inner_browser(
    browser: Browser, space: "subprocess.Popen[bytes]", tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Browser]:
    """A browser in the network of the Space."""
    starter = tmp_path_factory.mktemp("starter") / "chromium"
    starter.write_text(f'#!/bin/sh\nexec nsenter --target {space.pid} --net {find_chromium()} "$@"\n')
    starter.chmod(0o755)
    inner = browser.browser_type.launch(executable_path=str(starter), args=["--no-sandbox"])
    yield inner
    inner.close()


@pytest.fixture
def page(inner_browser: Browser, space: "subprocess.Popen[bytes]") -> Iterator[Page]:
    """The Space, opened as soon as anything answers; whatever it asked of others, or failed at, is an error."""
    context = inner_browser.new_context(viewport={"width": 1280, "height": 900})
    page, problems = context.new_page(), []
    page.on("pageerror", lambda error: problems.append(f"page error: {error}"))
    page.on("request", lambda r: problems.append(r.url) if not is_own(r.url) else None)
    page.on(
        "response", lambda r: problems.append(f"{r.status} {r.url}") if r.status not in (200, 204, 304, 503) else None
    )
    until(lambda: page.goto(f"http://127.0.0.1:{PORT}/"), space)
    yield page
    context.close()
    assert not problems


def is_own(url: str) -> bool:
    return url.startswith((f"http://127.0.0.1:{PORT}/", "data:", "blob:"))


def until(go: Callable[[], object], space: "subprocess.Popen[bytes]") -> None:
    for _ in range(1200):
        assert space.poll() is None
        try:
            go()
            return
        except Error:
            time.sleep(0.05)
    raise AssertionError("nobody answers")


def test_a_space_opens_and_every_tab_answers(page: Page) -> None:
    expect(page.locator(".ch-card").first).to_be_visible(timeout=120_000)  # by itself, when it has loaded
    expect(page.locator(".ch-status")).to_contain_text("aviary-32")
    page.wait_for_function("[...document.querySelectorAll('.ch-thumb img')].every((i) => i.naturalWidth > 0)")
    page.locator(".ch-thumb").nth(3).click()
    expect(page.locator(".ch-thumb").nth(3)).to_have_attribute("aria-current", "true")
    page.get_by_role("tab", name="Match").click()
    expect(page.locator("#ch-match .ch-pick").first).to_be_visible(timeout=30_000)
    page.get_by_role("tab", name="Sub-codes").click()
    expect(page.locator("#ch-subcodes .ch-cell").first).to_be_visible(timeout=30_000)
    page.get_by_role("tab", name="Centers").click()
    expect(page.locator(".ch-plot .main-svg").first).to_be_visible(timeout=60_000)
    expect(page.get_by_role("tab", name="Train")).to_have_count(0)
    assert page.evaluate("fetch('health').then((answer) => answer.json())")["status"] == "ok"


def test_an_image_can_be_uploaded_to_a_space(page: Page) -> None:
    expect(page.locator(".ch-card").first).to_be_visible(timeout=120_000)
    page.set_input_files("#ch-upload input[type=file]", ROOT / "assets/screenshots/explain.webp")
    expect(page.locator(".ch-hand")).to_contain_text("your upload", timeout=30_000)
    expect(page.locator(".ch-card").first).to_be_visible()
    expect(page.locator("#ch-notice")).to_be_visible()


def test_the_space_can_write_nothing_but_its_small_tmp(space: "subprocess.Popen[bytes]") -> None:
    inside = ["nsenter", "--target", str(space.pid), "--mount", "--net"]
    assert subprocess.run([*inside, "touch", f"{PLACE}/x"], capture_output=True).returncode != 0
    assert subprocess.run([*inside, "ip", "route"], capture_output=True).stdout == b""
    free = subprocess.run([*inside, "df", "--output=size", "-k", "/tmp"], capture_output=True, text=True)
    assert int(free.stdout.split()[-1]) == 64 * 1024
