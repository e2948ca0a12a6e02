"""Models that visitors trained: on nobody's menu, found on disk by their secret names once they were opened."""

import os
from contextlib import suppress
from pathlib import Path

from ..settings import Settings
from .training.names import MODEL_PREFIX, folder_of_model
from .training.storage import TRAINING

__all__ = ["GALLERY", "GONE", "PrivateModels"]

GALLERY = "gallery"  # the folder of a checkpoint that holds the images it was trained on
GONE = "That trained model is no longer here; choose another one."


class PrivateModels:
    """Looks up a secret name every time, so that a model that was deleted is gone at once, for every server."""

    def __init__(self, settings: Settings) -> None:
        self._root = settings.cache.resolve() / TRAINING / "runs" if settings.may_train else None

    def is_private(self, name: str) -> bool:
        """Whether a name is such a secret one, of a model that is there or not."""
        return name.startswith(MODEL_PREFIX) and folder_of_model(name) is not None

    def folder(self, name: str) -> Path | None:
        """Return the checkpoint folder of an opened model; None where there is none."""
        folder = folder_of_model(name)
        if self._root is None or folder is None or not (self._root / folder / "opened").is_file():
            return None
        return self._root / folder / "model"

    def title(self, name: str) -> str:
        """Return what its owner calls a model."""
        folder = self.folder(name)
        if folder is not None:
            with suppress(OSError, ValueError):
                return (folder.parent / "opened").read_text(encoding="utf-8")
        return "a trained model"

    def galleries(self) -> tuple[Path, ...]:
        """List the gallery folders of all opened models, for the server alone."""
        with suppress(OSError):
            if self._root is not None:
                runs = [Path(entry.path) for entry in os.scandir(self._root)]
                return tuple(run / "model" / GALLERY for run in sorted(runs) if (run / "opened").is_file())
        return ()
