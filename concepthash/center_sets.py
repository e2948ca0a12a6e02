"""Center sets of a checkpoint: its own, and those of other models of the same classes, kept beside it to compare."""

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.numpy import load, save

from .checkpoint import Checkpoint, load_model
from .data.families import plain_name
from .errors import CheckpointError
from .files import write_atomically

__all__ = ["ADDED_KINDS", "CENTERS_FILE", "KINDS", "add_center_set", "center_sets", "class_centers", "read_added_sets"]

CENTERS_FILE = "centers.safetensors"
ADDED_KINDS = ("random", "learnable")
KINDS = (*ADDED_KINDS, "language")  # in the order of the paper's figure


def center_sets(checkpoint: Checkpoint, own: np.ndarray) -> dict[str, np.ndarray]:
    """List the center sets of a checkpoint in the paper's order; where a kind is there twice, its own one counts.

    Parameters
    ----------
    own
        (C, K) the centers it was trained with, as `class_centers` gives them.

    Returns
    -------
    dict of str to np.ndarray
        Kind, one of `KINDS`, to (C, K) float32.

    Raises
    ------
    CheckpointError
        If the file with the other sets cannot be used.
    """
    found = read_added_sets(checkpoint) | {checkpoint.config.centers: np.asarray(own, dtype=np.float32)}
    return {kind: found[kind] for kind in KINDS if kind in found}


def read_added_sets(checkpoint: Checkpoint) -> dict[str, np.ndarray]:
    """Read the sets added to a checkpoint, (C, K) float32 each; an empty table where there are none.

    Raises
    ------
    CheckpointError
        If the file is damaged, holds something else, or was made for other sizes.
    """
    file, name = checkpoint.path / CENTERS_FILE, checkpoint.name
    if not file.is_file():
        return {}
    try:
        found = load(file.read_bytes())
    except (SafetensorError, OSError, KeyError, TypeError, ValueError) as error:
        raise CheckpointError(
            f"{CENTERS_FILE} of {name!r} cannot be read ({error}); remove it, or add the sets again."
        ) from error
    for kind, centers in found.items():
        _check(checkpoint, kind, centers)
    return found


def add_center_set(checkpoint: Checkpoint, other: Checkpoint) -> str:
    """Keep the centers of ``other`` beside ``checkpoint`` and return their kind; a set of that kind is replaced.

    Raises
    ------
    CheckpointError
        If ``other`` has other classes, another number of bits, or language-guided centers, or the folder cannot be
        written.
    """
    kind = other.config.centers
    if kind not in ADDED_KINDS or kind == checkpoint.config.centers:
        raise CheckpointError(
            f"{other.name!r} has {kind} centers; add a model with {' or '.join(ADDED_KINDS)} centers, which "
            f"{checkpoint.name!r} does not have itself."
        )
    centers = class_centers(other)[_rows(checkpoint, other)]
    _check(checkpoint, kind, centers)
    content = save(read_added_sets(checkpoint) | {kind: np.ascontiguousarray(centers)})
    try:
        write_atomically(checkpoint.path / CENTERS_FILE, content)
    except OSError as error:
        raise CheckpointError(
            f"{CENTERS_FILE} of {checkpoint.name!r} cannot be written ({error.strerror}); "
            "copy the checkpoint to a folder that may be changed."
        ) from error
    return kind


def class_centers(checkpoint: Checkpoint) -> np.ndarray:
    """Compute the centers (C, K) float32 that a checkpoint was trained with."""
    with torch.inference_mode():
        return load_model(checkpoint).class_centers().float().numpy()


def _rows(checkpoint: Checkpoint, other: Checkpoint) -> list[int]:
    """Find each class of ``checkpoint`` in ``other``."""
    row_of = {plain_name(name): row for row, name in enumerate(other.class_names)}
    wanted = [plain_name(name) for name in checkpoint.class_names]
    if sorted(wanted) != sorted(row_of) or len(set(wanted)) != len(wanted):
        stray = sorted(set(wanted) ^ set(row_of))
        named = f", such as {stray[0]!r}" if stray else ""
        raise CheckpointError(
            f"{other.name!r} was trained on other classes than {checkpoint.name!r}{named}; "
            "train both on the same data set."
        )
    return [row_of[name] for name in wanted]


def _check(checkpoint: Checkpoint, kind: str, centers: np.ndarray) -> None:
    config = checkpoint.config
    expected, got = (config.n_classes, config.n_bits), tuple(centers.shape)
    if kind not in ADDED_KINDS:
        raise CheckpointError(
            f"{CENTERS_FILE} of {checkpoint.name!r} holds {kind!r}; only {' and '.join(ADDED_KINDS)} belong in it."
        )
    if got != expected or centers.dtype != np.float32:
        raise CheckpointError(
            f"The {kind} centers for {checkpoint.name!r} have the shape {got} and type {centers.dtype}; they must be "
            f"float32 of shape {expected}: one row for each class, one column for each bit."
        )
    if not np.isfinite(centers).all():
        raise CheckpointError(f"The {kind} centers for {checkpoint.name!r} are not all finite; train that model again.")
