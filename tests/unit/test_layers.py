"""Who may import whom: each layer knows only what stands left of it."""

import ast
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

ALLOWED = {  # module or package -> what it may import of ours
    "concepthash": {"concepthash"},
    "explorer.records": {"explorer.facet_records"},
    "explorer.facet_records": set(),
    "explorer.api_records": {"explorer.records"},
    "explorer.center_records": {"explorer.records"},
    "explorer.subcode_records": {"explorer.records"},
    "explorer.training_records": set(),
    "explorer.session": set(),
    "explorer.link": {"explorer.link_fields", "explorer.session"},
    "explorer.link_fields": {"explorer.session"},
    "explorer.long_links": {"explorer.link"},
    "explorer.settings": {"explorer.flags"},
    "explorer.flags": set(),
    "explorer.doorway": {"concepthash"},
    "explorer.closing": set(),
    "explorer.health": {"explorer.services"},
    "explorer.services": {
        "explorer.services",
        "explorer.records",
        "explorer.facet_records",
        "explorer.api_records",
        "explorer.center_records",
        "explorer.subcode_records",
        "explorer.training_records",
        "explorer.settings",
        "explorer.session",
        "concepthash",
    },
    "explorer.api": {
        "explorer.api_types",
        "explorer.api_records",
        "explorer.records",
        "explorer.center_records",
        "explorer.subcode_records",
        "explorer.services",
        "explorer.settings",
        "concepthash",
    },
    "explorer.api_types": {"explorer.records", "concepthash"},
    "explorer.sent_images": {"concepthash"},
    "explorer.statuses": set(),
    "explorer.callers": set(),
    "explorer.rate_limit": {"explorer.callers"},
    "explorer.body_limit": set(),
    "explorer.closed_routes": set(),
    "explorer.shared_configs": set(),
    "explorer.layers": {
        "explorer.body_limit",
        "explorer.closed_routes",
        "explorer.long_links",
        "explorer.rate_limit",
        "explorer.settings",
        "explorer.statuses",
    },
    "explorer.doors": {
        "explorer.api",
        "explorer.records",
        "explorer.sent_images",
        "explorer.services",
        "explorer.statuses",
        "concepthash",
    },
    "explorer.render": {
        "explorer.render",
        "explorer.records",
        "explorer.facet_records",
        "explorer.api_records",
        "explorer.center_records",
        "explorer.subcode_records",
        "explorer.training_records",
        "explorer.session",
    },
    "explorer.views": {
        "explorer.api",
        "explorer.api_records",
        "explorer.api_types",
        "explorer.services",
        "explorer.render",
        "explorer.records",
        "explorer.center_records",
        "explorer.subcode_records",
        "explorer.training_records",
        "explorer.session",
        "explorer.link",
        "explorer.views",
    },
    "explorer.ui": {
        "explorer.api",
        "explorer.doors",
        "explorer.shared_configs",
        "explorer.views",
        "explorer.render",
        "explorer.services",
        "explorer.session",
        "explorer.settings",
    },
    "app": {
        "explorer.closing",
        "explorer.doorway",
        "explorer.health",
        "explorer.ui",
        "explorer.layers",
        "explorer.services",
        "explorer.settings",
        "explorer.records",
        "concepthash",
    },
}
RANKS = [  # concepthash: a module imports from the ranks above it or its own
    {"errors", "config", "codes", "attention_centers", "concept_names", "data", "files", "localization", "metrics"}
    | {"keypoints"}
    | {"backbone_config", "official_file", "official_layout"}
    | {"download_sources", "fetch", "unpack", "verify"}
    | {"devices", "image_views", "run_report"}
    | {"timm_parts", "without_compiler"},
    {"center_maps"},
    {"center_measures"},
    {"adapters", "concept_tokens", "dropout", "hash_head", "language", "patch_reading", "stems"},
    {"backbones"},
    {"stem_weights"},
    {"model"},
    {"attribution", "losses", "checkpoint", "objective", "official_model"},
    {"encoder", "card", "parts", "center_sets"},
    {"batches", "feature_cache", "features", "gallery", "trainer"},
    {"encoding"},
    {"encode_table", "encode_update"},
    {"average", "centers", "download", "encode", "evaluate", "import_official"},
    {"estimate", "start", "watch", "train_setup"},
    {"train", "train_loop", "train_options"},
]
SOURCES = [*sorted(p for folder in ("concepthash", "explorer") for p in (ROOT / folder).rglob("*.py")), ROOT / "app.py"]


def module_name(file: Path) -> str:
    parts = file.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imports_of(file: Path) -> Iterator[str]:
    package = module_name(file).split(".") if file.name == "__init__.py" else module_name(file).split(".")[:-1]
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            prefix = ".".join([*base, *([node.module] if node.module else [])])
            yield from (f"{prefix}.{alias.name}" for alias in node.names)


def is_within(name: str, package: str) -> bool:
    return name == package or name.startswith(f"{package}.")


def layer_of(name: str) -> str | None:
    return next((layer for layer in ALLOWED if is_within(name, layer)), None)


def test_every_module_has_a_layer_and_those_of_concepthash_a_rank() -> None:
    names = {module_name(file) for file in SOURCES} - {"explorer", "concepthash"}
    assert not {name for name in names if layer_of(name) is None}
    assert {name.split(".")[1] for name in names if is_within(name, "concepthash")} == set().union(*RANKS)


@pytest.mark.parametrize("file", SOURCES, ids=module_name)
def test_a_layer_imports_only_what_stands_left_of_it(file: Path) -> None:
    name = module_name(file)
    for imported in imports_of(file):
        if is_within(imported, "concepthash") or is_within(imported, "explorer"):
            allowed = ALLOWED.get(layer_of(name) or "", set())
            assert any(is_within(imported, package) for package in allowed), f"{name} imports {imported}"


@pytest.mark.parametrize("file", SOURCES, ids=module_name)
def test_gradio_is_used_by_views_and_the_page_only(file: Path) -> None:
    name = module_name(file)
    if any(is_within(name, place) for place in ("explorer.views", "explorer.ui", "explorer.doors", "app")):
        return
    assert not [i for i in imports_of(file) if is_within(i, "gradio")], f"{name} imports gradio"


@pytest.mark.parametrize("file", sorted((ROOT / "explorer" / "views").glob("*.py")), ids=module_name)
def test_a_tab_never_imports_another_tab(file: Path) -> None:
    names = ("explain", "match", "subcodes", "centers", "train")
    tabs = {f"explorer.views.{tab}" for tab in names} - {module_name(file)}
    if file.name != "__init__.py":
        assert not [i for i in imports_of(file) for tab in tabs if is_within(i, tab)]


@pytest.mark.parametrize("file", sorted((ROOT / "concepthash").rglob("*.py")), ids=module_name)
def test_imports_inside_concepthash_run_one_way(file: Path) -> None:
    name = module_name(file)
    if name == "concepthash":
        return
    rank = {part: i for i, parts in enumerate(RANKS) for part in parts}
    own = name.split(".")[1]
    for imported in imports_of(file):
        if imported.startswith("concepthash.") and imported.split(".")[1] in rank:  # the others are names
            assert rank[imported.split(".")[1]] <= rank[own], f"{name} imports {imported}"


def test_only_settings_reads_the_environment() -> None:
    """And `devices`, which finds there what ``accelerate launch`` says; the package asks torch for large pages."""
    readers = [module_name(f) for f in SOURCES if "os.environ" in f.read_text() or "getenv" in f.read_text()]
    assert set(readers) <= {"explorer.settings", "app", "concepthash", "concepthash.devices"}, readers


@pytest.mark.parametrize("wanted", ["", "0"])
def test_the_package_asks_torch_for_large_pages_unless_somebody_did_not_want_them(wanted: str) -> None:
    environment = {name: value for name, value in os.environ.items() if name != "THP_MEM_ALLOC_ENABLE"}
    environment |= {"THP_MEM_ALLOC_ENABLE": wanted} if wanted else {}
    command = [sys.executable, "-c", "import concepthash, os; print(os.environ['THP_MEM_ALLOC_ENABLE'])"]
    said = subprocess.run(command, capture_output=True, text=True, check=True, env=environment, cwd=ROOT).stdout
    assert said.strip() == (wanted or "1")
