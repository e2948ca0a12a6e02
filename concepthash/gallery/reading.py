"""Reading the images of a table ahead of the model, each as the model's input and as a row of the gallery to be."""

import os
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..data import ImageTable, read_image, resize_for_model
from ..data.folder import valid_text
from ..errors import ImageError
from .metadata import Value
from .metadata_file import NO_METADATA, Metadata
from .rows import NewImage, Skipped
from .thumbnails import encode_thumbnail

__all__ = ["Decoded", "facts_of", "file_state", "read_batches", "stored_path"]

_N_READERS = min(4, os.cpu_count() or 1)


@dataclass(frozen=True, eq=False)
class Decoded:
    """An image that could be read: the model's input (h, w, 3) uint8, and what is stored."""

    model_input: np.ndarray
    image: NewImage


def read_batches(
    table: ImageTable,
    rows: Sequence[int],
    batch_size: int,
    size: tuple[int, int],
    part: tuple[int, int] = (0, 1),
    *,
    metadata: Metadata = NO_METADATA,
    with_thumbnails: bool = True,
) -> Iterator[list[Decoded | Skipped]]:
    """Read ahead by one batch in threads, so that the model need not wait for the disk.

    Parameters
    ----------
    table
        The images.
    rows
        Rows of the table to read, in this order.
    batch_size
        Images in a batch; the last one may have fewer.
    size
        Height and width of the model's input.
    part
        ``(i, n)``: batches i, i + n, i + 2n and so on only, as many for every i; the last one may be empty.
    metadata
        What else is known about the images.
    with_thumbnails
        Whether each image gets a thumbnail of its own.

    Yields
    ------
    list
        For each row in order what was read, or why it could not be.
    """
    waiting: deque[list[Future[Decoded | Skipped]]] = deque()
    pool = ThreadPoolExecutor(_N_READERS, thread_name_prefix="read")
    try:
        index, count = part
        for first in range(0, len(rows), batch_size * count):
            batch = rows[first + index * batch_size : first + (index + 1) * batch_size]
            waiting.append([pool.submit(_decode, table, row, size, metadata, with_thumbnails) for row in batch])
            if len(waiting) > 1:
                yield [future.result() for future in waiting.popleft()]
        while waiting:
            yield [future.result() for future in waiting.popleft()]
    finally:
        pool.shutdown(cancel_futures=True)


def _decode(
    table: ImageTable, row: int, size: tuple[int, int], metadata: Metadata, with_thumbnail: bool
) -> Decoded | Skipped:
    path, state = stored_path(table, row), file_state(table.paths[row])
    try:
        pixels = read_image(table.paths[row])  # (H, W, 3)
    except ImageError as error:
        return Skipped(path, str(error), *state)
    facts: dict[str, Any] = facts_of(table, row)
    image = NewImage(
        image_id=table.image_ids[row],
        path=path,
        class_name=facts["class"],
        label=facts["label"],
        family=facts["family"],
        width=pixels.shape[1],
        height=pixels.shape[0],
        split=facts["split"],
        thumbnail=encode_thumbnail(pixels) if with_thumbnail else None,
        file_bytes=state[0],
        file_modified=state[1],
        metadata=metadata.of(table.image_ids[row]),
    )
    return Decoded(resize_for_model(pixels, size), image)


def facts_of(table: ImageTable, row: int) -> dict[str, Value]:
    """What a gallery stores of what a table knows about the image of a row, by column."""
    label = int(table.labels[row])
    is_train = None if table.is_train is None else bool(table.is_train[row])
    return {
        "class": table.class_names[label] if label >= 0 else None,
        "label": label,
        "family": (table.families[label] or None) if label >= 0 else None,
        "split": {None: None, True: "train", False: "test"}[is_train],
    }


def file_state(path: Path) -> tuple[int | None, int | None]:
    """Size in bytes and time of modification (nanoseconds since 1970) of a file, None where it cannot be asked.

    Both together tell that a file changed, as rsync and git take it: a digest would mean to read all files of a
    gallery to find that none did. A file that was only copied or touched is encoded once more than it must.
    """
    try:
        state = path.stat()
    except OSError:
        return None, None
    return state.st_size, state.st_mtime_ns


def stored_path(table: ImageTable, row: int) -> str:
    """Path of a row's image as a gallery keeps it: relative to the folder of the images where it lies in it."""
    path = table.paths[row]
    if path.is_relative_to(table.root):
        path = path.relative_to(table.root)
    return valid_text(path.as_posix())
