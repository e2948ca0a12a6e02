"""A visitor trains a model with a real worker, stops and resumes it, opens it, takes it home, and opens it there."""

import io
import zipfile
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

from playwright.sync_api import Page, expect

Visit = Callable[[str], AbstractContextManager[Page]]
Serve = Callable[..., AbstractContextManager[str]]
SOON, LONG = 120_000, 900_000  # milliseconds: of the page, and of a worker, which lets all other tests go first


def zipped(folder: Path) -> bytes:
    """A zip of the first eight photos of each of three classes, with the same number of photos."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for number, named in enumerate(sorted(path for path in folder.iterdir() if path.is_dir())[:3]):
            for photo in sorted(named.iterdir())[:8]:
                archive.write(photo, f"my birds/class {number}/{photo.name}")
    return file.getvalue()


def test_a_model_is_trained_stopped_resumed_opened_and_taken_home(
    model_folder: Path, photo_folder: Path, tmp_path: Path, visit: Visit, serve: Serve
) -> None:
    (tmp_path / "server").mkdir()
    (tmp_path / "home").mkdir()
    body = zipped(photo_folder)
    with (
        serve("--checkpoint", str(model_folder), "--train", folder=tmp_path / "server") as address,
        visit(address) as page,
    ):
        page.get_by_role("tab", name="Train").click()
        page.locator("#ch-train-zip input[type=file]").set_input_files(
            {"name": "my birds.zip", "mimeType": "application/zip", "buffer": body}
        )
        expect(page.locator(".ch-previews li")).to_have_count(3)
        page.get_by_role("button", name="Plan the training").click()
        page.get_by_label("Epochs").fill("60")
        page.get_by_label("Epochs").press("Tab")
        page.get_by_role("button", name="Start training").click()
        line = page.locator(".ch-curve.is-total polyline")
        expect(line).to_be_visible(timeout=LONG)
        page.get_by_role("button", name="Stop").click()  # before anything else: on a quick machine a run is short
        expect(page.locator(".ch-said")).to_contain_text("Stopped", timeout=LONG)
        points = line.get_attribute("points") or ""
        page.get_by_role("button", name="Resume").click()
        expect(line).not_to_have_attribute("points", points, timeout=LONG)  # the curve moves
        page.get_by_role("button", name="See the result").click(timeout=LONG)
        expect(page.locator(".ch-headline")).to_contain_text("mAP", timeout=SOON)
        expect(page.locator(".ch-flow")).to_have_count(2)
        with page.expect_download(timeout=SOON) as download:
            page.get_by_role("button", name="Download").click()
        taken = Path(download.value.path())
        with zipfile.ZipFile(taken) as archive:
            archive.extractall(tmp_path / "home")
        page.get_by_role("button", name="Open this model").click()
        expect(page.get_by_role("tab", name="Explain")).to_have_attribute("aria-selected", "true", timeout=SOON)
        expect(page.locator("#ch-brand")).to_contain_text("24 images", timeout=SOON)
        match_by_first_concept(page)
        page.get_by_role("button", name="Copy link").click()
        expect(page.locator("#ch-link [role=status]")).to_have_text("No link leads to this model.")
        with visit(address) as other:
            other.locator("#ch-model input").click()
            expect(other.get_by_role("option", name="tiny")).to_be_visible()
            expect(other.get_by_role("option", name="my birds")).to_have_count(0)  # nobody else has it
        page.locator("#ch-model input").click()
        expect(page.get_by_role("option", name="my birds")).to_be_visible()
    checkpoint = next((tmp_path / "home").rglob("config.json")).parent
    with serve("--checkpoint", str(checkpoint), folder=tmp_path / "home") as address, visit(address) as page:
        expect(page.locator("#ch-brand")).to_contain_text("24 images")
        match_by_first_concept(page)


def match_by_first_concept(page: Page) -> None:
    """Ask for neighbors that agree on the first concept."""
    page.locator(".ch-card .is-concept").first.click()
    expect(page.locator(".ch-results header p")).to_contain_text("agree on concept 1", timeout=SOON)
