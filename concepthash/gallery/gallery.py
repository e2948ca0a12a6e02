"""A gallery in memory: ids, labels and codes of many images, read at once from its folder; thumbnails stay on disk."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import duckdb
import numpy as np

from ..errors import GalleryError
from .database import FORMAT_VERSION, connect
from .partial import DATABASE, partial_path, previous_path, thumbnail_file
from .store import Skipped

__all__ = ["Gallery", "open_gallery"]


@dataclass(frozen=True, eq=False)
class Gallery:
    """N images with their codes; row i of every array is the image with row number i.

    Attributes
    ----------
    path
        Folder of the gallery, absolute.
    n_bits, n_concepts
        K and M.
    fingerprint, checkpoint_name, transform, created
        What it was made with, and when (UTC, ISO 8601).
    data_root
        Folder the original images were read from; it may be gone.
    image_ids, image_paths
        N unique ids; N paths, relative to ``data_root`` or absolute.
    class_names, labels
        Sorted names, and (N,) int64 indices into them; -1 where the class is unknown.
    family_names, family_ids
        The same for families.
    words
        (N, W) int64, codes as signed 64-bit words, W = ceil(K / 64).
    code_logits
        (N, K) float32.
    sizes
        (N, 2) int64, width and height of the original images in pixels.
    skipped
        Files that could not be read when the gallery was made.
    """

    path: Path
    n_bits: int
    n_concepts: int
    fingerprint: str
    checkpoint_name: str
    transform: str
    created: str
    data_root: Path
    image_ids: tuple[str, ...]
    image_paths: tuple[str, ...]
    class_names: tuple[str, ...]
    labels: np.ndarray
    family_names: tuple[str, ...]
    family_ids: np.ndarray
    words: np.ndarray
    code_logits: np.ndarray
    sizes: np.ndarray
    skipped: tuple[Skipped, ...] = ()

    def __len__(self) -> int:
        """Count the images."""
        return len(self.image_ids)

    def thumbnail_path(self, row: int) -> Path:
        """Return the path of the WebP thumbnail of a row, longer side at most 256 pixels."""
        return thumbnail_file(self.path, row)

    def image_path(self, row: int) -> Path | None:
        """Return the path of the original image of a row, or None where it is gone."""
        path = self.data_root / self.image_paths[row]
        return path if path.is_file() else None

    def row_of(self, image_id: str) -> int | None:
        """Return the row of an image id, or None where the gallery lacks it."""
        return self._row_of_id.get(image_id)

    @cached_property
    def _row_of_id(self) -> dict[str, int]:
        return {image_id: row for row, image_id in enumerate(self.image_ids)}


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
        If the gallery is missing, unfinished, foreign, corrupt, of a newer format, or made with another checkpoint.
    """
    try:
        folder = _existing_folder(Path(path).expanduser().resolve())
        with connect(folder / DATABASE, read_only=True) as database:
            provenance = _provenance(database, folder)
            _check_checkpoint(provenance, fingerprint, folder)
            return _read(database, folder, provenance)
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


def _read(database: duckdb.DuckDBPyConnection, folder: Path, provenance: dict[str, str]) -> Gallery:
    n_bits, n_concepts = int(provenance["n_bits"]), int(provenance["n_concepts"])
    columns: dict[str, Any] = database.execute('SELECT * FROM images ORDER BY "row"').fetchnumpy()
    n_images = len(columns["row"])
    words = np.stack([columns[f"code{word}"] for word in range(-(-n_bits // 64))], axis=1)  # (N, W)
    logits = np.concatenate([*columns["code_logits"], np.empty(0, np.float32)]).reshape(n_images, n_bits)  # (N, K)
    if not np.array_equal(columns["row"], np.arange(n_images)):
        raise ValueError("its rows are not numbered from 0 without gaps")
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
        data_root=Path(provenance["data_root"]),
        image_ids=tuple(columns["image_id"].tolist()),
        image_paths=tuple(columns["path"].tolist()),
        class_names=class_names,
        labels=labels,
        family_names=family_names,
        family_ids=family_ids,
        words=np.ascontiguousarray(words, dtype=np.int64),
        code_logits=logits.astype(np.float32, copy=False),
        sizes=np.stack([columns["width"], columns["height"]], axis=1).astype(np.int64),
        skipped=tuple(Skipped(*row) for row in database.execute("SELECT path, reason FROM skipped").fetchall()),
    )


def _names_and_ids(column: np.ndarray) -> tuple[tuple[str, ...], np.ndarray]:
    """Sorted names and (N,) int64 indices into them; NULL becomes -1."""
    values = column.tolist()  # masked entries become None
    names = tuple(sorted({value for value in values if value is not None}))
    ids: dict[str | None, int] = {name: i for i, name in enumerate(names)}
    return names, np.array([ids.get(value, -1) for value in values], dtype=np.int64)
