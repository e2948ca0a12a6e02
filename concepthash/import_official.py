"""``python -m concepthash.import_official``: a checkpoint of the official code becomes a checkpoint folder of ours."""

import argparse
import hashlib
import json
import shutil
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Any

from .checkpoint import Checkpoint, ClassTable, read_checkpoint, save_checkpoint
from .data import family_of
from .errors import CheckpointError, ConceptHashError
from .model import ConceptHash
from .official_model import Assumed, model_from_official

__all__ = ["import_official", "main"]

MAX_NAMES_BYTES = 2**24


def import_official(
    file: str | Path,
    out: str | Path,
    assumed: Assumed = Assumed(),
    *,
    classes: str | Path | None = None,
    half: bool = False,
) -> Checkpoint:
    """Write the checkpoint folder ``out`` from an official ``.pth`` file; nothing is left behind if that fails.

    Parameters
    ----------
    file
        Official checkpoint.
    out
        Folder to make; an empty one may be there.
    assumed
        What no shape tells.
    classes
        Text file with one class name a line, in the model's order; without it they are ``"class 1"`` …
    half
        Whether matrices are stored as float16: half as large, and a little less exact.

    Raises
    ------
    CheckpointError
        If the file or ``out`` cannot be used, or the class names do not fit.
    """
    path, folder = Path(file), Path(out)
    if not _is_free(folder):
        raise CheckpointError(f"{folder.name!r} is there already, or no name for a folder; choose another --out.")
    model = model_from_official(path, assumed)
    table = _class_table(model, None if classes is None else Path(classes))
    origin: dict[str, Any] = {"file": path.name, "sha256": _sha256(path), "assumed": asdict(assumed)}
    origin["assumed"] |= {"heads": model.config.backbone.n_heads, "image_size": model.config.backbone.image_size[0]}
    unfinished = None
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        unfinished = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{folder.name}."))
        save_checkpoint(unfinished, model, table, metrics={"imported": origin}, card=_card(model, origin), half=half)
        unfinished.chmod(0o755)
        unfinished.replace(folder)
    except OSError as error:
        raise CheckpointError(f"{folder.name!r} cannot be written ({error.strerror}); choose another --out.") from error
    finally:
        if unfinished is not None:
            shutil.rmtree(unfinished, ignore_errors=True)
    return read_checkpoint(folder)


def _is_free(folder: Path) -> bool:
    """Whether nothing is there but perhaps an empty folder, and a folder of that name can be."""
    try:
        folder.lstat()
        return not folder.is_symlink() and folder.is_dir() and not any(folder.iterdir())
    except (FileNotFoundError, NotADirectoryError):
        return True
    except OSError:
        return False


def _class_table(model: ConceptHash, file: Path | None) -> ClassTable:
    """Names and families of the classes, and the text features that lie in the model."""
    n_classes = model.config.n_classes
    names = tuple(f"class {c + 1}" for c in range(n_classes)) if file is None else _read_names(file, n_classes)
    families = tuple("" if file is None else family_of(name) for name in names)
    if model.config.centers != "language":
        return ClassTable(names, families)
    features = model.class_centers.get_buffer("text_features").tolist()
    return ClassTable(names, families, tuple(map(tuple, features)), "official checkpoint")


def _read_names(file: Path, n_classes: int) -> tuple[str, ...]:
    try:
        if file.stat().st_size > MAX_NAMES_BYTES:
            raise ValueError("too large")
        lines = file.read_text(encoding="utf-8-sig").rstrip().splitlines()
    except (OSError, ValueError) as error:
        raise CheckpointError(f"Class names cannot be read from {file.name!r} ({error}); give a text file.") from error
    names = tuple(" ".join(line.replace("_", " ").split()) for line in lines)
    if len(names) != n_classes or not all(names) or not all(name.isprintable() for name in names):
        raise CheckpointError(
            f"{file.name!r} has {len(names)} lines, the model {n_classes} classes; give one readable name a line."
        )
    return names


def _sha256(file: Path) -> str:
    digest = hashlib.sha256()
    with file.open("rb") as stream:
        while block := stream.read(2**20):
            digest.update(block)
    return digest.hexdigest()


def _card(model: ConceptHash, origin: dict[str, Any]) -> str:
    config, assumed = model.config, origin["assumed"]
    backbone = config.backbone
    parts = [f"{n:,} {what}" for what, n in _parameters(model).items()]
    lines = [
        f"# ConceptHash, {config.n_bits} bits over {config.n_concepts} concepts",
        "",
        f"Imported from a file of the official format, SHA-256 {origin['sha256']}.",
        f"Network: CLIP vision transformer at {backbone.image_size[0]} px, {backbone.depth} blocks of width "
        f"{backbone.width}, adapters of {backbone.adapter_dim}; {config.n_classes} classes.",
        f"Concept tokens: {'generated' if config.prompt_generator else 'free'}. Hash centers: {config.centers}.",
        f"Parameters: {', '.join(parts)}.",
        f"Not told by the file but assumed: {assumed['heads']} attention heads, {assumed['activation']}"
        + (f", {assumed['prompt_heads']} heads of the prompt generator" if config.prompt_generator else "")
        + (f", {assumed['hash_activation']} inside the hash map" if config.head.hidden else "")
        + ".",
        "",
        "## Limits",
        "",
        "- Nothing was measured. Images are squashed to the model's square, not cut as by the official code.",
        "- Whoever trained the file knows its data, its licence and its figures.",
        "",
    ]
    return "\n".join(lines)


def _parameters(model: ConceptHash) -> dict[str, int]:
    counts = {"in adapters": 0, "frozen": 0, "others": 0}
    for name, parameter in model.named_parameters():
        kind = "in adapters" if "_adapter." in name else "others" if not name.startswith("backbone.") else "frozen"
        counts[kind] += parameter.numel()
    return counts


def main(arguments: list[str] | None = None) -> int:
    """Run the command; 0 when it worked, 2 with one sentence on standard error when it could not."""
    options = _parser().parse_args(arguments)
    assumed = Assumed(
        options.heads, options.prompt_heads, options.activation, options.hash_activation, options.image_size
    )
    try:
        checkpoint = import_official(options.file, options.out, assumed, classes=options.classes, half=options.half)
    except ConceptHashError as error:
        print(error, file=sys.stderr)
        return 2
    print(
        json.dumps({"checkpoint": str(checkpoint.path), "model": asdict(checkpoint.config)} | dict(checkpoint.metrics))
    )
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m concepthash.import_official", description=__doc__)
    add = parser.add_argument
    add("file", help=".pth file of the official trainer; it is read without running any code in it")
    add("--out", required=True, help="checkpoint folder to make")
    add("--classes", help="text file with one class name a line; default: class 1, class 2, and so on")
    add(
        "--heads",
        type=int,
        help="attention heads of a block; the file cannot tell. Default: those of CLIP of that width",
    )
    add("--prompt-heads", type=int, default=Assumed.prompt_heads, help="attention heads of the prompt generator")
    add("--activation", choices=["quickgelu", "gelu"], default=Assumed.activation, help="inside a block's MLP")
    add(
        "--hash-activation",
        choices=["relu", "gelu", "none"],
        default=Assumed.hash_activation,
        help="between the layers of a hash map that has several",
    )
    add("--image-size", type=int, help="pixels to use the model at; default: what its position embedding was made for")
    add("--half", action="store_true", help="store matrices as float16: half as large, a little less exact")
    return parser


if __name__ == "__main__":
    sys.exit(main())
