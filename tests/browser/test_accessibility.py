"""Rules of axe on Explain and Match: nothing serious, nothing critical, in light and dark."""

from axe_rules import serious
from playwright.sync_api import Page, expect


def test_axe_finds_nothing_serious_on_either_tab(page: Page) -> None:
    page.locator(".ch-bit").first.click()
    expect(page.locator(".ch-bitpanel")).to_be_visible()
    assert serious(page) == []
    page.locator(".ch-card .is-concept").first.click()
    expect(page.locator(".ch-result").first).to_be_visible()
    assert serious(page) == []


def test_there_is_one_first_heading_and_every_image_has_an_alternative(page: Page) -> None:
    expect(page.locator("h1")).to_have_count(1)
    assert page.evaluate("[...document.images].filter(i => !i.hasAttribute('alt')).length") == 0
