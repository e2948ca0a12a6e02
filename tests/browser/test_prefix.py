"""The app under a prefix of a reverse proxy, and inside a frame of another site: everything loads, nothing strays."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import Browser, FrameLocator, Page, expect
from reverse_proxy import ReverseProxy, proxying

PREFIX = "/tools/explorer"
# What a browser does that keeps no data for frames of other sites.
NO_STORAGE = """
for (const name of ['localStorage', 'sessionStorage']) {
  const get = () => { throw new DOMException('denied', 'SecurityError'); };
  Object.defineProperty(window, name, { configurable: true, get });
}
Object.defineProperty(document, 'cookie', { get: () => '', set: () => {} });
"""


@pytest.fixture(scope="module")
def proxy(
    model_folder: Path,
    gallery_folder: Path,
    serve: Callable[..., AbstractContextManager[str]],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[ReverseProxy]:
    folder = tmp_path_factory.mktemp("prefixed")
    arguments = ("--checkpoint", str(model_folder), "--gallery", str(gallery_folder), "--root-path", PREFIX)
    with serve(*arguments, folder=folder) as address, proxying(address, PREFIX) as proxy:
        yield proxy


@contextmanager
def watched(browser: Browser, *scripts: str) -> Iterator[Page]:
    """Open a page that must see no error and no request that fails."""
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    for script in scripts:
        context.add_init_script(script)
    page, problems = context.new_page(), []
    page.on("pageerror", lambda error: problems.append(f"page error: {error.stack}"))
    page.on("console", lambda m: problems.append(f"console: {m.text} {m.location}") if m.type == "error" else None)
    page.on("response", lambda r: problems.append(f"{r.status} {r.url}") if r.status >= 400 else None)
    page.on("requestfailed", lambda r: problems.append(f"failed {r.url}") if not is_stream(r.url) else None)
    yield page
    assert not problems
    context.close()


def is_stream(url: str) -> bool:
    """Tell whether it is one of those that a page leaves open, and lets go of itself."""
    return "/gradio_api/queue/data" in url or "/gradio_api/heartbeat/" in url


def walk(view: Page | FrameLocator, wait: Page) -> None:
    """Look at every tab: pictures, answers and plots are there."""
    expect(view.locator(".ch-card").first).to_be_visible(timeout=30_000)
    expect(view.locator(".ch-thumb img")).to_have_count(12)
    for picture in view.locator(".ch-thumb img").all():
        expect(picture).to_have_js_property("complete", True)
        expect(picture).not_to_have_js_property("naturalWidth", 0)
    title = view.locator(".ch-hand h2").inner_text()
    view.locator(".ch-thumb").nth(5).click()
    expect(view.locator(".ch-thumb[aria-current]")).to_have_count(1)
    expect(view.locator(".ch-thumb").nth(5)).to_have_attribute("aria-current", "true")
    assert title
    view.get_by_role("tab", name="Match").click()
    expect(view.locator("#ch-match .ch-pick").first).to_be_visible(timeout=15_000)
    view.get_by_role("tab", name="Sub-codes").click()
    expect(view.locator("#ch-subcodes .ch-cell").first).to_be_visible(timeout=15_000)
    view.get_by_role("tab", name="Centers").click()
    expect(view.locator(".ch-plot .main-svg").first).to_be_visible(timeout=60_000)


def test_everything_loads_below_the_prefix_and_nothing_is_asked_beside_it(
    browser: Browser, proxy: ReverseProxy
) -> None:
    with watched(browser) as page:
        page.goto(f"http://127.0.0.1:{proxy.port}{PREFIX}/")
        walk(page, page)
        assert page.url.startswith(f"http://127.0.0.1:{proxy.port}{PREFIX}/?v=1")
        health = page.evaluate("fetch('health').then((answer) => answer.json())")
        assert health["status"] == "ok"
    assert not proxy.strays


def test_a_link_opens_its_screen_below_the_prefix(browser: Browser, proxy: ReverseProxy) -> None:
    with watched(browser) as page:
        page.goto(f"http://127.0.0.1:{proxy.port}{PREFIX}/?v=1&t=match")
        expect(page.locator("#ch-match .ch-pick").first).to_be_visible(timeout=30_000)


def test_an_uploaded_image_is_explained_below_the_prefix(
    browser: Browser, proxy: ReverseProxy, photo_folder: Path
) -> None:
    with watched(browser) as page:
        page.goto(f"http://127.0.0.1:{proxy.port}{PREFIX}/")
        expect(page.locator(".ch-card").first).to_be_visible(timeout=30_000)
        page.set_input_files("#ch-upload input[type=file]", next(photo_folder.rglob("*.png")))
        expect(page.locator(".ch-hand")).to_contain_text("your upload", timeout=15_000)


def test_a_frame_of_another_site_shows_the_app_though_it_may_keep_nothing(
    browser: Browser, proxy: ReverseProxy
) -> None:
    with watched(browser, NO_STORAGE) as page:
        page.goto(f"http://localhost:{proxy.port}/frame")
        walk(page.frame_locator("iframe"), page)
    assert not proxy.strays
