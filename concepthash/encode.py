"""``python -m concepthash.encode``: turn a folder of images into a gallery, skipping what cannot be read."""

import argparse
import hashlib
import io
import json
import os
import sys
import time
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from PIL import Image
from tqdm import tqdm

from .data import ImageTable, read_dataset, read_image, resize_for_model
from .errors import ConceptHashError, ConfigError, DataError, GalleryError, ImageError
from .gallery import Gallery, GalleryWriter, NewImage, Provenance, Skipped, open_gallery

__all__ = ["ImageEncoder", "encode_table", "main"]

THUMBNAIL_SIDE = 256
_THUMBNAIL_QUALITY = 80
_N_READERS = min(4, os.cpu_count() or 1)


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

    def code_logits(self, images: Sequence[np.ndarray]) -> np.ndarray:
        """Code logits (n, K) of RGB uint8 images (H, W, 3)."""


@dataclass(frozen=True, eq=False)
class _Run:
    """A finished gallery, and what this run did for it; an earlier, interrupted run may have done the rest."""

    gallery: Gallery
    n_encoded: int
    seconds: float


@dataclass(frozen=True, eq=False)
class _Decoded:
    model_input: np.ndarray  # (h, w, 3) uint8
    image: NewImage


def encode_table(
    encoder: ImageEncoder,
    table: ImageTable,
    out: str | Path,
    *,
    batch_size: int = 32,
    progress: bool = True,
    overwrite: bool = False,
) -> Gallery:
    """Encode all images of a table into a gallery on disk, in the order of the table.

    The gallery appears at ``out`` when it is complete. Interrupted at any moment, the same call goes on behind the
    last batch that was stored.

    Parameters
    ----------
    encoder
        Model that gives code logits.
    table
        n images; those that cannot be read are skipped and listed in ``Gallery.skipped``.
    out
        Folder of the gallery, outside the folder of the images.
    batch_size
        Images encoded, and stored, at once.
    progress
        Whether a progress bar is shown on standard error.
    overwrite
        Replace a gallery at ``out``, which stays until the new one is complete.

    Returns
    -------
    Gallery
        The complete gallery, opened.

    Raises
    ------
    ConfigError
        If ``batch_size`` is below 1.
    DataError
        If there are no images, or none of them can be read.
    GalleryError
        If ``out`` is taken, another process writes there, an unfinished gallery there was made otherwise, or the disk
        is full or refuses.
    """
    return _encode(encoder, table, Path(out), batch_size, progress, overwrite).gallery


def _encode(
    encoder: ImageEncoder, table: ImageTable, out: Path, batch_size: int, progress: bool, overwrite: bool
) -> _Run:
    if batch_size < 1:
        raise ConfigError(f"The batch size is {batch_size}; it must be at least 1.")
    if not len(table):
        raise DataError(f"{table.name} has no images; choose a folder that has some.")
    _check_outside(out, table.root)
    started = time.perf_counter()
    with GalleryWriter(out, _provenance(encoder, table), overwrite=overwrite) as writer:
        n_before = writer.n_images
        _encode_rest(encoder, table, writer, batch_size, progress)
        n_encoded = writer.n_images - n_before
        writer.finish()
    return _Run(open_gallery(out), n_encoded, time.perf_counter() - started)


def _encode_rest(
    encoder: ImageEncoder, table: ImageTable, writer: GalleryWriter, batch_size: int, progress: bool
) -> None:
    n_done = writer.n_images + writer.n_skipped  # every image of the table ends up as one or the other, in order
    size = tuple(encoder.checkpoint.config.backbone.image_size)
    n_bits = encoder.checkpoint.config.n_bits
    with tqdm(total=len(table), initial=n_done, desc="encode", unit="image", disable=not progress) as bar:
        for batch in _batches(table, n_done, batch_size, size):
            decoded = [item for item in batch if isinstance(item, _Decoded)]
            skipped = [item for item in batch if isinstance(item, Skipped)]
            inputs = [item.model_input for item in decoded]
            logits = encoder.code_logits(inputs) if inputs else np.empty((0, n_bits), dtype=np.float32)  # (n, K)
            writer.append([item.image for item in decoded], logits, skipped)
            bar.update(len(batch))


def _batches(
    table: ImageTable, start: int, batch_size: int, size: tuple[int, ...]
) -> Iterator[list[_Decoded | Skipped]]:
    """Read ahead by one batch in threads, so that the model need not wait for the disk."""
    waiting: deque[list[Future[_Decoded | Skipped]]] = deque()
    pool = ThreadPoolExecutor(_N_READERS, thread_name_prefix="read")
    try:
        for first in range(start, len(table), batch_size):
            rows = range(first, min(first + batch_size, len(table)))
            waiting.append([pool.submit(_decode, table, row, size) for row in rows])
            if len(waiting) > 1:
                yield [future.result() for future in waiting.popleft()]
        while waiting:
            yield [future.result() for future in waiting.popleft()]
    finally:
        pool.shutdown(cancel_futures=True)


def _decode(table: ImageTable, row: int, size: tuple[int, ...]) -> _Decoded | Skipped:
    path = _stored_path(table, row)
    try:
        pixels = read_image(table.paths[row])  # (H, W, 3)
    except ImageError as error:
        return Skipped(path, str(error))
    label = int(table.labels[row])
    is_train = None if table.is_train is None else bool(table.is_train[row])
    image = NewImage(
        image_id=table.image_ids[row],
        path=path,
        class_name=table.class_names[label] if label >= 0 else None,
        label=label,
        family=(table.families[label] or None) if label >= 0 else None,
        width=pixels.shape[1],
        height=pixels.shape[0],
        split={None: None, True: "train", False: "test"}[is_train],
        thumbnail=_thumbnail(pixels),
    )
    return _Decoded(resize_for_model(pixels, (size[0], size[1])), image)


def _thumbnail(pixels: np.ndarray) -> bytes:
    """Encode an RGB image (H, W, 3) as WebP, shrunk to a longer side of 256 pixels where it is larger."""
    image = Image.fromarray(pixels)
    image.thumbnail((THUMBNAIL_SIDE, THUMBNAIL_SIDE), Image.Resampling.LANCZOS, reducing_gap=3.0)
    file = io.BytesIO()
    image.save(file, "WEBP", quality=_THUMBNAIL_QUALITY, method=4)
    return file.getvalue()


def _stored_path(table: ImageTable, row: int) -> str:
    path = table.paths[row]
    if path.is_relative_to(table.root):
        path = path.relative_to(table.root)
    return _valid_text(path.as_posix())


def _valid_text(text: str) -> str:
    """Spell out bytes of a file name that are no UTF-8, since a database cannot hold them."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def _provenance(encoder: ImageEncoder, table: ImageTable) -> Provenance:
    checkpoint = encoder.checkpoint
    split = None if table.is_train is None else table.is_train.tolist()
    described = [table.image_ids, table.labels.tolist(), table.class_names, table.families, split]
    return Provenance(
        fingerprint=checkpoint.fingerprint,
        checkpoint_name=checkpoint.name,
        n_bits=checkpoint.config.n_bits,
        n_concepts=checkpoint.config.n_concepts,
        transform=encoder.transform_id,
        data_root=_valid_text(str(table.root.resolve())),
        images=hashlib.sha256(json.dumps(described).encode()).hexdigest(),
    )


def _check_outside(out: Path, root: Path) -> None:
    if out.expanduser().resolve().is_relative_to(root.resolve()):
        raise GalleryError(
            f"The gallery {out} would lie inside the folder of the images, where its thumbnails would be taken for "
            "images; choose a place outside."
        )


def main(arguments: list[str] | None = None) -> int:
    """Run the command; 0 when it worked, 2 with one sentence on standard error when it could not."""
    options = _parser().parse_args(arguments)
    try:
        run = _run(options)
    except ConceptHashError as error:
        print(error, file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("Interrupted; run the same command again, it goes on where it stopped.", file=sys.stderr)
        return 130
    _report(run, options.json)
    return 0


def _run(options: argparse.Namespace) -> _Run:
    table = read_dataset(options.data)
    encoder = _load_encoder(options.checkpoint, options.device, options.half)
    return _encode(encoder, table, Path(options.out), options.batch_size, not options.quiet, options.overwrite)


def _load_encoder(checkpoint: str, device: str, half: bool) -> ImageEncoder:
    from .checkpoint import read_checkpoint  # torch takes seconds to import, and --help should not
    from .encoder import Encoder

    return Encoder(read_checkpoint(checkpoint), device, half=half)


def _report(run: _Run, as_json: bool) -> None:
    gallery = run.gallery
    summary = {
        "n_encoded": run.n_encoded,
        "n_resumed": len(gallery) - run.n_encoded,
        "n_skipped": len(gallery.skipped),
        "seconds": round(run.seconds, 3),
        "images_per_second": round(run.n_encoded / run.seconds, 2),
        "out": str(gallery.path),
        "skipped": [asdict(entry) for entry in gallery.skipped],
    }
    if as_json:
        print(json.dumps(summary))
        return
    for entry in gallery.skipped:
        print(f"skipped {entry.path}: {entry.reason}")
    print(
        f"{gallery.path}: {run.n_encoded} images encoded in {run.seconds:.1f} s "
        f"({summary['images_per_second']} a second), {summary['n_resumed']} there before, "
        f"{len(gallery.skipped)} skipped"
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m concepthash.encode", description=__doc__)
    parser.add_argument("--checkpoint", required=True, help="checkpoint folder")
    parser.add_argument("--data", required=True, help="folder of images, or a data set in the CUB layout")
    parser.add_argument("--out", required=True, help="folder of the gallery; it must not exist yet")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda or mps")
    parser.add_argument("--half", action="store_true", help="float16 on CUDA; codes stay what they are in float32")
    parser.add_argument("--batch-size", type=int, default=32, help="images encoded at once (32)")
    parser.add_argument("--overwrite", action="store_true", help="replace a gallery there, once the new is complete")
    parser.add_argument("--quiet", action="store_true", help="show no progress bar")
    parser.add_argument("--json", action="store_true", help="print one JSON object as the summary")
    return parser


if __name__ == "__main__":
    sys.exit(main())
