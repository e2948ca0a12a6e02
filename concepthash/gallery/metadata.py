"""Columns of a gallery that its owner adds: names that are safe in SQL, and one of three types."""

import json
import re
from dataclasses import dataclass
from typing import Any, Literal, get_args

from ..errors import GalleryError

__all__ = ["Kind", "MetadataColumn", "Value", "columns_from_text", "columns_to_text"]

Kind = Literal["TEXT", "BIGINT", "DOUBLE"]
Value = str | int | float | None
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,62}")
# What the table has already, in any case of letters, as SQL tells no cases apart; "rowid" is DuckDB's own.
_RESERVED = re.compile(
    r"row|rowid|image_id|path|class|label|family|width|height|split|code\d+|sub\d+|code_logits|attention|"
    r"file_bytes|file_modified|encoded",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class MetadataColumn:
    """A column of the user's own.

    Parameters
    ----------
    name
        A letter, then letters, digits and ``_``, at most 63 in all; no name that every gallery has.
    kind
        ``"TEXT"``, ``"BIGINT"`` (64-bit signed) or ``"DOUBLE"``.

    Raises
    ------
    GalleryError
        For another name or kind.
    """

    name: str
    kind: Kind

    def __post_init__(self) -> None:
        """Refuse what could not be a column, or would hide one."""
        if not _NAME.fullmatch(self.name):
            raise GalleryError(
                f"{self.name[:80]!r} cannot name a column; begin with a letter, and use letters, digits and _ only, "
                "at most 63."
            )
        if _RESERVED.fullmatch(self.name):
            raise GalleryError(f"{self.name!r} is a column that every gallery has; choose another name for yours.")
        if self.kind not in get_args(Kind):
            raise GalleryError(f"A column cannot be {self.kind!r}; choose one of {', '.join(get_args(Kind))}.")

    @property
    def quoted(self) -> str:
        """The name as SQL."""
        return f'"{self.name}"'


def columns_to_text(columns: tuple[MetadataColumn, ...]) -> str:
    """Write columns as the provenance of a gallery keeps them: a JSON object of name and kind, in order."""
    return json.dumps({column.name: column.kind for column in columns})


def columns_from_text(text: str) -> tuple[MetadataColumn, ...]:
    """Read what `columns_to_text` wrote.

    Raises
    ------
    ValueError
        If it is something else; a `GalleryError` for a bad name or kind.
    """
    content: Any = json.loads(text)
    if not isinstance(content, dict) or not all(isinstance(kind, str) for kind in content.values()):
        raise ValueError("its list of metadata columns is none")
    columns = tuple(MetadataColumn(name, kind) for name, kind in content.items())
    if len({column.name.lower() for column in columns}) != len(columns):
        raise ValueError("it has a metadata column twice")
    return columns
