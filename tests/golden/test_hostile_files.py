"""Files that are no official checkpoint, or not any more: each is refused in one sentence; nothing is left behind."""

import io
import itertools
import os
import pickle
import re
import struct
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from golden.official_writer import VISION, official_like, official_state
from torch import Tensor

from concepthash.errors import CheckpointError
from concepthash.import_official import main
from concepthash.official_layout import rows_of, sizes_of, variant_of

Files = Callable[[Any], Path]


@pytest.fixture
def saved(tmp_path: Path) -> Files:
    def save(content: Any) -> Path:
        file = tmp_path / "official.pth"
        torch.save(content, file)
        return file

    return save


class Evil:
    def __reduce__(self) -> tuple[Any, ...]:
        return (Path.touch, (Path("pwned"),))


def without(*names: str) -> Callable[[], Any]:
    return lambda: {name: t for name, t in official_state(official_like()).items() if name not in names}


def altered(name: str, change: Callable[[Tensor], Tensor]) -> Callable[[], Any]:
    return lambda: (state := official_state(official_like(), aliases=False)) | {name: change(state[name])}


def nested(tensor: Tensor) -> Tensor:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that nested tensors may change
        return torch.nested.nested_tensor(list(tensor))


def added(**more: Any) -> Callable[[], Any]:
    return lambda: official_state(official_like()) | more


CENTER, HASH, CONCEPTS = "center", "hash_fc.weight", ("hash_pe", "concept_pe", "visual_context")
REFUSED: dict[str, tuple[Callable[[], Any], str]] = {
    "a missing key": (without("hash_bn.running_var"), r"missing hash_bn\.running_var; give"),
    "a missing key of a layer": (
        without(f"{VISION}encoder.layers.1.mlp.fc2.bias"),
        r"missing backbone\.vision_model\.encoder\.layers\.1\.mlp\.fc2\.bias; give",
    ),
    "a missing concept offset": (without("concept_pe"), r"missing concept_pe; give"),
    "missing sizes": (without("hash_pe", "center"), r"missing hash_pe, center; give"),
    "missing tokens": (without("visual_context"), r"missing visual_context; give"),
    "an unknown key": (added(surprise=torch.zeros(1)), r"unknown surprise; give"),
    "an alias of nothing": (added(**{"trainable_params.x": torch.zeros(1)}), r"unknown trainable_params\.x; give"),
    "an adapter's alias of nothing": (
        added(**{"adapter_params.adapter_7_adapt_mlp_1_scale": torch.zeros(1)}),
        r"unknown adapter_params\.adapter_7_adapt_mlp_1_scale; give",
    ),
    "a layer with a hole below": (
        added(**{f"{VISION}encoder.layers.3.layer_norm1.bias": torch.zeros(32)}),
        r"missing backbone\.vision_model\.encoder\.layers\.2\.layer_norm1\.weight, .* and \d+ more",
    ),
    "a layer of an absurd number": (
        added(**{f"{VISION}encoder.layers.99999999999.layer_norm1.bias": torch.zeros(32)}),
        r"unknown backbone\.vision_model\.encoder\.layers\.99999999999\.layer_norm1\.bias; give",
    ),
    "a wrong shape": (altered(HASH, lambda t: t.T), r"wrong shape hash_fc\.weight \(32×4 instead of 4×32\); give"),
    "another number of concepts": (
        added(hash_pe=torch.zeros(1, 4, 32)),
        r"wrong shape hash_pe \(1×4×32 instead of 1×\?×32\), concept_pe",
    ),
    "bits that concepts cannot share": (
        lambda: (
            official_state(official_like(), aliases=False)
            | {name: torch.zeros(1, 5, 32) for name in CONCEPTS}
            | {HASH: torch.zeros(2, 32)}
        ),
        "12 bits do not split over 5 concepts",
    ),
    "an empty tensor": (
        altered("backbone.visual_projection.weight", lambda t: t[:0]),
        r"wrong shape backbone\.visual_projection\.weight \(0×\d+ instead",
    ),
    "empty tensors": (
        lambda: (
            official_state(official_like())
            | {f"{VISION}encoder.layers.{i}.mlp.fc1.weight": torch.zeros(0, 32) for i in (0, 1)}
            | {f"{VISION}encoder.layers.{i}.mlp.fc1.bias": torch.zeros(0) for i in (0, 1)}
            | {f"{VISION}encoder.layers.{i}.mlp.fc2.weight": torch.zeros(32, 0) for i in (0, 1)}
        ),
        "One of its tensors is empty",
    ),
    "positions of no square": (
        altered(f"{VISION}embeddings.position_embedding.weight", lambda t: t[:-1]),
        r"position_embedding\.weight has 9 rows, which are not CLS and a square grid",
    ),
    "values that are not finite": (altered(HASH, lambda t: t / 0), r"not finite: hash_fc\.weight\."),
    "whole numbers": (altered(CENTER, lambda t: t.long()), r"not floating point: center\."),
    "a tensor larger than its data": (
        lambda: (
            official_state(official_like(), aliases=False)
            | {
                "center": torch.zeros(1, 1).expand(90_000, 10),
                "concept_ce.centroids": torch.zeros(1, 1).expand(90_000, 32),
            }
        ),
        "claim more data than the file has",
    ),
    "a sparse tensor": (altered(CENTER, lambda t: t.to_sparse()), "other things than plain tensors by name: center"),
    "a nested tensor": (altered(CENTER, nested), "other things than plain tensors by name: center"),
    "an alias of another shape": (
        added(**{"trainable_params.hash_pe": torch.zeros(3)}),
        r"wrong shape trainable_params\.hash_pe \(3 instead of 1×3×32\)",
    ),
    "fewer tokens than concepts": (
        altered("visual_context", lambda t: t[:, :2]),
        r"wrong shape visual_context \(1×2×32 instead of 1×3×32\)",
    ),
    "negative variances": (
        altered("hash_bn.running_var", lambda t: t - 9),
        r"Variances of 'official.pth' are negative: hash_bn\.running_var\.",
    ),
    "a number beside the tensors": (added(epoch=3), "other things than plain tensors by name: epoch"),
    "a list": (lambda: [torch.zeros(1)], "a list instead of named tensors"),
    "a tensor": (lambda: torch.zeros(3), "a Tensor instead of named tensors"),
    "nothing": (lambda: {}, "0 entries instead of named tensors"),
    "numbers as names": (lambda: {3: torch.zeros(1)}, "other things than plain tensors by name: 3"),
    "names of many lines": (lambda: {"a\nb" * 900: torch.zeros(1)}, r"unknown a\\nba\\nb"),
    "a foreign state dictionary": (
        lambda: torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.BatchNorm1d(2)).state_dict(),
        r"missing hash_pe, center, .* more; unknown 0\.weight, 0\.bias, 1\.weight, 1\.bias, 1\.running_mean and 2 m",
    ),
    "code": (
        lambda: {"hash_pe": Evil()},
        r"holds code or objects, which are never loaded, .* \(UnpicklingError\); give",
    ),
}


def refusal(file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], *options: str) -> str:
    """Run the command, see that it ends with 2, one line on standard error and nothing left behind; give the line."""
    before = sorted(tmp_path.rglob("*"))
    assert main([str(file), "--out", str(tmp_path / "new" / "out"), "--heads", "4", *options]) == 2
    said = capsys.readouterr()
    assert said.out == "" and said.err.count("\n") == 1 and len(said.err) < 1200
    assert sorted(tmp_path.rglob("*")) == before
    return said.err.strip()


@pytest.mark.parametrize("what", REFUSED)
def test_a_file_of_something_else_is_refused_in_one_sentence(
    what: str, saved: Files, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    make, says = REFUSED[what]
    file = saved(make())

    line = refusal(file, tmp_path, capsys)
    assert re.search(says, line), line
    assert not Path("pwned").exists()


@pytest.mark.parametrize("generated", [False, True])
def test_the_tensor_whose_shape_is_wrong_is_named(generated: bool) -> None:
    state = official_state(official_like(prompt_generator=generated), aliases=False)
    whole = {name: tuple(tensor.shape) for name, tensor in state.items()}
    for name, shape in whole.items():
        for place, change in itertools.product(range(len(shape)), (-1, 1)):
            other = (*shape[:place], shape[place] + change, *shape[place + 1 :])
            is_longer_token = name in ("visual_context", "hash_queries") and (place, change) == (1, 1)
            if is_longer_token or name.endswith(("position_embedding.weight", "text_projection.weight")):
                continue  # registers, another grid, and what nobody uses
            shapes = whole | {name: other}
            layout = variant_of(shapes)
            with pytest.raises(CheckpointError, match=rf"wrong shape .*{re.escape(name)} \("):
                sizes_of(layout, rows_of(layout), shapes)


def test_all_tensors_of_language_guided_centers_are_missed(
    saved: Files, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    state = official_state(official_like(text_hidden=7), aliases=False)
    file = saved({name: tensor for name, tensor in state.items() if not name.startswith("text_projection.")})
    assert re.search(r"missing text_projection\.0\.weight, .*\.2\.bias; give", refusal(file, tmp_path, capsys))


def test_a_name_that_no_folder_can_have_is_refused(
    saved: Files, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = saved(official_state(official_like()))
    assert main([str(file), "--out", str(tmp_path / ("x" * 300)), "--heads", "4"]) == 2
    assert capsys.readouterr().err.rstrip().endswith("choose another --out.")


def whole_file() -> bytes:
    stream = io.BytesIO()
    torch.save(official_state(official_like()), stream)
    return stream.getvalue()


def compressed() -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(whole_file())) as old, zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as new:
        for entry in old.namelist():
            new.writestr(entry, old.read(entry))
    return stream.getvalue()


def deep_pickle() -> bytes:
    return b"\x80\x02" + b"]" * 200_000 + b"a" * 199_999 + b"."


BYTES: dict[str, tuple[Callable[[], bytes], str]] = {
    "an empty file": (lambda: b"", "has 0 bytes"),
    "a truncated file": (lambda: whole_file()[: len(whole_file()) // 2], "cut short"),
    "a file without its last byte": (lambda: whole_file()[:-1], "cut short"),
    "a file cut at its start": (lambda: whole_file()[1000:], "is not a file of torch.save"),
    "text": (lambda: b"<html>404 not found</html>", "holds code or objects|was cut short or altered"),
    "a plain pickle with code": (lambda: pickle.dumps(Evil()), "holds code or objects, which are never loaded"),
    "a pickle of lists in lists": (deep_pickle, "holds code|cut short|instead of named tensors"),
    "dictionaries in dictionaries": (lambda: nested(), "other things than plain tensors by name: state_dict"),
    "a compressed archive": (compressed, "is a compressed archive"),
    "an archive of something else": (lambda: archive(), "holds code or objects|was cut short or altered"),
    "a string that claims to be long": (
        lambda: b"\x80\x02X" + struct.pack("<I", 0xFFFFFFF0) + b"a.",
        "holds code or objects|was cut short or altered",
    ),
}


def nested() -> bytes:
    content: Any = {"hash_pe": torch.zeros(1)}
    for _ in range(60):
        content = {"state_dict": content}
    stream = io.BytesIO()
    torch.save(content, stream)
    return stream.getvalue()


def archive() -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as new:
        new.writestr("readme.txt", "hello")
    return stream.getvalue()


@pytest.mark.parametrize("what", BYTES)
def test_a_hostile_file_is_refused_in_one_sentence(
    what: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:

    monkeypatch.chdir(tmp_path)
    make, says = BYTES[what]
    (tmp_path / "bad.pth").write_bytes(make())
    line = refusal(tmp_path / "bad.pth", tmp_path, capsys)
    assert re.search(says, line), line
    assert not Path("pwned").exists()


def test_folders_missing_files_and_files_too_large_are_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert "is a folder" in refusal(tmp_path, tmp_path, capsys)
    assert "is not there" in refusal(tmp_path / "none.pth", tmp_path, capsys)
    assert "no file" in refusal(Path(os.devnull), tmp_path, capsys)
    with (tmp_path / "huge.pth").open("wb") as stream:
        stream.truncate(2**40)  # a file with a hole, which takes no room
    assert "more than the 16 GiB" in refusal(tmp_path / "huge.pth", tmp_path, capsys)


def test_class_names_that_do_not_fit_are_refused(
    saved: Files, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file, names = saved(official_state(official_like())), tmp_path / "names.txt"
    for content in (b"a\nb\nc\n", b"a\n\nb\nc\nd\n", b"a\nb\nc\nd\n\x1b[31m\n"):
        names.write_bytes(content)
        assert "one readable name a line" in refusal(file, tmp_path, capsys, "--classes", str(names))
    names.write_bytes(b"\xff\xfe\x00")
    assert "Class names cannot be read from 'names.txt'" in refusal(file, tmp_path, capsys, "--classes", str(names))
    assert "cannot be read" in refusal(file, tmp_path, capsys, "--classes", str(tmp_path))


def test_nothing_that_is_there_is_overwritten(saved: Files, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = saved(official_state(official_like()))
    (tmp_path / "empty").mkdir()
    assert main([str(file), "--out", str(tmp_path / "empty"), "--heads", "4"]) == 0
    capsys.readouterr()
    before = (tmp_path / "empty" / "config.json").read_bytes()
    for out in ("empty", "official.pth", "official.pth/below"):
        assert main([str(file), "--out", str(tmp_path / out), "--heads", "4"]) == 2
        assert capsys.readouterr().err.rstrip().endswith("choose another --out.")
    assert (tmp_path / "empty" / "config.json").read_bytes() == before


def test_a_failure_while_writing_leaves_nothing_behind(
    saved: Files, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    (tmp_path / "new").mkdir()
    monkeypatch.setattr("concepthash.checkpoint.write_json", full)
    assert "No space left on device" in refusal(saved(official_state(official_like())), tmp_path, capsys)
