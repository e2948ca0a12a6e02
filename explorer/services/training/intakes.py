"""Images that visitors sent to be trained on: looked through, found by their owner only, gone after a while."""

import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from concepthash.data import (
    Inspection,
    IntakeLimits,
    arrange,
    hold_out,
    inspect_images,
    read_dataset,
    unpack_zip,
)
from concepthash.errors import ConceptHashError, QueryError

from ...settings import Settings
from ...training_records import IntakeReport
from .intake_report import intake_report
from .names import folder_of_intake, new_secret
from .storage import TRAINING, disk_errors, make_folder, read_object, remove, write_object
from .worker import HOLD_OUT

__all__ = ["Intake", "IntakeStore"]

HALF_MADE = 3600.0  # seconds after which a folder without a record is what a killed server left


@dataclass(frozen=True)
class Intake:
    """Images that can be trained on."""

    data: Path
    folder: str  # name of the visitor's folder; "" for a folder of the operator
    n_images: int
    n_train: int


class IntakeStore:
    """Keeps the images of visitors, one folder each, under names that only visitor and secret together give.

    ``in_use`` names the folders that a run still needs.
    """

    def __init__(
        self, settings: Settings, cache: Path, in_use: Callable[[], set[str]], now: Callable[[], float] = time.time
    ) -> None:
        self.root, self._settings, self._in_use, self._now = cache / TRAINING / "intakes", settings, in_use, now
        self._lock = threading.Lock()
        self._folders = _named(settings.train_data)
        self.limits = IntakeLimits(
            max_bytes=settings.max_unpacked_bytes,
            max_zip_bytes=settings.max_zip_bytes,
            max_images=settings.max_training_images,
            max_classes=settings.max_training_classes,
        )

    @property
    def folders(self) -> tuple[str, ...]:
        """Names of the folders that the operator allows."""
        return tuple(self._folders)

    def add_zip(self, visitor: str, path: Path) -> IntakeReport:
        """Unpack and look through a zip file; what cannot be trained on is not kept."""
        return self._add(visitor, lambda images: unpack_zip(path, images, self.limits))

    def add_files(self, visitor: str, files: Mapping[str, Sequence[Path]]) -> IntakeReport:
        """Take files by class name, and look through them."""
        return self._add(visitor, lambda images: arrange(files, images, self.limits))

    def add_folder(self, visitor: str, name: str) -> IntakeReport:
        """Look through a folder of the operator; nothing is copied."""
        if name not in self._folders:
            raise QueryError("That folder cannot be trained on here; choose one of the list, or send images.")
        data = self._folders[name]
        inspection = inspect_images(data, self.limits)
        broken = (f"{len(inspection.broken)} images of this folder cannot be read; ask whoever runs this server to "
                  "take them away.",)  # fmt: skip
        intake = new_secret()
        with self._new(visitor, intake) as folder:
            return self._report(intake, folder, data, inspection, broken if inspection.broken else ())

    def find(self, visitor: str, intake: str) -> Intake:
        """Return images that this visitor sent before."""
        folder = self.root / folder_of_intake(visitor, intake)
        record = read_object(folder / "intake.json")
        if record is None:
            raise QueryError("These images are no longer kept here; send them again.")
        with suppress(OSError):
            os.utime(folder / "intake.json", (self._now(), self._now()))
        data = Path(record["data"]) if record["data"] else folder / "images"
        name = "" if record["data"] else folder.name
        return Intake(data, name, int(record["n_images"]), int(record["n_train"]))

    def keeps(self, visitor: str, intake: str) -> bool:
        """Whether images that this visitor sent are still here."""
        return (self.root / folder_of_intake(visitor, intake) / "intake.json").is_file()

    def forget(self, visitor: str, intake: str) -> None:
        """Remove images, now or with the last run that uses them."""
        folder = self.root / folder_of_intake(visitor, intake)
        if folder.name in self._in_use():
            with suppress(OSError):
                os.utime(folder / "intake.json", (0, 0))
        elif folder.is_dir():
            remove(folder)

    def drop(self, name: str) -> None:
        """Remove the folder ``name`` of a run that is gone, unless another run uses it."""
        if name and name not in self._in_use():
            remove(self.root / name)

    def sweep(self, seconds: float) -> None:
        """Remove images that no run uses and nobody asked for within ``seconds``, and folders that are half made."""
        in_use = self._in_use()
        with suppress(OSError):
            for entry in list(os.scandir(self.root)):
                folder = Path(entry.path)
                record = folder / "intake.json"
                limit = seconds if record.exists() else HALF_MADE
                with suppress(OSError):
                    age = self._now() - (record if record.exists() else folder).stat().st_mtime
                    if age > limit and folder.name not in in_use:
                        remove(folder)

    def _add(self, visitor: str, fill: Callable[[Path], None]) -> IntakeReport:
        intake = new_secret()
        with self._new(visitor, intake) as folder:
            images = folder / "images"
            fill(images)
            inspection = inspect_images(images, self.limits)
            for path, _ in inspection.broken:
                path.unlink(missing_ok=True)
            return self._report(intake, folder, images, inspection)

    @contextmanager
    def _new(self, visitor: str, intake: str) -> Iterator[Path]:
        """Make a folder for images, and remove it again where they cannot be trained on."""
        folder = self.root / folder_of_intake(visitor, intake)
        with disk_errors("the images cannot be kept"):
            with self._lock:
                make_folder(self.root)
                if len(os.listdir(self.root)) >= self._settings.max_intakes:
                    self._make_room()
                folder.mkdir(mode=0o700)
            try:
                yield folder
            finally:
                if not (folder / "intake.json").is_file():
                    remove(folder)

    def _make_room(self) -> None:
        """Remove the images that nobody asked for in the longest time: a page that was left never forgets its own."""
        in_use = self._in_use()
        idle = [record for record in self.root.glob("*/intake.json") if record.parent.name not in in_use]
        if not idle:
            raise QueryError("Too many people prepare a training here at the moment; try again later.")
        remove(min(idle, key=lambda record: record.stat().st_mtime).parent)

    def _report(
        self, intake: str, folder: Path, data: Path, found: Inspection, problems: tuple[str, ...] = ()
    ) -> IntakeReport:
        problems, n_held_out = (*found.problems, *problems), 0
        if not problems:
            try:
                table = hold_out(read_dataset(data), HOLD_OUT)
                n_held_out = 0 if table.is_train is None else int((~table.is_train).sum())
            except ConceptHashError as error:
                problems = (str(error),)
        if not problems:
            is_own = data == folder / "images"
            kept = {"data": "" if is_own else str(data), "n_images": found.n_images}
            write_object(folder / "intake.json", kept | {"n_train": found.n_images - n_held_out})
        return intake_report("" if problems else intake, found, data, problems, n_held_out)


def _named(folders: Sequence[Path]) -> dict[str, Path]:
    """Call each folder by its last part, and by a number behind it where another one is called so, too."""
    named: dict[str, Path] = {}
    for folder in folders:
        path = folder.expanduser().resolve()
        name, n = path.name or str(path), 2
        while name in named:
            name, n = f"{path.name} ({n})", n + 1
        named[name] = path
    return named
