"""One training run on cached features: epochs, schedule, and the state that lets a killed run go on."""

import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import dropout2d

from .config import LossConfig, TrainConfig
from .errors import CheckpointError, DataError
from .losses import loss_terms, total_loss
from .model import ConceptHash, ConceptHashOutput

__all__ = ["Trainer", "cut_and_paste"]


class Trainer:
    """One training run: a model, its optimizer and schedule, resumable between epochs.

    Parameters
    ----------
    model
        With its stem weights; moved to ``device`` by the caller.
    features
        (n, V, F, h, w) float16 stem features of V views of n images.
    labels
        (n,) class indices.
    losses, config
        What is minimized, and how.
    origin
        What else a resumed run must share with the one that was killed: its data, and the weights it started from.
    """

    def __init__(
        self,
        model: ConceptHash,
        features: np.ndarray,
        labels: np.ndarray,
        losses: LossConfig,
        config: TrainConfig,
        origin: str = "",
    ) -> None:
        self.model, self.losses, self.config = model, losses, config
        self._settings = repr((model.config, losses, config, origin))
        self.device = model.concept_offset.device
        self.features = torch.from_numpy(features)  # stays memory-mapped
        self.labels = torch.from_numpy(labels).to(self.device)
        self.rows_of_class = {int(label): np.flatnonzero(labels == label) for label in np.unique(labels)}
        self.n_steps = max(1, len(labels) // config.batch_size)
        self.epoch = 0
        self.history: list[dict[str, float]] = []
        self.optimizer = _make_optimizer(model, config)
        self.schedule = torch.optim.lr_scheduler.LambdaLR(self.optimizer, self._learning_rate)

    def _learning_rate(self, step: int) -> float:
        """Linear warm-up, then half a cosine down to 0, as a share of the peak."""
        warmup, total = self.config.warmup_epochs * self.n_steps, self.config.epochs * self.n_steps
        if step < warmup:
            return (step + 1) / warmup
        return 0.5 * (1 + math.cos(math.pi * min(1.0, (step - warmup) / max(1, total - warmup))))

    def run_epoch(self) -> dict[str, float]:
        """Train for one epoch and return the mean of every loss term and of their total."""
        torch.manual_seed(self.config.seed * 100_003 + self.epoch)  # dropout, so that a resumed run repeats itself
        self.model.train()
        n_attention = self._n_attention()
        sums: dict[str, Tensor] = {}
        for features, labels in self._batches():
            with torch.autocast(self.device.type, torch.bfloat16, enabled=self.config.bfloat16):
                output = self.model.forward_features(features, n_attention=n_attention)
            output = _in_float32(output)  # losses compare cosines, which 8 bits cannot tell apart
            terms = loss_terms(self.model, output, labels, self.losses)
            loss = total_loss(terms, self.losses)
            self.optimizer.zero_grad(set_to_none=True)
            loss.backward()
            torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
            self.optimizer.step()
            self.schedule.step()
            for name, value in (terms | {"total": loss}).items():
                sums[name] = sums.get(name, torch.zeros((), device=self.device)) + value.detach()
        self.epoch += 1
        means = {name: float(value) / self.n_steps for name, value in sums.items()}
        if not all(math.isfinite(value) for value in means.values()):
            raise DataError(f"Training diverged in epoch {self.epoch} ({means}); try a smaller learning rate.")
        self.history.append({"epoch": self.epoch} | means)
        return means

    def _n_attention(self) -> int:
        if not (self.losses.csd_weight or self.losses.ground_weight):
            return 0
        return len(self.model.backbone.blocks) if self.losses.csd_map == "rollout" else 1

    def _batches(self) -> Iterator[tuple[Tensor, Tensor]]:
        """Every image once, in random order, each in a random one of its views."""
        random = np.random.default_rng((self.config.seed, self.epoch))
        order = random.permutation(len(self.labels))
        for begin in range(0, self.n_steps * self.config.batch_size, self.config.batch_size):
            rows = order[begin : begin + self.config.batch_size]
            features, labels = self._features_of(rows, random), self.labels[rows]
            mixed = random.random(len(rows)) < self.config.cutmix_share
            relatives = np.array([random.choice(self.rows_of_class[int(label)]) for label in labels])
            if mixed.any():
                features[mixed] = cut_and_paste(features[mixed], self._features_of(relatives[mixed], random), random)
            yield dropout2d(features, self.config.feature_dropout), labels

    def _features_of(self, rows: np.ndarray, random: np.random.Generator) -> Tensor:
        """One view of each of ``rows``, (b, F, h, w) float32."""
        views = random.integers(self.features.shape[1], size=len(rows))
        views[random.random(len(rows)) < self.config.plain_share] = 0
        return self.features[torch.from_numpy(rows), torch.from_numpy(views)].to(self.device).float()

    def save(self, file: Path) -> None:
        """Keep everything that the next epoch needs, atomically."""
        state = {
            "config": self._settings,
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "schedule": self.schedule.state_dict(),
            "epoch": self.epoch,
            "history": self.history,
        }
        temporary = file.with_suffix(".tmp")
        torch.save(state, temporary)
        temporary.replace(file)

    def resume(self, file: Path) -> None:
        """Go on from what `save` kept.

        Raises
        ------
        CheckpointError
            If it was made with other settings, data or first weights.
        """
        state = torch.load(file, map_location=self.device, weights_only=True)
        if state["config"] != self._settings:
            raise CheckpointError(
                f"{file.parent.name!r} holds an unfinished run with other settings, data or --from; "
                "choose another --out, or delete the folder."
            )
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.schedule.load_state_dict(state["schedule"])
        self.epoch, self.history = state["epoch"], state["history"]


def cut_and_paste(features: Tensor, others: Tensor, random: np.random.Generator) -> Tensor:
    """Features (b, F, h, w) with one rectangle each, of 30 to 90 % of height and width, taken from ``others``."""
    height, width = features.shape[2:]
    pasted = features.clone()
    for image in range(len(features)):
        rows, columns = (max(1, round(size * random.uniform(0.3, 0.9))) for size in (height, width))
        top, left = random.integers(height - rows + 1), random.integers(width - columns + 1)
        place = (image, slice(None), slice(top, top + rows), slice(left, left + columns))
        pasted[place] = others[place]
    return pasted


def _in_float32(output: ConceptHashOutput) -> ConceptHashOutput:
    logits, embeddings, patches, attention = output
    return ConceptHashOutput(logits.float(), embeddings.float(), patches.float(), tuple(a.float() for a in attention))


def _make_optimizer(model: ConceptHash, config: TrainConfig) -> torch.optim.Optimizer:
    """AdamW spares vectors and embeddings from weight decay; SGD decays everything, as released."""
    trained = {n: p for n, p in model.named_parameters() if p.requires_grad}
    if config.optimizer == "sgd":
        return torch.optim.SGD(trained.values(), config.learning_rate, momentum=0.9, weight_decay=config.weight_decay)
    decayed = [p for n, p in trained.items() if p.ndim == 2 and n.endswith("weight")]
    spared = [p for n, p in trained.items() if not (p.ndim == 2 and n.endswith("weight"))]
    groups = [{"params": decayed, "weight_decay": config.weight_decay}, {"params": spared, "weight_decay": 0.0}]
    return torch.optim.AdamW(groups, config.learning_rate)
