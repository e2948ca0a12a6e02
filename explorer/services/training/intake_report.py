"""What was found in a visitor's images, as the tab Train shows it."""

import io
from collections.abc import Iterator, Sequence
from contextlib import suppress
from itertools import islice
from pathlib import Path

from PIL import Image

from concepthash.data import Inspection, read_image
from concepthash.errors import ImageError

from ...training_records import ClassPreview, IntakeReport

__all__ = ["intake_report"]

PREVIEW_SIDE = 160
QUALITY = 70  # of WebP: an open page keeps them all, as a few kilobytes each
PREVIEWS = 60  # classes that are shown by pictures
SENTENCES = 200  # of one kind


def intake_report(
    intake: str, found: Inspection, data: Path, problems: tuple[str, ...], n_held_out: int
) -> IntakeReport:
    """Put what was found in the folder ``data`` into words and small pictures."""
    return IntakeReport(
        intake=intake,
        classes=tuple(
            ClassPreview(row.name, row.n_images, row.n_broken, _previews(row.examples) if i < PREVIEWS else ())
            for i, row in enumerate(found.classes)
        ),
        n_images=found.n_images,
        n_held_out=n_held_out,
        duplicates=_few(f"{_where(a, data)} is the same picture as {_where(b, data)}." for a, b in found.duplicates),
        broken=_few(f"{_where(path, data)}: {reason}" for path, reason in found.broken),
        problems=problems,
        warnings=found.warnings,
        n_duplicates=len(found.duplicates),
    )


def _previews(paths: Sequence[Path]) -> tuple[bytes, ...]:
    pictures = []
    for path in paths:
        with suppress(ImageError):
            image = Image.fromarray(read_image(path))
            image.thumbnail((PREVIEW_SIDE, PREVIEW_SIDE), Image.Resampling.BILINEAR, reducing_gap=2.0)
            file = io.BytesIO()
            image.save(file, "WEBP", quality=QUALITY, method=2)
            pictures.append(file.getvalue())
    return tuple(pictures)


def _where(path: Path, root: Path) -> str:
    return path.relative_to(root).as_posix() if path.is_relative_to(root) else path.name


def _few(sentences: Iterator[str]) -> tuple[str, ...]:
    return tuple(islice(sentences, SENTENCES))
