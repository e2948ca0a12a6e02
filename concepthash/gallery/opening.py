"""Opening a gallery: its folder or server is found, and what it was made with is checked."""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb

from ..errors import GalleryError
from .clickhouse import open_clickhouse
from .clickhouse_client import ClickHouseAddress
from .database import connect, fetch_columns
from .duckdb_engine import DuckDBEngine
from .gallery import Gallery
from .gallery_columns import gallery_of_columns
from .large_gallery import AnyGallery, LargeGallery
from .partial import DATABASE, partial_path, previous_path
from .places import absolute_path
from .provenance import FORMAT_VERSION
from .reason import reason_of
from .rows import Skipped
from .thumbnail_source import ThumbnailSource

__all__ = ["check_checkpoint", "open_any_gallery", "open_gallery"]

_READ_WHOLE = 100_000  # images up to which a gallery is read whole


def open_any_gallery(place: str, cache: Path, *, memory: int = 1_000_000_000) -> AnyGallery:
    """Open a gallery of any size: whole if it is small, else with its codes mapped or in memory, or not even these.

    Parameters
    ----------
    place
        Folder of the gallery, or ``clickhouse://user:password@host:port/database`` (``clickhouses://`` for TLS).
    cache
        Folder for what is asked for often: ``copies`` of thumbnails of a gallery on a server, ``codes`` of a large one.
    memory
        Bytes that the codes of a large gallery may take in memory.

    Raises
    ------
    GalleryError
        As `open_gallery`; or if the server does not answer.
    """
    if "://" in place:
        address = ClickHouseAddress.from_url(place)
        with _explained(str(address)):
            engine = open_clickhouse(place)
            identity = hashlib.sha256(f"{address} {engine.provenance['created']}".encode()).hexdigest()[:16]
            copies = cache / "copies" / identity  # rows mean others elsewhere
            store = ThumbnailSource(engine.provenance["thumbnail_folder"], copies)
            return LargeGallery(engine, Path(address.database), store, memory)
    with _explained(place):
        folder = _existing_folder(absolute_path(place))
        with connect(folder / DATABASE, read_only=True) as database:
            _provenance(database, folder)
            counted = database.execute("SELECT count(*) FROM images").fetchone()
        if counted and counted[0] <= _READ_WHOLE:
            return open_gallery(folder)
        file, pictures = DuckDBEngine(folder / DATABASE, cache / "codes"), ThumbnailSource(str(folder))
        return LargeGallery(file, folder, pictures, memory)


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
    with _explained(path):
        folder = _existing_folder(absolute_path(path))
        with connect(folder / DATABASE, read_only=True) as database:
            provenance = _provenance(database, folder)
            columns = fetch_columns(database.execute('SELECT * FROM images ORDER BY "row"'))
            skipped = [Skipped(*row) for row in database.execute("SELECT path, reason FROM skipped").fetchall()]
            gallery = gallery_of_columns(columns, provenance, folder, skipped)
        check_checkpoint(gallery, fingerprint)
        if gallery.shows_originals:
            _check_originals(gallery)
        return gallery


@contextmanager
def _explained(path: str | Path) -> Iterator[None]:
    """Turn what a damaged file or a refusing disk says into one sentence."""
    try:
        yield
    except GalleryError:
        raise
    except (duckdb.Error, OSError, ValueError, KeyError, TypeError) as error:
        reason = f"it lacks {error}" if isinstance(error, KeyError) else reason_of(error)
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


def check_checkpoint(gallery: AnyGallery, fingerprint: str | None) -> None:
    """Make sure that a gallery was made with the checkpoint of a fingerprint; None accepts any.

    Raises
    ------
    GalleryError
        If it was made with another one.
    """
    if fingerprint is not None and gallery.fingerprint != fingerprint:
        raise GalleryError(
            f"The gallery {gallery.path} was made with another checkpoint ({gallery.checkpoint_name}, "
            f"{gallery.fingerprint[:12]}) than this one ({fingerprint[:12]}); choose that checkpoint, "
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
