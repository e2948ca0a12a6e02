"""What the tab Train asks for: images are checked, runs planned, started, watched, stopped, opened and taken home."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from concepthash.errors import CheckpointError, ConfigError, QueryError

from ...settings import Settings
from ...training_records import IntakeReport, Plan, RunResult, RunStatus
from ..models import ModelShelf
from .bundle import bundle
from .intakes import Intake, IntakeStore
from .names import folder_of_model, model_of_run, new_secret, plain_name, slug
from .offers import TERMS, check_plan, language_choices
from .report import ReportReader
from .run_folder import RunFolder, RunRecord
from .runs import RunStore
from .speed import Speeds
from .storage import TRAINING, disk_errors, write_whole
from .supervisor import Supervisor
from .watching import Watching
from .worker import Command, train_command

__all__ = ["TrainingService"]


class TrainingService:
    """Everything about training that a view may ask for; a run's secret name is all that is needed for that run.

    ``command`` makes the words that start a worker; tests give another one.
    """

    def __init__(
        self,
        settings: Settings,
        models: ModelShelf,
        *,
        command: Command | None = None,
        now: Callable[[], float] = time.time,
        pause: float = 0.5,
        patience: float = 60.0,
    ) -> None:
        self._settings, self._models = settings, models
        cache = settings.cache.expanduser().absolute()
        command = command or train_command(settings, lambda name: models.checkpoint(name).path)
        self._store, self._now, self._reports = RunStore(cache, now), now, ReportReader()
        self._intakes = IntakeStore(settings, cache, self._store.images_in_use, now)
        self._speeds = Speeds(cache / TRAINING, command)
        self._watching = Watching(self._store, self._reports, self._speeds, models, now, (cache, settings.checkpoints))
        self._supervisor = Supervisor(
            self._store, self._reports, command, self._speeds.learn, (self.sweep,), pause=pause, patience=patience
        )
        if settings.may_train and (cache / TRAINING).is_dir():  # what an earlier server left is looked after
            self._supervisor.wake()

    def folders(self) -> tuple[str, ...]:
        """Return the names of the server's folders that may be trained on."""
        return self._intakes.folders

    def check_zip(self, visitor: str, path: Path) -> IntakeReport:
        """Unpack and look through a zip file of one folder of images per class."""
        self._begin_check()
        return self._intakes.add_zip(visitor, Path(path))

    def check_files(self, visitor: str, files: Mapping[str, Sequence[Path]]) -> IntakeReport:
        """Take and look through images by class name."""
        self._begin_check()
        return self._intakes.add_files(visitor, {name: [Path(p) for p in paths] for name, paths in files.items()})

    def check_folder(self, visitor: str, name: str) -> IntakeReport:
        """Look through one of `folders`."""
        self._begin_check()
        return self._intakes.add_folder(visitor, name)

    def keeps(self, visitor: str, intake: str) -> bool:
        """Whether images that were checked are still here."""
        return self._intakes.keeps(visitor, intake)

    def forget(self, visitor: str, intake: str) -> None:
        """Remove images that were checked; a run that was started with them keeps them while it needs them."""
        self._intakes.forget(visitor, intake)

    def languages(self) -> tuple[tuple[str, str], ...]:
        """Return the text encoders that are there, as value and label; ``"none"`` is the last one."""
        return language_choices()

    def starts(self) -> tuple[str, ...]:
        """Return the models that training can start from, the one the app opens with first."""
        others = (name for name in self._models.names if name != self._models.default)
        return (self._models.default, *others)

    def terms(self) -> tuple[tuple[str, float, str], ...]:
        """Return each loss term with its default weight and one line on what it does."""
        return TERMS

    def estimate(self, visitor: str, plan: Plan) -> float | None:
        """Return the minutes a plan will take; None while that is measured; a `QueryError` says why it cannot be."""
        intake = self._checked(visitor, plan)
        phases = ("preparing", "training", "finishing")
        seconds = self._speeds.left(plan, intake.n_images, intake.n_train, phases)
        if seconds is None:
            self._speeds.ask(self._record(plan, intake, ""))
            return None
        return seconds / 60

    def start(self, visitor: str, plan: Plan, name: str) -> str:
        """Let a plan wait for a worker, and return the secret name of the run."""
        intake = self._checked(visitor, plan)
        if len(self._store.waiting()) >= self._settings.max_waiting_runs:
            raise QueryError("Too many runs wait on this server; try again later.")
        run = new_secret()
        self._speeds.close()  # what is being timed would make it wait
        self._store.create(run, self._record(plan, intake, plain_name(name)))
        self._supervisor.wake()
        return run

    def status(self, run: str) -> RunStatus:
        """Return how a run stands."""
        self._begin()
        return self._watching.status(run)

    def stop(self, run: str) -> None:
        """Let a run save and end; one that waits leaves the queue."""
        self._supervisor.stop(self._find(run)[0])

    def resume(self, run: str) -> None:
        """Let a run that was stopped or has failed go on from where it was last saved."""
        self._supervisor.resume(self._find(run)[0], self._now())

    def delete(self, run: str) -> None:
        """End a run and remove all there is of it: its model, opened or not, and images that no other run uses."""
        folder, record = self._find(run)
        self._supervisor.delete(folder)
        self._intakes.drop(record.images)
        self._supervisor.wake()

    def result(self, run: str) -> RunResult:
        """Return before and after of a run that is done."""
        folder, record = self._find_done(run)
        return self._watching.result(run, folder, record)

    def open_model(self, run: str) -> str:
        """Make the trained model known by its secret name, and return that."""
        folder, record = self._find_done(run)
        with disk_errors("the model cannot be opened"):
            write_whole(folder.opened, record.name)
        model = model_of_run(run)
        self._models.checkpoint(model)  # says what is wrong with it, if anything is
        return model

    def download(self, run: str) -> Path:
        """Return a zip of the model with its stem and gallery; its folder has a secret name of its own."""
        folder, record = self._find_done(run)
        place = folder.path / (folder_of_model(model_of_run(f"{run}-zip")) or "zip")
        return bundle(folder.checkpoint, place, slug(record.name), record.name)

    def sweep(self) -> None:
        """Remove what nobody asked for in a long time, and what killed servers left."""
        seconds = self._settings.training_hours * 3600
        self._store.sweep(seconds)
        self._intakes.sweep(seconds)
        self._speeds.sweep()

    def close(self) -> None:
        """Let a worker of this server save and end; its run can be resumed by the next server."""
        self._speeds.close()
        self._supervisor.close()

    def _begin(self) -> None:
        if not self._settings.may_train:
            raise ConfigError("Training is off on this server; whoever runs it can turn it on with --train.")

    def _begin_check(self) -> None:
        self._begin()
        self._supervisor.wake()  # from now on there is something to sweep

    def _checked(self, visitor: str, plan: Plan) -> Intake:
        self._begin()
        check_plan(plan, self.starts(), [value for value, _ in self.languages()], self._settings.max_training_epochs)
        return self._intakes.find(visitor, plan.intake)

    def _record(self, plan: Plan, intake: Intake, name: str) -> RunRecord:
        kept = replace(plan, intake="")  # a secret of the visitor's, and of no use to the run
        return RunRecord(
            name, kept, str(intake.data), intake.folder, intake.n_images, intake.n_train, queued=self._now()
        )

    def _find(self, run: str) -> tuple[RunFolder, RunRecord]:
        self._begin()
        folder, record = self._store.find(run)
        self._store.touch(folder)
        return folder, record

    def _find_done(self, run: str) -> tuple[RunFolder, RunRecord]:
        folder, record = self._find(run)
        if record.state != "done":
            raise CheckpointError("This run has no model yet; wait until it is done.")
        return folder, record
