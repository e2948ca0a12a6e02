"""Rules of axe on both tabs, in light and dark: nothing serious, nothing critical."""

from collections.abc import Callable
from contextlib import AbstractContextManager

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

Visit = Callable[[str], AbstractContextManager[Page]]


def serious(page: Page) -> list[str]:
    found = Axe().run(page).response["violations"]
    return [f"{v['id']}: {[n['html'][:160] for n in v['nodes']][:3]}" for v in found
            if v["impact"] in ("serious", "critical")]  # fmt: skip


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_axe_finds_nothing_serious_on_either_tab(visit: Visit, address: str, theme: str) -> None:
    with visit(f"{address}?__theme={theme}") as page:
        check_explain_and_match(page)


def check_explain_and_match(page: Page) -> None:
    page.locator(".ch-bit").first.click()
    expect(page.locator(".ch-bitpanel")).to_be_visible()
    page.wait_for_timeout(400)
    assert serious(page) == []
    page.locator(".ch-card .is-concept").first.click()
    expect(page.locator(".ch-result").first).to_be_visible()
    page.wait_for_timeout(400)
    assert serious(page) == []


def test_there_is_one_first_heading_and_every_image_has_an_alternative(page: Page) -> None:
    expect(page.locator("h1")).to_have_count(1)
    assert page.evaluate("[...document.images].filter(i => !i.hasAttribute('alt')).length") == 0
