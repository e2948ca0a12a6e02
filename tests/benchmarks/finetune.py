"""``python -m tests.benchmarks.finetune``: a visitor trains a model of a few classes in the real app, in a browser.

The app is started on a free port; one visitor sends a zip, plans, starts, waits for the result and reads it from the
page. Another one goes from image to image on Explain, before the run and while it trains. ``map`` is the held-out mAP
that the page says, ``minutes`` the time from sending the zip to the result, ``explain_ratio`` the other visitor's
median time of an image while the run trains over that before it.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
import zipfile
from pathlib import Path
from statistics import median

import numpy as np
from playwright.sync_api import Page, sync_playwright

from concepthash.data import ImageTable, read_dataset
from tests.app_process import find_chromium, free_port, wait_for

ROOT = Path(__file__).parents[2]
CHANGED = "src => { const map = document.querySelector('.ch-card img.ch-map'); return map && !map.src.endsWith(src) }"
N_EXPLAINED = 15
WAIT = 1_200_000  # milliseconds


def zip_of_classes(table: ImageTable, names: list[str], n_classes: int, n_photos: int, file: Path) -> list[str]:
    """Zip photos of some classes, those named or as many spread over all of them; gives their names."""
    chosen = names or [table.class_names[i] for i in np.linspace(0, len(table.class_names) - 1, n_classes).astype(int)]
    with zipfile.ZipFile(file, "w") as archive:
        for name in chosen:
            rows = np.flatnonzero(table.labels == table.class_names.index(name))[:n_photos]
            for row in rows:
                archive.write(table.paths[row], f"{name.replace('/', '-')}/{table.paths[row].name}")
    return chosen


def explain_times(page: Page) -> list[float]:
    """Seconds from a click on another image to its concept maps."""
    times = []
    page.get_by_role("tab", name="Explain").click()
    page.locator(".ch-card .ch-map").first.wait_for()
    for number in range(N_EXPLAINED):
        before = page.locator(".ch-card img.ch-map").first.get_attribute("src") or ""
        started = time.perf_counter()
        page.get_by_role("button", name="Random").click()
        page.wait_for_function(CHANGED, arg=before)
        if number >= 3:
            times.append(time.perf_counter() - started)
    return times


def train(page: Page, zipped: Path, options: argparse.Namespace) -> None:
    """Send the zip, plan and start."""
    page.get_by_role("tab", name="Train").click()
    page.locator("#ch-train-zip input[type=file]").set_input_files(zipped)
    page.get_by_role("button", name="Plan the training").click(timeout=120_000)
    page.get_by_label("Epochs").fill(str(options.epochs))
    page.get_by_label("Epochs").press("Tab")
    page.get_by_role("button", name="Start training").click()
    page.locator(".ch-runstate").wait_for(timeout=60_000)


def measure(options: argparse.Namespace, folder: Path) -> dict[str, object]:
    """Run it all, on an app of its own."""
    table = read_dataset(options.data)
    zipped = folder / "classes.zip"
    classes = zip_of_classes(table, options.classes, options.n_classes, options.n_photos, zipped)
    port = free_port()
    command = [sys.executable, "app.py", "--port", str(port), "--train", "--checkpoint", options.start]
    environment = {"CONCEPTHASH_CACHE": str(folder / "cache")}
    with subprocess.Popen(command, cwd=ROOT, env=os.environ | environment, stderr=subprocess.PIPE) as process:
        try:
            wait_for(f"http://127.0.0.1:{port}/", process, folder / "none")
            with sync_playwright() as playwright:
                browser = playwright.chromium.launch(executable_path=find_chromium(), args=["--no-sandbox"])
                pages = [browser.new_context().new_page() for _ in range(2)]
                for page in pages:
                    page.goto(f"http://127.0.0.1:{port}/")
                    page.locator(".ch-card").first.wait_for(timeout=60_000)
                idle = explain_times(pages[1])
                started = time.perf_counter()
                train(pages[0], zipped, options)
                pages[0].locator(".ch-runstate.is-training").wait_for(timeout=WAIT)
                busy = explain_times(pages[1])
                pages[0].get_by_role("button", name="See the result").click(timeout=WAIT)
                minutes = (time.perf_counter() - started) / 60
                headline = pages[0].locator(".ch-headline").inner_text()
                outcome = pages[0].locator(".ch-outcome").inner_text()
                browser.close()
        finally:
            process.terminate()
    return {
        "classes": classes,
        "start": options.start,
        "epochs": options.epochs,
        "map": float(headline.rstrip(".").split()[-1]),
        "minutes": round(minutes, 2),
        "explain_ms": {"idle": round(1000 * median(idle)), "training": round(1000 * median(busy))},
        "explain_ratio": round(median(busy) / median(idle), 2),
        "outcome": outcome.splitlines(),
    }


def main() -> None:
    """Measure and print one JSON object."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.finetune", description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="data set to take classes from")
    parser.add_argument("--classes", nargs="*", default=[], help="names of classes; default: spread over all")
    parser.add_argument("--n-classes", type=int, default=10)
    parser.add_argument("--n-photos", type=int, default=30)
    parser.add_argument("--start", default="birds-64-frozen", help="checkpoint to start from")
    parser.add_argument("--epochs", type=int, default=40)
    parser.add_argument("--json", action="store_true", help="there is no other output; for likeness with the others")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        print(json.dumps(measure(options, Path(folder))))


if __name__ == "__main__":
    main()
