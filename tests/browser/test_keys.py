"""Keys: numbers choose a concept, arrows walk results, ? lists them all, and none of them gets in the way."""

import re

from playwright.sync_api import Page, expect


def test_numbers_choose_a_concept_on_the_open_tab(page: Page) -> None:
    page.keyboard.press("2")
    expect(page.locator(".ch-card").nth(1)).to_have_class(re.compile("is-chosen"))
    page.keyboard.press("1")
    expect(page.locator(".ch-card").first).to_have_class(re.compile("is-chosen"))
    page.keyboard.press("9")
    page.keyboard.press("0")
    expect(page.locator(".ch-card.is-chosen")).to_have_count(0)
    page.get_by_role("tab", name="Match").click()
    rule = page.get_by_role("group", name="Agreement on concept 2").get_by_role("button", name="Exact")
    expect(rule).to_have_attribute("aria-pressed", "false")
    page.keyboard.press("2")
    expect(rule).to_have_attribute("aria-pressed", "true")
    page.keyboard.press("2")
    expect(rule).to_have_attribute("aria-pressed", "false")


def test_keys_are_left_alone_while_typing_and_with_modifiers(page: Page) -> None:
    search = page.get_by_role("searchbox")
    search.click()
    page.keyboard.type("2?")
    expect(search).to_have_value("2?")
    search.fill("")
    page.get_by_label("Name of concept 1").click()
    page.keyboard.type("1?")
    expect(page.get_by_label("Name of concept 1")).to_have_value(re.compile(r"1\?"))
    page.keyboard.press("Control+a")
    page.keyboard.type("concept 1")
    page.locator("h1").click()
    page.keyboard.press("Alt+2")
    page.wait_for_timeout(400)
    expect(page.locator("dialog[open]")).to_have_count(0)
    expect(page.locator(".ch-card.is-chosen")).to_have_count(0)


def test_a_question_mark_lists_the_keys_and_they_can_be_turned_off(page: Page) -> None:
    page.keyboard.press("?")
    dialog = page.get_by_role("dialog", name="Keys")
    expect(dialog).to_be_visible()
    expect(dialog.locator("dt")).to_have_count(7)
    page.keyboard.press("2")
    page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()
    page.get_by_role("button", name="Keys").click()
    expect(dialog).to_be_visible()
    dialog.get_by_role("checkbox").uncheck()
    dialog.get_by_role("button", name="Close").click()
    expect(dialog).to_be_hidden()
    page.keyboard.press("?")
    page.keyboard.press("1")
    page.wait_for_timeout(400)
    expect(dialog).to_be_hidden()
    expect(page.locator(".ch-card.is-chosen")).to_have_count(0)
    page.reload()
    expect(page.locator(".ch-card").first).to_be_visible()
    page.keyboard.press("?")
    expect(dialog).to_be_hidden()


def test_arrows_walk_the_strip_and_the_results(page: Page) -> None:
    thumbs = page.locator(".ch-thumb")
    thumbs.nth(2).focus()
    page.keyboard.press("ArrowRight")
    expect(thumbs.nth(3)).to_be_focused()
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("ArrowLeft")
    expect(thumbs.nth(1)).to_be_focused()
    page.get_by_role("tab", name="Match").click()
    picks = page.locator(".ch-pick")
    expect(picks.nth(12)).to_be_visible()
    boxes = [picks.nth(n).bounding_box() or {} for n in range(12)]
    columns = sum(box["y"] == boxes[0]["y"] for box in boxes)
    assert 2 < columns < 12
    picks.first.focus()
    page.keyboard.press("ArrowDown")
    expect(picks.nth(columns)).to_be_focused()
    page.keyboard.press("ArrowRight")
    expect(picks.nth(columns + 1)).to_be_focused()
    page.keyboard.press("ArrowUp")
    expect(picks.nth(1)).to_be_focused()
    picks.nth(columns - 1).focus()
    page.keyboard.press("ArrowRight")
    expect(picks.nth(columns)).to_be_focused()
    page.get_by_role("tab", name="Match").focus()
    page.keyboard.press("ArrowDown")
    expect(picks.nth(columns)).not_to_be_focused()
