"""The Sub-codes tab in a browser: cell to gallery to query, turned bits, the plane, the figure, keys and axe."""

from pathlib import Path

import pytest
from axe_rules import serious
from playwright.sync_api import Locator, Page, expect


@pytest.fixture
def subcodes(page: Page) -> Page:
    page.get_by_role("tab", name="Sub-codes").click()
    expect(page.locator(".ch-cells")).to_be_visible()
    return page


def show_quadrants(page: Page) -> None:
    """Two of the sub-code's four bits, so that there are quadrants instead of a map."""
    page.get_by_label("First bit").select_option("1")
    expect(page.locator(".ch-cells.is-quadrants")).to_be_visible()


def used_cell(page: Page) -> tuple[Locator, str, int]:
    """A cell that is neither empty nor the whole gallery, with its code and number of images."""
    for section in page.locator(".ch-cellbox").all():
        words = section.locator(".ch-cell span").inner_text()
        if words != "no image" and int(words.split()[0]) < 40:
            return section, section.locator(".ch-cell code").inner_text(), int(words.split()[0])
    raise AssertionError("all images have the same code")


def test_a_cell_becomes_the_gallery_and_then_the_place_to_search(subcodes: Page) -> None:
    page = subcodes
    show_quadrants(page)
    assert page.locator(".ch-cellbox").count() == 4
    section, code, n = used_cell(page)
    section.locator(".ch-cell").click()
    expect(page.locator(".ch-partline p")).to_have_text(f"{n} image" + ("s" if n > 1 else ""))
    expect(page.locator(f'.ch-cellbox[aria-label="Code {code}"] .ch-cell')).to_have_attribute("aria-pressed", "true")
    assert page.locator(".ch-thumb").count() == min(n, 12)

    page.locator(".ch-thumb").first.click()
    expect(page.locator(f'.ch-cellbox[aria-label="Code {code}"]')).to_have_class("ch-cellbox is-here")

    page.get_by_role("button", name="Match among them").click()
    expect(page.get_by_role("tab", name="Match")).to_have_attribute("aria-selected", "true")
    expect(page.locator(".ch-results h3")).to_contain_text("with concept 1 =")
    expect(page.locator(".ch-results h3")).to_contain_text(f"{n - 1} match")
    page.locator(".ch-partchip").click()
    expect(page.locator(".ch-results h3")).to_contain_text("39 matches")


def test_cells_of_two_concepts_narrow_together_and_are_taken_back_one_by_one(subcodes: Page) -> None:
    page = subcodes
    section, _, n = used_cell(page)
    section.locator(".ch-cell").click()
    expect(page.locator(".ch-partchip")).to_have_count(1)
    page.locator(".ch-subcodes .ch-seg", has_text="concept 2").click()
    expect(page.locator(".ch-subcodes .ch-seg", has_text="concept 2")).to_have_attribute("aria-pressed", "true")
    section, _, m = used_cell(page)
    section.locator(".ch-cell").click()
    expect(page.locator(".ch-partchip")).to_have_count(2)
    assert int(page.locator(".ch-partline p").inner_text().split()[0]) <= min(n, m)
    page.locator(".ch-partchip").first.click()
    expect(page.locator(".ch-partline p")).to_have_text(f"{m} image" + ("s" if m > 1 else ""))


def test_a_bit_turned_twice_leaves_everything_as_it_was(subcodes: Page) -> None:
    page = subcodes
    before = page.locator("#ch-flip .ch-flip").inner_html()
    bit = page.locator(".ch-flip .ch-bit").nth(2)
    digit = bit.inner_text()
    bit.click()
    expect(bit).to_have_attribute("aria-pressed", "true")
    assert bit.inner_text()[0] == str(1 - int(digit))
    expect(page.locator(".ch-fliprow h4").first).to_have_text("As it is")
    assert page.locator(".ch-fliprow").count() == 3 or page.locator(".ch-flip .ch-unused").count() == 1
    bit.click()
    expect(bit).to_have_attribute("aria-pressed", "false")
    assert page.locator("#ch-flip .ch-flip").inner_html() == before


def test_the_window_grows_without_the_server_and_shows_the_same_place(subcodes: Page) -> None:
    page = subcodes
    crop = page.locator(".ch-crop img").first
    small = crop.evaluate("node => node.getBoundingClientRect().width")
    page.get_by_label("Side of the window in percent of the image").fill("80")
    page.wait_for_function(
        "([node, width]) => node.isConnected && node.getBoundingClientRect().width < 0.6 * width",
        arg=[crop.element_handle(), small],
    )
    boxes = page.evaluate(
        """() => [...document.querySelectorAll('.ch-crop')].every((crop) => {
            const a = crop.getBoundingClientRect(), b = crop.firstChild.getBoundingClientRect();
            return b.left <= a.left + 1 && b.top <= a.top + 1 && b.right >= a.right - 1 && b.bottom >= a.bottom - 1;
        })"""
    )
    assert boxes, "a window reaches over the edge of its picture"


def test_a_point_of_the_plane_takes_its_image_in_hand(subcodes: Page) -> None:
    page = subcodes
    page.get_by_role("button", name="Scatter").click()
    expect(page.locator("#ch-plane .main-svg").first).to_be_visible()
    page.wait_for_function("document.querySelector('#ch-plane .ch-plot')._fullLayout")
    place = page.evaluate(
        """() => { const plot = document.querySelector('#ch-plane .ch-plot'), layout = plot._fullLayout;
            const trace = plot.data.find((t) => t.customdata && t.x.length > 3), box = plot.getBoundingClientRect();
            return { image: trace.customdata[3], x: box.left + layout.xaxis._offset + layout.xaxis.d2p(trace.x[3]),
                     y: box.top + layout.yaxis._offset + layout.yaxis.d2p(trace.y[3]) }; }"""
    )
    page.mouse.move(place["x"] - 3, place["y"])
    page.mouse.move(place["x"], place["y"])
    page.wait_for_function("document.querySelector('#ch-plane .ch-plot')._hoverdata")  # what a click is on
    hand = page.locator("#ch-hand img").get_attribute("src") or ""
    page.mouse.click(place["x"], place["y"])
    expect(page.locator("#ch-hand img")).not_to_have_attribute("src", hand)


def test_the_dictionary_turns_its_pages_and_its_codes_are_cells(subcodes: Page) -> None:
    page = subcodes
    page.get_by_role("button", name="Dictionary").click()
    expect(page.locator(".ch-entry").first).to_be_visible()
    n = int(page.locator(".ch-entry .ch-cell span").first.inner_text().split()[0])
    page.locator(".ch-entry .ch-cell").first.click()
    expect(page.locator(".ch-partline p")).to_contain_text(str(n))


@pytest.mark.parametrize(("kind", "start"), [("PNG", b"\x89PNG"), ("PDF", b"%PDF")])
def test_the_figure_is_downloaded_each_time_it_is_asked_for(
    subcodes: Page, tmp_path: Path, kind: str, start: bytes
) -> None:
    for _ in range(2):
        with subcodes.expect_download(timeout=30_000) as download:
            subcodes.get_by_role("button", name=kind).click()
        assert download.value.suggested_filename == f"tiny-concept-1.{kind.lower()}"
        file = tmp_path / kind
        download.value.save_as(file)
        assert file.read_bytes().startswith(start)


def test_axe_finds_nothing_serious_on_the_tab(subcodes: Page) -> None:
    for view in ("Cells", "Scatter", "Dictionary"):
        button = subcodes.locator(".ch-subcodes").get_by_role("button", name=view)
        button.click()
        expect(button).to_have_attribute("aria-pressed", "true")
        subcodes.locator(".ch-flip .ch-bit").first.click()
        assert serious(subcodes) == [], view


def test_a_phone_shows_the_cells_without_scrolling_sideways(subcodes: Page) -> None:
    subcodes.set_viewport_size({"width": 390, "height": 844})
    assert subcodes.evaluate("document.documentElement.scrollWidth") <= 390
    tops = subcodes.evaluate("[...document.querySelectorAll('.ch-cellbox')].map((cell) => cell.offsetTop)")
    assert len(set(tops[:4])) == 1 and tops[4] > tops[3], "a row of the map was broken, so that neighbors are none"
    show_quadrants(subcodes)
    assert subcodes.evaluate("document.documentElement.scrollWidth") <= 390
