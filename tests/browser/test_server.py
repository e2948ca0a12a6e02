"""What the running server gives, and what it keeps to itself."""

import json
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from explorer.doors import FUNCTIONS

ROOT = Path(__file__).parents[2]


def status_of(address: str) -> int:
    try:
        with urllib.request.urlopen(address, timeout=10) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code


def run_app(*arguments: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "app.py", "--device", "cpu", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120)


def test_the_public_functions_are_public_and_no_listener_of_the_page_is(address: str) -> None:
    with urllib.request.urlopen(f"{address}config", timeout=10) as answer:
        listeners = json.load(answer)["dependencies"]
    public = [listener["api_name"] for listener in listeners if listener["api_visibility"] != "private"]
    assert sorted(public) == sorted(FUNCTIONS) and len(listeners) > len(public)


def test_thumbnails_are_served_and_nothing_else_is(address: str, gallery_folder: Path, model_folder: Path) -> None:
    thumbnail = next(gallery_folder.rglob("*.webp"))
    assert status_of(f"{address}gradio_api/file={thumbnail}") == 200
    secrets = (ROOT / "app.py", gallery_folder / "gallery.duckdb", model_folder / "config.json", Path("/etc/passwd"))
    assert {status_of(f"{address}gradio_api/file={secret}") for secret in secrets} <= {403, 404}


def test_the_check_prints_one_json_object(model_folder: Path, gallery_folder: Path) -> None:
    done = run_app("--check", "--checkpoint", str(model_folder), "--gallery", str(gallery_folder))
    report = json.loads(done.stdout)
    assert done.returncode == 0 and report["ok"] is True
    assert (report["checkpoint"], report["device"], report["n_gallery"]) == ("tiny", "cpu", 40)
    assert report["explain_ms"] > 0 and report["match_ms"] > 0
    assert set(report["versions"]) == {"python", "torch", "timm", "gradio", "numpy", "concepthash"}


def test_a_failed_check_says_why_and_exits_with_1(tmp_path: Path) -> None:
    done = run_app("--check", "--checkpoint", str(tmp_path / "nowhere"))
    assert done.returncode == 1
    assert json.loads(done.stdout)["ok"] is False and "nowhere" in json.loads(done.stdout)["error"]


@pytest.mark.parametrize("wrong", ["port", "checkpoint", "altered", "gallery", "foreign"])
def test_what_cannot_start_says_so_in_one_sentence(
    wrong: str, model_folder: Path, gallery_folder: Path, tmp_path: Path
) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        arguments = {"--checkpoint": str(model_folder), "--gallery": str(gallery_folder)}
        if wrong == "port":
            arguments["--port"] = str(taken.getsockname()[1])
        elif wrong == "checkpoint":
            arguments["--checkpoint"] = "no-such-model"
        elif wrong == "gallery":
            arguments["--gallery"] = str(tmp_path)
        else:
            other = tmp_path / "other"
            other.mkdir()
            for file in model_folder.iterdir():
                (other / file.name).write_bytes(file.read_bytes())
            config = json.loads((other / "config.json").read_text())
            if wrong == "foreign":
                config["weights_sha256"] = "0" * 64
                (other / "config.json").write_text(json.dumps(config))
            else:
                (other / "weights.safetensors").write_bytes(b"altered")
            arguments["--checkpoint"] = str(other)
        done = run_app(*(word for pair in arguments.items() for word in pair))
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1 and done.stderr.strip().endswith(".")
