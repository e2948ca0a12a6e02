"""Scripts in the names of classes, files and concepts stay text on every tab; visitors stay apart."""

import re
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from builders import tiny_classes, tiny_model
from PIL import Image
from playwright.sync_api import Browser, Page, expect

from concepthash.checkpoint import read_checkpoint, rename_concepts, save_checkpoint
from concepthash.data import read_image_folder
from concepthash.encode import encode_table
from concepthash.encoder import Encoder

CLASSES = (
    '"><script>window.hacked=1</script>',
    "<img src=x onerror=window.hacked=1>",
    "</textarea><svg onload=window.hacked=1>",
    "' onmouseover=window.hacked=1 x='",
    "{{constructor.constructor('window.hacked=1')()}}",
)
FAMILIES = tuple(f"<b onclick=window.hacked=1>{name}</b>" for name in ("terns", "wrens"))
CONCEPTS = ("<img src=x onerror=window.hacked=1>", "<script>window.hacked=1</script>")
FILE = "<img src=x onerror=window.hacked=1>&quot;'{}.png"


@pytest.fixture(scope="module")
def hostile_address(
    serve: Callable[..., AbstractContextManager[str]], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    """The app with a model and a gallery in which every name is a script."""
    root, random = tmp_path_factory.mktemp("hostile"), np.random.default_rng(0)
    table = tiny_classes()
    classes = replace(table, names=CLASSES, families=tuple(FAMILIES[i % 2] for i in range(len(CLASSES))))
    save_checkpoint(root / "tiny", tiny_model(), classes)
    rename_concepts(root / "tiny", CONCEPTS)
    for number in range(15):
        folder = root / "photos" / CLASSES[number % 5].replace("/", "\u2044")
        folder.mkdir(parents=True, exist_ok=True)
        small = random.integers(0, 255, (5, 6, 3)).astype(np.uint8)
        file = folder / FILE.replace("{}", str(number))
        Image.fromarray(small).resize((90, 60), Image.Resampling.BICUBIC).save(file)
    table_of_photos = read_image_folder(root / "photos")
    encode_table(Encoder(read_checkpoint(root / "tiny"), "cpu"), table_of_photos, root / "gallery", progress=False)
    with serve("--checkpoint", str(root / "tiny"), "--gallery", str(root / "gallery"),
               folder=tmp_path_factory.mktemp("served")) as address:  # fmt: skip
        yield address


def test_no_name_runs_on_any_tab(visit: Callable[[str], AbstractContextManager[Page]], hostile_address: str) -> None:
    with visit(hostile_address) as page:
        for tab, shown in {
            "Explain": "#ch-explain .ch-card",
            "Match": ".ch-result",
            "Sub-codes": "#ch-subcodes",
            "Centers": "#ch-centers",
        }.items():
            page.get_by_role("tab", name=tab, exact=True).click()
            expect(page.locator(shown).first).to_be_visible()
            page.wait_for_timeout(500)
            for summary in page.locator("summary:visible").all():
                summary.click()
            for hovered in page.locator(".ch-class:visible, .ch-card:visible, .ch-result:visible").all()[:12]:
                hovered.hover(force=True)
            assert "window.hacked=1" in page.content(), f"no name is shown on {tab}"
            for tag in ("b[onclick]", "svg[onload]", "[onmouseover]", "img[onerror]"):
                assert page.locator(tag).count() == 0, f"{tag} on {tab}"


def test_the_name_of_an_uploaded_file_is_text(
    visit: Callable[[str], AbstractContextManager[Page]], hostile_address: str, tmp_path: Path
) -> None:
    file = tmp_path / FILE.replace("{}", "")
    Image.new("RGB", (60, 50), "teal").save(file)
    with visit(hostile_address) as page:
        upload(page, file)
        expect(page.locator("#ch-hand")).to_contain_text("img src=x")
        assert page.locator("img[onerror]").count() == 0


def test_two_visitors_see_their_own_picture_only(browser: Browser, address: str, tmp_path: Path) -> None:
    contexts = [browser.new_context() for _ in range(2)]
    pages = [context.new_page() for context in contexts]
    for page in pages:
        page.goto(address)
        page.wait_for_selector(".ch-card", timeout=30_000)
    others = pages[1].locator("#ch-hand").inner_text()
    file = tmp_path / "my-secret-owl.png"
    Image.new("RGB", (60, 50), "teal").save(file)
    upload(pages[0], file)
    expect(pages[0].locator("#ch-hand")).to_contain_text("my-secret-owl")
    assert pages[1].locator("#ch-hand").inner_text() == others
    pages[1].reload()
    pages[1].wait_for_selector(".ch-card", timeout=30_000)
    assert "my-secret-owl" not in pages[1].content()
    pages[1].goto(pages[0].url)  # the link that the owner's address bar shows
    pages[1].wait_for_selector("#ch-hand", timeout=30_000)
    pages[1].wait_for_timeout(1000)
    assert "my-secret-owl" not in pages[1].content()
    for context in contexts:
        context.close()


def test_two_visitors_of_a_public_server_call_concepts_what_they_like_and_a_third_sees_the_models_names(
    serve: Callable[..., AbstractContextManager[str]],
    browser: Browser,
    model_folder: Path,
    gallery_folder: Path,
    tmp_path: Path,
) -> None:
    asked = ("--checkpoint", str(model_folder), "--gallery", str(gallery_folder), "--host", "0.0.0.0")
    kept = {file.name: file.read_bytes() for file in model_folder.iterdir()}
    with serve(*asked, folder=tmp_path) as address:
        pages = [browser.new_context().new_page() for _ in range(2)]
        for page in pages:
            page.goto(address)
        for page, name in zip(pages, ("crest", "talon"), strict=True):
            page.get_by_label("Name of concept 1").fill(name)
            page.get_by_label("Name of concept 1").press("Enter")
        for page, name, other in zip(pages, ("crest", "talon"), ("talon", "crest"), strict=True):
            expect(page.locator(".ch-ribbon li").first).to_have_attribute("title", re.compile(name))
            page.get_by_role("tab", name="Match").click()
            expect(page.locator(".ch-result").first).to_be_visible()
            assert name in page.content() and other not in page.content()
        third = browser.new_context().new_page()
        third.goto(pages[0].url)
        expect(third.locator(".ch-result").first).to_be_visible()
        assert "crest" not in third.content() and "talon" not in third.content()
        for page in (*pages, third):
            page.context.close()
    assert {file.name: file.read_bytes() for file in model_folder.iterdir()} == kept


def upload(page: Page, file: Path) -> None:
    with page.expect_file_chooser() as chooser:
        page.get_by_role("button", name="Upload").first.click()
    chooser.value.set_files(file)
