"""Encoding rows of a table: what is asked of a model, and batches as a gallery takes them."""

import hashlib
import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np
from tqdm import tqdm

from .data import ImageTable
from .data.folder import valid_text
from .errors import ConfigError
from .gallery import NewImage, Provenance, Skipped
from .gallery.metadata_file import NO_METADATA, Metadata
from .gallery.reading import Decoded, read_batches
from .gallery.thumbnails import THUMBNAIL_KINDS

__all__ = ["EncodeOptions", "Encoded", "ImageEncoder", "encode_batches", "made_of"]


class ImageEncoder(Protocol):
    """What is needed of a model here; `concepthash.encoder.Encoder` has it.

    Of ``checkpoint`` these are read: ``fingerprint``, ``name``, ``config.n_bits``, ``config.n_concepts`` and
    ``config.backbone.image_size``.
    """

    @property
    def checkpoint(self) -> Any:
        """What the model was loaded from."""

    @property
    def transform_id(self) -> str:
        """Name of what happens to an image before the network."""

    def encode(self, images: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
        """Code logits (n, K) and attention centers (n, M, 2) of n RGB uint8 images (H, W, 3); n may be 0."""


@dataclass(frozen=True, eq=False)
class EncodeOptions:
    """How images are encoded; see `encode_table`.

    Raises
    ------
    ConfigError
        For a batch size below 1, thumbnails of another kind, or a part that is not one of 1 to N of N.
    """

    batch_size: int = 32
    progress: bool = True
    overwrite: bool = False
    thumbnails: str = "own"
    metadata: Metadata = NO_METADATA
    part: tuple[int, int] | None = None
    server: str = ""
    pictures: str = ""

    def __post_init__(self) -> None:
        """Refuse what has no meaning."""
        if self.batch_size < 1:
            raise ConfigError(f"The batch size is {self.batch_size}; it must be at least 1.")
        if self.thumbnails not in THUMBNAIL_KINDS:
            kinds = " or ".join(THUMBNAIL_KINDS)
            raise ConfigError(f"Thumbnails are {kinds}, not {self.thumbnails!r}; choose one of these.")
        if self.part and not 1 <= self.part[0] <= self.part[1]:
            raise ConfigError(f"There is no part {self.part[0]} of {self.part[1]}; give one of 1/N to N/N.")
        if self.server and (self.part or self.thumbnails != "own"):
            raise ConfigError("A gallery on a server takes all images, with thumbnails of its own; leave out the rest.")


class Encoded(NamedTuple):
    """A batch as a gallery takes it: n images, code logits (n, K), attention centers (n, M, 2), unreadable files."""

    images: list[NewImage]
    code_logits: np.ndarray
    attention_centers: np.ndarray
    skipped: list[Skipped]


def encode_batches(
    encoder: ImageEncoder,
    table: ImageTable,
    rows: Sequence[int],
    options: EncodeOptions,
    *,
    n_done: int = 0,
    share: tuple[int, int] = (0, 1),
) -> Iterator[Encoded]:
    """Read and encode rows of a table, batch by batch, with a progress bar that counts the files it could not read.

    Parameters
    ----------
    encoder, table, options
        As in `encode_table`.
    rows
        Of the table.
    n_done
        Rows before these, for the bar.
    share
        ``(i, n)``: batches i, i + n, i + 2n and so on only, as many for every i; the last one may be empty.

    Yields
    ------
    Encoded
        To be stored before the next one is asked for, as the bar takes it for stored then.
    """
    size, name, n_skipped = encoder.checkpoint.config.backbone.image_size, "encode", 0
    if options.part:
        name = f"part {options.part[0]}/{options.part[1]}"
    batches = read_batches(
        table, rows, options.batch_size, tuple(size), share,
        metadata=options.metadata, with_thumbnails=options.thumbnails == "own",
    )  # fmt: skip
    hidden = not options.progress or share[0] > 0
    bar = tqdm(
        total=n_done + len(rows), initial=n_done, desc=name, unit="image", disable=hidden, position=_line(options)
    )
    with bar:
        for batch in batches:
            decoded = [item for item in batch if isinstance(item, Decoded)]
            skipped = [item for item in batch if isinstance(item, Skipped)]
            logits, centers = encoder.encode([item.model_input for item in decoded])  # (n, K), (n, M, 2)
            yield Encoded([item.image for item in decoded], logits, centers, skipped)
            n_skipped += len(skipped)
            if n_skipped:
                bar.set_postfix(skipped=n_skipped, refresh=False)
            bar.update(min(len(batch) * share[1], bar.total - bar.n))


def _line(options: EncodeOptions) -> int:
    """Line of the terminal for the bar: each of several processes has its own."""
    from .devices import n_processes  # torch takes seconds to import, and --help should not

    return options.part[0] - 1 if options.part and n_processes() > 1 else 0


def made_of(
    encoder: ImageEncoder, table: ImageTable, out: Path, thumbnails: str, metadata: Metadata = NO_METADATA
) -> Provenance:
    """What a gallery of a table is made with."""
    checkpoint = encoder.checkpoint
    root = table.root.resolve()
    if thumbnails == "originals":  # so that both can be moved together
        root = Path(os.path.relpath(root, out.expanduser().resolve()))
    split = None if table.is_train is None else table.is_train.tolist()
    described = [table.image_ids, table.labels.tolist(), table.class_names, table.families, split]
    described += [metadata.values] if metadata.columns else []
    return Provenance(
        fingerprint=checkpoint.fingerprint,
        checkpoint_name=checkpoint.name,
        n_bits=checkpoint.config.n_bits,
        n_concepts=checkpoint.config.n_concepts,
        transform=encoder.transform_id,
        data_root=valid_text(root.as_posix()),
        images=hashlib.sha256(json.dumps(described).encode()).hexdigest(),
        thumbnails=thumbnails,
        metadata=metadata.columns,
    )
