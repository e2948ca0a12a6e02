"""What the README says, held against what is there."""

import re
from fnmatch import fnmatch
from importlib import metadata
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement

import app
from concepthash import average, centers, download, encode, evaluate, import_official, train
from concepthash.checkpoint import read_checkpoint
from concepthash.data.aviary import __main__ as aviary

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
COLORS = {"red", "yellow", "green", "blue", "indigo", "purple", "pink", "gray"}  # that the Hub knows
COMMANDS = {
    command.__name__: command for command in (average, centers, download, encode, evaluate, import_official, train)
}
COMMANDS |= {"concepthash.data.aviary": aviary, "app.py": app}
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


def test_every_module_stands_on_the_map() -> None:
    named = re.findall(r"[\w*]+\.py", README.split("## Map")[1].split("```")[1])
    modules = [file.name for folder in ("concepthash", "explorer") for file in (ROOT / folder).glob("[!_]*.py")]
    assert not [module for module in modules if not any(fnmatch(module, name) for name in named)]


@pytest.mark.parametrize("model", MODELS, ids=lambda p: p.name)
@pytest.mark.parametrize("page", ["README.md", "checkpoints/README.md"])
def test_figures_of_the_models_are_the_measured_ones(model: Path, page: str) -> None:
    figures = read_checkpoint(model).metrics["figures"]
    row = next(line for line in (ROOT / page).read_text().splitlines() if line.startswith(f"| `{model.name}`"))
    for name in ("map", "concept_overlap", "concept_on_object_min"):
        assert (f"{figures[name]:.3f}" if name in figures else "–") in row, name


@pytest.mark.parametrize("name", COMMANDS)
def test_options_in_the_text_exist(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        COMMANDS[name].main(["--help"])
    known = set(re.findall(r"--[\w-]+", capsys.readouterr().out))
    calls = calls_of(name, README + (ROOT / "checkpoints" / "README.md").read_text())
    assert calls
    for call in calls:
        assert set(re.findall(r"--[\w-]+", call)) <= known, call


def calls_of(name: str, text: str) -> list[str]:
    """Return each call of a command, or of a shell function that is short for it, with the lines it goes on."""
    names = [name]
    for short, called in re.findall(r"(\w+)\(\) \{ (?:python -m )?([\w.]+)", text):
        names += [short] if called in names else []
    return re.findall(rf"(?<![\w./-])(?:{'|'.join(map(re.escape, names))})(?=\s)(?:\\\n|\n +\[|[^\n`])*", text)


def test_options_on_lines_that_go_on_are_found() -> None:
    text = (
        "launch -m concepthash.train --a \\\n  --b\n--c\ntrain() { python -m concepthash.train --d; }\n`train --e`, --f"
    )
    calls = ["concepthash.train --a \\\n  --b", "concepthash.train --d; }", "train --e"]
    assert calls_of("concepthash.train", text) == calls
    assert calls_of("app.py", "python app.py [--a]\n  [--b]\n--c") == ["app.py [--a]\n  [--b]"]


def test_the_head_says_what_a_space_needs_to_start() -> None:
    head = yaml.safe_load(README.split("---\n")[1])
    assert (head["sdk"], head["app_file"], head["license"]) == ("gradio", "app.py", "apache-2.0")
    assert (ROOT / head["app_file"]).is_file() and (ROOT / head["thumbnail"]).is_file()
    assert len(head["short_description"]) <= 60  # the Hub refuses longer ones
    assert {head["colorFrom"], head["colorTo"]} <= COLORS
    assert head["python_version"] in ("3.10", "3.11", "3.12")


def test_a_space_runs_the_version_of_gradio_that_is_tested() -> None:
    version = yaml.safe_load(README.split("---\n")[1])["sdk_version"]
    assert required("tests/requirements.txt", "gradio") == f"=={version}"
    assert metadata.version("gradio") == version
    assert version in Requirement(f"gradio{required('requirements.txt', 'gradio')}").specifier


@pytest.mark.parametrize("version", ["2.8.0", "2.9.1", "2.10.0", "2.11.0"])
def test_a_space_with_lent_gpus_finds_its_torch_in_the_range(version: str) -> None:
    assert version in Requirement(f"torch{required('requirements.txt', 'torch')}").specifier


def required(file: str, package: str) -> str:
    """Return the range that a file of requirements asks for."""
    lines = (ROOT / file).read_text().splitlines()
    found = [Requirement(line.split("#")[0]) for line in lines if line[:1].isalpha()]
    return str(next(requirement.specifier for requirement in found if requirement.name == package))


def test_pictures_of_the_readme_are_there() -> None:
    for picture in re.findall(r"!\[[^\]]*\]\(([^)]+)\)", README):
        assert (ROOT / picture).is_file(), picture
