"""Writing a gallery: one DuckDB file and its thumbnails, batch by batch, resumable, visible only when complete."""

import os
from collections.abc import Sequence
from pathlib import Path

import duckdb
import numpy as np

from ..errors import DataError, GalleryError
from .changes import change, sweep
from .closing import Closing
from .database import Provenance, connect, create, index, read_facts, set_facts
from .partial import PartialFolder
from .places import absolute_path
from .reason import reason_of
from .rows import NewImage, Skipped
from .writing import explain_disk_errors, explain_values

__all__ = ["GalleryWriter"]

_WORDS = {"images": "list of images", "part": "number of processes or parts"}


class GalleryWriter(Closing):
    """Open or resume the gallery in the making at ``OUT.partial``; a context manager.

    Every `append` is one transaction: after a kill at any moment the next writer goes on behind the last one.

    Parameters
    ----------
    out
        Folder the gallery will be.
    provenance
        What the gallery is made with.
    overwrite
        Replace a gallery at ``out`` when this one is complete, and discard an unfinished one made otherwise or damaged.
    attached
        Database files of other galleries, which ``database`` then reads as ``part0``, ``part1`` and so on.

    Raises
    ------
    GalleryError
        If ``out`` is taken, another writer is at work, the unfinished gallery was made otherwise or is damaged, or the
        disk refuses.
    """

    def __init__(
        self, out: str | Path, provenance: Provenance, *, overwrite: bool = False, attached: Sequence[Path] = ()
    ) -> None:
        self.made, self._attached = provenance, attached
        self._folder = PartialFolder(absolute_path(out), overwrite=overwrite)
        self._connection: duckdb.DuckDBPyConnection | None = None
        try:
            self._open(overwrite)
        except BaseException:
            self.close()
            raise

    @property
    def n_images(self) -> int:
        """Images stored so far, those of earlier runs included."""
        return self._count("SELECT count(*) FROM images")

    @property
    def n_skipped(self) -> int:
        """Unreadable files listed so far, those of earlier runs included."""
        return self._count("SELECT count(*) FROM skipped")

    def append(
        self,
        images: Sequence[NewImage],
        code_logits: np.ndarray,
        attention_centers: np.ndarray,
        skipped: Sequence[Skipped] = (),
    ) -> None:
        """Store a batch, all of it or nothing.

        Parameters
        ----------
        images
            n images in the order of the gallery.
        code_logits
            (n, K) float32, one row an image.
        attention_centers
            (n, M, 2) float32, x and y of where each concept looks, as shares of the image in [0, 1].
        skipped
            Files of the same batch that could not be read.

        Raises
        ------
        GalleryError
            If the code logits or attention centers do not fit or are not finite, a value does not fit its column, or
            the disk refuses.
        """
        with explain_disk_errors(self._folder.path), explain_values(self._folder.path):
            change(self.database, self.folder, self.made, images, code_logits, attention_centers, skipped)

    def finish(self, *, may_be_empty: bool = False) -> None:
        """Mark the gallery complete and give it its final name; the writer is closed.

        Parameters
        ----------
        may_be_empty
            Whether a gallery of no images is one, too, as a part may be.

        Raises
        ------
        DataError
            If no image was stored; nothing is left behind.
        GalleryError
            If the disk refuses, or somebody changes the gallery that would be replaced.
        """
        if not self.n_images and not may_be_empty:
            n_skipped = self.n_skipped
            self._disconnect()
            self._folder.clear()
            self.close()
            raise DataError(
                f"No image could be read, out of {n_skipped}, so there is no gallery; check the files and try again."
            )
        with explain_disk_errors(self._folder.path):
            index(self.database)
            set_facts(self.database, {"complete": "true"})
            self.database.execute("CHECKPOINT")
        self._disconnect()
        self._folder.publish()

    def close(self) -> None:
        """Let go of the database and the lock; what is stored stays, for the next writer to resume."""
        try:
            self._disconnect()
        finally:
            self._folder.release()

    @property
    def folder(self) -> Path:
        """Where the gallery lies until it is complete."""
        return self._folder.path

    @property
    def database(self) -> duckdb.DuckDBPyConnection:
        """The open database.

        Raises
        ------
        GalleryError
            If the writer is closed.
        """
        if self._connection is None:
            raise GalleryError(f"The writer of {self._folder.out} is closed; open a new one.")
        return self._connection

    def _open(self, overwrite: bool) -> None:
        with explain_disk_errors(self._folder.path):
            if not (self._folder.database.exists() and self._can_go_on(overwrite)):
                self._folder.clear()
                create(self._folder.new_database, self.made)
                os.rename(self._folder.new_database, self._folder.database)
            self._connection = connect(self._folder.database, attached=self._attached)

    def _can_go_on(self, overwrite: bool) -> bool:
        """Tidy up the database that is there; False if it is to be made anew."""
        try:
            self._connection = connect(self._folder.database)
            difference = self._difference()
            if not difference:
                sweep(self.database, self._folder.path)
        except GalleryError:  # another process has it
            raise
        except (duckdb.Error, KeyError, ValueError) as error:
            if "No space left" in str(error):
                raise
            if overwrite:
                return False
            raise GalleryError(
                f"The unfinished gallery {self._folder.path} cannot be read ({reason_of(error)}); begin anew with "
                "--overwrite."
            ) from error
        finally:
            self._disconnect()
        if difference and not overwrite:
            raise GalleryError(
                f"The unfinished gallery {self._folder.path} was begun with another {difference}; "
                "finish it with the settings and the version it was begun with, or begin anew with --overwrite."
            )
        return not difference

    def _difference(self) -> str:
        """Say in words what the stored provenance has otherwise; empty if nothing."""
        stored = read_facts(self.database)
        for key, value in self.made.facts.items():
            if stored.get(key) != value:
                name = _WORDS.get(key, key.replace("_", " "))
                return f"{name} ({stored.get(key)!s:.80}, now {value!s:.80})"
        return ""

    def _count(self, statement: str) -> int:
        found = self.database.execute(statement).fetchone()
        return int(found[0]) if found else 0

    def _disconnect(self) -> None:
        if self._connection is not None:
            self._connection.close()
        self._connection = None
