"""One training run: steps driven by accelerate, and the state that lets a killed run go on exactly where it was."""

import io
import math
import pickle
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import torch
from accelerate import Accelerator
from torch import Tensor, nn

from .batches import BatchOrder
from .config import TrainConfig
from .errors import CheckpointError, ConfigError, DataError
from .features import Features
from .files import write_atomically
from .objective import Objective

__all__ = ["Trainer"]

PRECISIONS = {"no": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16}


class Trainer:
    """One training run: a model, its optimizer and schedule, resumable at every step.

    Images, views and rectangles of a step depend on seed and step alone. So a run that goes on after a kill repeats
    what it would have done, and several processes see together what one would see; only dropout and the statistics of
    batch norm, both taken over the images of one process, differ with their number.

    Parameters
    ----------
    objective
        The model, with its stem weights, and what is minimized.
    features
        Stem features of V views of n images.
    labels
        (n,) class indices.
    config
        How it is minimized.
    accelerator
        Device, processes and precision; `make_accelerator` gives one.
    origin
        What else a resumed run must share with the one that was killed: its data, and the weights it started from.

    Raises
    ------
    ConfigError
        If a batch does not split evenly over processes and accumulated parts.
    DataError
        If there are fewer than two images.
    """

    def __init__(
        self,
        objective: Objective,
        features: Features,
        labels: np.ndarray,
        config: TrainConfig,
        accelerator: Accelerator,
        origin: str = "",
    ) -> None:
        self.model, self.features, self.config, self.accelerator = objective.model, features, config, accelerator
        self._settings = repr((objective.model.config, objective.losses, config, origin))
        self._labels = torch.from_numpy(labels)
        self.order = BatchOrder(labels, features.n_views, config)
        self.n_parts = accelerator.num_processes * config.accumulation_steps
        if len(labels) < 2:
            raise DataError(f"Training needs at least 2 images of known classes; there are {len(labels)}.")
        size = min(config.batch_size, len(labels))
        if size % self.n_parts or size // self.n_parts < 2:
            raise ConfigError(
                f"A batch of {size} images cannot be split into {self.n_parts} equal parts of 2 or more "
                f"({accelerator.num_processes} processes, {config.accumulation_steps} accumulated parts each); choose "
                f"another batch size, such as {self.n_parts * max(2, size // self.n_parts)}."
            )
        self.step = 0
        self.history: list[dict[str, float]] = []
        self._sums: dict[str, float] = {}
        self._began, self._spent = time.monotonic(), 0.0  # the seconds of earlier, killed parts of this run
        objective.model.backbone.feature_dropout.p = config.feature_dropout
        self.objective, self.optimizer = accelerator.prepare(objective, _make_optimizer(objective, config))

    @property
    def n_steps(self) -> int:
        """Steps of an epoch."""
        return self.order.n_steps

    @property
    def epoch(self) -> int:
        """Epochs that are done."""
        return self.step // self.n_steps

    @property
    def seconds(self) -> float:
        """What this run has taken so far, from its first step on and over all its kills."""
        return self._spent + time.monotonic() - self._began

    def learning_rate(self, step: int) -> float:
        """Learning rate of a step: a linear warm-up, then half a cosine down to 0.

        References
        ----------
        Method reference, section C, for ``schedule="epoch"``.
        """
        config, n_steps = self.config, self.n_steps
        if config.schedule == "epoch":
            done, warmup, total = step // n_steps + 1, config.warmup_epochs, config.epochs + 1
            share = done / warmup if done <= warmup else _half_cosine((done - warmup) / (total - warmup))
        else:
            warmup, total = config.warmup_epochs * n_steps, config.epochs * n_steps
            share = (step + 1) / warmup if step < warmup else _half_cosine((step - warmup) / max(1, total - warmup))
        return config.learning_rate * share

    def run_epoch(self, state: Path | None = None, on_step: Callable[[], None] = lambda: None) -> dict[str, float]:
        """Train to the end of the epoch and return the mean of every loss term and of their total.

        Parameters
        ----------
        state
            File to keep the state in, every ``save_steps`` steps and at the end of the epoch.
        on_step
            Called before every step; what it raises ends the epoch there, with the state kept.

        Raises
        ------
        DataError
            If a loss is no longer finite.
        """
        self.objective.train()
        end = (self.epoch + 1) * self.n_steps
        steps: list[dict[str, Tensor]] = []
        for parts in self._read_ahead(range(self.step, end)):
            try:
                on_step()
            except BaseException:
                self._add(steps)
                if state:
                    self.save(state)
                raise
            steps.append(self._train_step(parts))
            self.step += 1
            if state and self.step < end and self.step % self.config.save_steps == 0:
                self._add(steps)
                self.save(state)
        self._add(steps)
        means = {name: value / self.n_steps for name, value in self._sums.items()}
        self._sums = {}
        if not all(math.isfinite(value) for value in means.values()):
            raise DataError(f"Training diverged in epoch {self.epoch} ({means}); try a smaller learning rate.")
        self.history.append({"epoch": self.epoch} | means)
        if state:
            self.save(state)
        return means

    def _train_step(self, parts: list[tuple[Tensor, Tensor]]) -> dict[str, Tensor]:
        """Loss terms of one step of the optimizer, means over this process's parts of the batch."""
        config, accelerator = self.config, self.accelerator
        torch.manual_seed((config.seed * 1_000_003 + self.step) * accelerator.num_processes + accelerator.process_index)
        for group in self.optimizer.param_groups:
            group["lr"] = self.learning_rate(self.step) * group["share"]
        dtype = PRECISIONS[config.mixed_precision]  # of the first layer's input, whatever features are kept in
        sums: dict[str, Tensor] = {}
        for features, labels in parts:
            with accelerator.accumulate(self.objective):
                terms = self.objective(features.to(accelerator.device, dtype), labels.to(accelerator.device))
                accelerator.backward(terms["total"])
                if accelerator.sync_gradients and config.clip_norm:
                    accelerator.clip_grad_norm_(self.model.parameters(), config.clip_norm)
                self.optimizer.step()
                self.optimizer.zero_grad()
            for name, value in terms.items():
                sums[name] = sums.get(name, 0.0) + value.detach() / len(parts)
        return sums

    def _read_ahead(self, steps: range) -> Iterator[list[tuple[Tensor, Tensor]]]:
        """Give the parts of each step's batch that are this process's, the next step's read while one trains."""
        with ThreadPoolExecutor(1) as reader:
            waiting = reader.submit(self._read, steps.start) if steps else None
            for step in steps:
                assert waiting
                parts = waiting.result()
                waiting = reader.submit(self._read, step + 1) if step + 1 < steps.stop else None
                yield parts

    def _read(self, step: int) -> list[tuple[Tensor, Tensor]]:
        batch, n = self.order.batch(step), self.config.accumulation_steps
        parts = [batch.part(self.accelerator.process_index * n + i, self.n_parts) for i in range(n)]
        return [(part.read(self.features), self._labels[part.rows]) for part in parts]

    def _add(self, steps: list[dict[str, Tensor]]) -> None:
        """Add the terms of some steps, means over all processes, to the sums of the epoch, and forget the steps."""
        if steps:
            values = torch.stack([torch.stack(list(terms.values())) for terms in steps])  # (S, terms)
            for step in self.accelerator.reduce(values, "mean").tolist():
                for name, value in zip(steps[0], step, strict=True):  # one by one: the same sum wherever a run broke
                    self._sums[name] = self._sums.get(name, 0.0) + value
        steps.clear()

    def save(self, file: Path) -> None:
        """Keep everything that the next step needs; the file holds the old or the new state, whatever happens."""
        if not self.accelerator.is_main_process:
            return
        state = {
            "settings": self._settings,
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "scaler": self.accelerator.scaler.state_dict() if self.accelerator.scaler else {},
            "step": self.step,
            "sums": self._sums,
            "history": self.history,
            "seconds": self.seconds,
        }
        content = io.BytesIO()  # torch.save hides what a full disk says
        torch.save(state, content)
        write_atomically(file, content.getvalue())

    def resume(self, file: Path) -> None:
        """Go on from what `save` kept.

        Raises
        ------
        CheckpointError
            If it was made with other settings, data or first weights, or is damaged.
        """
        try:
            state = torch.load(file, map_location="cpu", weights_only=True)
        except (RuntimeError, EOFError, pickle.UnpicklingError) as error:
            raise CheckpointError(
                f"The state of the unfinished run in {file.parent.name!r} is damaged; delete that folder to begin anew."
            ) from error
        if state.get("settings") != self._settings:
            raise CheckpointError(
                f"{file.parent.name!r} holds an unfinished run with other settings, data or --from; "
                "choose another --out, or delete the folder."
            )
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        if self.accelerator.scaler:
            self.accelerator.scaler.load_state_dict(state["scaler"])
        self.step, self._sums, self.history = state["step"], state["sums"], state["history"]
        self._began, self._spent = time.monotonic(), state.get("seconds", 0.0)


def _half_cosine(share: float) -> float:
    return 0.5 * (1 + math.cos(math.pi * min(1.0, share)))


def _make_optimizer(objective: Objective, config: TrainConfig) -> torch.optim.Optimizer:
    """AdamW spares vectors, embeddings and the stem from weight decay; SGD decays everything, as released."""
    is_sgd = config.optimizer == "sgd"
    groups: dict[tuple[bool, bool], list[nn.Parameter]] = {}
    for name, parameter in objective.named_parameters():
        if parameter.requires_grad:
            is_decayed = is_sgd or (parameter.ndim == 2 and name.endswith("weight"))
            groups.setdefault((is_decayed, ".backbone.tail." in name), []).append(parameter)
    settings = [
        {
            "params": parameters,
            "weight_decay": config.weight_decay if is_decayed else 0.0,
            "share": config.stem_rate if is_tail else 1.0,
        }
        for (is_decayed, is_tail), parameters in groups.items()
    ]
    if is_sgd:
        return torch.optim.SGD(settings, config.learning_rate, momentum=0.9)
    return torch.optim.AdamW(settings, config.learning_rate, fused=True)
