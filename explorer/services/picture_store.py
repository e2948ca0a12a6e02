"""Pictures of class centers: computed once, kept in memory and in the cache folder."""

import hashlib
import logging
from contextlib import suppress
from io import BytesIO
from pathlib import Path

import numpy as np

from concepthash.center_maps import project
from concepthash.files import write_atomically

from .cache import AnswerCache

__all__ = ["PictureStore"]

VERSION = 1  # counts up when `project` gives other pictures
_log = logging.getLogger(__name__)


class PictureStore:
    """Gives positions of centers; a file that is damaged is made again, a folder that is read-only does no harm."""

    def __init__(self, folder: Path, size: int = 24) -> None:
        self._folder, self._kept = folder / "centers", AnswerCache(size)

    def positions(self, fingerprint: str, centers: np.ndarray, method: str) -> np.ndarray:
        """Return positions (C, 2) float32 of the centers (C, K) of a model, as `project` gives them."""
        digest = hashlib.sha256(np.ascontiguousarray(centers, dtype="<f4").tobytes()).hexdigest()[:16]
        name = f"{fingerprint[:16]}-{digest}-{method}-{VERSION}.npy"
        return self._kept.get(name, lambda: self._positions(self._folder / name, centers, method))

    def _positions(self, file: Path, centers: np.ndarray, method: str) -> np.ndarray:
        kept = _read(file, len(centers))
        if kept is not None:
            return kept
        positions = project(centers, method)
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            write_atomically(file, _bytes(positions))
        except OSError as error:
            _log.warning("The picture of the class centers is not kept in %s: %s", file.parent, error.strerror)
        return positions


def _bytes(positions: np.ndarray) -> bytes:
    content = BytesIO()
    np.save(content, positions.astype(np.float32), allow_pickle=False)
    return content.getvalue()


def _read(file: Path, n_classes: int) -> np.ndarray | None:
    """Read positions (C, 2); None where there are none, or they cannot be those of this model."""
    with suppress(OSError, ValueError, EOFError):
        positions = np.load(BytesIO(file.read_bytes()), allow_pickle=False)
        if positions.shape == (n_classes, 2) and positions.dtype == np.float32 and np.isfinite(positions).all():
            return np.asarray(positions)
    return None
