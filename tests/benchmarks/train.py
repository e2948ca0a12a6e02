"""``python -m tests.benchmarks.train``: what `concepthash.trainer` costs beside a bare forward, backward and step.

Both train the same network with the same losses on the same features, one step of each in turn, on one device. The bare
loop gets its batches from memory, ready to use; the trainer reads them, cuts and pastes, keeps its sums and drives
accelerate. ``throughput`` is the bare loop's median time of a step over the trainer's (1 is as fast), ``memory`` the
peak of the trainer's process over that of the bare loop's, each in a process of its own; it counts pages of the mapped
features, which the system takes back when somebody else needs them, and which the bare loop has next to none of.
"""

import argparse
import json
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

import numpy as np
import torch

from concepthash.config import LOSS_PRESETS, ModelConfig, TrainConfig
from concepthash.features import CachedFeatures
from concepthash.losses import loss_terms, total_loss
from concepthash.model import ConceptHash
from concepthash.objective import Objective
from concepthash.train_setup import make_accelerator
from concepthash.trainer import Trainer

N_IMAGES, N_VIEWS, N_CLASSES = 512, 4, 50
CONFIG = TrainConfig(epochs=1000)
LOSSES = LOSS_PRESETS["grounded"]


def new_model() -> ConceptHash:
    """The network of the bundled birds models, random weights."""
    torch.manual_seed(0)
    config = ModelConfig(n_classes=N_CLASSES, reading="patches", centers="learnable")
    return ConceptHash(config).train()


def new_features(folder: Path) -> np.ndarray:
    """(n, V, F, h, w) float16 noise, mapped from a file as cached features are."""
    shape = (N_IMAGES, N_VIEWS, 1280, 10, 10)
    file = np.lib.format.open_memmap(folder / "features.npy", mode="w+", dtype=np.float16, shape=shape)
    random = np.random.default_rng(0)
    for row in file:
        row[:] = random.standard_normal(shape[1:], dtype=np.float32)
    file.flush()
    return mapped(folder)


def mapped(folder: Path) -> np.ndarray:
    """Map what `new_features` made."""
    features: np.memmap = np.load(folder / "features.npy", mmap_mode="c")
    return features


class Ours:
    """Steps of the trainer."""

    def __init__(self, features: np.ndarray, device: str) -> None:
        labels = np.arange(N_IMAGES) % N_CLASSES
        objective = Objective(new_model(), LOSSES)
        self.trainer = Trainer(objective, CachedFeatures(features), labels, CONFIG, make_accelerator(device, CONFIG))
        self.trainer.objective.train()

    def step(self) -> None:
        """Read a batch and train on it."""
        self.trainer._train_step(self.trainer._read(self.trainer.step))
        self.trainer.step += 1


class Bare:
    """Forward, losses, backward and step on batches that lie ready in memory."""

    def __init__(self, features: np.ndarray, device: str) -> None:
        self.model, self.device = new_model().to(device), device
        trained = [parameter for parameter in self.model.parameters() if parameter.requires_grad]
        self.optimizer = torch.optim.AdamW(trained, 1e-3, weight_decay=0.05)
        batch = CONFIG.batch_size
        self.batches = [
            (torch.from_numpy(features[i * batch : (i + 1) * batch, 0].astype(np.float32)).to(device),
             torch.arange(i * batch, (i + 1) * batch, device=device) % N_CLASSES)
            for i in range(2)
        ]  # fmt: skip
        self.n_steps = 0

    def step(self) -> None:
        """Train on a batch."""
        features, labels = self.batches[self.n_steps % 2]
        self.n_steps += 1
        output = self.model.forward_features(features, n_attention=2)
        loss = total_loss(loss_terms(self.model, output, labels, LOSSES), LOSSES)
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()


def seconds_of(step: object, device: str) -> float:
    """One call, with the device's work done."""
    started = time.perf_counter()
    step()  # type: ignore[operator]
    if device == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter() - started


def peak_memory(kind: str, device: str, folder: Path) -> float:
    """Megabytes that a process took at most in twenty steps of one kind, mapped features included."""
    loop = (Ours if kind == "ours" else Bare)(mapped(folder), device)
    for _ in range(20):
        loop.step()
    if device == "cuda":
        return torch.cuda.max_memory_allocated() / 1e6
    return peak_of_process()


def peak_of_process() -> float:
    """Megabytes that this process took at most so far."""
    status = Path("/proc/self/status").read_text()  # `resource` would give the parent's peak where that is larger
    return int(re.search(r"VmHWM:\s+(\d+)", status)[1]) / 1e3  # type: ignore[index]


def peak_memory_alone(kind: str, device: str, folder: str) -> float:
    """The same, in a process of its own."""
    command = [sys.executable, "-m", "tests.benchmarks.train", "--memory-of", kind, folder, "--device", device]
    return float(subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()[-1])


def main() -> None:
    """Measure and print one JSON object."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.train", description=__doc__)
    parser.add_argument("--json", action="store_true", help="there is no other output; for likeness with the others")
    parser.add_argument("--rounds", type=int, default=40)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--memory-of", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.memory_of:
        kind, place = options.memory_of
        print(peak_memory(kind, options.device, Path(place)))
        return
    with tempfile.TemporaryDirectory() as folder:
        features = new_features(Path(folder))
        loops = {"ours": Ours(features, options.device), "bare": Bare(features, options.device)}
        seconds: dict[str, list[float]] = {name: [] for name in loops}
        for round_number in range(options.rounds + 3):
            for name, loop in loops.items():
                spent = seconds_of(loop.step, options.device)
                if round_number >= 3:
                    seconds[name].append(spent)
        peaks = {name: peak_memory_alone(name, options.device, folder) for name in loops}
    medians = {name: median(values) for name, values in seconds.items()}
    print(json.dumps({
        "device": options.device,
        "batch_size": CONFIG.batch_size,
        "rounds": options.rounds,
        "ms_per_step": {name: round(1000 * value, 2) for name, value in medians.items()},
        "throughput": round(medians["bare"] / medians["ours"], 3),
        "peak_mb": {name: round(value) for name, value in peaks.items()},
        "memory": round(peaks["ours"] / peaks["bare"], 3),
    }))  # fmt: skip


if __name__ == "__main__":
    main()
