"""Where the thumbnails of a gallery on a server lie: in a folder, or in an object store that fsspec knows."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from ..errors import GalleryError
from .places import absolute_path
from .reason import reason_of
from .thumbnails import THUMBNAIL_FOLDER, thumbnail_file

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
        self.place = place if "://" in place else str(absolute_path(place))

    def write(self, thumbnails: Mapping[int, bytes]) -> None:
        """Store thumbnails by row, over those that are there; object stores take several at once."""
        with self._explained("written") as (files, folder):
            contents = {thumbnail_file(folder, row): thumbnail for row, thumbnail in thumbnails.items()}
            if files is not None:
                _pipe(files, folder, contents)
                return
            for path, thumbnail in contents.items():
                Path(path).parent.mkdir(parents=True, exist_ok=True)
                Path(path).write_bytes(thumbnail)

    def read(self, row: int) -> bytes:
        """Return the thumbnail of a row, a WebP file; where it is missing, the error's cause is FileNotFoundError."""
        with self._explained("read") as (files, folder):
            path = thumbnail_file(folder, row)
            return Path(path).read_bytes() if files is None else bytes(files.cat_file(path))

    @contextmanager
    def _explained(self, done: str) -> Iterator[tuple[Any, Any]]:
        """Give fsspec's file system, None for a plain folder, and the folder in it."""
        is_url = "://" in self.place
        kind: type[Exception] = Exception if is_url else OSError  # each kind of store has errors of its own
        try:
            if is_url:
                from fsspec.core import url_to_fs

                yield url_to_fs(self.place)
            else:
                yield None, self.place
        except kind as error:
            reason = reason_of(error)
            raise GalleryError(
                f"Thumbnails at {self.place} cannot be {done} ({reason}); see that the place is there and answers, and "
                "that what it needs is installed, such as fsspec and s3fs."
            ) from error


def _pipe(files: Any, folder: str, contents: dict[str, bytes]) -> None:
    """Write files, at once where the store can; folders are made where it has such things, a bucket is not."""
    try:
        files.pipe(contents)
    except FileNotFoundError:
        parents = sorted({path.rpartition("/")[0] for path in contents})
        for parent in (folder, f"{folder}/{THUMBNAIL_FOLDER}", *parents):
            with suppress(FileExistsError):
                files.mkdir(parent, create_parents=False)
        files.pipe(contents)
