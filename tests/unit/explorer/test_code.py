"""The calls that panels offer to copy: they run as they stand, whatever is in them."""

import ast
import base64
import json
import subprocess
from pathlib import Path

import pytest

from explorer.api import call_of
from explorer.render.code import code_panel, curl_code, python_code

HOSTILE = '<b onclick="x">\'$(touch hacked)`%s\\'


def sent_by(code: str, folder: Path) -> list[object]:
    """Run what a shell would, with a curl that only says what it was to send."""
    tool = folder / "curl"
    tool.write_text('#!/bin/sh\nwhile [ $# -gt 1 ]; do shift; done\n[ "$1" = @- ] && cat || printf %s "$1"\n')
    tool.chmod(0o755)
    done = subprocess.run(
        ["sh", "-c", code],
        cwd=folder,
        env={"PATH": f"{folder}:/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=True,
    )
    return list(json.loads(done.stdout)["data"])


def test_a_call_says_only_what_is_not_as_by_default_and_knows_all_values() -> None:
    call = call_of("explain", image="gallery:a", checkpoint="birds", method="rollout", residual=0.4)
    assert call.given == (("image", "gallery:a"), ("checkpoint", "birds"), ("residual", 0.4))
    assert dict(call.values)["head_fusion"] == "mean" and "visitor" not in dict(call.values)


def test_the_shell_sends_every_value_in_its_order(tmp_path: Path) -> None:
    call = call_of("match", image="gallery:a", agree=("exact", 2), family=HOSTILE)
    assert sent_by(curl_code(call), tmp_path) == [
        "gallery:a", "", ["exact", 2], "hamming", [], [], HOSTILE, [], [], 0, 24
    ]  # fmt: skip
    assert not (tmp_path / "hacked").exists()


def test_the_shell_sends_an_image_of_ones_own_as_base64(tmp_path: Path) -> None:
    content = bytes(range(256)) * 2000
    (tmp_path / "your-image.jpg").write_bytes(content)
    sent = sent_by(curl_code(call_of("match", image="upload:123", family=HOSTILE)), tmp_path)
    assert base64.b64decode(str(sent[0])) == content and sent[6] == HOSTILE
    assert not (tmp_path / "hacked").exists()


@pytest.mark.parametrize("image", ["gallery:a", "upload:123"])
def test_python_code_is_python_that_makes_the_call(image: str) -> None:
    tree = ast.parse(python_code(call_of("match", image=image, agree=("exact", "ignore"), family=HOSTILE)))
    call = next(n for n in ast.walk(tree) if isinstance(n, ast.Call) and getattr(n.func, "attr", "") == "predict")
    given = {keyword.arg: ast.unparse(keyword.value) for keyword in call.keywords}
    assert given == {
        "image": repr(image) if image.startswith("gallery") else "handle_file('your-image.jpg')",
        "agree": "['exact', 'ignore']",
        "family": repr(HOSTILE),
        "api_name": "'/match'",
    }


def test_a_composed_question_names_every_image_and_sends_ones_own(tmp_path: Path) -> None:
    (tmp_path / "your-image.jpg").write_bytes(b"pixels")
    parts = [{"image": "upload:1", "concept": 0}, {"image": "gallery:a", "concept": 1, "differs": True}]
    call = call_of("compose", parts=parts, image="upload:1")
    encoded = base64.b64encode(b"pixels").decode()
    sent = sent_by(curl_code(call), tmp_path)
    assert sent[0] == [{"image": encoded, "concept": 0}, parts[1]] and sent[2] == encoded
    code = python_code(call)
    assert "import Client, handle_file" in code and code.count('handle_file("your-image.jpg")') == 2
    ast.parse(code)


def test_no_value_becomes_markup() -> None:
    panel = code_panel(call_of("match", image="gallery:a", family=HOSTILE))
    assert "<b " not in panel and "&lt;b " in panel
