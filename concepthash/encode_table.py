"""Turning a table of images into a gallery, in one process or several that each write a part."""

from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Literal

import numpy as np

from .data import ImageTable
from .encoding import EncodeOptions, ImageEncoder, encode_batches, made_of
from .errors import ConfigError, DataError, GalleryError
from .gallery import Gallery, GalleryWriter, Provenance, open_gallery
from .gallery.merging import merge_parts, part_name
from .gallery.metadata_file import NO_METADATA, Metadata
from .gallery.partial import DATABASE, part_path, partial_path
from .gallery.places import absolute_path
from .gallery.thumbnails import check_originals

__all__ = ["encode_images", "encode_table"]


def encode_table(
    encoder: ImageEncoder,
    table: ImageTable,
    out: str | Path,
    *,
    batch_size: int = 32,
    progress: bool = True,
    overwrite: bool = False,
    thumbnails: Literal["own", "originals"] = "own",
    metadata: Metadata = NO_METADATA,
    part: tuple[int, int] | None = None,
) -> Gallery:
    """Encode all images of a table into a gallery on disk, in the order of the table.

    The gallery appears at ``out`` when it is complete. Interrupted at any moment, the same call goes on behind the
    last batch that was stored. Of several processes each reads, encodes and stores its share of the images, and the
    first one puts the shares together.

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
    metadata
        More columns, and their values.
    part
        ``(i, n)``: only the i-th of n shares of the images, from 1, for machines that share no disk;
        `concepthash.gallery.merging.merge_parts` puts such galleries together.

    Returns
    -------
    Gallery
        The complete gallery, opened.

    Raises
    ------
    ConfigError
        If ``batch_size`` is below 1, or ``thumbnails`` or ``part`` is something else.
    DataError
        If there are no images, or none of them can be read.
    GalleryError
        If ``out`` is taken, another process writes there, an unfinished gallery there was made otherwise, an original
        cannot be its own thumbnail, or the disk is full or refuses.
    """
    encode_images(encoder, table, Path(out), EncodeOptions(batch_size, progress, overwrite, thumbnails, metadata, part))
    return open_gallery(out)


def encode_images(encoder: ImageEncoder, table: ImageTable, out: Path, options: EncodeOptions) -> int:
    """Do what `encode_table` does; the number of images that this call encoded, by all processes together."""
    if not len(table):
        raise DataError(f"{table.name} has no images; choose a folder that has some.")
    if "://" not in options.pictures:
        _check_outside(out, table.root)
    if options.thumbnails == "originals":
        check_originals(table.paths, table.root)
    from .devices import n_processes, wait  # torch takes seconds to import, and --help should not

    made = made_of(encoder, table, out, options.thumbnails, options.metadata)
    if options.server:
        n_encoded = _encode_to_server(encoder, table, out, made, options)
    elif n_processes() > 1:
        n_encoded = _encode_together(encoder, table, out, made, options)
    else:
        n_encoded = _encode_share(encoder, table, out, made, options)
    wait()
    return n_encoded


def _encode_together(
    encoder: ImageEncoder, table: ImageTable, out: Path, made: Provenance, options: EncodeOptions
) -> int:
    """Every process writes a part inside ``OUT.partial``; the first one puts them together."""
    from .devices import gather, is_main, is_shared, n_processes, process_index

    if options.part:
        raise ConfigError("Several processes share the images already; leave out --part, or start one process only.")
    index, count = process_index(), n_processes()
    out, whole, is_done = absolute_path(out), replace(made, part=f"all of {count}"), False
    if is_main():
        with GalleryWriter(out, whole, overwrite=options.overwrite) as writer:
            is_done = writer.n_images + writer.n_skipped == len(table)
            if is_done:  # all was put together by a run that was killed right then
                writer.finish()
    if gather(is_done)[0]:
        return 0
    if not is_shared(partial_path(out) / DATABASE):
        raise GalleryError(
            f"{out} is not one folder for all machines. Where they share none, encode with --part and put the parts "
            "together with --merge."
        )
    own, n_encoded = part_path(out, index, count), 0
    if not (own / DATABASE).is_file():
        n_encoded = _encode_share(encoder, table, own, made, replace(options, part=(index + 1, count)))
    n_all = sum(gather(n_encoded))
    if is_main():
        parts = [part_path(out, number, count) for number in range(count)]
        merge_parts(out, whole, parts, overwrite=options.overwrite, progress=options.progress)
    return n_all


def _encode_to_server(
    encoder: ImageEncoder, table: ImageTable, out: Path, made: Provenance, options: EncodeOptions
) -> int:
    """Encode in rounds of one batch a process, which the first process sends to the server; thumbnails lie at out."""
    from .devices import gather, is_main, n_processes, process_index
    from .gallery.clickhouse_writer import ClickHouseWriter

    with ExitStack() as stack:
        writer, n_before = None, 0
        if is_main():
            made_writer = ClickHouseWriter(
                options.server, made, thumbnails=options.pictures or str(out), overwrite=options.overwrite
            )
            writer = stack.enter_context(made_writer)
            n_before = writer.n_images
        n_done = gather(writer.n_images + writer.n_skipped if writer else 0)[0]
        share = (process_index(), n_processes())
        for batch in encode_batches(encoder, table, range(n_done, len(table)), options, n_done=n_done, share=share):
            for encoded in gather(batch):
                if writer:
                    writer.append(*encoded)
        n_encoded = writer.n_images - n_before if writer else 0
        if writer:
            writer.finish()
    return int(gather(n_encoded)[0])


def _encode_share(encoder: ImageEncoder, table: ImageTable, out: Path, made: Provenance, options: EncodeOptions) -> int:
    """Encode one of n successive shares of the images, or all, into a gallery of its own."""
    number, count = options.part or (1, 1)
    rows = np.array_split(np.arange(len(table)), count)[number - 1].tolist()
    if options.part:
        made = replace(made, part=part_name(number, count))
    with GalleryWriter(out, made, overwrite=options.overwrite) as writer:
        n_before = writer.n_images
        n_done = n_before + writer.n_skipped  # every row ends up stored or skipped, in order
        for batch in encode_batches(encoder, table, rows[n_done:], options, n_done=n_done):
            writer.append(*batch)
        n_encoded = writer.n_images - n_before
        writer.finish(may_be_empty=options.part is not None)
    return n_encoded


def _check_outside(out: Path, root: Path) -> None:
    if absolute_path(out).is_relative_to(root.resolve()):
        raise GalleryError(
            f"The gallery {out} would lie inside the folder of the images, where its thumbnails would be taken for "
            "images; choose a place outside."
        )
