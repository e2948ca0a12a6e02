"""Bringing a gallery in step with the folder it was made of: new, changed and vanished images, and what is known."""

from collections.abc import Iterator, Mapping
from dataclasses import astuple, dataclass, field, replace
from pathlib import Path
from typing import Any

from .data import ImageTable
from .encoding import Encoded, EncodeOptions, ImageEncoder, encode_batches, made_of
from .errors import DataError, GalleryError
from .gallery.database import set_facts
from .gallery.editor import GalleryEditor
from .gallery.metadata import Value
from .gallery.metadata_file import NO_METADATA, Metadata, read_metadata
from .gallery.provenance import WHOLE_TABLE, Provenance
from .gallery.reading import facts_of, file_state, stored_path
from .gallery.thumbnails import check_originals

__all__ = ["Update", "update_gallery"]

_STATE = ("file_bytes", "file_modified")
_COMPARED = ("image_id", "path", "class", "label", "family", "split", *_STATE)


@dataclass(frozen=True)
class Update:
    """How many images were new, changed or gone, or are described otherwise now; all others were left alone.

    New and changed ones were encoded and stored; an image that cannot be read any more is gone, too.
    """

    n_new: int = 0
    n_changed: int = 0
    n_gone: int = 0
    n_described: int = 0

    def __add__(self, other: "Update") -> "Update":
        return Update(*map(sum, zip(astuple(self), astuple(other), strict=True)))


@dataclass(frozen=True, eq=False)
class _Plan:
    """Rows of the table to encode, and what the gallery has for them or has too much."""

    rows: list[int] = field(default_factory=list)
    stored: dict[str, str] = field(default_factory=dict)  # image ids of changed images by path
    gone: list[str] = field(default_factory=list)
    forgotten: list[str] = field(default_factory=list)
    described: dict[str, dict[str, Value]] = field(default_factory=dict)
    metadata: Metadata = NO_METADATA
    thumbnails: str = "own"


def update_gallery(
    encoder: ImageEncoder, table: ImageTable, out: Path, options: EncodeOptions, metadata_file: Path | None = None
) -> Update:
    """Encode what is new or changed in the folder of a gallery, and drop what is gone.

    Each batch is one transaction; interrupted at any moment, the same call goes on with what is left. Of several
    processes each encodes its share of the batches, and the first one stores them.

    Parameters
    ----------
    encoder
        The model that made the gallery.
    table
        The images as they are now.
    out
        The gallery.
    options
        Of which batch size and progress are read.
    metadata_file
        A CSV file, see `read_metadata`: new columns are added, and values that differ are written over; without one,
        images keep theirs.

    Raises
    ------
    DataError
        If there are no images, or the CSV file does not fit.
    GalleryError
        If the gallery is missing, in use, too old, a part of one, or made with another checkpoint, transform or
        folder; if an original cannot be its own thumbnail; or the disk refuses.
    """
    from .devices import gather, is_main, wait

    if not len(table):
        raise DataError(f"{table.name} has no images; choose a folder that has some.")
    if not is_main():
        _encode(encoder, table, gather(_Plan())[0], None, options)
        wait()
        return Update()
    with GalleryEditor(out) as editor:
        metadata = read_metadata(metadata_file, table, editor.made.metadata) if metadata_file else NO_METADATA
        whole = made_of(encoder, table, editor.path, editor.made.thumbnails, metadata)
        _check_same(editor.made, whole, editor.path)
        editor.add_columns(metadata.columns)
        plan = _plan(editor, table, metadata)
        if plan.thumbnails == "originals":
            check_originals([table.paths[row] for row in plan.rows], table.root)
        editor.delete(plan.gone, plan.forgotten)
        editor.describe(plan.described)
        stored = _encode(encoder, table, gather(plan)[0], editor, options)
        set_facts(editor.database, {"images": whole.images})
    wait()  # until the database is closed, which nobody else could open
    return stored + Update(n_gone=len(plan.gone), n_described=len(plan.described))


def _encode(
    encoder: ImageEncoder, table: ImageTable, plan: _Plan, editor: GalleryEditor | None, options: EncodeOptions
) -> Update:
    """Encode in rounds of one batch a process, which the first one stores."""
    from .devices import gather, n_processes, process_index

    options = replace(options, metadata=plan.metadata, thumbnails=plan.thumbnails)
    share, done = (process_index(), n_processes()), Update()
    for batch in encode_batches(encoder, table, plan.rows, options, share=share):
        for stored in gather(batch):
            if editor:
                done += _store(editor, stored, plan)
    return done


def _store(editor: GalleryEditor, batch: Encoded, plan: _Plan) -> Update:
    changed = [plan.stored[image.path] for image in batch.images if image.path in plan.stored]
    gone = [plan.stored[entry.path] for entry in batch.skipped if entry.path in plan.stored]
    if batch.images or batch.skipped:
        editor.replace(changed + gone, *batch)
    return Update(len(batch.images) - len(changed), len(changed), len(gone))


def _check_same(had: Provenance, now: Provenance, folder: Path) -> None:
    if not had.part.startswith(WHOLE_TABLE):
        raise GalleryError(
            f"{folder} is part {had.part} of a gallery, and would get the images of all parts; merge the parts first, "
            "then update what they make."
        )
    for name in ("fingerprint", "n_bits", "n_concepts", "transform"):
        if getattr(had, name) != getattr(now, name):
            raise GalleryError(
                f"The gallery {folder} was made with {had.checkpoint_name} ({had.fingerprint[:12]}, {had.transform}), "
                f"not with {now.checkpoint_name} ({now.fingerprint[:12]}, {now.transform}); choose that checkpoint, or "
                "encode all images again with --overwrite."
            )
    roots = [(folder / made.data_root).resolve() for made in (had, now)]
    if roots[0] != roots[1]:
        raise GalleryError(
            f"The gallery {folder} was made of {roots[0]}, not of {roots[1]}; give that folder, or encode the images "
            "again with --overwrite."
        )


def _plan(editor: GalleryEditor, table: ImageTable, metadata: Metadata) -> _Plan:
    """Compare the gallery with the table; the files themselves are asked for size and time only."""
    columns = editor.made.metadata
    own = [column.name for column in columns]
    rows = {row["image_id"]: row for row in _rows(editor, "images", [*_COMPARED, *own])}
    skipped = {row["path"]: row for row in _rows(editor, "skipped", ["path", *_STATE])}
    values: dict[str, Mapping[str, Value]] = {}
    plan = _Plan(metadata=Metadata(columns, values), thumbnails=editor.made.thumbnails)
    for at, image_id in enumerate(table.image_ids):
        path, row = stored_path(table, at), rows.pop(image_id, None)
        unreadable = skipped.pop(path, None)
        state, known = file_state(table.paths[at]), row or unreadable
        given = {name: row[name] if row else None for name in own}
        if metadata.values is not None:
            given |= metadata.of(image_id)
        if known is None or None in state or state != tuple(known[name] for name in _STATE):
            plan.rows.append(at)
            values[image_id] = given
            if row:
                plan.stored[path] = image_id
        elif row:
            facts = {"path": path, **facts_of(table, at), **given}
            if any(row[name] != value for name, value in facts.items()):
                plan.described[image_id] = facts
    plan.gone.extend(rows)
    plan.forgotten.extend(skipped)
    return plan


def _rows(editor: GalleryEditor, table: str, columns: list[str]) -> Iterator[dict[str, Any]]:
    names = ", ".join(f'"{name}"' for name in columns)
    for row in editor.database.execute(f"SELECT {names} FROM {table}").fetchall():  # noqa: S608, names are checked
        yield dict(zip(columns, row, strict=True))
