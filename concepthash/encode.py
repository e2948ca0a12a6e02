"""``python -m concepthash.encode``: turn a folder of images into a gallery, skipping what cannot be read."""

import argparse
import json
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from .data import read_dataset
from .encode_table import encode_images, encode_table
from .encode_update import Update, update_gallery
from .encoding import EncodeOptions, ImageEncoder
from .errors import ConceptHashError, ConfigError
from .gallery import open_gallery
from .gallery.large_gallery import AnyGallery
from .gallery.merging import merge_parts, read_parts
from .gallery.metadata_file import NO_METADATA, read_metadata
from .gallery.opening import open_any_gallery
from .gallery.thumbnails import THUMBNAIL_KINDS, THUMBNAIL_SIDE

__all__ = ["ImageEncoder", "encode_table", "main"]


@dataclass(frozen=True, eq=False)
class _Run:
    """A finished gallery, and what this run did for it; an earlier, interrupted run may have done the rest."""

    gallery: AnyGallery
    n_encoded: int
    seconds: float
    update: Update | None = None


def main(arguments: list[str] | None = None) -> int:
    """Run the command; 0 when it worked, 2 with one sentence on standard error when it could not."""
    options = _parser().parse_args(arguments)
    try:
        run = _merge(options) if options.merge else _run(options)
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
    if missing := [name for name in ("checkpoint", "data", "out") if not getattr(options, name)]:
        raise ConfigError(f"--{missing[0]} is missing; give --checkpoint, --data and --out, or --merge.")
    if options.update and (options.overwrite or options.part or options.thumbnails or options.engine):
        raise ConfigError(
            "--update changes the gallery there is; leave out --overwrite, --part, --thumbnails and --engine."
        )
    table = read_dataset(options.data, options.families)
    is_new = options.metadata and not options.update
    settings = EncodeOptions(
        batch_size=options.batch_size,
        progress=not options.quiet,
        overwrite=options.overwrite,
        thumbnails=options.thumbnails or "own",
        metadata=read_metadata(options.metadata, table) if is_new else NO_METADATA,
        part=_part(options.part) if options.part else None,
        server=options.engine,
        pictures=options.out if options.engine else "",
    )
    encoder, out, started = _load_encoder(options.checkpoint, options.device, options.half), Path(options.out), _clock()
    if not options.update:
        n_encoded = encode_images(encoder, table, out, settings)
        gallery = open_any_gallery(options.engine, out) if options.engine else open_gallery(out)
        return _Run(gallery, n_encoded, _clock() - started)
    update = update_gallery(encoder, table, out, settings, Path(options.metadata) if options.metadata else None)
    return _Run(open_gallery(out), update.n_new + update.n_changed, _clock() - started, update)


def _merge(options: argparse.Namespace) -> _Run:
    if given := [
        name for name in ("checkpoint", "data", "out", "update", "part", "metadata") if getattr(options, name)
    ]:
        raise ConfigError(f"--merge only puts parts together; leave out --{given[0]}.")
    if len(options.merge) < 2:
        raise ConfigError("--merge needs the folder of the gallery to be, and then those of its parts.")
    started, out, *folders = _clock(), *map(Path, options.merge)
    parts, made = read_parts(folders, out)
    merge_parts(out, made, parts, overwrite=options.overwrite, progress=not options.quiet)
    return _Run(open_gallery(out), 0, _clock() - started)


def _part(text: str) -> tuple[int, int]:
    number, _, count = text.partition("/")
    if not (number.isdecimal() and count.isdecimal()):
        raise ConfigError(f"{text!r} is no part; write --part 2/4 for the second of four.")
    return int(number), int(count)


def _clock() -> float:
    return time.perf_counter()


def _load_encoder(checkpoint: str, device: str, half: bool) -> ImageEncoder:
    from .checkpoint import read_checkpoint  # torch takes seconds to import, and --help should not
    from .encoder import Encoder

    return Encoder(read_checkpoint(checkpoint), device, half=half)


def _report(run: _Run, as_json: bool) -> None:
    gallery, update = run.gallery, run.update
    summary = {
        "n_encoded": run.n_encoded,
        "n_resumed": len(gallery) - run.n_encoded,
        "n_skipped": len(gallery.skipped),
        "seconds": round(run.seconds, 3),
        "images_per_second": round(run.n_encoded / run.seconds, 2),
        "out": str(gallery.path),
        **(asdict(update) if update else {}),
        "skipped": [{"path": entry.path, "reason": entry.reason} for entry in gallery.skipped],
    }
    if as_json:
        print(json.dumps(summary))
        return
    for entry in gallery.skipped:
        print(f"skipped {entry.path}: {entry.reason}")
    if update:
        print(
            f"{gallery.path}: {update.n_new} images new, {update.n_changed} changed, {update.n_gone} gone, "
            f"{update.n_described} described otherwise"
        )
    print(
        f"{gallery.path}: {run.n_encoded} images encoded in {run.seconds:.1f} s "
        f"({summary['images_per_second']} a second), {summary['n_resumed']} there before, "
        f"{len(gallery.skipped)} skipped"
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m concepthash.encode", description=__doc__)
    parser.add_argument("--checkpoint", help="checkpoint folder")
    parser.add_argument("--data", help="folder of images, or a data set in the CUB layout")
    parser.add_argument("--out", help="folder of the gallery; it must not exist yet, except for --update")
    parser.add_argument(
        "--engine",
        default="",
        metavar="URL",
        help="clickhouse://user:password@host:port/database writes there; --out then is a folder, or a URL such as "
        "s3://bucket/name, for the thumbnails",
    )
    parser.add_argument("--families", default="", help="what makes a family: make or body of cars")
    parser.add_argument(
        "--metadata",
        metavar="FILE.csv",
        help="more about the images: a column image_id or path, and columns to filter by; whole numbers, numbers and "
        "texts are told apart",
    )
    parser.add_argument(
        "--update",
        action="store_true",
        help="bring the gallery at --out in step with the folder: encode what is new or changed, drop what is gone",
    )
    parser.add_argument("--part", metavar="I/N", help="only the I-th of N shares, for machines without a common disk")
    parser.add_argument(
        "--merge", nargs="+", metavar=("OUT", "PART"), help="put galleries made with --part together; no checkpoint"
    )
    parser.add_argument(
        "--device", default="auto", help="auto, cpu, cuda or mps; `accelerate launch` starts several processes"
    )
    parser.add_argument("--half", action="store_true", help="float16 on CUDA; codes stay what they are in float32")
    parser.add_argument("--batch-size", type=int, default=32, help="images encoded at once (32)")
    parser.add_argument(
        "--thumbnails",
        choices=THUMBNAIL_KINDS,
        help="own: a small copy of every image (default); originals: the images themselves, where all are JPEG, PNG or "
        f"WebP files of at most {THUMBNAIL_SIDE} pixels a side, whose folders the app then serves",
    )
    parser.add_argument(
        "--overwrite",
        action="store_true",
        help="replace a gallery there, once the new is complete; restart an app that shows it",
    )
    parser.add_argument("--quiet", action="store_true", help="show no progress bar")
    parser.add_argument("--json", action="store_true", help="print one JSON object as the summary")
    return parser


if __name__ == "__main__":
    sys.exit(main())
