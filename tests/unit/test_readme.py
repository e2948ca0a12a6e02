"""What the README says, held against what is there."""

import re
from pathlib import Path

import pytest

from concepthash import encode, evaluate, train
from concepthash.checkpoint import read_checkpoint

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
MODELS = sorted(p.parent for p in (ROOT / "checkpoints").glob("*/config.json"))


def test_every_file_of_the_map_exists() -> None:
    block = README.split("## Map")[1].split("```")[1]
    folder, missing = ROOT, []
    for line in block.strip().splitlines():
        names = re.findall(r"[\w/]+\.py|[\w/]+/", line.split("   ")[0] if line[0] != " " else line)
        if line[0] != " " and names and names[0].endswith("/"):
            folder = ROOT / names[0]
            continue
        missing += [name for name in names if not ((folder if line[0] == " " else ROOT) / name).exists()]
    assert not missing


@pytest.mark.parametrize("model", MODELS, ids=lambda p: p.name)
@pytest.mark.parametrize("page", ["README.md", "checkpoints/README.md"])
def test_figures_of_the_models_are_the_measured_ones(model: Path, page: str) -> None:
    figures = read_checkpoint(model).metrics["figures"]
    row = next(line for line in (ROOT / page).read_text().splitlines() if line.startswith(f"| `{model.name}`"))
    for name in ("map", "concept_overlap", "concept_on_object_min"):
        assert (f"{figures[name]:.3f}" if name in figures else "–") in row, name


@pytest.mark.parametrize("command", [encode, evaluate, train], ids=lambda m: m.__name__)
def test_options_in_the_text_exist(command: object, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        command.main(["--help"])  # type: ignore[attr-defined]
    known = set(re.findall(r"--[\w-]+", capsys.readouterr().out))
    text = README + (ROOT / "checkpoints" / "README.md").read_text()
    name = f"python -m {command.__name__}"  # type: ignore[attr-defined]
    for call in re.findall(rf"{re.escape(name)}((?:[^\n`]|\\\n)*)", text):
        assert set(re.findall(r"--[\w-]+", call)) <= known


def test_pictures_of_the_readme_are_there() -> None:
    for picture in re.findall(r"!\[[^\]]*\]\(([^)]+)\)", README):
        assert (ROOT / picture).is_file(), picture
