"""Putting the parts of a gallery together, in their order, a bounded number of rows at a time; resumable."""

import os
import re
import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import duckdb
from tqdm import tqdm

from ..errors import GalleryError
from .changes import next_row
from .database import INDEXED, SKIPPED_COLUMNS, connect, image_columns, read_facts, set_facts, transaction
from .partial import DATABASE
from .places import absolute_path
from .provenance import FORMAT_VERSION, Provenance
from .reason import reason_of
from .store import GalleryWriter
from .thumbnails import thumbnail_file
from .writing import explain_disk_errors

__all__ = ["merge_parts", "part_name", "read_parts"]

_CHUNK = 4096  # rows of a transaction: a few MB of logits, and a kill loses seconds
_STATE = "merged"  # the part that is being copied, and how many of its images are


def part_name(number: int, count: int) -> str:
    """What a part's provenance calls it; the first has the number 1."""
    return f"{number} of {count}"


def read_parts(folders: Sequence[Path], out: Path) -> tuple[list[Path], Provenance]:
    """Make sure that galleries are all the parts of one.

    Parameters
    ----------
    folders
        Of the parts, in any order.
    out
        Folder the gallery will be.

    Returns
    -------
    list[Path], Provenance
        The folders in the order of the images, and what the whole gallery is made with.

    Raises
    ------
    GalleryError
        If one is no complete part, they are not parts of the same gallery, or some are missing or there twice.
    """
    found: dict[int, Path] = {}
    first: Provenance | None = None
    for folder in map(absolute_path, folders):
        made, number, root = _read_part(folder)
        first = replace(made, data_root=_root_text(made, root, out)) if first is None else first
        if replace(made, data_root="") != replace(first, data_root=""):
            raise GalleryError(
                f"{folder} is a part of another gallery than {folders[0]}: checkpoint, images or settings differ; "
                "encode all parts with the same ones."
            )
        if number in found:
            raise GalleryError(f"{found[number]} and {folder} are both part {number}; give each part once.")
        found[number] = folder
    if first is None:
        raise GalleryError("No part was named; give the folders of all of them.")
    n_parts = int(first.part.split()[-1])
    if missing := sorted(set(range(1, n_parts + 1)) - found.keys()):
        raise GalleryError(
            f"There are {n_parts} parts, and {', '.join(map(str, missing[:8]))} "
            f"{'is' if len(missing) == 1 else 'are'} missing; give all of them."
        )
    return [found[number] for number in sorted(found)], first


def merge_parts(
    out: Path, made: Provenance, parts: Sequence[Path], *, overwrite: bool = False, progress: bool = True
) -> None:
    """Make the gallery at ``out`` of its parts; interrupted at any moment, the same call goes on.

    Parameters
    ----------
    out
        Folder of the gallery.
    made
        What it is made with.
    parts
        Folders of complete parts, in the order of the images; they stay as they are.
    overwrite
        Replace a gallery at ``out``.
    progress
        Whether a progress bar is shown on standard error.

    Raises
    ------
    DataError
        If no part has an image.
    GalleryError
        If ``out`` is taken or being written, a part is missing or damaged, parts share an image, or the disk refuses.
    """
    for folder in parts:
        if not os.path.isfile(folder / DATABASE):
            raise GalleryError(
                f"The part {folder} is not there. Where machines share no folder, encode with --part and put the parts "
                "together with --merge."
            )
    attached = [folder / DATABASE for folder in parts]
    with GalleryWriter(out, made, overwrite=overwrite, attached=attached) as writer:
        n_rows = [_one(writer.database, f"SELECT count(*) FROM part{i}.images") for i in range(len(parts))]  # noqa: S608
        if sum(n_rows) <= INDEXED:
            _check_apart(writer.database, len(parts))
        with tqdm(total=sum(n_rows), initial=writer.n_images, desc="merge", unit="image", disable=not progress) as bar:
            for number, folder in enumerate(parts):
                try:
                    with explain_disk_errors(writer.folder):
                        _copy(writer, number, folder, bar)
                except duckdb.Error as error:
                    reason = reason_of(error)
                    raise GalleryError(f"The part {folder} cannot be read ({reason}); encode it again.") from error
        writer.finish()


def _check_apart(database: duckdb.DuckDBPyConnection, n_parts: int) -> None:
    """Refuse an image that is in two parts."""
    ids = " UNION ALL ".join(f"SELECT image_id FROM part{number}.images" for number in range(n_parts))  # noqa: S608
    twice = database.execute(f"SELECT image_id FROM ({ids}) GROUP BY ALL HAVING count(*) > 1 LIMIT 1").fetchone()  # noqa: S608
    if twice:
        raise GalleryError(
            f"The image {twice[0]!s:.200} is in more than one part; encode the parts that were changed since again."
        )


def _copy(writer: GalleryWriter, number: int, folder: Path, bar: tqdm) -> None:
    """Copy what is not copied yet of one part."""
    database = writer.database
    current, n_done = map(int, read_facts(database).get(_STATE, "0 0").split())
    if current > number:
        return
    images = f"part{number}.images"
    last = -1
    if n_done:
        last = _one(database, f'SELECT "row" FROM {images} ORDER BY "row" OFFSET {n_done - 1} LIMIT 1')  # noqa: S608
    while current == number:
        wanted = f'SELECT "row" FROM {images} WHERE "row" > {last} ORDER BY "row" LIMIT {_CHUNK}'  # noqa: S608
        rows = [row for (row,) in database.execute(wanted).fetchall()]
        first, is_last = next_row(database), len(rows) < _CHUNK
        _link_thumbnails(folder, rows, writer.folder, first)
        n_done, current = n_done + len(rows), number + is_last
        with transaction(database):
            if rows:
                database.execute(_copying(image_columns(writer.made), images, first), [rows[0], rows[-1]])
            if is_last:
                names = ", ".join(SKIPPED_COLUMNS)
                database.execute(f"INSERT INTO skipped ({names}) SELECT {names} FROM part{number}.skipped")  # noqa: S608
            state = f"{current} {0 if is_last else n_done}"
            set_facts(database, {"next_row": str(first + len(rows)), _STATE: state})
        last = rows[-1] if rows else last
        bar.update(len(rows))


def _copying(columns: dict[str, str], images: str, first: int) -> str:
    """SQL that copies the rows between two numbers and gives them new ones from ``first`` on."""
    row, *others = columns
    numbered = f"{first} + row_number() OVER (ORDER BY {row}) - 1"
    return (
        f"INSERT INTO images ({', '.join(columns)}) SELECT {numbered}, {', '.join(others)} "  # noqa: S608
        f"FROM {images} WHERE {row} BETWEEN ? AND ? ORDER BY {row}"
    )


def _link_thumbnails(source: Path, rows: Sequence[int], target: Path, first: int) -> None:
    """Give the new rows the files of the old ones, without a second copy where the disk can do that."""
    for new, row in enumerate(rows, start=first):
        old, path = thumbnail_file(source, row), Path(thumbnail_file(target, new))
        if not os.path.exists(old):
            continue  # of a gallery of originals; else the complete gallery says what it lacks
        path.parent.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
        try:
            os.link(old, path)
        except OSError:  # another disk, or one without links
            shutil.copyfile(old, path)


def _read_part(folder: Path) -> tuple[Provenance, int, Path]:
    """What a part is made with (all parts alike: ``all of N``), its number, and where its images lie."""
    try:
        with connect(folder / DATABASE, read_only=True) as database:
            facts = read_facts(database)
        made = Provenance.from_facts(facts)
        part = re.fullmatch(r"([1-9]\d*) of ([1-9]\d*)", made.part)
        if part is None or facts["complete"] != "true" or int(facts["format"]) != FORMAT_VERSION:
            raise ValueError("it is none, it is unfinished, or another version made it")
    except GalleryError:
        raise
    except (duckdb.Error, KeyError, ValueError) as error:
        reason = reason_of(error)
        raise GalleryError(
            f"{folder} is no part of a gallery ({reason}); give folders made with --part, all of them complete."
        ) from error
    return replace(made, part=f"all of {part[2]}"), int(part[1]), (folder / made.data_root).resolve()


def _root_text(made: Provenance, root: Path, out: Path) -> str:
    return os.path.relpath(root, absolute_path(out)) if made.thumbnails == "originals" else made.data_root


def _one(database: duckdb.DuckDBPyConnection, statement: str) -> int:
    ((number,),) = database.execute(statement).fetchall()
    return int(number)
