"""``python -m concepthash.train``: train a ConceptHash model on a data set, on cached features of its stem."""

import argparse
import dataclasses
import json
import logging
import shutil
import sys
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from .card import model_card
from .checkpoint import Checkpoint, read_checkpoint, save_checkpoint
from .data import ImageTable, hold_out, read_dataset
from .devices import launched_precision, n_processes, wait
from .encode import encode_table
from .encoder import Encoder
from .errors import CheckpointError, ConceptHashError, DataError
from .estimate import estimate
from .evaluate import evaluate
from .files import write_atomically
from .objective import Objective
from .run_report import STOPPED, RunReport, RunStoppedError
from .train_loop import compare, run_to_end
from .train_options import make_configs, make_parser
from .train_setup import features_of, make_accelerator, make_class_table, make_model, origin_of
from .trainer import Trainer
from .watch import Watch

__all__ = ["main"]

RUN_FILES = ("features", "final", "state.pt")
_log = logging.getLogger(__name__)


def main(arguments: list[str] | None = None) -> int:
    """Run the command; 0 when it worked, 75 when it was asked to stop, 2 with one sentence when it could not."""
    options = make_parser(__doc__).parse_args(arguments)
    logging.basicConfig(format="%(message)s")
    report, said = RunReport(None), ""
    try:
        report = RunReport(Path(options.report) if options.report else None)
        checkpoint = _train(options, report)
    except RunStoppedError as stop:
        print(stop, file=sys.stderr)
        return STOPPED
    except ConceptHashError as error:
        said = str(error)
    except OSError as error:
        place = f" ({Path(error.filename).name})" if error.filename else ""
        said = f"Training stopped: {error.strerror or error}{place}. Run the same command again to go on."
    if said:
        print(said, file=sys.stderr)
        _tell_of_error(report, said)
        return 2
    if checkpoint:
        print(json.dumps({"checkpoint": str(checkpoint.path)} | dict(checkpoint.metrics)))
    return 0


def _train(options: argparse.Namespace, report: RunReport) -> Checkpoint | None:
    """Train and save; the checkpoint in the main process, None in others."""
    out = Path(options.out)
    run = out / "run"
    _check_run(run)
    if (out / "config.json").exists():
        return _finished(out, run)
    table = read_dataset(options.data, options.families)
    if options.hold_out and table.is_train is None:
        table = hold_out(table, options.hold_out)
    training, held_out = _parts(table)
    start = read_checkpoint(options.start) if options.start else None
    classes = make_class_table(table, options.text_encoder if options.centers == "language" else "none")
    options.mixed_precision = options.mixed_precision or launched_precision()
    model_config, losses, config = make_configs(options, classes, start)
    accelerator = make_accelerator(options.device, config, options.tensorboard)
    if n_processes() == 1:
        report.listen()
    if not options.estimate:
        _make_run(run)
    model = make_model(model_config, classes, seed=config.seed, start=start).to(accelerator.device)
    if options.estimate:
        took = estimate(Objective(model, losses), training, held_out, config, accelerator, cache_gb=options.cache_gb)
        print(json.dumps(took))
        return None
    read = partial(
        features_of, model, config=config, options=options, folder=run / "features",
        on_progress=lambda done, total: report.tick("features", done=done, total=total),
    )  # fmt: skip
    features = read(training, n_views=config.n_views)
    trainer = Trainer(
        Objective(model, losses), features, training.labels, config, accelerator, origin_of(training, classes, start)
    )
    watch = None
    if report.file and len(held_out):
        watch = Watch(model, features, training.labels, read(held_out, n_views=1), held_out.labels)
    report.tell("begin", epochs=config.epochs, steps=trainer.n_steps, n_train=len(training), n_test=len(held_out),
                classes=list(table.class_names),
                watched=[str(held_out.paths[row]) for row in watch.rows] if watch else [])  # fmt: skip
    run_to_end(trainer, run / "state.pt", report, watch)
    settings: dict[str, Any] = {"model": dataclasses.asdict(model_config), "losses": dataclasses.asdict(losses)}
    settings |= {"train": dataclasses.asdict(config), "data": table.name, "n_train": len(training)}
    settings |= {
        "device": accelerator.device.type,
        "processes": accelerator.num_processes,
        "start": start and start.name,
        "minutes": round(trainer.seconds / 60, 1),
    }
    if accelerator.is_main_process:
        save_checkpoint(run / "final", model, classes, metrics=settings)
    wait()
    report.tell("finishing")
    if watch and report.file:
        compare(watch, start, report)
    unfinished = dataclasses.replace(read_checkpoint(run / "final"), name=out.name)
    figures = _measure(unfinished, table, options)
    if options.gallery:
        encode_table(Encoder(unfinished, options.device), table, out / "gallery", progress=False, overwrite=True)
    accelerator.end_training()
    if not accelerator.is_main_process:
        return None
    card = model_card(table, classes, settings, figures)
    write_atomically(out / "history.json", json.dumps(trainer.history).encode())
    save_checkpoint(out, model, classes, metrics=settings | figures, card=card, share_stem=options.share_stem)
    shutil.rmtree(run)
    report.tell("done", checkpoint=str(out))
    return dataclasses.replace(unfinished, path=out, metrics=settings | figures)


def _parts(table: ImageTable) -> tuple[ImageTable, ImageTable]:
    """Images to train on, and images held out, maybe none; those of no known class are neither."""
    is_train = np.ones(len(table), bool) if table.is_train is None else table.is_train
    is_known = table.labels >= 0
    if not is_known.all():
        _log.warning("%d images of no known class are left out.", np.count_nonzero(~is_known))
    return table.subset(is_train & is_known), table.subset(~is_train & is_known)


def _check_run(run: Path) -> None:
    """Refuse a folder that holds anything but what a run leaves in it, since it is deleted in the end."""
    found = sorted(path.name for path in run.iterdir()) if run.is_dir() else []
    strange = [name for name in found if name not in RUN_FILES and not name.startswith(".state.pt.")]
    if strange:
        raise CheckpointError(f"{run.parent.name}/run holds {strange[0]!r}, which is no run's; choose another --out.")


def _make_run(run: Path) -> None:
    try:
        run.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise CheckpointError(
            f"{run.parent.name!r} cannot be written ({error.strerror}); choose another --out."
        ) from error


def _finished(out: Path, run: Path) -> Checkpoint:
    """A run that was killed after its last file was written, or a refusal to write over a checkpoint."""
    if not run.exists():
        raise CheckpointError(f"{out.name!r} already holds a finished checkpoint; choose another --out.")
    shutil.rmtree(run)
    return read_checkpoint(out)


def _measure(checkpoint: Checkpoint, table: ImageTable, options: argparse.Namespace) -> dict[str, Any]:
    """Figures on the test split; none where it is missing or cannot be measured, since what is trained must be kept."""
    if table.is_train is None or not (~table.is_train & (table.labels >= 0)).any():
        return {}
    try:
        return {"figures": evaluate(Encoder(checkpoint, options.device), table)}
    except DataError as error:
        _log.warning("The model was not measured: %s", error)
        return {}


def _tell_of_error(report: RunReport, said: str) -> None:
    with suppress(OSError):  # the disk that is full is often the one of the report
        report.tell("error", said=said)


if __name__ == "__main__":
    sys.exit(main())
