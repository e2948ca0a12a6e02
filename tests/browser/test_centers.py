"""The Centers tab in a browser: dots are clicked and enclosed with a real mouse, and all works by keyboard, too."""

import json
from typing import Any

import pytest
from axe_rules import serious
from builders import CLASS_NAMES
from playwright.sync_api import Page, TimeoutError, expect

PLOT = "#ch-centerplot .ch-plot"
SHOWN = ("sooty tern", "marsh wren", "scarlet tanager")  # classes of the model that the gallery has images of


def open_centers(page: Page) -> None:
    try:
        page.get_by_role("tab", name="Centers").click(timeout=4000)
    except TimeoutError:  # a phone has no room for all tabs
        page.locator(".overflow-menu > button").click()
        page.locator(".overflow-dropdown button", has_text="Centers").click()
    expect(page.locator(f"{PLOT} .main-svg").first).to_be_visible(timeout=30_000)
    expect(page.locator(f"{PLOT} .points path").first).to_be_visible()


def dots(page: Page) -> dict[str, tuple[float, float]]:
    """Where each class stands in the window, as plotly's own axes say."""
    page.locator(PLOT).scroll_into_view_if_needed()
    found: dict[str, Any] = page.evaluate(
        """(plot) => {
          const gd = document.querySelector(plot), box = gd.getBoundingClientRect(), axes = gd._fullLayout;
          const places = {};
          gd.data.filter((trace) => trace.customdata).forEach((trace) => trace.customdata.forEach((key, i) => {
            places[key] = [box.left + axes.xaxis._offset + axes.xaxis.d2p(trace.x[i]),
                           box.top + axes.yaxis._offset + axes.yaxis.d2p(trace.y[i])];
          }));
          return places;
        }""",
        PLOT,
    )
    return {key.removeprefix("class:"): (x, y) for key, (x, y) in found.items()}


def click_dot(page: Page, name: str) -> None:
    x, y = dots(page)[name]
    page.mouse.move(x + 3, y + 3)
    page.mouse.move(x, y)
    page.mouse.click(x, y)


def lasso(page: Page, names: set[str]) -> set[str]:
    """Draw a band around the dots of some classes, and return which dots lie inside it."""
    places = dots(page)
    inside = [places[name] for name in names]
    left, right = min(x for x, _ in inside) - 9, max(x for x, _ in inside) + 9
    top, bottom = min(y for _, y in inside) - 9, max(y for _, y in inside) + 9
    corners = ((left, top), (right, top), (right, bottom), (left, bottom), (left, top))
    page.mouse.move(*corners[0])
    page.mouse.down()
    for corner in corners[1:]:
        page.mouse.move(*corner, steps=12)
    page.mouse.up()
    return {name for name, (x, y) in places.items() if left < x < right and top < y < bottom}


def titles(page: Page) -> set[str]:
    return set(page.locator("#ch-picker .ch-thumb").evaluate_all("nodes => nodes.map(n => n.title)"))


def test_a_clicked_center_shows_its_class_and_leads_to_its_images(page: Page) -> None:
    open_centers(page)
    click_dot(page, "marsh wren")
    card = page.locator(".ch-classcard")
    expect(card.locator("h3")).to_have_text("marsh wren")
    expect(card.locator(".ch-ribbon li")).to_have_count(2)
    expect(card.locator(".ch-near li")).to_have_count(len(CLASS_NAMES) - 1)
    expect(page.get_by_label("Class", exact=True)).to_have_value("marsh wren")
    assert "<b>marsh wren</b>" in page.evaluate(f"JSON.stringify(document.querySelector('{PLOT}').data)")

    card.get_by_role("button", name="Look at its 10 images").click()
    expect(page.locator("#ch-picker .ch-thumb")).to_have_count(10)
    assert titles(page) == {"marsh wren"}
    hand = page.locator("#ch-hand img").get_attribute("src") or ""
    card.locator(".ch-thumb").last.click()
    expect(page.locator("#ch-hand h2")).to_have_text("marsh wren")
    expect(page.locator("#ch-hand img")).not_to_have_attribute("src", hand)
    card.get_by_role("button", name="Match only in this class").click()
    expect(page.locator(".ch-results h3")).to_contain_text("9 matches")


def test_a_class_without_images_is_shown_and_says_so(page: Page) -> None:
    open_centers(page)
    click_dot(page, "cactus wren")
    expect(page.locator(".ch-classcard")).to_contain_text("No image of this class is in this gallery.")
    page.locator(".ch-near button").first.click()
    expect(page.locator(".ch-classcard h3")).not_to_have_text("cactus wren")


def test_a_lasso_selects_exactly_what_it_encloses(page: Page) -> None:
    open_centers(page)
    places = dots(page)
    nearest = sorted(places, key=lambda name: places[name][0])[:3]
    enclosed = lasso(page, set(nearest))
    assert enclosed >= set(nearest)
    wanted = enclosed & set(SHOWN)
    expect(page.locator(".ch-chosen")).to_contain_text(f"{len(wanted)} class")
    expect(page.locator("#ch-picker .ch-pager span")).to_have_attribute("title", f"{10 * len(wanted)} images")
    assert titles(page) == wanted
    faded = page.evaluate(
        """(plot) => document.querySelector(plot).data.flatMap((trace) => (trace.customdata || [])
             .filter((key, i) => trace.selectedpoints && !trace.selectedpoints.includes(i)))""",
        PLOT,
    )
    assert {key.removeprefix("class:") for key in faded} == set(CLASS_NAMES) - wanted

    x, y = (sum(values) / len(values) for values in zip(*places.values(), strict=True))
    page.mouse.dblclick(x + 25, y + 25)
    expect(page.locator(".ch-chosen")).to_have_count(0)
    expect(page.locator("#ch-picker .ch-pager span")).to_have_attribute("title", "40 images")


def test_a_box_selects_like_a_lasso_and_clear_takes_it_back(page: Page) -> None:
    open_centers(page)
    page.get_by_role("button", name="Box Select").click()
    places = dots(page)
    (x, y) = places["marsh wren"]
    page.mouse.move(x - 8, y - 8)
    page.mouse.down()
    page.mouse.move(x + 8, y + 8, steps=8)
    page.mouse.up()
    expect(page.locator(".ch-chosen")).to_contain_text("1 class chosen")
    page.locator(".ch-chosen button").click()
    expect(page.locator(".ch-chosen")).to_have_count(0)


def test_the_keyboard_chooses_what_the_mouse_can(page: Page) -> None:
    open_centers(page)
    page.get_by_label("Class", exact=True).focus()
    page.keyboard.type("scarlet")
    expect(page.locator(".ch-classcard h3")).to_have_text("scarlet tanager")
    page.get_by_role("button", name="PCA").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("button", name="PCA")).to_have_attribute("aria-pressed", "true")
    page.get_by_role("button", name="Images of the class").focus()
    page.keyboard.press("Space")
    expect(page.locator(PLOT)).to_contain_text("images of scarlet tanager (10)")
    page.get_by_role("button", name="Choose no class").focus()
    page.keyboard.press("Enter")
    expect(page.locator(".ch-classcard")).to_contain_text("Click a dot")


def test_the_theme_of_the_moment_colors_the_plot(page: Page) -> None:
    open_centers(page)
    title = page.locator(f"{PLOT} .annotation-text").first

    def colors() -> tuple[str, str]:
        fill = title.evaluate("node => getComputedStyle(node).fill")
        return str(fill), str(page.locator(f"{PLOT} .points path").first.evaluate("n => getComputedStyle(n).fill"))

    light = colors()
    page.get_by_role("button", name="Switch between light and dark").click()
    expect(title).not_to_have_css("fill", light[0])
    dark = colors()
    assert light[1] != dark[1] and sum(json.loads(dark[0].replace("rgb(", "[").replace(")", "]"))) > 600
    page.get_by_role("button", name="Switch between light and dark").click()
    expect(title).to_have_css("fill", light[0])


@pytest.mark.parametrize("width", [390, 768])
def test_the_plot_fills_a_small_screen_and_follows_its_size(page: Page, width: int) -> None:
    page.set_viewport_size({"width": width, "height": 844})
    open_centers(page)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    for size in (width, 1280):
        page.set_viewport_size({"width": size, "height": 844})
        page.wait_for_function(
            """(plot) => { const gd = document.querySelector(plot);
                 return gd._fullLayout.width === Math.floor(gd.clientWidth) && gd.clientWidth > 300; }""",
            arg=PLOT,
        )


def test_the_library_comes_only_with_the_first_plot(page: Page) -> None:
    assert page.evaluate("typeof window.Plotly") == "undefined"
    sent: list[str] = []
    page.on("request", lambda request: sent.append(request.url))
    open_centers(page)
    assert len([url for url in sent if url.endswith("plotly.min.js")]) == 1


def test_axe_finds_nothing_serious_on_centers(page: Page) -> None:
    open_centers(page)
    page.get_by_label("Class", exact=True).select_option("marsh wren")
    expect(page.locator(".ch-classcard h3")).to_be_visible()
    expect(page.get_by_role("img", name="The centers of 5 classes")).to_be_visible()
    assert serious(page) == []
