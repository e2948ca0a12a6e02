"""Opening a gallery: its folder is found, what it was made with is checked, and all but pictures is read at once."""

from pathlib import Path
from typing import Any

import duckdb
import numpy as np

from ..errors import GalleryError
from .database import FORMAT_VERSION, connect
from .gallery import Gallery
from .partial import DATABASE, partial_path, previous_path
from .rows import Skipped
from .thumbnails import THUMBNAIL_KINDS

__all__ = ["open_gallery"]


def open_gallery(path: str | Path, *, fingerprint: str | None = None) -> Gallery:
    """Read a complete gallery; its files are closed again on return, so that any number of processes can open it.

    Parameters
    ----------
    path
        Folder of the gallery.
    fingerprint
        Fingerprint of the checkpoint it must have been made with; None accepts any.

    Returns
    -------
    Gallery
        In the order it was encoded in.

    Raises
    ------
    GalleryError
        If the gallery is missing, unfinished, foreign, corrupt, of a newer format, or made with another checkpoint; or
        if it shows original images and one of them is gone.
    """
    try:
        folder = _existing_folder(Path(path).expanduser().resolve())
        with connect(folder / DATABASE, read_only=True) as database:
            provenance = _provenance(database, folder)
            _check_checkpoint(provenance, fingerprint, folder)
            gallery = _read(database, folder, provenance)
        if gallery.shows_originals:
            _check_originals(gallery)
        return gallery
    except GalleryError:
        raise
    except (duckdb.Error, OSError, ValueError, KeyError, TypeError) as error:
        reason = str(error).strip().splitlines()[0].rstrip(".")
        raise GalleryError(
            f"The gallery {path} cannot be read, or is none ({reason}); check the folder, or encode the images again."
        ) from error


def _existing_folder(folder: Path) -> Path:
    if folder.suffix == ".partial" and folder.is_dir():
        raise GalleryError(f"{folder} is an unfinished gallery; run the encode command again to finish it.")
    if (folder / DATABASE).is_file():
        return folder
    if folder.exists():
        raise GalleryError(f"{folder} is not a gallery: it holds no {DATABASE}; give a folder made by encode.")
    previous = previous_path(folder)
    if (previous / DATABASE).is_file():  # a process died while it replaced the gallery
        return previous
    if partial_path(folder).exists():
        raise GalleryError(
            f"The gallery {folder} is unfinished; run the same encode command again, it goes on where it stopped."
        )
    raise GalleryError(f"There is no gallery at {folder}; make one with python -m concepthash.encode.")


def _provenance(database: duckdb.DuckDBPyConnection, folder: Path) -> dict[str, str]:
    provenance = dict(database.execute("SELECT key, value FROM provenance").fetchall())
    if int(provenance["format"]) > FORMAT_VERSION:
        raise GalleryError(
            f"The gallery {folder} has format {provenance['format']}, and this version reads up to {FORMAT_VERSION}; "
            "upgrade this program, or encode the images again."
        )
    if provenance["complete"] != "true":
        raise GalleryError(f"The gallery {folder} is unfinished; encode the images again.")
    return provenance


def _check_checkpoint(provenance: dict[str, str], fingerprint: str | None, folder: Path) -> None:
    made_with = provenance["fingerprint"]
    if fingerprint is not None and made_with != fingerprint:
        raise GalleryError(
            f"The gallery {folder} was made with another checkpoint ({provenance['checkpoint_name']}, "
            f"{made_with[:12]}) than this one ({fingerprint[:12]}); choose that checkpoint, "
            "or encode the images again with this one."
        )


def _check_originals(gallery: Gallery) -> None:
    """Refuse a gallery whose pictures are gone, or that points out of the folder it says they are in."""
    for path in map(Path, gallery.image_paths):
        if path.is_absolute() or ".." in path.parts:
            raise ValueError(f"it shows {path}, which lies outside the folder of its images")
    gone = [row for row in range(len(gallery)) if not gallery.thumbnail_path(row).is_file()]
    if gone:
        raise GalleryError(
            f"The gallery {gallery.path} shows the images themselves, and {len(gone)} of {len(gallery)} are gone from "
            f"{gallery.data_root} (the first is {gallery.image_paths[gone[0]]}); put them back, or encode again."
        )


def _read(database: duckdb.DuckDBPyConnection, folder: Path, provenance: dict[str, str]) -> Gallery:
    n_bits, n_concepts = int(provenance["n_bits"]), int(provenance["n_concepts"])
    thumbnails = provenance.get("thumbnails", "own")  # format 1 has no other
    columns: dict[str, Any] = database.execute('SELECT * FROM images ORDER BY "row"').fetchnumpy()
    n_images = len(columns["row"])
    words = np.stack([columns[f"code{word}"] for word in range(-(-n_bits // 64))], axis=1)  # (N, W)
    if not np.array_equal(columns["row"], np.arange(n_images)):
        raise ValueError("its rows are not numbered from 0 without gaps")
    if thumbnails not in THUMBNAIL_KINDS:
        raise ValueError(f"its thumbnails are {thumbnails!r}")
    class_names, labels = _names_and_ids(columns["class"])
    family_names, family_ids = _names_and_ids(columns["family"])
    return Gallery(
        path=folder,
        n_bits=n_bits,
        n_concepts=n_concepts,
        fingerprint=provenance["fingerprint"],
        checkpoint_name=provenance["checkpoint_name"],
        transform=provenance["transform"],
        created=provenance["created"],
        data_root=(folder / provenance["data_root"]).resolve(),
        image_ids=tuple(columns["image_id"].tolist()),
        image_paths=tuple(columns["path"].tolist()),
        class_names=class_names,
        labels=labels,
        family_names=family_names,
        family_ids=family_ids,
        words=np.ascontiguousarray(words, dtype=np.int64),
        code_logits=np.asfortranarray(_floats(columns["code_logits"], n_bits)),  # (N, K)
        sizes=np.stack([columns["width"], columns["height"]], axis=1).astype(np.int64),
        skipped=tuple(Skipped(*row) for row in database.execute("SELECT path, reason FROM skipped").fetchall()),
        shows_originals=thumbnails == "originals",
        attention_centers=_attention_centers(columns, n_concepts) if int(provenance["format"]) > 2 else None,
    )


def _attention_centers(columns: dict[str, Any], n_concepts: int) -> np.ndarray:
    """(N, M, 2) float32, checked, since what is cropped around them must lie in the picture."""
    centers = _floats(columns["attention"], 2 * n_concepts).reshape(-1, n_concepts, 2)
    if not ((centers >= 0) & (centers <= 1)).all():
        raise ValueError("an attention center lies outside its image")
    return centers


def _floats(column: np.ndarray, length: int) -> np.ndarray:
    """A column of lists as (N, length) float32."""
    if any(len(values) != length for values in column):
        raise ValueError(f"it holds a list of other than {length} numbers")
    return np.concatenate([*column, np.empty(0, np.float32)]).reshape(-1, length).astype(np.float32, copy=False)


def _names_and_ids(column: np.ndarray) -> tuple[tuple[str, ...], np.ndarray]:
    """Sorted names and (N,) int64 indices into them; NULL becomes -1."""
    values = column.tolist()  # masked entries become None
    names = tuple(sorted({value for value in values if value is not None}))
    ids: dict[str | None, int] = {name: i for i, name in enumerate(names)}
    return names, np.array([ids.get(value, -1) for value in values], dtype=np.int64)
