"""One checkpoint is one folder: configuration, weights, classes, names of concepts, metrics and card."""

import hashlib
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from mmap import ACCESS_READ, mmap
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save

from .concept_names import check_concept_names, read_concept_names
from .config import ModelConfig, from_dict
from .errors import CheckpointError, ConfigError
from .files import read_json, write_atomically, write_json
from .model import ConceptHash
from .stems import fold_batch_norm

__all__ = [
    "Checkpoint",
    "ClassTable",
    "load_model",
    "read_checkpoint",
    "rename_concepts",
    "save_checkpoint",
    "weights_of",
]

FORMAT = 1
STEM, TAIL = "backbone.vit.patch_embed.backbone.", "backbone.tail."  # what the names of their weights begin with


@dataclass(frozen=True)
class ClassTable:
    """The classes a model knows: names, families, and the text features their centers are made of.

    Parameters
    ----------
    names, families
        One each for C classes.
    text_features
        C rows of T floats; empty where centers are not language-guided.
    text_encoder
        What made the text features.
    """

    names: tuple[str, ...]
    families: tuple[str, ...]
    text_features: tuple[tuple[float, ...], ...] = ()
    text_encoder: str = "none"


@dataclass(frozen=True)
class Checkpoint:
    """What a checkpoint folder says of itself, weights not loaded.

    Parameters
    ----------
    path, name
        The folder, and its last part.
    config, classes
        Sizes of the model, and what it was trained to tell apart.
    concept_names
        M names, ``"concept 1"`` … until somebody renames them.
    fingerprint
        SHA-256 of the weights in hexadecimal; a gallery keeps it to know its model.
    stem, tail
        SHA-256 of the files of the stem's frozen stages, and of those that train; empty where there are none.
    metrics
        What was measured when it was made.
    """

    path: Path
    name: str
    config: ModelConfig
    classes: ClassTable
    concept_names: tuple[str, ...]
    fingerprint: str
    stem: str
    tail: str
    metrics: Mapping[str, Any]

    @property
    def class_names(self) -> tuple[str, ...]:
        """The C class names."""
        return self.classes.names

    @property
    def families(self) -> tuple[str, ...]:
        """The family of each class."""
        return self.classes.families


def read_checkpoint(path: str | Path) -> Checkpoint:
    """Read everything but the weights.

    Raises
    ------
    CheckpointError
        If the folder or one of its files is missing, altered, or of another format.
    """
    folder = Path(path)
    if not os.path.isdir(folder):  # False for names that no folder can have, too
        raise CheckpointError(f"There is no checkpoint folder {folder.name!r}; give one that holds config.json.")
    config_file = read_json(folder / "config.json")
    if config_file.get("format") != FORMAT:
        raise CheckpointError(
            f"Checkpoint {folder.name!r} has format {config_file.get('format')!r}, this version reads {FORMAT}."
        )
    try:
        config = from_dict(ModelConfig, config_file["model"])
        classes = _read_classes(read_json(folder / "classes.json"))
        fingerprint = str(config_file["weights_sha256"])
        stem, tail = (str(config_file.get(f"{part}_sha256", "")) for part in ("stem", "tail"))
        int(stem or "0", base=16)  # it becomes part of a file name
    except (ConfigError, KeyError, TypeError, ValueError) as error:
        raise CheckpointError(f"Checkpoint {folder.name!r} cannot be understood: {error}") from error
    if len(classes.names) != config.n_classes:
        raise CheckpointError(
            f"Checkpoint {folder.name!r} lists {len(classes.names)} classes, but its model has {config.n_classes}."
        )
    for part in ("weights", "tail") if tail else ("weights",):
        if not (folder / f"{part}.safetensors").is_file():
            raise CheckpointError(f"Checkpoint {folder.name!r} has no {part}.safetensors; copy the whole folder again.")
    if stem and not _stem_file(folder, stem).is_file():
        raise CheckpointError(
            f"Checkpoint {folder.name!r} has no stem; copy the folder 'stems' beside it, too, so that "
            f"stems/{stem[:16]}.safetensors is there."
        )
    metrics = read_json(folder / "metrics.json") if (folder / "metrics.json").is_file() else {}
    names = read_concept_names(folder, config.n_concepts)
    return Checkpoint(folder, folder.name, config, classes, names, fingerprint, stem, tail, metrics)


def load_model(checkpoint: Checkpoint, device: str | torch.device = "cpu", *, fold: bool = True) -> ConceptHash:
    """The network of a checkpoint, in evaluation mode, float32, frozen.

    Parameters
    ----------
    fold
        Whether batch norms of the frozen stem are folded into its convolutions: faster, but no more to be saved.

    Raises
    ------
    CheckpointError
        If the weights were altered or do not fit the configuration; the first wrong names are in the message.
    """
    features = torch.tensor(checkpoint.classes.text_features) if checkpoint.classes.text_features else None
    state = weights_of(checkpoint)
    try:
        model = ConceptHash(checkpoint.config, features)
        _load_strictly(model, state)
    except ConfigError as error:
        raise CheckpointError(f"The weights of {checkpoint.name!r} cannot be used: {error}") from error
    model.eval()
    if fold:
        fold_batch_norm(model.backbone.frozen_stem)
    model.to(memory_format=torch.channels_last)  # as convolutions like it
    return model.to(device).requires_grad_(False)


def weights_of(checkpoint: Checkpoint) -> dict[str, torch.Tensor]:
    """All weights of a checkpoint by name, as they are stored, mapped from its files, stem and tail included.

    Raises
    ------
    CheckpointError
        If a file is missing or altered.
    """
    folder, stem = checkpoint.path, checkpoint.stem
    files = {
        "": (folder / "weights.safetensors", checkpoint.fingerprint),
        STEM: (_stem_file(folder, stem), stem),
        TAIL: (folder / "tail.safetensors", checkpoint.tail),
    }
    state: dict[str, torch.Tensor] = {}
    try:
        for prefix, (file, sha256) in files.items():
            if sha256:
                state |= {f"{prefix}{name}": tensor for name, tensor in _map(checkpoint, file, sha256).items()}
    except SafetensorError as error:
        raise CheckpointError(f"The weights of {checkpoint.name!r} cannot be used: {error}") from error
    return state


def _stem_file(folder: Path, stem: str) -> Path:
    """Where a stem with this SHA-256 lies: inside the checkpoint, or beside it for all that share it."""
    own = folder / "stem.safetensors"
    return own if own.is_file() else _shared_stem_file(folder, stem)


def _shared_stem_file(folder: Path, stem: str) -> Path:
    return folder.parent / "stems" / f"{stem[:16]}.safetensors"


def _map(checkpoint: Checkpoint, file: Path, sha256: str) -> dict[str, torch.Tensor]:
    """Map the tensors of a file into memory, once its content is known to be the one that was saved."""
    try:
        with file.open("rb") as opened, mmap(opened.fileno(), 0, access=ACCESS_READ) as content:
            found = hashlib.sha256(content).hexdigest()
    except OSError as error:
        raise CheckpointError(
            f"Weights of {checkpoint.name!r} cannot be read from {file.parent.name}/{file.name}: {error.strerror}. "
            "Copy the whole folder again, and the folder 'stems' beside it where there is one."
        ) from error
    except ValueError:  # nothing can be mapped of an empty file
        found = ""
    if found != sha256:
        raise CheckpointError(
            f"The weights of {checkpoint.name!r} were altered or cut short: the SHA-256 of {file.name} is not the one "
            "in config.json. Copy the whole folder again."
        )
    return load_file(file)


def _load_strictly(model: ConceptHash, state: dict[str, torch.Tensor]) -> None:
    expected = model.state_dict()
    missing, unknown = sorted(set(expected) - set(state)), sorted(set(state) - set(expected))
    wrong = [k for k in expected if k in state and expected[k].shape != state[k].shape]
    if missing or unknown or wrong:
        parts = [
            f"{what} {', '.join(names[:3])}" + (" …" if len(names) > 3 else "")
            for what, names in (("missing", missing), ("unknown", unknown), ("wrong shape", wrong))
            if names
        ]
        raise ConfigError("they do not fit the configuration (" + "; ".join(parts) + ").")
    model.load_state_dict({k: v.to(expected[k].dtype) for k, v in state.items()})


def save_checkpoint(
    path: str | Path,
    model: ConceptHash,
    classes: ClassTable,
    *,
    metrics: Mapping[str, Any] | None = None,
    card: str = "",
    half: bool = True,
    share_stem: bool = False,
) -> Checkpoint:
    """Write a checkpoint folder; ``config.json`` comes last, so a folder without it is unfinished.

    Parameters
    ----------
    half
        Whether matrices are stored as float16 (vectors, biases, statistics and what float16 cannot hold stay float32).
    share_stem
        Whether the frozen stem goes to the folder ``stems`` beside this one, once for all checkpoints that use it,
        instead of into this one.
    """
    folder = Path(path)
    folder.mkdir(parents=True, exist_ok=True)
    state = {name: _stored(tensor, half) for name, tensor in model.state_dict().items()}
    fingerprints = {}
    for part, prefix in (("stem", STEM), ("tail", TAIL), ("weights", "")):
        taken = {name.removeprefix(prefix): state.pop(name) for name in list(state) if name.startswith(prefix)}
        if taken:
            content = save(taken)
            fingerprints[f"{part}_sha256"] = sha256 = hashlib.sha256(content).hexdigest()
            is_shared = share_stem and part == "stem"
            file = _shared_stem_file(folder, sha256) if is_shared else folder / f"{part}.safetensors"
            file.parent.mkdir(exist_ok=True)
            write_atomically(file, content)
    rows: list[dict[str, Any]] = [
        {"name": n, "family": f} for n, f in zip(classes.names, classes.families, strict=True)
    ]
    for row, feature in zip(rows, classes.text_features, strict=False):
        row["text_feature"] = [float(f"{value:.6g}") for value in feature]
    write_json(folder / "classes.json", {"text_encoder": classes.text_encoder, "classes": rows}, indent=None)
    write_json(folder / "metrics.json", dict(metrics or {}))
    write_atomically(folder / "card.md", card.encode())
    config = {"format": FORMAT, **fingerprints, "model": asdict(model.config)}
    write_json(folder / "config.json", config)
    return read_checkpoint(folder)


def _stored(tensor: torch.Tensor, half: bool) -> torch.Tensor:
    tensor = tensor.detach().cpu().contiguous()
    if not half or not tensor.is_floating_point() or tensor.ndim < 2:
        return tensor
    halved = tensor.half()
    return halved if halved.isfinite().all() else tensor


def rename_concepts(path: str | Path, names: Sequence[str]) -> None:
    """Keep names for the concepts in the checkpoint's folder.

    Raises
    ------
    ConfigError
        If there are not M names, or one is empty, too long, or given twice.
    CheckpointError
        If the folder cannot be written.
    """
    folder = Path(path)
    n_concepts = read_checkpoint(folder).config.n_concepts
    cleaned = check_concept_names(names, n_concepts)
    try:
        write_json(folder / "concepts.json", {"names": list(cleaned)})
    except OSError as error:
        raise CheckpointError(
            f"The names cannot be kept in {folder.name!r} ({error.strerror}); export them as JSON instead."
        ) from error


def _read_classes(content: dict[str, Any]) -> ClassTable:
    rows = content["classes"]
    features = tuple(tuple(map(float, row["text_feature"])) for row in rows if "text_feature" in row)
    if len(set(map(len, features))) > 1:
        raise ValueError("text features of classes differ in length.")
    return ClassTable(
        tuple(str(row["name"]) for row in rows),
        tuple(str(row["family"]) for row in rows),
        features,
        str(content["text_encoder"]),
    )
