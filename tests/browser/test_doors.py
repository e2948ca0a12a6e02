"""One brain, four doors: the page, Python, REST and MCP give the same answers to the same questions."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from explorer.doors import FUNCTIONS

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def asked(address: str, photo_folder: Path, model_folder: Path, gallery_folder: Path, tmp_path_factory: Any) -> Any:
    """What a program of its own was answered through every door but the page, about one photo of the gallery."""
    env = {
        "CONCEPTHASH_CHECKPOINT": str(model_folder),
        "CONCEPTHASH_GALLERY": str(gallery_folder),
        "CONCEPTHASH_CACHE": str(tmp_path_factory.mktemp("cache")),
        "CONCEPTHASH_DEVICE": "cpu",
        "OMP_NUM_THREADS": "1",  # as the app has, since sums of several threads differ in their last digits
        "PYTHONPATH": str(ROOT),
    }
    command = [sys.executable, str(ROOT / "tests" / "door_client.py"), address, str(photo_of(photo_folder))]
    done = subprocess.run(command, env=os.environ | env, capture_output=True, text=True, timeout=200)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def photo_of(folder: Path) -> Path:
    return folder / "marsh_wren" / "05.png"


def test_tools_and_endpoints_are_the_eight_functions_and_no_listener_of_the_page(asked: Any) -> None:
    assert sorted(asked["tools"]) == sorted(FUNCTIONS)
    assert asked["endpoints"] == sorted(f"/{name}" for name in FUNCTIONS)


@pytest.mark.parametrize("function", FUNCTIONS)
def test_every_door_gives_the_same_answer(function: str, asked: Any) -> None:
    answers = {door: answers[function] for door, answers in asked["answers"].items()}
    assert answers["python"]
    for door in ("rest", "client", "mcp"):
        assert answers[door] == answers["python"], door


def test_the_page_shows_what_the_functions_answer(page: Page, asked: Any, photo_folder: Path) -> None:
    answers = asked["answers"]["rest"]
    with page.expect_file_chooser() as chooser:
        page.get_by_role("button", name="Upload").click()
    chooser.value.set_files(photo_of(photo_folder))
    expect(page.locator("#ch-hand")).to_contain_text("05.png")
    concepts = answers["explain"]["concepts"]
    for card, concept in zip(page.locator(".ch-card").all(), concepts, strict=True):
        bits = [f"Bit {b['bit']} is {int(b['is_on'])}, value {b['value']:+.2f}" for b in concept["bits"]]
        shown = [bit.get_attribute("aria-label") for bit in card.locator(".ch-bit").all()]
        assert [label.rpartition(",")[0] for label in shown if label] == bits
        classes = [center["class_name"] for center in concept["centers"]]
        assert card.locator(".ch-lower .ch-class").all_inner_texts() == classes

    page.locator(".ch-card .is-concept").first.click()
    found = [(m["thumbnail"]["image"], m["distance"]) for m in answers["match"]["matches"]]
    expect(page.locator(".ch-result")).to_have_count(len(found))
    cards = page.locator(".ch-result").all()
    images = [json.loads(card.locator(".ch-pick").get_attribute("data-with") or "")["image"] for card in cards]
    bits = [int(card.locator(".ch-distance").inner_text().split()[0]) for card in cards]
    assert list(zip(images, bits, strict=True)) == found


def test_the_offered_code_is_copied_with_the_servers_own_address(page: Page, address: str) -> None:
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.locator("#ch-explain .ch-code summary").click()
    page.get_by_role("button", name="Copy curl").click()
    expect(page.get_by_role("button", name="Copied")).to_be_visible()
    code = page.evaluate("navigator.clipboard.readText()")
    assert f"{address}gradio_api/run/explain" in code
    done = subprocess.run(["sh", "-c", code], capture_output=True, text=True, timeout=60)
    assert json.loads(done.stdout)["data"][0]["concepts"]


def test_the_offered_python_code_runs(page: Page) -> None:
    page.locator(".ch-card .is-concept").first.click()
    expect(page.locator(".ch-result").first).to_be_visible()
    page.locator("#ch-match .ch-code summary").click()
    code = page.locator("#ch-match .ch-codeblock code").first.inner_text() + "\nprint(answer['n_matching'])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert int(done.stdout.splitlines()[-1]) == page.locator(".ch-result").count(), done.stderr
