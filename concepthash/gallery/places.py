"""Where a gallery lies, whatever way it was written."""

from pathlib import Path

from ..errors import GalleryError
from .reason import reason_of

__all__ = ["absolute_path"]


def absolute_path(path: str | Path) -> Path:
    """Make a path absolute, with the home folder for ``~``.

    Raises
    ------
    GalleryError
        If it names nobody's home, goes in circles, or cannot be a path.
    """
    try:
        return Path(path).expanduser().resolve()
    except (OSError, RuntimeError, ValueError) as error:
        raise GalleryError(f"{str(path)!r} is no place ({reason_of(error)}); give the whole path.") from error
