"""Changing a complete gallery: images are added, replaced and removed, each time all of it or nothing."""

import os
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import duckdb
import numpy as np

from ..errors import GalleryError
from .changes import change, find_rows, rows_of, sweep
from .closing import Closing
from .database import connect, read_facts
from .descriptions import add_columns, describe
from .metadata import MetadataColumn, Value
from .partial import DATABASE
from .places import absolute_path
from .provenance import Provenance
from .reason import reason_of
from .rows import NewImage, Skipped
from .upgrade import upgrade
from .writing import LOCK, explain_disk_errors, explain_values, lock_folder

__all__ = ["GalleryEditor"]


class GalleryEditor(Closing):
    """Open a complete gallery to change it; a context manager.

    Every call is one transaction: a kill at any moment leaves the gallery as before or after it, and the next editor
    cleans up. A replaced image gets a new row at the end, as no picture may ever show under the number of another.

    Parameters
    ----------
    path
        Folder of the gallery.

    Raises
    ------
    GalleryError
        If it is no gallery that can be changed, another process writes to it or reads its database, or the disk
        refuses.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = absolute_path(path)
        self._lock = -1
        self._connection: duckdb.DuckDBPyConnection | None = None
        try:
            with explain_disk_errors(self.path):
                if not (self.path / DATABASE).is_file():
                    raise GalleryError(
                        f"There is no complete gallery at {self.path}; make one with concepthash.encode."
                    )
                self._lock = lock_folder(self.path)
                self._connection = connect(self.path / DATABASE)
                upgrade(self.database, self.path)
                self.made = Provenance.from_facts(read_facts(self.database))
                sweep(self.database, self.path)
        except GalleryError:
            self.close()
            raise
        except (duckdb.Error, KeyError, ValueError) as error:
            self.close()
            reason = reason_of(error)
            raise GalleryError(f"The gallery {self.path} cannot be read ({reason}); encode it again.") from error

    @property
    def database(self) -> duckdb.DuckDBPyConnection:
        """The open database.

        Raises
        ------
        GalleryError
            If the editor is closed.
        """
        if self._connection is None:
            raise GalleryError(f"The editor of {self.path} is closed; open a new one.")
        return self._connection

    def append(
        self,
        images: Sequence[NewImage],
        code_logits: np.ndarray,
        attention_centers: np.ndarray,
        skipped: Sequence[Skipped] = (),
    ) -> None:
        """Add images at the end; arguments and errors are those of `replace`, of which no image goes."""
        self.replace((), images, code_logits, attention_centers, skipped)

    def delete(self, image_ids: Collection[str], skipped: Sequence[str] = ()) -> None:
        """Remove images, and paths from the list of files that could not be read.

        Raises
        ------
        GalleryError
            If the gallery lacks one of the images, or the disk refuses.
        """
        nothing = np.empty((0, self.made.n_bits), np.float32), np.empty((0, self.made.n_concepts, 2), np.float32)
        self._change(image_ids, (), *nothing, (), skipped)

    def replace(
        self,
        image_ids: Collection[str],
        images: Sequence[NewImage],
        code_logits: np.ndarray,
        attention_centers: np.ndarray,
        skipped: Sequence[Skipped] = (),
    ) -> None:
        """Remove images and add others, usually the same ones encoded again.

        Parameters
        ----------
        image_ids
            Images that go.
        images
            n images that come.
        code_logits
            (n, K) float32, one row an image.
        attention_centers
            (n, M, 2) float32, x and y of where each concept looks, as shares of the image in [0, 1].
        skipped
            Files that could not be read; the list forgets what it said of them, and of the files of ``images``.

        Raises
        ------
        GalleryError
            If the gallery lacks an image that goes or has one that comes, the numbers or values do not fit, or the disk
            refuses.
        """
        forgotten = [image.path for image in images] + [entry.path for entry in skipped]
        self._change(image_ids, images, code_logits, attention_centers, skipped, forgotten)

    def describe(self, values: Mapping[str, Mapping[str, Value]]) -> None:
        """Write what is known about images, without encoding them again.

        Parameters
        ----------
        values
            For each image id, values by column: path, class, label, family, split or metadata; the same columns each.

        Raises
        ------
        GalleryError
            If the gallery lacks an image or a column, a value does not fit its column, or the disk refuses.
        """
        with explain_disk_errors(self.path), explain_values(self.path):
            rows = rows_of(self.database, self.path, values)
            describe(self.database, self.made, rows, list(values.values()))

    def add_columns(self, columns: Sequence[MetadataColumn]) -> None:
        """Add columns of metadata, with no value yet in any row; those that are there are left alone.

        Raises
        ------
        GalleryError
            If a column is there with another type, or the disk refuses.
        """
        with explain_disk_errors(self.path):
            self.made = add_columns(self.database, self.made, columns)

    def close(self) -> None:
        """Let go of the database and the lock."""
        try:
            if self._connection is not None:
                with suppress(duckdb.Error):  # on a full disk, what was committed stays in the log
                    self._connection.execute("CHECKPOINT")  # DuckDB 2 may leave the log of a killed editor
                self._connection.close()
        finally:
            if self._lock >= 0:
                with suppress(OSError):
                    (self.path / LOCK).unlink()
                os.close(self._lock)
            self._lock, self._connection = -1, None

    def _change(
        self,
        image_ids: Collection[str],
        images: Sequence[NewImage],
        code_logits: np.ndarray,
        attention_centers: np.ndarray,
        skipped: Sequence[Skipped],
        forgotten: Sequence[str],
    ) -> None:
        with explain_disk_errors(self.path), explain_values(self.path):
            removed = rows_of(self.database, self.path, image_ids)
            coming = [image.image_id for image in images]
            there = find_rows(self.database, coming).keys() - set(image_ids)
            if there or len(set(coming)) < len(coming):
                one = min(there or {name for name in coming if coming.count(name) > 1})
                raise GalleryError(
                    f"The image {one} would be in the gallery {self.path} twice; replace it, or leave it out."
                )
            stored = images, code_logits, attention_centers, skipped
            change(self.database, self.path, self.made, *stored, removed=removed, forgotten=forgotten)
