"""A training from its state to its end, telling how it stands, and the comparison with what it started from."""

import math
import time
from pathlib import Path
from typing import Any

import numpy as np
from torch import nn
from tqdm import tqdm

from .checkpoint import Checkpoint, load_model
from .devices import explain_lost_processes, gather
from .errors import CheckpointError
from .run_report import RunReport, RunStoppedError
from .stems import cut_tail
from .trainer import Trainer
from .watch import Watch

__all__ = ["compare", "run_to_end"]


def run_to_end(trainer: Trainer, state: Path, report: RunReport, watch: Watch | None) -> None:
    """Train to the end, telling after every epoch how it stands."""
    found = gather(state.exists())
    if any(found):
        if not all(found):
            raise CheckpointError(f"{state.parent} is not one folder for all machines; give an --out that they share.")
        trainer.resume(state)
    first, started = trainer.step, time.monotonic()
    total = trainer.config.epochs * trainer.n_steps
    every = math.ceil((len(watch.query_labels) + len(watch.gallery_labels)) / 1000) if watch else 1  # epochs

    def on_step() -> None:
        report.tick("step", epoch=trainer.epoch, step=trainer.step)

    bar = tqdm(total=trainer.config.epochs, initial=trainer.epoch, desc="training", unit="epoch",
               disable=not trainer.accelerator.is_main_process)  # fmt: skip
    with bar:
        while trainer.epoch < trainer.config.epochs:
            try:
                with explain_lost_processes():
                    means = trainer.run_epoch(state, on_step)
            except RunStoppedError:
                report.tell("stopped", epoch=trainer.epoch, step=trainer.step)
                raise
            trainer.accelerator.log(means, step=trainer.epoch)
            is_measured = watch and (trainer.epoch % every == 0 or trainer.epoch == trainer.config.epochs)
            score = watch.mean_average_precision(watch.query_logits())[0] if watch and is_measured else None
            if watch and is_measured and report.file:
                name = f"maps-{trainer.epoch:04d}.npz"
                np.savez(report.file.parent / name, maps=watch.maps(), rows=watch.rows)
                report.tell("maps", epoch=trainer.epoch, file=name)
            left = (time.monotonic() - started) / (trainer.step - first) * (total - trainer.step)
            report.tell("epoch", epoch=trainer.epoch, losses=means, map=score, seconds_left=round(left, 1))
            bar.set_postfix({name: f"{value:.3f}" for name, value in means.items()})
            bar.update()


def compare(watch: Watch, start: Checkpoint | None, report: RunReport) -> None:
    """Tell how the held-out images retrieve with the model that training started from, and with what came out."""
    assert report.file
    sides = {"after": watch}
    if start:
        model = load_model(start, watch.model.concept_offset.device)
        if n_more := watch.model.config.backbone.trained_stages - start.config.backbone.trained_stages:
            more = cut_tail(model.backbone.frozen_stem, n_more)  # the features end before these stages
            model.backbone.tail = nn.Sequential(more, model.backbone.tail)
        sides["before"] = Watch(model, watch.gallery, watch.gallery_labels, watch.queries, watch.query_labels)
    figures: dict[str, Any] = {"before": None}
    arrays: dict[str, Any] = {"labels": watch.query_labels, "rows": watch.rows}
    for name, side in sides.items():
        logits = side.query_logits()
        mean, low, high = side.mean_average_precision(logits)
        figures[name] = {"map": mean, "interval": [low, high]}
        arrays |= {f"{name}_logits": logits, f"{name}_maps": side.maps()}
    np.savez(report.file.parent / "comparison.npz", **arrays)
    report.tell("figures", **figures)
