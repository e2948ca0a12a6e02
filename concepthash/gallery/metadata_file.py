"""Reading a CSV file with more about images: which image a line is about, and columns with types found in it."""

import csv
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..data import ImageTable
from ..errors import DataError
from .metadata import Kind, MetadataColumn, Value

__all__ = ["NO_METADATA", "Metadata", "read_metadata"]

_NAMING = ("image_id", "path")
# As people write them: "007" is a name, not the number 7, and neither is "1_000"
_WHOLE = re.compile(r"-?(?:0|[1-9]\d*)", re.ASCII)
_NUMBER = re.compile(r"[+-]?(?:(?:0|[1-9]\d*)(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?", re.ASCII)
_WIDTHS: tuple[Kind, ...] = ("BIGINT", "DOUBLE", "TEXT")
_BIGINT = range(-(2**63), 2**63)


@dataclass(frozen=True, eq=False)
class Metadata:
    """Columns of the user's own, and their values by image id; an image without a line has none."""

    columns: tuple[MetadataColumn, ...] = ()
    values: Mapping[str, Mapping[str, Value]] | None = None

    def of(self, image_id: str) -> Mapping[str, Value]:
        """Values of one image by column; all None where the file has no line for it."""
        return (self.values or {}).get(image_id) or {column.name: None for column in self.columns}


NO_METADATA = Metadata()


def read_metadata(file: str | Path, table: ImageTable, stored: Sequence[MetadataColumn] = ()) -> Metadata:
    """Read a CSV file (UTF-8, commas) whose first line names the columns.

    One column is ``image_id`` or ``path`` and says which image a line is about; a path is absolute or relative to the
    folder of the images. Of every other column the type is found: BIGINT if all values are whole numbers, DOUBLE if all
    are finite numbers, else TEXT. An empty cell is no value.

    Parameters
    ----------
    file
        The CSV file.
    table
        The images that lines may be about; those without a line have no values.
    stored
        Columns that a gallery has already: one that is wider than the values need keeps its type.

    Raises
    ------
    DataError
        If the file cannot be read, a line has too many or too few cells, or is about no image or one that had a line.
    GalleryError
        If a column cannot have its name.
    """
    header, lines = _cells(Path(file))
    naming = [name for name in _NAMING if name in header]
    if len(naming) != 1:
        raise DataError(f"{file} has {len(naming)} of the columns image_id and path; give one of them, to name images.")
    at = header.index(naming[0])
    names = header[:at] + header[at + 1 :]
    for name in names:
        MetadataColumn(name, "TEXT")  # raises for a bad name before any value is looked at
    if twice := sorted({name for name in names if [n.lower() for n in names].count(name.lower()) > 1}):
        raise DataError(f"{file} has the column {twice[0]} twice (letters of any case are one); rename one of them.")
    ids = _image_ids(file, [cells[at] for cells in lines], naming[0], table)
    cells = [line[:at] + line[at + 1 :] for line in lines]
    kinds = {column.name: column.kind for column in stored}
    columns = tuple(
        MetadataColumn(name, _kind([line[i] for line in cells], kinds.get(name))) for i, name in enumerate(names)
    )
    values = {
        image_id: {column.name: _value(cell, column.kind) for column, cell in zip(columns, line, strict=True)}
        for image_id, line in zip(ids, cells, strict=True)
    }
    return Metadata(columns, values)


def _cells(file: Path) -> tuple[list[str], list[list[str]]]:
    """The first line, and all others that are not empty."""
    try:
        with file.open(encoding="utf-8-sig", newline="") as opened:
            lines = list(_checked(file, csv.reader(opened, strict=True)))
    except (OSError, UnicodeError, csv.Error) as error:
        reason = (error.strerror if isinstance(error, OSError) else None) or str(error)
        raise DataError(
            f"{file} cannot be read as a CSV file in UTF-8 ({reason.rstrip('.')}); mend the file."
        ) from error
    if not lines:
        raise DataError(f"{file} is empty; its first line must name the columns.")
    return [name.strip() for name in lines[0]], lines[1:]


def _checked(file: Path, lines: Iterator[list[str]]) -> Iterator[list[str]]:
    n_columns = 0
    for number, cells in enumerate(lines, start=1):
        if not cells:
            continue
        n_columns = n_columns or len(cells)
        if len(cells) != n_columns:
            raise DataError(f"Line {number} of {file} has {len(cells)} cells instead of {n_columns}; mend the line.")
        yield cells


def _image_ids(file: str | Path, names: Sequence[str], naming: str, table: ImageTable) -> list[str]:
    known = {image_id: image_id for image_id in table.image_ids}
    if naming == "path":
        known = {}
        for image_id, path in zip(table.image_ids, table.paths, strict=True):
            known[str(path)] = image_id
            if path.is_relative_to(table.root):
                known[path.relative_to(table.root).as_posix()] = image_id
    if unknown := [name for name in names if name not in known]:
        raise DataError(
            f"{len(unknown)} of {len(names)} lines of {file} are about no image of {table.root} "
            f"(the first is {unknown[0]!r:.200}); take them out, or mend the column {naming}."
        )
    ids = [known[name] for name in names]
    if len(set(ids)) < len(ids):
        seen: set[str] = set()
        first = next(name for name in ids if name in seen or seen.add(name))  # type: ignore[func-returns-value]
        raise DataError(f"{file} has two lines about {first!r:.200}; give each image one line.")
    return ids


def _kind(cells: Sequence[str], stored: Kind | None) -> Kind:
    """The narrowest type that holds all cells, or the stored one where that does, too."""
    filled = [cell for cell in cells if cell]
    kind = _narrowest(filled) if filled else "BIGINT" if stored else "TEXT"
    return stored if stored and _WIDTHS.index(kind) <= _WIDTHS.index(stored) else kind


def _narrowest(cells: Sequence[str]) -> Kind:
    if all(_WHOLE.fullmatch(cell) for cell in cells):
        return "BIGINT" if all(len(cell) < 21 and int(cell) in _BIGINT for cell in cells) else "TEXT"
    if all(_NUMBER.fullmatch(cell) and math.isfinite(float(cell)) for cell in cells):
        return "DOUBLE"
    return "TEXT"


def _value(cell: str, kind: Kind) -> Value:
    if not cell:
        return None
    return {"BIGINT": int, "DOUBLE": float, "TEXT": str}[kind](cell)
