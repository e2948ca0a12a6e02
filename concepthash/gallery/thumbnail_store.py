"""Where the thumbnails of a gallery on a server lie: in a folder, or in an object store that fsspec knows."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ..errors import GalleryError
from .thumbnails import thumbnail_file

__all__ = ["ThumbnailStore"]


class ThumbnailStore:
    """Thumbnails by row, spread over 256 folders.

    Parameters
    ----------
    place
        A folder, or a URL such as ``s3://bucket/name``, which needs fsspec and its package for that kind of URL. Keys
        belong into the environment, not into the URL, which is shown and stored.

    Raises
    ------
    GalleryError
        From every method, if the place cannot be read or written, or a package for it is not installed.
    """

    def __init__(self, place: str) -> None:
        self.place = place if "://" in place else str(Path(place).expanduser().resolve())

    def write(self, row: int, thumbnail: bytes) -> None:
        """Store the thumbnail of a row, over one that is there."""
        with self._explained("written") as (files, folder):
            path = thumbnail_file(folder, row)
            if files is None:
                Path(path).parent.mkdir(parents=True, exist_ok=True)
                Path(path).write_bytes(thumbnail)
            else:
                files.makedirs(path.rpartition("/")[0], exist_ok=True)
                files.pipe_file(path, thumbnail)

    def read(self, row: int) -> bytes:
        """Return the thumbnail of a row, a WebP file."""
        with self._explained("read") as (files, folder):
            path = thumbnail_file(folder, row)
            return Path(path).read_bytes() if files is None else bytes(files.cat_file(path))

    @contextmanager
    def _explained(self, done: str) -> Iterator[tuple[Any, Any]]:
        """Give fsspec's file system, None for a plain folder, and the folder in it."""
        try:
            if "://" not in self.place:
                yield None, self.place
            else:
                from fsspec.core import url_to_fs

                yield url_to_fs(self.place)
        except (OSError, ImportError, ValueError) as error:  # of an unknown kind of URL it says the last
            reason = str(error).strip().splitlines()[0].rstrip(".") or type(error).__name__
            raise GalleryError(
                f"Thumbnails at {self.place} cannot be {done} ({reason}); check the place, or install what it needs, "
                "such as fsspec and s3fs."
            ) from error
