"""Every screen has a link: opened elsewhere, gone back to, copied."""

import json
import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path
from urllib.parse import quote, unquote

import pytest
from builders import tiny_classes, tiny_config, tiny_model
from PIL import Image
from playwright.sync_api import BrowserContext, Page, Route, expect

from concepthash.checkpoint import save_checkpoint
from explorer.link import KEYS

Open = Callable[..., Page]


@pytest.fixture(scope="module")
def address(
    model_folder: Path,
    gallery_folder: Path,
    serve: Callable[..., AbstractContextManager[str]],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[str]:
    """The app with two models: the one that made the gallery, and one of three concepts."""
    root = tmp_path_factory.mktemp("two")
    shutil.copytree(model_folder, root / "tiny")
    save_checkpoint(root / "three", tiny_model(tiny_config(3, 6)), tiny_classes())
    with serve("--gallery", str(gallery_folder), folder=tmp_path_factory.mktemp("served"),
               CONCEPTHASH_CHECKPOINTS=str(root)) as address:  # fmt: skip
        yield address


@pytest.fixture
def enter(stranger: Callable[[], AbstractContextManager[BrowserContext]], address: str) -> Iterator[Open]:
    """Open a link as somebody else each time; the test fails if anything goes wrong in one of the browsers."""
    pages: list[Page] = []
    problems: list[str] = []
    with ExitStack() as stack:

        def enter(query: str = "", wait: str = ".ch-card", permissions: tuple[str, ...] = (), script: str = "") -> Page:
            context = stack.enter_context(stranger())
            context.grant_permissions(list(permissions))
            page = context.new_page()
            pages.append(page)
            page.on("pageerror", lambda error: problems.append(f"page error: {error}"))
            page.on("console", lambda m: problems.append(f"console: {m.text}") if m.type == "error" else None)
            if script:
                page.add_init_script(script)
            page.evaluate("link => location.replace(link)", address + query)  # no step leads back to the empty page
            expect(page.locator(wait).first).to_be_visible(timeout=30_000)
            expect(page.locator(".ch-restoring")).to_have_count(0)
            settle(page)
            return page

        yield enter
        hacked = [page.evaluate("window.hacked") for page in pages]
    assert not problems
    assert not any(hacked)


def settle(page: Page) -> None:
    """Wait until the page has been told its link."""
    page.wait_for_function("history.state && history.state.conceptHash && history.state.conceptHash.link")


def query_of(page: Page) -> str:
    return "?" + page.url.partition("?")[2] if "?" in page.url else ""


def steps(page: Page) -> int:
    return int(page.evaluate("history.length"))


def name_in_hand(page: Page) -> str:
    return page.locator("#ch-hand h2").inner_text()


def open_tab(page: Page, name: str) -> None:
    page.get_by_role("tab", name=name).click()
    expect_tab(page, name)


def expect_tab(page: Page, name: str) -> None:
    expect(page.get_by_role("tab", name=name)).to_have_attribute("aria-selected", "true", timeout=20_000)


def ask_on_match(page: Page) -> None:
    """A question with a rule, a class filter and another image, on the Match tab."""
    page.locator(".ch-thumb").nth(5).click()
    expect(page.locator(".ch-thumb").nth(5)).to_have_attribute("aria-current", "true")
    open_tab(page, "Match")
    page.get_by_role("group", name="Agreement on concept 2").get_by_role("button", name="≤").click()
    expect(page).to_have_url(re.compile("[?&]a=o.1(&|$)"))


def test_a_link_opened_elsewhere_shows_the_same_screen(enter: Open) -> None:
    page = enter()
    ask_on_match(page)
    page.get_by_role("button", name="None", exact=True).click()
    expect(page.locator(".ch-results h3")).to_have_text("39 matches")
    page.locator("nav.ch-pager").get_by_role("button", name="Next").click()
    expect(page.locator("nav.ch-pager span")).to_have_text("2 / 2")
    expect(page).to_have_url(re.compile("[?&]p=1(&|$)"))
    results = page.locator(".ch-result .ch-title").all_inner_texts()
    other = enter(query_of(page), wait=".ch-result")
    expect_tab(other, "Match")
    expect(other.locator("nav.ch-pager span")).to_have_text("2 / 2")
    assert other.locator(".ch-result .ch-title").all_inner_texts() == results
    expect(other.locator("#ch-hand h2")).to_have_text(name_in_hand(page))
    expect(other.locator(".ch-thumb").nth(5)).to_have_attribute("aria-current", "true")
    assert query_of(other) == query_of(page)
    assert steps(other) == 1, "opening a link adds no step"


def test_a_link_carries_rules_and_a_class(enter: Open) -> None:
    page = enter()
    ask_on_match(page)
    page.get_by_role("combobox", name="Class").select_option("marsh wren")
    expect(page).to_have_url(re.compile(r"[?&]cl=\d(&|$)"))
    expect(page.locator(".ch-results h3")).to_contain_text("marsh wren")
    other = enter(query_of(page) + "&__theme=dark", wait=".ch-results h3")
    expect(other.get_by_role("combobox", name="Class")).to_have_value("marsh wren")
    rule = other.get_by_role("group", name="Agreement on concept 2").get_by_role("button", name="≤")
    expect(rule).to_have_attribute("aria-pressed", "true")
    assert other.locator(".ch-results h3").inner_text() == page.locator(".ch-results h3").inner_text()
    open_tab(other, "Explain")
    expect(other).to_have_url(re.compile("__theme=dark"))


@pytest.mark.parametrize("tab", ["Sub-codes", "Centers"])
def test_the_other_tabs_have_links_too(enter: Open, tab: str) -> None:
    page = enter()
    open_tab(page, tab)
    expect(page).to_have_url(re.compile("[?&]t=" + {"Sub-codes": "subcodes", "Centers": "centers"}[tab]))
    expect_tab(enter(query_of(page), wait="#ch-hand h2"), tab)


def test_back_and_forward_walk_through_the_screens(enter: Open) -> None:
    page = enter()
    assert query_of(page) == ""
    first = name_in_hand(page)
    page.locator(".ch-thumb").nth(1).click()
    expect(page.locator(".ch-thumb").nth(1)).to_have_attribute("aria-current", "true")
    expect(page).to_have_url(re.compile("[?&]i="))
    second = name_in_hand(page)
    open_tab(page, "Match")
    expect(page).to_have_url(re.compile("[?&]t=match"))
    length = steps(page)

    page.go_back()
    expect_tab(page, "Explain")
    expect(page.locator("#ch-hand h2")).to_have_text(second)
    page.go_back()
    expect(page.locator("#ch-hand h2")).to_have_text(first)
    expect(page.locator(".ch-thumb").first).to_have_attribute("aria-current", "true")
    assert query_of(page) == ""
    page.go_forward()
    expect(page.locator("#ch-hand h2")).to_have_text(second)
    page.go_forward()
    expect_tab(page, "Match")
    expect(page.locator(".ch-result").first).to_be_visible()
    page.wait_for_timeout(600)
    assert steps(page) == length, "going back and forward adds no step"


def test_quick_back_and_forward_end_where_the_address_is(enter: Open) -> None:
    page = enter()
    for number in (1, 2, 3):
        page.locator(".ch-thumb").nth(number).click()
        expect(page.locator(".ch-thumb").nth(number)).to_have_attribute("aria-current", "true")
        page.wait_for_function(f"history.length === {1 + number}")
    open_tab(page, "Match")
    expect(page).to_have_url(re.compile("t=match"))
    length, screens = steps(page), set()
    for moves in ((-1, -1, -2), (4, -1, 1), (-1, -1, -1, -1), (1, 1, 1, 1), (-4, 2, 2)):
        for number, move in enumerate(moves):
            page.evaluate(f"setTimeout(() => history.go({move}), {20 * number})")
        page.wait_for_timeout(1200)
        screens.add(expect_what_the_address_says(page))
    assert steps(page) == length and len(screens) > 1


def test_a_lost_answer_to_a_step_back_costs_that_step_alone(enter: Open) -> None:
    page = enter()
    for number in (1, 2):
        page.locator(".ch-thumb").nth(number).click()
        page.wait_for_function(f"history.length === {1 + number}")

    def lose(route: Route) -> None:
        if '"restore"' in (route.request.post_data or ""):
            route.fulfill(json={"event_id": "lost"})
        else:
            route.fallback()

    page.route("**/queue/join*", lose)
    page.go_back()
    page.wait_for_timeout(500)
    page.unroute("**/queue/join*")
    before = query_of(page)
    page.wait_for_timeout(10_000)
    page.locator(".ch-thumb").nth(3).click()
    page.wait_for_function("before => location.search !== before", arg=before)
    expect_what_the_address_says(page)
    page.go_back()
    expect(page.locator(".ch-thumb").nth(1)).to_have_attribute("aria-current", "true")
    assert query_of(page) == before


def expect_what_the_address_says(page: Page) -> str:
    """Wait until tab and image in hand are the address's; a browser itself may drop one of several quick moves."""
    query = query_of(page)
    expect_tab(page, "Match" if "t=match" in query else "Explain")
    image = re.search(r"[?&]i=([^&]+)", query)
    first = page.locator(".ch-thumb").first.get_attribute("data-with") or ""
    wanted = unquote(image[1]) if image else first
    expect(page.locator(".ch-thumb[aria-current]")).to_have_attribute("data-with", re.compile(re.escape(wanted)))
    return query


def test_small_changes_add_no_step(enter: Open) -> None:
    page = enter()
    length = steps(page)
    page.get_by_role("button", name="Gradient").click()
    expect(page).to_have_url(re.compile("[?&]me=gradient"))
    page.get_by_role("button", name="More images").click()
    expect(page).to_have_url(re.compile("[?&]n=1"))
    assert steps(page) == length


def test_a_link_to_another_model_loads_it_and_the_menu_says_so(enter: Open) -> None:
    page = enter("?v=1&m=three&c=2&t=explain")
    expect(page.locator(".ch-card")).to_have_count(3)
    expect(page.locator("#ch-model input")).to_have_value("three")
    expect(page.locator(".ch-status")).to_contain_text("3 concepts × 2 bits")
    expect(page.locator(".ch-card").nth(2)).to_have_class(re.compile("is-chosen"))
    expect(page.locator(".ch-link-notice")).to_have_count(0)


def test_choosing_a_model_is_a_step_that_can_be_taken_back(enter: Open) -> None:
    page = enter()
    page.locator("#ch-model input").click()
    page.get_by_role("option", name="three").click()
    expect(page.locator(".ch-card")).to_have_count(3)
    expect(page).to_have_url(re.compile("[?&]m=three"))
    page.go_back()
    expect(page.locator(".ch-card")).to_have_count(2)
    expect(page.locator("#ch-model input")).to_have_value("tiny")


def test_a_hostile_link_gets_one_sentence_and_nothing_of_it_is_run(enter: Open) -> None:
    evil = quote("<img src=x onerror=window.hacked=1>\"'</script><script>document.hacked=1</script>\u202e\x00")
    page = enter("?v=1&" + "&".join(f"{key}={evil}" for key in KEYS if key not in "vm"))
    expect(page.locator(".ch-link-notice")).to_contain_text("This link was opened without what could not be used")
    assert page.locator(".ch-link-notice").evaluate("e => e.querySelectorAll('p *').length") == 0
    assert "document" not in page.url and len(page.url) < 200
    page.get_by_role("button", name="Close this notice").click()
    expect(page.locator(".ch-link-notice")).to_have_count(0)
    page = enter(f"?v=1&m={evil}&{evil}={evil}&t=match", wait=".ch-result")
    expect(page.locator(".ch-link-notice p")).to_have_text(
        "This link was opened without what could not be used: the model."
    )


@pytest.mark.parametrize("query", ["?v=99&t=match", "?v=1&t=match&q=" + "a" * 20_000, "?v=1&q=" + "a" * 50_000])
def test_a_link_that_cannot_be_read_opens_the_first_screen(enter: Open, query: str) -> None:
    page = enter(query)
    expect(page.locator(".ch-link-notice p")).to_contain_text("This link could not be used")
    expect_tab(page, "Explain")
    assert len(page.url) < 300


def test_the_copied_link_is_the_whole_address_of_the_screen(enter: Open, address: str) -> None:
    page = enter(permissions=("clipboard-read", "clipboard-write"))
    page.get_by_role("button", name="Copy link").click()
    expect(page.locator("#ch-link [role=status]")).to_have_text("Copied")
    copied = page.evaluate("navigator.clipboard.readText()")
    assert copied.startswith(address + "?v=1&m=tiny&i=")
    open_tab(page, "Match")
    expect(page).to_have_url(re.compile("t=match"))
    page.get_by_role("button", name="Copy link").click()
    page.wait_for_function("navigator.clipboard.readText().then((text) => text === location.href)")
    expect(page.locator("#ch-link [role=status]")).to_have_text("", timeout=8000)


def test_where_the_clipboard_is_denied_the_link_can_be_selected(enter: Open, address: str) -> None:
    page = enter(script="navigator.clipboard.writeText = () => Promise.reject(new Error('denied'))")
    page.get_by_role("button", name="Copy link").click()
    field = page.get_by_role("textbox", name="Link to this screen")
    expect(field).to_be_focused()
    assert field.input_value().startswith(address + "?v=1&m=tiny&i=")
    assert page.evaluate("getSelection().toString()") == field.input_value()
    page.keyboard.press("Escape")
    expect(field).to_be_hidden()
    expect(page.get_by_role("button", name="Copy link")).to_be_focused()


def test_an_upload_stays_in_hand_and_out_of_the_link(enter: Open, tmp_path: Path) -> None:
    page = enter(permissions=("clipboard-read", "clipboard-write"))
    for color in ("teal", "crimson"):
        Image.new("RGB", (64, 48), color).save(tmp_path / f"{color}.png")
        page.locator("#ch-upload input[type=file]").set_input_files(tmp_path / f"{color}.png")
        expect(page.locator("#ch-hand h2")).to_contain_text(color)
        expect(page).to_have_url(re.compile("[?&]u=1"))
        page.wait_for_function("history.state.conceptHash.upload")
        page.wait_for_timeout(300)
    page.get_by_role("button", name="Copy link").click()
    expect(page.locator("#ch-link [role=status]")).to_have_text("Copied, without your uploaded image")
    copied = page.evaluate("navigator.clipboard.readText()")

    page.go_back()
    expect(page.locator("#ch-hand h2")).to_contain_text("teal")
    page.go_back()
    expect(page.locator("#ch-hand h2")).not_to_contain_text("teal")
    page.go_forward()
    expect(page.locator("#ch-hand h2")).to_contain_text("teal")
    expect(page.locator(".ch-link-notice")).to_have_count(0)

    other = enter("?" + copied.partition("?")[2])
    expect(other.locator(".ch-link-notice")).to_contain_text("the uploaded image, which is never part of a link")
    expect(other.locator(".ch-thumb").first).to_have_attribute("aria-current", "true")


def test_where_the_address_cannot_be_changed_the_page_works_all_the_same(enter: Open) -> None:
    denied = "throw new DOMException('no', 'SecurityError')"
    page = enter(script=f"history.replaceState = function (s, t, url) {{ if (url !== location.href) {denied}; "
                 f"History.prototype.replaceState.call(history, s, t, url); }}; "
                 f"history.pushState = () => {{ {denied} }};")  # fmt: skip
    page.locator(".ch-thumb").nth(2).click()
    expect(page.locator(".ch-thumb").nth(2)).to_have_attribute("aria-current", "true")
    open_tab(page, "Match")
    expect(page.locator(".ch-result").first).to_be_visible()
    assert query_of(page) == ""


def test_what_the_browser_is_told_is_no_part_of_the_page(enter: Open) -> None:
    page = enter()
    state = page.evaluate("JSON.stringify(history.state.conceptHash)")
    assert set(json.loads(state)) == {"link", "screen", "upload"}
    expect(page.locator("#ch-link")).to_have_text("Copy link")
    assert "tiny" not in page.locator("#ch-link").inner_html()
