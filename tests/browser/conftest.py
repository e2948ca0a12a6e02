"""The real app on a free port with a tiny untrained model and a small drawn gallery, and a browser that watches it."""

import os
import subprocess
import sys
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
import torch
from app_process import find_chromium, free_port, wait_for
from builders import tiny_classes, tiny_model
from PIL import Image
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

from concepthash.checkpoint import read_checkpoint, save_checkpoint
from concepthash.data import read_image, read_image_folder
from concepthash.encode import encode_table
from concepthash.encoder import Encoder

ROOT = Path(__file__).parents[2]
HOSTILE = "<img src=x onerror=window.hacked=1> wren"
CLASSES = ("sooty tern", "marsh wren", "scarlet tanager", HOSTILE)
# Gradio says so of what it was reading or asking when its page is left. Of a server that fails, Chromium itself says
# "Failed to load resource", too, so that a test that looks away from these still sees it.
OF_A_PAGE_LEFT = ("AbortError", "Unexpected error Connection errored out")
idle: defaultdict[Browser, list[BrowserContext]] = defaultdict(list)  # that have forgotten who was there
expect.set_options(timeout=20_000)  # milliseconds; a machine that does something else, too, fails no test


@dataclass
class Visit:
    """One page with everything it must not do: errors, and requests that leave this computer."""

    page: Page
    problems: list[str] = field(default_factory=list)

    def watch(self) -> None:
        self.page.on("pageerror", lambda error: self.problems.append(f"page error: {error}"))
        self.page.on("console", lambda m: self._read(m.text) if m.type == "error" else None)
        self.page.on("request", lambda r: self._check(r.url))

    def _read(self, message: str) -> None:
        if not message.startswith(OF_A_PAGE_LEFT):
            self.problems.append(f"console: {message}")

    def _check(self, url: str) -> None:
        if not url.startswith(("http://127.0.0.1", "data:", "blob:")):
            self.problems.append(f"request to {url}")


@pytest.fixture(scope="session")
def photo_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root, random = tmp_path_factory.mktemp("photos"), np.random.default_rng(0)
    for number in range(40):
        folder = root / CLASSES[number % 4].replace(" ", "_")
        folder.mkdir(exist_ok=True)
        small = random.integers(0, 255, (5, 6, 3)).astype(np.uint8)
        shape = (160, 120) if number % 3 else (90, 160)
        Image.fromarray(small).resize(shape, Image.Resampling.BICUBIC).save(folder / f"{number:02d}.png")
    return root


@pytest.fixture(scope="session")
def model_folder(photo_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model whose bits split the photos, as those of a trained one would."""
    root, model = tmp_path_factory.mktemp("checkpoints"), tiny_model()
    raw = Encoder(save_checkpoint(root / "raw", model, tiny_classes()), "cpu")
    logits = raw.code_logits([read_image(path) for path in read_image_folder(photo_folder).paths])  # (40, K)
    middle, spread = (torch.from_numpy(v) for v in (np.median(logits, axis=0), logits.std(axis=0)))
    with torch.no_grad():
        norm = model.hash_head.norm
        norm.weight.div_(spread)
        norm.bias.sub_(middle).div_(spread)
    save_checkpoint(root / "only" / "tiny", model, tiny_classes())
    return root / "only" / "tiny"


@pytest.fixture(scope="session")
def gallery_folder(photo_folder: Path, model_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("galleries") / "drawn"
    encode_table(Encoder(read_checkpoint(model_folder), "cpu"), read_image_folder(photo_folder), out, progress=False)
    return out


@pytest.fixture(scope="session")
def address(model_folder: Path, gallery_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with serving("--checkpoint", str(model_folder), "--gallery", str(gallery_folder),
                 folder=tmp_path_factory.mktemp("served")) as address:  # fmt: skip
        yield address


@pytest.fixture(scope="session")
def serve() -> Callable[..., AbstractContextManager[str]]:
    """Run another app, as `serving` says."""
    return serving


@contextmanager
def serving(*arguments: str, folder: Path, **environ: str) -> Iterator[str]:
    """Run the app on a free port, with logs and cache in ``folder``, and give its address."""
    port, logs = free_port(), folder / "app.log"
    nobody = f"http://127.0.0.1:{free_port()}"  # a proxy that does not answer: the app must not need it to start
    env = os.environ | {"CONCEPTHASH_CACHE": str(folder / "cache"), "OMP_NUM_THREADS": "1"}
    env |= {"HTTP_PROXY": nobody, "HTTPS_PROXY": nobody} | environ
    command = [sys.executable, "app.py", "--port", str(port), "--device", "cpu", *arguments]
    with logs.open("w") as log, subprocess.Popen(command, cwd=ROOT, env=env, stdout=log, stderr=log) as process:
        try:
            wait_for(f"http://127.0.0.1:{port}/", process, logs)
            yield f"http://127.0.0.1:{port}/"
        finally:
            process.terminate()
    assert "Traceback" not in logs.read_text(), logs.read_text()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """One Chromium for a file of tests; while it is up, no other event loop runs in this thread."""
    chromium = find_chromium()
    if chromium is None:
        pytest.skip("no Chromium here; install it or name it with CHROMIUM")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def page(browser: Browser, address: str) -> Iterator[Page]:
    """The app, open on its first image; the test fails if anything went wrong in the browser."""
    with visiting(browser, address) as page:
        yield page


@pytest.fixture
def visit(browser: Browser) -> Callable[[str], AbstractContextManager[Page]]:
    """Open another app, as `visiting` says."""
    return lambda address: visiting(browser, address)


@contextmanager
def visiting(browser: Browser, address: str) -> Iterator[Page]:
    """Open the app in a browser that watches it, as somebody who has never been there."""
    with stranger_in(browser, address) as context:
        visit = Visit(context.new_page())
        visit.watch()
        visit.page.goto(address)
        visit.page.wait_for_selector(".ch-card:visible, .ch-result:visible", timeout=30_000)
        yield visit.page
        hacked = visit.page.evaluate("window.hacked")
    assert not visit.problems
    assert hacked is None


@pytest.fixture
def stranger(browser: Browser, address: str) -> Callable[[], AbstractContextManager[BrowserContext]]:
    """Make somebody who has never been at the app, as `stranger_in` says."""
    return lambda: stranger_in(browser, address)


@contextmanager
def stranger_in(browser: Browser, address: str) -> Iterator[BrowserContext]:
    """Somebody who has never been at an address, but for the files of the page: they take seconds to load."""
    context = idle[browser].pop() if idle[browser] else browser.new_context(viewport={"width": 1280, "height": 900})
    yield context
    forget(context, address)
    idle[browser].append(context)


def forget(context: BrowserContext, address: str) -> None:
    """Close what a visit has opened, and delete all that it leaves in a browser but the files of the page."""
    empty = context.new_page()
    for page in context.pages:
        if page is not empty:
            page.close()
    origin = {"origin": address.partition("?")[0].rstrip("/"), "storageTypes": "local_storage,indexeddb,cache_storage"}
    context.new_cdp_session(empty).send("Storage.clearDataForOrigin", origin)
    context.clear_cookies()
    context.clear_permissions()
    empty.close()
