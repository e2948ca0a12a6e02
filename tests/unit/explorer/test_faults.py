"""What breaks while the server runs is told in a sentence, and the next good request works."""

import base64
import io
import os
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
import torch
from live_page import LEAKS, live_page
from PIL import Image

from concepthash.encoder import Encoder
from explorer.services import Services, load_services
from explorer.services.picture_store import PictureStore
from explorer.services.sweeper import delete_older
from explorer.settings import Settings

pytestmark = pytest.mark.filterwarnings(*LEAKS)


def picture(shade: int) -> str:
    file = io.BytesIO()
    Image.new("RGB", (40, 30), (shade, 90, 120)).save(file, "PNG")
    return base64.b64encode(file.getvalue()).decode()


@pytest.fixture(scope="module")
def own(settings: Settings, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """Files that a test may break."""
    root = tmp_path_factory.mktemp("faults")
    shutil.copytree(settings.checkpoints, root / "checkpoints")
    shutil.copytree(settings.examples, root / "examples")
    return replace(
        settings,
        checkpoints=root / "checkpoints",
        examples=root / "examples",
        cache=root / "cache",
        may_train=False,
        call_seconds=20.0,
    )


@pytest.fixture(scope="module")
def running(own: Settings) -> Services:
    return load_services(own)


@pytest.fixture(scope="module")
def client(running: Services) -> Iterator[httpx.Client]:
    with live_page(running) as address, httpx.Client(base_url=address, timeout=60) as client:
        yield client


def explain(client: httpx.Client, shade: int, checkpoint: str = "") -> httpx.Response:
    data = [picture(shade), checkpoint, "rollout", 0, "mean", 0.5, 0.0]
    return client.post("/gradio_api/run/explain", json={"data": data})


def check_good(client: httpx.Client, shade: int) -> None:
    assert explain(client, shade).json()["data"][0]["concepts"]


def breaks_once(monkeypatch: pytest.MonkeyPatch, error: BaseException) -> None:
    """Let the next pass of the network fail."""
    good = Encoder._batch

    def batch(self: Encoder, images: Any) -> Any:
        monkeypatch.setattr(Encoder, "_batch", good)
        raise error

    monkeypatch.setattr(Encoder, "_batch", batch)


def test_a_full_gpu_is_told_and_the_next_request_works(client: httpx.Client, monkeypatch: pytest.MonkeyPatch) -> None:
    breaks_once(monkeypatch, torch.cuda.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"))
    answer = explain(client, 1)
    assert answer.status_code == 503
    assert "no memory left" in answer.json()["error"] and "try again" in answer.json()["error"]
    check_good(client, 1)


@pytest.mark.parametrize(
    ("error", "shade"),
    [(RuntimeError("boom in /srv/secret"), 20), (MemoryError(), 30), (SystemExit(3), 40), (KeyboardInterrupt(), 50)],
)
def test_a_crash_of_a_worker_is_told_and_the_next_request_works(
    error: BaseException, shade: int, client: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    breaks_once(monkeypatch, error)
    answer = explain(client, shade)
    assert answer.status_code == 500
    assert "try once more" in answer.json()["error"] and "secret" not in answer.text
    for number in range(4):  # more than there are workers
        check_good(client, shade + number)


def test_a_model_whose_file_is_gone_answers_from_memory_and_another_one_says_so(
    client: httpx.Client, own: Settings
) -> None:
    check_good(client, 6)
    for name in ("birds-8", "birds-6"):
        (own.checkpoints / name / "weights.safetensors").rename(own.checkpoints / name / "away")
    check_good(client, 7)
    refused = explain(client, 8, "birds-6")
    assert refused.status_code == 422 and "weights" in refused.json()["error"]
    assert str(own.checkpoints) not in refused.text
    for name in ("birds-8", "birds-6"):
        (own.checkpoints / name / "away").rename(own.checkpoints / name / "weights.safetensors")
    assert explain(client, 8, "birds-6").status_code == 200
    check_good(client, 8)


def test_a_gallery_whose_folder_is_gone_is_told_and_what_needs_no_picture_works(
    client: httpx.Client, running: Services, own: Settings
) -> None:
    shelf = running.galleries.of("birds-8")
    name, away = f"gallery:{shelf.gallery.sample.image_ids[0]}", own.cache.with_name("away")
    folders = [shelf.gallery.path, own.examples]
    for i, folder in enumerate(folders):
        folder.rename(f"{away}{i}")
    data = [name, "", "rollout", 1, "mean", 0.5, 0.0]
    refused = client.post("/gradio_api/run/explain", json={"data": data})
    assert refused.status_code == 422 and "does not exist" in refused.json()["error"]
    assert str(own.cache) not in refused.text
    check_good(client, 9)
    for i, folder in enumerate(folders):
        Path(f"{away}{i}").rename(folder)
    assert client.post("/gradio_api/run/explain", json={"data": data}).status_code == 200


@pytest.fixture
def full_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of half a megabyte."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounting = ["mount", "-t", "tmpfs", "-o", "size=512k", "tmpfs", str(folder)]
    if not hasattr(os, "geteuid") or os.geteuid() != 0 or not shutil.which("mount"):
        pytest.skip("mounting a small disk needs root")
    if subprocess.run(mounting, capture_output=True).returncode != 0:
        pytest.skip("mounting is not allowed here")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def test_a_full_disk_refuses_uploads_in_a_sentence_and_calls_go_on(
    own: Settings, full_disk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(full_disk / "uploads"))
    services = load_services(replace(own, cache=own.cache.with_name("other")))
    with live_page(services) as address, httpx.Client(base_url=address, timeout=60) as client:
        for room in ("looked at", "written to"):
            if room == "written to":  # as when many arrive at once
                monkeypatch.setattr("explorer.body_limit.ROOM", -(10**12))
            refused = client.post("/gradio_api/upload", files={"files": ("a.png", bytes(2_000_000))})
            assert refused.status_code == 507 and "cannot store" in refused.json()["error"], refused.text
        check_good(client, 10)
        delete_older(full_disk, 0)  # what was cut short
        small = client.post("/gradio_api/upload", files={"files": ("a.png", base64.b64decode(picture(11)))})
        assert small.status_code == 200


def test_a_full_disk_for_what_can_be_made_again_spoils_no_answer(full_disk: Path) -> None:
    (full_disk / "ballast").write_bytes(bytes(510_000))
    store = PictureStore(full_disk / "cache")
    centers = np.random.default_rng(0).normal(size=(900, 8)).astype(np.float32)
    assert store.positions("f" * 64, centers, "pca").shape == (900, 2)
