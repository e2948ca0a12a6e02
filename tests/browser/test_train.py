"""The Train tab in a browser, on a service whose runs need no worker: from a zip to an opened model, and back."""

import dataclasses
import io
import zipfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import gradio as gr
import pytest
from axe_rules import serious, violations
from fake_training import FakeTraining, pictures_below
from live_page import live_page
from playwright.sync_api import Page, expect

from explorer.services import Services, load_services
from explorer.settings import Settings
from explorer.ui import build_page

CLASSES = ("sooty tern", "marsh wren", "scarlet tanager", "<img src=x onerror=window.hacked=1> wren")
Visit = Callable[[str], AbstractContextManager[Page]]


def zipped(*names: str) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name in names:
            archive.writestr(name, b"x")
    return file.getvalue()


@pytest.fixture(scope="module")
def settings(model_folder: Path, gallery_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    cache = tmp_path_factory.mktemp("cache")
    return Settings(
        str(model_folder),
        str(gallery_folder),
        checkpoints=model_folder.parent,
        cache=cache,
        device="cpu",
        may_train=True,
    )


@pytest.fixture(scope="module")
def fake(photo_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> FakeTraining:
    file = tmp_path_factory.mktemp("zips") / "my-birds.zip"
    file.write_bytes(zipped("my-birds/config.json"))
    return FakeTraining(pictures_below(photo_folder), "tiny", file, CLASSES)


@pytest.fixture(scope="module")
def services(settings: Settings, fake: FakeTraining) -> Services:
    return dataclasses.replace(load_services(settings), training=fake)


@pytest.fixture(scope="module")
def trainer(services: Services) -> Iterator[str]:
    with live_page(services) as address:
        yield address


@pytest.fixture
def tab(visit: Visit, trainer: str, fake: FakeTraining) -> Iterator[Page]:
    fake.runs.clear()
    with visit(trainer) as page:
        open_tab(page)
        yield page


def open_tab(page: Page) -> None:
    page.get_by_role("tab", name="Train").click()
    expect(page.locator(".ch-stephead")).to_have_count(4)
    expect(page.get_by_role("tab")).to_have_text(["Explain", "Match", "Sub-codes", "Centers", "Train"])


def send_zip(page: Page, name: str = "garden_birds.zip", content: bytes | None = None) -> None:
    body = zipped("wren/1.jpg") if content is None else content
    page.locator("#ch-train-zip input[type=file]").set_input_files(
        {"name": name, "mimeType": "application/zip", "buffer": body}
    )
    expect(page.locator(".ch-found")).to_be_visible()


def start(page: Page, epochs: int = 8) -> None:
    send_zip(page)
    page.get_by_role("button", name="Plan the training").click()
    page.get_by_label("Epochs").fill(str(epochs))
    page.get_by_label("Epochs").press("Tab")
    expect(page.locator("#ch-train-plan .ch-stepsummary")).to_contain_text(f"{epochs} epochs")
    page.get_by_role("button", name="Start training").click()
    expect(page.locator(".ch-runstate")).to_be_visible()


def finish(page: Page) -> None:
    page.get_by_role("button", name="See the result").click(timeout=40_000)
    expect(page.locator(".ch-outcome")).to_be_visible()


def test_from_a_zip_to_an_opened_model(tab: Page, fake: FakeTraining) -> None:
    start(tab, 200)  # so many that the run does not end before it is stopped
    assert fake.plans[-1].intake.startswith("zip") and fake.plans[-1].epochs == 200
    line = tab.locator(".ch-curve.is-total polyline")
    expect(line).to_be_visible()
    before, box = line.get_attribute("points") or "", tab.locator("#ch-train-frames").bounding_box()
    expect(line).not_to_have_attribute("points", before)
    assert tab.locator("#ch-train-frames").bounding_box() == box  # nothing jumps while curves grow
    tab.get_by_role("button", name="Stop").click()
    expect(tab.locator(".ch-said")).to_contain_text("Stopped")
    stood = line.get_attribute("points")
    tab.wait_for_timeout(2500)
    assert line.get_attribute("points") == stood
    (run,) = fake.runs.values()
    run.asked = 198 * run.asked_per_epoch
    tab.get_by_role("button", name="Resume").click()
    finish(tab)
    expect(tab.locator(".ch-headline")).to_have_text("mAP rose from 0.31 to 0.84.")
    expect(tab.locator(".ch-flow")).to_have_count(4)
    with tab.expect_download() as download:
        tab.get_by_role("button", name="Download").click()
    assert download.value.suggested_filename == "my-birds.zip"
    assert Path(download.value.path()).read_bytes() == fake.zipped.read_bytes()
    tab.get_by_role("button", name="Open this model").click()
    expect(tab.get_by_role("tab", name="Explain")).to_have_attribute("aria-selected", "true")
    tab.locator("#ch-model input").click()
    expect(tab.get_by_role("option", name="garden birds")).to_be_visible()


def test_the_time_of_a_plan_is_asked_for_until_it_is_known(tab: Page, fake: FakeTraining) -> None:
    send_zip(tab)
    tab.get_by_role("button", name="Plan the training").click()
    tab.get_by_label("Epochs").fill("80")
    tab.get_by_label("Epochs").press("Tab")
    expect(tab.locator("#ch-train-estimate")).to_contain_text("12 minutes")
    tab.wait_for_timeout(1500)  # for what was under way
    asked = fake.times_asked.total()
    tab.wait_for_timeout(3500)
    assert fake.times_asked.total() == asked


def test_a_closed_page_loses_no_run_and_nobody_else_sees_it(tab: Page, trainer: str, visit: Visit) -> None:
    start(tab, 50)
    later = tab.context.new_page()
    later.goto(trainer)
    expect(later.locator(".ch-card").first).to_be_visible()
    open_tab(later)
    later.get_by_role("button", name="garden birds").click()
    expect(later.locator(".ch-runstate.is-training")).to_be_visible()
    with visit(trainer) as other:
        open_tab(other)
        other.wait_for_timeout(500)
        expect(other.locator(".ch-run")).to_have_count(0)


def test_two_tabs_of_one_browser_remember_the_runs_of_both(tab: Page, trainer: str, fake: FakeTraining) -> None:
    other = tab.context.new_page()
    other.goto(trainer)
    expect(other.locator(".ch-card").first).to_be_visible()
    open_tab(other)
    start(tab)
    start(other)
    expect_remembered(other, "token1", "token0")
    tab.get_by_role("button", name="Delete", exact=True).click()
    tab.get_by_role("button", name="Delete for good").click()
    expect_remembered(other, "token1")


def expect_remembered(page: Page, *tokens: str) -> None:
    kept = "JSON.parse(localStorage.getItem('ch-train-v2')).runs.map((run) => run[0]).join()"
    page.wait_for_function(f"tokens => {kept} === tokens", arg=",".join(tokens))


def test_a_second_run_waits_says_its_place_and_can_be_deleted(tab: Page, fake: FakeTraining) -> None:
    start(tab, 200)
    tab.get_by_role("button", name="Plan", exact=False).filter(has_text="from tiny").click()
    tab.get_by_role("button", name="Start training").click()
    expect(tab.locator(".ch-said")).to_contain_text("1 run before yours")
    expect(tab.locator(".ch-run")).to_have_count(2)
    tab.get_by_role("button", name="Delete", exact=True).click()
    tab.get_by_role("button", name="Keep").click()
    tab.get_by_role("button", name="Delete", exact=True).click()
    tab.get_by_role("button", name="Delete for good").click()
    expect(tab.locator(".ch-run")).to_have_count(1)
    assert list(fake.runs) == ["token0"]


def test_images_are_added_class_by_class_and_problems_come_first(tab: Page, tmp_path: Path, photo_folder: Path) -> None:
    photos = sorted(photo_folder.rglob("*.png"))
    tab.get_by_role("button", name="Images by class").click()
    for name, n in (("wren", 6), ("tern", 3)):
        tab.get_by_label("Name of the class").fill(name)
        tab.locator("#ch-train-files input[type=file]").set_input_files(photos[:n])
        expect(tab.locator(".ch-added li").filter(has_text=name)).to_contain_text(f"{n} images")
    expect(tab.locator(".ch-found .ch-notice li")).to_have_text(["“tern” has 3 images; at least 5 are needed."])
    expect(tab.get_by_role("button", name="Plan the training")).to_have_count(0)
    tab.get_by_label("Name of the class").fill("tern")
    tab.locator("#ch-train-files input[type=file]").set_input_files(photos[10:13])
    expect(tab.get_by_role("button", name="Plan the training")).to_be_visible()
    tab.get_by_role("button", name="Remove tern").click()
    expect(tab.locator(".ch-found .ch-notice")).to_contain_text("only one class")
    tab.get_by_role("button", name="One zip").click()
    expect(tab.locator(".ch-found")).to_have_count(0)
    tab.get_by_role("button", name="Images by class").click()
    expect(tab.locator(".ch-added li")).to_have_count(1)


def test_a_refused_zip_ends_in_a_sentence_and_another_one_can_follow(tab: Page) -> None:
    send_zip(tab, content=b"")
    expect(tab.locator(".ch-found .ch-notice")).to_contain_text("The zip is empty")
    send_zip(tab)
    expect(tab.locator(".ch-previews li")).to_have_count(len(CLASSES))


def test_a_dropped_zip_goes_to_its_zone_and_not_to_the_image_in_hand(tab: Page) -> None:
    hand = tab.locator("#ch-hand h2").inner_text()
    tab.evaluate(
        """() => {
          const data = new DataTransfer();
          data.items.add(new File(['x'], 'dropped birds.zip', { type: 'application/zip' }));
          const zone = document.querySelector('[data-drop=ch-train-zip]');
          for (const name of ['dragover', 'drop']) {
            zone.dispatchEvent(new DragEvent(name, { dataTransfer: data, bubbles: true, cancelable: true }));
          }
        }"""
    )
    expect(tab.locator(".ch-previews li")).to_have_count(len(CLASSES))
    expect(tab.locator("#ch-hand h2")).to_have_text(hand)
    tab.get_by_role("button", name="Plan the training").click()
    expect(tab.get_by_label("Name of the model")).to_have_value("dropped birds")


def test_an_operators_folder_of_many_classes_is_turned_in_pages(tab: Page) -> None:
    tab.get_by_role("button", name="On this server").click()
    tab.get_by_role("button", name="cars").click()
    expect(tab.locator("#ch-train-data .ch-pager span")).to_have_text("1 / 3")
    tab.locator("#ch-train-data").get_by_role("button", name="Next").click()
    expect(tab.locator("#ch-train-data .ch-pager span")).to_have_text("2 / 3")


def test_the_keyboard_goes_through_all_steps(tab: Page) -> None:
    send_zip(tab)
    tab.get_by_role("button", name="Plan the training").focus()
    tab.keyboard.press("Enter")
    tab.get_by_label("Concepts").select_option("2")
    expect(tab.locator("#ch-train-plan .ch-stepsummary")).to_contain_text("2 × 8 bits")
    expect(tab.get_by_label("Bits")).to_have_value("16")
    tab.locator(".ch-weights summary").focus()
    tab.keyboard.press("Space")
    tab.get_by_label("Weight of clf in tenths").focus()
    tab.keyboard.press("ArrowRight")
    expect(tab.locator(".ch-weights summary")).to_contain_text("1 changed")
    expect(tab.get_by_label("Weight of clf in tenths")).to_be_focused()
    tab.get_by_role("button", name="Start training").focus()
    tab.keyboard.press("Enter")
    expect(tab.locator(".ch-runstate")).to_be_visible()


def test_axe_finds_nothing_serious_in_any_step(tab: Page) -> None:
    send_zip(tab)
    check(tab)
    tab.get_by_role("button", name="Plan the training").click()
    tab.locator(".ch-weights summary").click()
    check(tab)
    tab.get_by_label("Epochs").fill("3")
    tab.get_by_label("Epochs").press("Tab")
    tab.get_by_role("button", name="Start training").click()
    expect(tab.locator(".ch-curves")).to_be_visible(timeout=20_000)
    check(tab)
    finish(tab)
    check(tab)


def check(page: Page) -> None:
    """On a desktop and on a phone."""
    for width, broken in ((1280, serious), (390, violations)):
        page.set_viewport_size({"width": width, "height": 844})
        assert broken(page) == []
        assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.evaluate("[...document.images].filter(i => !i.hasAttribute('alt')).length") == 0


def test_where_training_is_off_there_is_no_such_tab(services: Services) -> None:
    off = dataclasses.replace(services, settings=dataclasses.replace(services.settings, may_train=False))
    labels = [block.label for block in build_page(off).blocks.values() if isinstance(block, gr.Tab)]
    assert "Train" not in labels and "Match" in labels
