"""All of a gallery's rows as arrays."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from .gallery import Gallery
from .mapped import mapped
from .provenance import Provenance
from .rows import Skipped
from .thumbnails import THUMBNAIL_KINDS

__all__ = ["gallery_of_columns"]


def gallery_of_columns(
    columns: Mapping[str, Any], facts: Mapping[str, str], folder: Path, skipped: Sequence[Skipped]
) -> Gallery:
    """Make a gallery of the columns of its table, in order of rows, None where a value is missing.

    Raises
    ------
    ValueError, KeyError
        If something in them cannot be.
    """
    made = Provenance.from_facts(facts)
    n_bits, n_concepts = made.n_bits, made.n_concepts
    words = np.stack([columns[f"code{word}"] for word in range(-(-n_bits // 64))], axis=1).astype(np.int64)  # (N, W)
    logits = np.ascontiguousarray(_floats(columns["code_logits"], n_bits).T)  # (K, N)
    rows = columns["row"].astype(np.int64)
    if (np.diff(rows, prepend=-1) < 1).any():
        raise ValueError("two of its rows have one number, or a number below 0")
    if made.thumbnails not in THUMBNAIL_KINDS:
        raise ValueError(f"its thumbnails are {made.thumbnails!r}")
    class_names, labels = _names_and_ids(columns["class"])
    family_names, family_ids = _names_and_ids(columns["family"])
    return Gallery(
        path=folder,
        n_bits=n_bits,
        n_concepts=n_concepts,
        fingerprint=made.fingerprint,
        checkpoint_name=made.checkpoint_name,
        transform=made.transform,
        created=facts["created"],
        data_root=(folder / made.data_root).resolve(),
        image_ids=tuple(columns["image_id"].tolist()),
        image_paths=tuple(columns["path"].tolist()),
        class_names=class_names,
        labels=labels,
        family_names=family_names,
        family_ids=family_ids,
        words=mapped(words),
        code_logits=mapped(logits).T,  # (N, K)
        sizes=np.stack([columns["width"], columns["height"]], axis=1).astype(np.int64),
        skipped=tuple(skipped),
        shows_originals=made.thumbnails == "originals",
        rows=rows,
        columns={name: columns[name] for name in ("split", *(c.name for c in made.metadata))},
        attention_centers=_attention_centers(columns, n_concepts) if int(facts["format"]) > 2 else None,
    )


def _attention_centers(columns: Mapping[str, Any], n_concepts: int) -> np.ndarray:
    """(N, M, 2) float32, checked, since what is cropped around them must lie in the picture."""
    centers = _floats(columns["attention"], 2 * n_concepts).reshape(-1, n_concepts, 2)
    if not ((centers >= 0) & (centers <= 1)).all():
        raise ValueError("an attention center lies outside its image")
    return centers


def _floats(column: np.ndarray, length: int) -> np.ndarray:
    """A column of lists as (N, length) float32."""
    if any(len(values) != length for values in column):
        raise ValueError(f"it holds a list of other than {length} numbers")
    return np.concatenate([*column, np.empty(0, np.float32)]).reshape(-1, length).astype(np.float32, copy=False)


def _names_and_ids(column: np.ndarray) -> tuple[tuple[str, ...], np.ndarray]:
    """Sorted names and (N,) int64 indices into them; NULL becomes -1."""
    values = column.tolist()  # None where there is none
    names = tuple(sorted({value for value in values if value is not None}))
    ids: dict[str | None, int] = {name: i for i, name in enumerate(names)}
    return names, np.array([ids.get(value, -1) for value in values], dtype=np.int64)
