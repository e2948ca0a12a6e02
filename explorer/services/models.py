"""The checkpoints on the menu, and the few of them that are in memory."""

import os
import threading
from collections.abc import Sequence
from pathlib import Path

from concepthash.checkpoint import Checkpoint, read_checkpoint, rename_concepts
from concepthash.concept_names import check_concept_names
from concepthash.encoder import Encoder
from concepthash.errors import CheckpointError

from ..settings import Settings
from .cache import AnswerCache
from .lent_gpu import load_encoder
from .private_models import GONE, PrivateModels

__all__ = ["ModelShelf"]

PREFERRED = ("aviary-32", "birds-64")  # to open with, the first one that is there


class ModelShelf:
    """Finds checkpoints by name and loads them when first asked; the name travels with every request."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._encoders = AnswerCache(settings.models_in_memory)
        self._lock = threading.Lock()
        self._checkpoints = _read_all(settings)
        self.private = PrivateModels(settings)
        self._opened: dict[str, Checkpoint] = {}
        self.default = _default_name(settings, self._checkpoints)

    @property
    def names(self) -> tuple[str, ...]:
        """Names of all checkpoints, in alphabetical order."""
        return tuple(sorted(self._checkpoints))

    def title(self, name: str) -> str:
        """Return what people call a model: its name, unless that is a secret."""
        return name if name in self._checkpoints else self.private.title(name)

    def checkpoint(self, name: str) -> Checkpoint:
        """Return what is known of a checkpoint without its weights; a private one is found by its secret name only."""
        if name not in self._checkpoints and self.private.is_private(name):
            return self._private_checkpoint(name)
        if name not in self._checkpoints:
            known = ", ".join(self._checkpoints)
            raise CheckpointError(f"There is no model named {name!r} here; choose one of {known}.")
        return self._checkpoints[name]

    def encoder(self, name: str) -> Encoder:
        """Return the loaded model; the first visitor waits for it, everyone after shares it."""
        checkpoint = self.checkpoint(name)
        how = self._settings.device, self._settings.calls_at_once
        return self._encoders.get(checkpoint.fingerprint, lambda: load_encoder(checkpoint, *how))

    def has_files(self, name: str) -> bool:
        """Whether a model could be loaded again: its weights are where they were."""
        return (self.checkpoint(name).path / "weights.safetensors").is_file()

    def is_loaded(self, name: str) -> bool:
        """Whether a model is in memory."""
        return self.checkpoint(name).fingerprint in self._encoders

    def can_save_names(self, name: str) -> bool:
        """Whether concept names may be written beside the checkpoint: a local page and a writable folder."""
        folder = self.checkpoint(name).path
        return self._settings.may_save_names and self._settings.is_local and os.access(folder, os.W_OK)

    def rename(self, name: str, names: Sequence[str]) -> tuple[str, ...]:
        """Check new concept names, keep them in the checkpoint's folder where that is allowed, and return them."""
        checkpoint = self.checkpoint(name)
        checked = check_concept_names(names, checkpoint.config.n_concepts)
        if self.can_save_names(name):
            with self._lock:
                rename_concepts(checkpoint.path, checked)
                known = self._checkpoints if name in self._checkpoints else self._opened
                known[name] = read_checkpoint(checkpoint.path)
        return checked

    def _private_checkpoint(self, name: str) -> Checkpoint:
        folder = self.private.folder(name)
        if folder is None:
            with self._lock:
                self._opened.pop(name, None)
            raise CheckpointError(GONE)
        with self._lock:
            if name not in self._opened:
                self._opened = {known: one for known, one in self._opened.items() if self.private.folder(known)}
                self._opened[name] = read_checkpoint(folder)
            return self._opened[name]


def _read_all(settings: Settings) -> dict[str, Checkpoint]:
    """Read every checkpoint below the folder, and the one the command line names by its folder."""
    found = {}
    asked = settings.checkpoint
    if settings.checkpoints.is_dir():
        for folder in sorted(settings.checkpoints.iterdir()):
            if (folder / "config.json").is_file():
                found[folder.name] = folder
    if asked and asked not in found:
        if found and not Path(asked).is_dir():
            raise CheckpointError(
                f"There is no checkpoint {asked!r}; choose one of {', '.join(found)}, or give a checkpoint folder."
            )
        found[Path(asked).resolve().name] = Path(asked)
    checkpoints = {}
    for name, folder in found.items():
        try:
            checkpoints[name] = read_checkpoint(folder)
        except CheckpointError:
            if not asked or name == asked or folder == Path(asked):
                raise
    if not checkpoints:
        raise CheckpointError(
            f"There is no checkpoint below {settings.checkpoints}; give one with --checkpoint DIR, "
            "or train one with python -m concepthash.train."
        )
    return checkpoints


def _default_name(settings: Settings, checkpoints: dict[str, Checkpoint]) -> str:
    asked = settings.checkpoint
    if asked:
        return asked if asked in checkpoints else Path(asked).resolve().name
    return next((name for name in PREFERRED if name in checkpoints), next(iter(checkpoints)))
