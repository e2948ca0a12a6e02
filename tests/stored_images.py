"""Images as a gallery stores them, with made-up codes, and a gallery of a few."""

from pathlib import Path

import duckdb
import numpy as np

from concepthash.gallery import Gallery, GalleryWriter, NewImage, Provenance, open_gallery

PROVENANCE = Provenance(
    fingerprint="0123456789abcdef",
    checkpoint_name="fake",
    n_bits=12,
    n_concepts=3,
    transform="squash-8x8",
    data_root="/nowhere",
    images="digest",
)


def image(number: int, **changes: object) -> NewImage:
    values = {
        "image_id": f"a/{number}.png",
        "path": f"a/{number}.png",
        "class_name": f"class {number % 2}",
        "label": number % 2,
        "family": "finch",
        "width": 40 + number,
        "height": 30,
        "split": "train",
        "thumbnail": b"webp %d" % number,
    }
    return NewImage(**(values | changes))  # type: ignore[arg-type]


def logits(n: int, n_bits: int = 12) -> np.ndarray:
    return np.random.default_rng(n).standard_normal((n, n_bits)).astype(np.float32)


def centers(n: int, n_concepts: int = 3) -> np.ndarray:
    return np.random.default_rng(n + 99).random((n, n_concepts, 2), dtype=np.float32)


def write(out: Path, n: int = 5, provenance: Provenance = PROVENANCE, **options: bool) -> Gallery:
    with GalleryWriter(out, provenance, **options) as writer:
        writer.append([image(i) for i in range(n)], logits(n, provenance.n_bits), centers(n, provenance.n_concepts))
        writer.finish()
    return open_gallery(out)


def edit(out: Path, statement: str) -> None:
    with duckdb.connect(str(out / "gallery.duckdb")) as database:
        if statement.startswith("ALTER TABLE images"):  # a table with indexes cannot be altered
            database.execute("DROP INDEX IF EXISTS images_row; DROP INDEX IF EXISTS images_image_id")
        database.execute(statement)


def make_older(out: Path, version: int) -> None:
    """Make of a gallery what format 1, 2 or 3 stored."""
    edit(out, f"UPDATE provenance SET value = '{version}' WHERE key = 'format'")
    for column in ("file_bytes", "file_modified", "encoded", *(["attention"] if version < 3 else [])):
        edit(out, f"ALTER TABLE images DROP COLUMN {column}")
    for column in ("file_bytes", "file_modified"):
        edit(out, f"ALTER TABLE skipped DROP COLUMN {column}")
    edit(out, "DROP TABLE removed")
    edit(out, "DELETE FROM provenance WHERE key IN ('next_row', 'changed', 'part', 'metadata')")
