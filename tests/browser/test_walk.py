"""A visitor's way through the app: choose, look, match by one concept, move on."""

import re
from pathlib import Path

import pytest
from playwright.sync_api import Page, Route, expect

N_CONCEPTS = 2


def open_match(page: Page) -> None:
    page.locator(".ch-card .is-concept").first.click()
    expect(page.locator(".ch-result").first).to_be_visible()


def test_an_image_is_chosen_explained_matched_by_one_concept_and_left_for_a_neighbor(page: Page) -> None:
    page.locator(".ch-thumb").nth(5).click()
    expect(page.locator(".ch-thumb").nth(5)).to_have_attribute("aria-current", "true")
    name = page.locator(".ch-thumb").nth(5).get_attribute("title")
    expect(page.locator("#ch-hand h2")).to_have_text(name or "")
    expect(page.locator(".ch-card .ch-map")).to_have_count(N_CONCEPTS)

    open_match(page)
    expect(page.get_by_role("tab", name="Match")).to_have_attribute("aria-selected", "true")
    expect(page.locator(".ch-results header p")).to_contain_text("agree on concept 1")
    hand = page.locator("#ch-hand img").get_attribute("src") or ""
    neighbor = page.locator(".ch-result .ch-title").first.inner_text()
    page.locator(".ch-pick").first.click()
    expect(page.locator("#ch-hand img")).not_to_have_attribute("src", hand)
    expect(page.locator("#ch-hand h2")).to_have_text(neighbor)

    page.get_by_role("tab", name="Explain").click()
    expect(page.locator(".ch-hero img.ch-photo")).to_have_attribute(
        "alt", f"{neighbor}, no map".replace("no map", "where concept 1 looks")
    )
    expect(page.locator(".ch-card .ch-map")).to_have_count(N_CONCEPTS)


def test_explain_on_a_neighbor_opens_it_on_the_other_tab(page: Page) -> None:
    open_match(page)
    neighbor = page.locator(".ch-result .ch-title").first.inner_text()
    page.get_by_role("button", name=f"Explain this {neighbor}").first.click()
    expect(page.get_by_role("tab", name="Explain")).to_have_attribute("aria-selected", "true")
    expect(page.locator(".ch-hero img.ch-photo")).to_have_attribute("alt", f"{neighbor}, where concept 1 looks")


def test_a_clicked_bit_shows_its_own_map_and_both_sides(page: Page) -> None:
    card = page.locator(".ch-card").first
    before = card.locator(".ch-map").get_attribute("src") or ""
    card.locator(".ch-bit").nth(2).click()
    expect(card.locator(".ch-bitpanel h3")).to_contain_text("Bit 2 is")
    expect(card.locator(".ch-map")).not_to_have_attribute("src", before)
    expect(card.locator(".ch-sides h4")).to_have_text(["Strongest for 1", "Strongest for 0"])
    card.get_by_role("button", name="Back to the whole concept").click()
    expect(card.locator(".ch-map")).to_have_attribute("src", before)


def test_controls_change_the_maps_and_the_opacity_needs_no_server(page: Page) -> None:
    image = page.locator(".ch-card .ch-map").first
    before = image.get_attribute("src") or ""
    page.get_by_role("button", name="Gradient").click()
    expect(page.get_by_role("button", name="Gradient")).to_have_attribute("aria-pressed", "true")
    expect(image).not_to_have_attribute("src", before)
    expect(page).to_have_url(re.compile("[?&]me=gradient"))  # the last that Gradient asks for
    page.wait_for_timeout(1000)  # it has been answered by then
    sent: list[str] = []
    page.on("request", lambda request: sent.append(request.url))
    page.locator("[data-variable]").fill("20")
    expect(image).to_have_css("opacity", "0.2")
    assert not sent


def test_search_pages_and_random_change_the_strip(page: Page) -> None:
    page.get_by_role("searchbox").fill("tanager")
    expect(page.locator(".ch-thumb")).to_have_count(10)
    page.get_by_role("searchbox").fill("no such bird")
    expect(page.locator(".ch-strip")).to_contain_text("No class name here contains")
    page.get_by_role("button", name="Show all").click()
    expect(page.locator(".ch-thumb")).to_have_count(12)
    page.get_by_role("button", name="More images").click()
    expect(page.locator("#ch-picker .ch-pager span")).to_have_text("2 / 4")
    hand = page.locator("#ch-hand img").get_attribute("src") or ""
    page.get_by_role("button", name="Random").click()
    expect(page.locator("#ch-hand img")).not_to_have_attribute("src", hand)


def test_rules_filters_and_relaxations_change_the_matches(page: Page) -> None:
    open_match(page)
    page.get_by_role("group", name="Agreement on concept 1").get_by_role("button", name="Ignore").click()
    expect(page.locator(".ch-results h3")).to_have_text("39 matches")
    page.get_by_role("combobox", name="Class").select_option("marsh wren")
    expect(page.locator(".ch-results h3")).to_contain_text("10 matches in marsh wren")
    page.get_by_role("combobox", name="Family").select_option("tern")
    expect(page.locator(".ch-blank")).to_contain_text("No other image meets all of the conditions")
    page.get_by_role("button", name="Search the whole gallery").click()
    expect(page.locator(".ch-results h3")).to_have_text("39 matches")
    page.get_by_role("button", name="Weighted").click()
    expect(page.get_by_label("Weight of concept 2 in tenths")).to_be_visible()


def test_a_concept_is_renamed_everywhere_and_a_wrong_name_is_refused(page: Page, model_folder: Path) -> None:
    field = page.get_by_label("Name of concept 2")
    field.fill("wing <b>")
    field.press("Enter")
    expect(page.locator(".ch-ribbon li").nth(1)).to_have_attribute(
        "title", r"wing <b>: " + page.locator(".ch-ribbon code").nth(1).inner_text()
    )
    field.fill("concept 1")
    field.press("Enter")
    expect(page.locator(".toast-wrap")).to_contain_text("same name")
    assert "wing <b>" in (model_folder / "concepts.json").read_text()
    field.fill("concept 2")
    field.press("Enter")
    expect(page.locator(".ch-ribbon li").nth(1)).to_have_attribute(
        "title", "concept 2: " + page.locator(".ch-ribbon code").nth(1).inner_text()
    )


def test_a_good_upload_is_explained_and_a_bad_one_gets_a_sentence(page: Page, tmp_path: Path) -> None:
    from PIL import Image

    Image.new("RGB", (64, 48), "teal").save(tmp_path / "mine <i>.png")
    (tmp_path / "notes.jpg").write_text("this is no image")
    upload = page.locator("#ch-upload input[type=file]")
    upload.set_input_files(tmp_path / "mine <i>.png")
    expect(page.locator("#ch-hand h2")).to_contain_text("mine")
    expect(page.locator(".ch-hero .ch-caption")).to_contain_text("64 × 48")
    upload.set_input_files(tmp_path / "notes.jpg")
    expect(page.locator(".toast-wrap")).to_contain_text("notes.jpg")
    expect(page.locator("#ch-hand h2")).to_contain_text("mine")
    open_match(page)


@pytest.mark.parametrize("width", [390, 768, 1280])
def test_no_width_scrolls_sideways(page: Page, width: int) -> None:
    page.set_viewport_size({"width": width, "height": 844})
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    open_match(page)
    assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_the_keyboard_reaches_everything(page: Page) -> None:
    page.locator(".ch-thumb").nth(3).focus()
    page.keyboard.press("Enter")
    expect(page.locator(".ch-thumb").nth(3)).to_have_attribute("aria-current", "true")
    expect(page.locator(".ch-thumb").nth(3)).to_be_focused()
    bits = page.locator(".ch-bits").first.locator(".ch-bit")
    bits.first.focus()
    page.keyboard.press("ArrowRight")
    expect(bits.nth(1)).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator(".ch-bitpanel h3")).to_contain_text("Bit 1 is")
    expect(bits.nth(1)).to_be_focused()
    page.locator(".ch-card .is-concept").first.focus()
    page.keyboard.press("Space")
    expect(page.locator(".ch-result").first).to_be_visible()


def test_two_visitors_do_not_see_each_others_choice(page: Page, address: str) -> None:
    other = page.context.new_page()
    other.goto(address)
    expect(other.locator(".ch-card").first).to_be_visible()
    first = other.locator("#ch-hand img").get_attribute("src") or ""
    page.locator(".ch-thumb").nth(7).click()
    expect(page.locator(".ch-thumb").nth(7)).to_have_attribute("aria-current", "true")
    other.get_by_role("button", name="Gradient").click()
    expect(other.get_by_role("button", name="Gradient")).to_have_attribute("aria-pressed", "true")
    expect(other.locator("#ch-hand img")).to_have_attribute("src", first)


def test_of_many_quick_clicks_the_last_one_is_shown_everywhere(page: Page) -> None:
    for n in (1, 4, 2, 9, 3, 6):
        page.locator(".ch-thumb").nth(n).click()
    name = page.locator(".ch-thumb").nth(6).get_attribute("title") or ""
    expect(page.locator(".ch-thumb").nth(6)).to_have_attribute("aria-current", "true")
    expect(page.locator("#ch-hand h2")).to_have_text(name)
    expect(page.locator(".ch-hero img.ch-photo")).to_have_attribute("alt", f"{name}, no map")
    page.wait_for_timeout(500)
    expect(page.locator(".ch-thumb").nth(6)).to_have_attribute("aria-current", "true")
    expect(page.locator(".ch-hero img.ch-photo")).to_have_attribute("alt", f"{name}, no map")


def test_a_tab_whose_request_was_overtaken_stays_closed(page: Page) -> None:
    held: list[Route] = []

    def hold(route: Route) -> None:
        is_first = '"value":"Sub-codes"' in (route.request.post_data or "")
        held.append(route) if is_first else route.continue_()

    page.route("**/queue/join*", hold)
    page.get_by_role("tab", name="Sub-codes").click()
    expect(page.get_by_role("tab", name="Sub-codes")).to_have_attribute("aria-selected", "true")
    page.get_by_role("tab", name="Match").click()
    expect(page).to_have_url(re.compile("t=match"))
    with page.expect_response("**/queue/join*"):
        held[0].continue_()
    nearest = page.locator(".ch-pick").first
    picked = nearest.get_attribute("data-with") or ""
    nearest.click()  # which makes it the query, so that it is no longer among the results
    expect(nearest).not_to_have_attribute("data-with", picked)
    expect(page).to_have_url(re.compile("t=match"))
