"""Writing a gallery to a ClickHouse server, batch by batch; an interrupted writer is resumed behind its last batch."""

from collections.abc import Sequence
from dataclasses import replace
from uuid import uuid4

import numpy as np

from ..errors import DataError, GalleryError
from .clickhouse_batches import Counted, GalleryTables
from .clickhouse_client import ClickHouseAddress, ClickHouseClient
from .clickhouse_tables import SKIPPED_TYPES, image_types
from .closing import Closing
from .provenance import Provenance
from .rows import NewImage, Skipped, image_rows
from .thumbnail_store import ThumbnailStore

__all__ = ["ClickHouseWriter"]


class ClickHouseWriter(Closing):
    """Open or resume the gallery in the making in a database of its own; a context manager.

    A batch counts once its line in the table ``batches`` is there, which is written last. What a killed writer left
    beyond that line is deleted before the next one goes on, so every row is there exactly once. A newer writer takes
    over: the older one is refused at its next batch.

    Parameters
    ----------
    url
        ``clickhouse://user:password@host:port/database``; the database must be there.
    provenance
        What the gallery is made with.
    thumbnails
        Folder or fsspec URL for the thumbnails, since a database is no place for them.
    overwrite
        Remove the gallery that is there, at once, or an unfinished one made otherwise.

    Raises
    ------
    GalleryError
        If the database holds a gallery or something else, the unfinished gallery was made otherwise, or the server is
        away or refuses.
    """

    def __init__(self, url: str, provenance: Provenance, *, thumbnails: str, overwrite: bool = False) -> None:
        self._address, self._provenance = ClickHouseAddress.from_url(url), provenance
        self._client, self._thumbnails = ClickHouseClient(self._address), ThumbnailStore(thumbnails)
        self._tables, self._name = GalleryTables(self._client), uuid4().hex
        self._counted, self._is_sure = Counted(), True  # sure that the server holds nothing else
        try:
            self._open(overwrite)
        except BaseException:
            self.close()
            raise

    @property
    def n_images(self) -> int:
        """Images stored so far, those of earlier runs included."""
        return self._counted.n_images

    @property
    def n_skipped(self) -> int:
        """Unreadable files listed so far, those of earlier runs included."""
        return self._counted.n_skipped

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
        code_logits, attention_centers
            (n, K) float32, and (n, M, 2) float32 as shares of the image in [0, 1].
        skipped
            Files of the same batch that could not be read.

        Raises
        ------
        GalleryError
            If the numbers do not fit or are not finite, another writer took over, or the server is away or refuses.
        """
        n_images, n_skipped = self._counted.n_images, self._counted.n_skipped
        rows = image_rows(n_images, images, code_logits, attention_centers, self._provenance)
        listed = [[n_skipped + i, s.path, s.reason, s.file_bytes, s.file_modified] for i, s in enumerate(skipped)]
        self._prepare()
        made = ((row, image.thumbnail) for row, image in enumerate(images, start=n_images))
        self._thumbnails.write({row: thumbnail for row, thumbnail in made if thumbnail is not None})
        self._is_sure = False
        self._client.insert("images", image_types(self._provenance), rows)
        self._client.insert("skipped", SKIPPED_TYPES, listed)
        self._sign(Counted(self._counted.number + 1, n_images + len(rows), n_skipped + len(listed)))

    def finish(self) -> None:
        """Mark the gallery complete; the writer is closed.

        Raises
        ------
        DataError
            If no image was stored; nothing is left behind.
        GalleryError
            If rows are missing or there twice, or the server is away or refuses.
        """
        self._prepare()
        if not self.n_images:
            n_skipped = self.n_skipped
            self._tables.remove()
            self.close()
            raise DataError(
                f"No image could be read, out of {n_skipped}, so there is no gallery; check the files and try again."
            )
        self._tables.finish(self._counted)
        self.close()

    def close(self) -> None:
        """Let go of the connection; what is stored stays, for the next writer to resume."""
        self._client.close()

    def _open(self, overwrite: bool) -> None:
        facts = self._tables.facts()
        problem = _problem(facts, self._provenance, self._address) if facts else ""
        if problem and not overwrite:
            raise GalleryError(problem)
        if problem or not facts:
            self._tables.create(self._provenance, self._thumbnails.place)
        last = self._tables.counted()
        self._sign(replace(last, number=last.number + 1))
        self._tables.remove_beyond(self._counted)

    def _prepare(self) -> None:
        """See that this writer is still the one at work, and that its last batch is known to be there."""
        if not self._is_sure:
            raise GalleryError(
                f"The last batch for {self._address} may be there or not; run the same command again, which finds out."
            )
        self._tables.check_writer(self._name)

    def _sign(self, counted: Counted) -> None:
        self._tables.sign(counted, self._name)
        self._counted, self._is_sure = counted, True


def _problem(stored: dict[str, str], wanted: Provenance, address: ClickHouseAddress) -> str:
    """Say why the gallery that is there cannot be gone on with; empty if it can."""
    if stored.get("complete") == "true":
        return f"{address} is already a gallery; choose another database, or replace it with --overwrite."
    for key, value in wanted.facts.items():
        if stored.get(key) != value:
            name = "list of images" if key == "images" else key.replace("_", " ")
            return (
                f"The unfinished gallery {address} was begun with another {name} ({stored.get(key)!s:.80}, now "
                f"{value:.80}); finish it with the settings and the version it was begun with, or begin anew with "
                "--overwrite."
            )
    return ""
