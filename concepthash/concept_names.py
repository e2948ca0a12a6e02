"""The names people give to concepts, kept beside the weights."""

from collections.abc import Sequence
from pathlib import Path

from .errors import CheckpointError, ConfigError
from .files import read_json

__all__ = ["check_concept_names", "read_concept_names"]

MAX_NAME = 40


def check_concept_names(names: Sequence[str], n_concepts: int) -> tuple[str, ...]:
    """Names without outer spaces, if there are M of them, all different, none empty or over 40 characters.

    Raises
    ------
    ConfigError
        Otherwise.
    """
    cleaned = tuple(" ".join(str(name).split()) for name in names)
    if len(cleaned) != n_concepts:
        raise ConfigError(f"This model has {n_concepts} concepts, but {len(cleaned)} names were given.")
    for name in cleaned:
        if not 1 <= len(name) <= MAX_NAME:
            raise ConfigError(f"A concept name needs 1 to {MAX_NAME} characters; {name[:MAX_NAME]!r} has {len(name)}.")
    if len({name.casefold() for name in cleaned}) != n_concepts:
        raise ConfigError("Two concepts have the same name; give each its own.")
    return cleaned


def read_concept_names(folder: Path, n_concepts: int) -> tuple[str, ...]:
    """Names kept in a checkpoint's folder; ``"concept 1"`` … where nobody gave any.

    Raises
    ------
    CheckpointError
        If ``concepts.json`` is not what `check_concept_names` accepts.
    """
    file = folder / "concepts.json"
    if not file.is_file():
        return tuple(f"concept {m + 1}" for m in range(n_concepts))
    try:
        return check_concept_names(read_json(file)["names"], n_concepts)
    except (KeyError, TypeError, ConfigError) as error:
        raise CheckpointError(f"concepts.json of {folder.name!r} cannot be used: {error} Mend or delete it.") from error
