"""How many matches each class, family and other value has: shown, clicked and linked to."""

import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import duckdb
import pytest
from playwright.sync_api import Page, expect

N_OTHERS = 39  # images beside the one in hand
HOSTILE = "<i>odd</i> & even"


@pytest.fixture(scope="module")
def split_address(
    model_folder: Path,
    gallery_folder: Path,
    serve: Callable[..., AbstractContextManager[str]],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[str]:
    """The app with a gallery of ten images to test on, thirty to train on."""
    gallery = tmp_path_factory.mktemp("split") / "drawn"
    shutil.copytree(gallery_folder, gallery)
    with duckdb.connect(str(gallery / "gallery.duckdb")) as database:
        database.execute("""UPDATE images SET split = CASE WHEN "row" % 4 = 3 THEN ? ELSE 'train' END""", [HOSTILE])
    with serve(
        "--checkpoint", str(model_folder), "--gallery", str(gallery), folder=tmp_path_factory.mktemp("served")
    ) as address:
        yield address


def values(page: Page, column: str) -> dict[str, int]:
    buttons = page.get_by_role("group", name=f"Matches by {column}").get_by_role("button")
    return {
        button.locator("span").first.inner_text(): int(button.locator(".ch-num").inner_text())
        for button in buttons.all()
    }


def test_values_are_counted_clicked_and_taken_back(
    visit: Callable[[str], AbstractContextManager[Page]], split_address: str
) -> None:
    with visit(split_address) as page:
        page.get_by_role("tab", name="Match").click()
        heading = page.locator(".ch-results h3")
        expect(heading).to_have_text(f"{N_OTHERS} matches")
        assert [sum(values(page, column).values()) for column in ("class", "family", "split")] == [N_OTHERS] * 3
        height = page.locator(".ch-question").evaluate("node => node.scrollHeight")

        family = page.get_by_role("group", name="Matches by family").get_by_role("button").first
        name, n = next(iter(values(page, "family").items()))
        family.click()
        expect(heading).to_have_text(re.compile(rf"{n} matches in {name}"))
        expect(family).to_have_attribute("aria-pressed", "true")
        assert sum(values(page, "class").values()) == n
        assert sum(values(page, "family").values()) == N_OTHERS  # its own filter does not count
        assert page.locator(".ch-question").evaluate("node => node.scrollHeight") == height

        odd = page.get_by_role("group", name="Matches by split").get_by_role("button", name=HOSTILE)
        n_odd = values(page, "split")[HOSTILE]
        odd.focus()
        page.keyboard.press("Enter")
        expect(odd).to_have_attribute("aria-pressed", "true")
        expect(odd).to_be_focused()
        expect(heading).to_contain_text(f"split = {HOSTILE}")
        assert page.locator(".ch-result").count() == n_odd
        page.wait_for_url(re.compile(r"wh=0"))
        link = page.url

    with visit(link) as page:
        heading = page.locator(".ch-results h3")
        expect(heading).to_contain_text(f"{n_odd} match")
        expect(page.locator("#ch-picker .ch-partchip")).to_have_count(2)

        page.locator("#ch-picker .ch-partchip", has_text=HOSTILE).click()
        expect(heading).to_have_text(re.compile(rf"{n} matches in {name}"))
        page.get_by_role("group", name="Matches by family").get_by_role("button").first.click()
        expect(heading).to_have_text(f"{N_OTHERS} matches")


def test_a_rule_changes_the_counts(page: Page) -> None:
    page.locator(".ch-card .is-concept").first.click()
    heading = page.locator(".ch-results h3")
    expect(heading).to_contain_text("match")
    n = int(heading.inner_text().split()[0])
    assert n < N_OTHERS
    assert sum(values(page, "class").values()) == sum(values(page, "family").values()) == n


def test_a_long_panel_stays_where_it_was_scrolled_to(page: Page) -> None:
    page.set_viewport_size({"width": 1280, "height": 600})
    page.get_by_role("tab", name="Match").click()
    panel = page.locator(".ch-question")
    expect(panel).to_be_visible()
    panel.evaluate("node => { node.scrollTop = node.scrollHeight }")
    before = panel.evaluate("node => node.scrollTop")
    assert before > 100
    page.get_by_role("group", name="Matches by family").get_by_role("button").first.click()
    expect(page.locator(".ch-count[aria-pressed=true]")).to_have_count(1)
    assert panel.evaluate("node => node.scrollTop") == before
