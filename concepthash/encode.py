"""``python -m concepthash.encode``: turn a folder of images into a gallery, skipping what cannot be read."""

import argparse
import hashlib
import json
import os
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np
from tqdm import tqdm

from .data import ImageTable, read_dataset
from .errors import ConceptHashError, ConfigError, DataError, GalleryError
from .gallery import Gallery, GalleryWriter, Provenance, Skipped, open_gallery
from .gallery.reading import Decoded, read_batches, valid_text
from .gallery.thumbnails import THUMBNAIL_KINDS, THUMBNAIL_SIDE, check_originals

__all__ = ["ImageEncoder", "encode_table", "main"]


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
class _Run:
    """A finished gallery, and what this run did for it; an earlier, interrupted run may have done the rest."""

    gallery: Gallery
    n_encoded: int
    seconds: float


def encode_table(
    encoder: ImageEncoder,
    table: ImageTable,
    out: str | Path,
    *,
    batch_size: int = 32,
    progress: bool = True,
    overwrite: bool = False,
    thumbnails: Literal["own", "originals"] = "own",
) -> Gallery:
    """Encode all images of a table into a gallery on disk, in the order of the table.

    The gallery appears at ``out`` when it is complete. Interrupted at any moment, the same call goes on behind the
    last batch that was stored. Of several processes each reads and encodes its share of the batches, and the first one
    stores them all.

    Parameters
    ----------
    encoder
        Model that gives code logits and attention centers.
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
    thumbnails
        ``"own"`` stores a small copy of every image. ``"originals"`` shows the images themselves, which must be JPEG,
        PNG or WebP files of at most 256 pixels a side; gallery and images can then be moved together, not apart.

    Returns
    -------
    Gallery
        The complete gallery, opened.

    Raises
    ------
    ConfigError
        If ``batch_size`` is below 1, or ``thumbnails`` is something else.
    DataError
        If there are no images, or none of them can be read.
    GalleryError
        If ``out`` is taken, another process writes there, an unfinished gallery there was made otherwise, an original
        cannot be its own thumbnail, or the disk is full or refuses.
    """
    return _encode(encoder, table, Path(out), batch_size, progress, overwrite, thumbnails).gallery


def _encode(
    encoder: ImageEncoder,
    table: ImageTable,
    out: Path,
    batch_size: int,
    progress: bool,
    overwrite: bool,
    thumbnails: str,
) -> _Run:
    if batch_size < 1:
        raise ConfigError(f"The batch size is {batch_size}; it must be at least 1.")
    if thumbnails not in THUMBNAIL_KINDS:
        raise ConfigError(f"Thumbnails are {' or '.join(THUMBNAIL_KINDS)}, not {thumbnails!r}; choose one of these.")
    if not len(table):
        raise DataError(f"{table.name} has no images; choose a folder that has some.")
    _check_outside(out, table.root)
    if thumbnails == "originals":
        check_originals(table.paths, table.root)
    from .devices import is_main, wait  # torch takes seconds to import, and --help should not

    started, n_encoded = time.perf_counter(), 0
    if is_main():
        with GalleryWriter(out, _provenance(encoder, table, out, thumbnails), overwrite=overwrite) as writer:
            n_before = writer.n_images
            _encode_rest(encoder, table, writer, batch_size, progress, thumbnails == "own")
            n_encoded = writer.n_images - n_before
            writer.finish()
    else:
        _encode_rest(encoder, table, None, batch_size, False, thumbnails == "own")
    wait()
    return _Run(open_gallery(out), n_encoded, time.perf_counter() - started)


def _encode_rest(
    encoder: ImageEncoder,
    table: ImageTable,
    writer: GalleryWriter | None,
    batch_size: int,
    progress: bool,
    with_thumbnails: bool,
) -> None:
    """Encode in rounds of one batch a process; ``writer`` is the first process's, and stores the batches in order."""
    from .devices import gather, n_processes, process_index

    # every image of the table ends up stored or skipped, in order
    n_done = gather(writer.n_images + writer.n_skipped if writer else 0)[0]
    height, width = encoder.checkpoint.config.backbone.image_size
    part = (process_index(), n_processes())
    batches = read_batches(table, n_done, batch_size, (height, width), part, with_thumbnails=with_thumbnails)
    with tqdm(total=len(table), initial=n_done, desc="encode", unit="image", disable=not progress) as bar:
        for batch in batches:
            decoded = [item for item in batch if isinstance(item, Decoded)]
            skipped = [item for item in batch if isinstance(item, Skipped)]
            logits, centers = encoder.encode([item.model_input for item in decoded])  # (n, K), (n, M, 2)
            for stored in gather(([item.image for item in decoded], logits, centers, skipped)):
                if writer:
                    writer.append(*stored)
                bar.update(len(stored[0]) + len(stored[3]))


def _provenance(encoder: ImageEncoder, table: ImageTable, out: Path, thumbnails: str) -> Provenance:
    checkpoint = encoder.checkpoint
    root = table.root.resolve()
    if thumbnails == "originals":  # so that both can be moved together
        root = Path(os.path.relpath(root, out.expanduser().resolve()))
    split = None if table.is_train is None else table.is_train.tolist()
    described = [table.image_ids, table.labels.tolist(), table.class_names, table.families, split]
    return Provenance(
        fingerprint=checkpoint.fingerprint,
        checkpoint_name=checkpoint.name,
        n_bits=checkpoint.config.n_bits,
        n_concepts=checkpoint.config.n_concepts,
        transform=encoder.transform_id,
        data_root=valid_text(root.as_posix()),
        images=hashlib.sha256(json.dumps(described).encode()).hexdigest(),
        thumbnails=thumbnails,
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
    from .devices import is_main

    if is_main():
        _report(run, options.json)
    return 0


def _run(options: argparse.Namespace) -> _Run:
    table = read_dataset(options.data, options.families)
    encoder = _load_encoder(options.checkpoint, options.device, options.half)
    out, progress = Path(options.out), not options.quiet
    return _encode(encoder, table, out, options.batch_size, progress, options.overwrite, options.thumbnails)


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
    parser.add_argument("--families", default="", help="what makes a family: make or body of cars")
    parser.add_argument(
        "--device", default="auto", help="auto, cpu, cuda or mps; `accelerate launch` starts several processes"
    )
    parser.add_argument("--half", action="store_true", help="float16 on CUDA; codes stay what they are in float32")
    parser.add_argument("--batch-size", type=int, default=32, help="images encoded at once (32)")
    parser.add_argument(
        "--thumbnails",
        choices=THUMBNAIL_KINDS,
        default="own",
        help="own: a small copy of every image (default); originals: the images themselves, where all are JPEG, PNG or "
        f"WebP files of at most {THUMBNAIL_SIDE} pixels a side, whose folders the app then serves",
    )
    parser.add_argument("--overwrite", action="store_true", help="replace a gallery there, once the new is complete")
    parser.add_argument("--quiet", action="store_true", help="show no progress bar")
    parser.add_argument("--json", action="store_true", help="print one JSON object as the summary")
    return parser


if __name__ == "__main__":
    sys.exit(main())
