"""``python -m tests.benchmarks.retrieval``: ConceptHash, its ablations and other methods, trained and measured alike.

Every row is trained on the same cached features of the same frozen stem, with the same network, steps, batches and
views; only the loss differs, and what the row's name says. Minutes are those of one core at work. Finished runs are
kept in ``--results`` and not repeated, begun ones in ``--cache`` after every epoch, so the command can be stopped and
started again; at the end it prints the table, and writes that of ``checkpoints/results.jsonl`` into
``checkpoints/README.md``.
"""

import argparse
import dataclasses
import fcntl
import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import faiss
import numpy as np
import torch
from sklearn.preprocessing import normalize
from tqdm import tqdm

from concepthash.attribution import MapSettings, concept_maps
from concepthash.checkpoint import save_checkpoint
from concepthash.config import LOSS_PRESETS, HeadConfig, ModelConfig, TrainConfig
from concepthash.data import ImageTable, read_dataset, read_image
from concepthash.evaluate import map_figures, nearest_center_accuracy, retrieval_figures
from concepthash.feature_cache import training_features
from concepthash.image_views import Views
from concepthash.model import ConceptHash
from concepthash.objective import Objective
from concepthash.train_setup import make_accelerator, make_class_table, make_model, origin_of
from concepthash.trainer import Trainer

from .baselines import CSQ, HashNet, OrthoHash, Softmax
from .results_table import table_of, write_table

ROOT = Path(__file__).resolve().parents[2]
RESULTS = ROOT / "checkpoints" / "results.jsonl"
BITS = {"birds": (6, 16, 32, 64), "cars": (6, 32, 64)}
FAMILIES = {"birds": "", "cars": "make"}
SEEDS = (0, 1, 2)
OURS = "ConceptHash"
LONG = {"birds": (32, 64)}  # bits of the longer trainings of the first three methods: 30 epochs are not their end
ABLATED = {16: SEEDS, 64: (0,)}  # bits of the ablations, and their seeds
ABLATIONS: dict[str, dict[str, Any]] = {  # what changes in the losses or in the model
    "without L_csd": {"csd_weight": 0.0},
    "without L_cd": {"cd_weight": 0.0},
    "without L_quan": {"quan_weight": 0.0},
    "without E": {"head": HeadConfig(specificity=False)},
    "learnable centers": {"centers": "learnable", "text_dim": 0},
    "random centers": {"centers": "random", "text_dim": 0},
    "sign(e)": {"center_input": "sign"},
    "M = 1": {"n_concepts": 1},
    "M = 2": {"n_concepts": 2},
    "M = 8": {"n_concepts": 8},
    "without L_ground": {"ground_weight": 0.0},
    "without L_sub": {"sub_weight": 0.0},
    "without L_sep": {"sep_weight": 0.0},
    "tokens read all": {"reading": "all"},
}
HASHERS = ("ITQ", "LSH")  # unsupervised, of features that somebody else made
FROZEN, TRAINED = "frozen features", "trained features"  # whose
LOSS_FIELDS = {field.name for field in dataclasses.fields(LOSS_PRESETS["grounded"])}


@dataclasses.dataclass(frozen=True)
class Run:
    """One training: a method on one data set; ``bits`` is 0 where one training serves all lengths."""

    data: str
    method: str
    bits: int
    epochs: int  # 0 where nothing is trained
    seed: int

    def __str__(self) -> str:
        return f"{self.data} {self.method} {self.bits} bits {self.epochs} epochs"


def all_runs(epochs: dict[str, int], long_epochs: int) -> Iterator[Run]:
    """Every training of the table, seed by seed, so that a table of fewer seeds is there early."""
    methods = (OURS, "OrthoHash", "CSQ", "HashNet")
    for seed in SEEDS:
        for data, lengths in BITS.items():
            yield from (Run(data, method, bits, epochs[data], seed) for bits in lengths for method in methods)
            yield from (Run(data, kind, 0, n, seed) for kind, n in ((FROZEN, 0), (TRAINED, epochs[data])))
            yield from (
                Run(data, method, bits, long_epochs, seed) for bits in LONG.get(data, ()) for method in methods[:3]
            )
        lengths = [bits for bits, seeds in ABLATED.items() if seed in seeds]
        ablations = [f"{OURS}, {change}" for change in ABLATIONS]
        yield from (Run("birds", name, bits, epochs["birds"], seed) for bits in lengths for name in ablations)


def n_concepts_of(bits: int) -> int:
    """3 concepts of 2 bits as in the paper's toy setting, and 4 otherwise."""
    return 3 if bits == 6 else 4


def rows_of(run: Run, options: argparse.Namespace) -> list[dict[str, Any]]:
    """Train and measure; one row of figures for every length of code."""
    torch.set_num_threads(1)
    data = Data(run.data, options)
    if run.method == FROZEN:
        train, test = (pooled(features) for features in (data.train_features, data.test_features))
        return hashed_rows(run, data, train, test, 0.0)
    model, minutes = data.train(run)
    if run.method == TRAINED:
        train, test = (encode(model, features)[1] for features in (data.train_features, data.test_features))
        return hashed_rows(run, data, train, test, minutes)
    gallery, queries = (encode(model, features)[0] for features in (data.train_features, data.test_features))
    labels, n_concepts = (data.training.labels, data.testing.labels), model.config.n_concepts
    figures = retrieval_figures(gallery, labels[0], queries, labels[1], n_concepts)
    maps = maps_of(model, data.test_features)
    figures |= map_figures(maps, data.test_sizes(), data.testing, np.arange(len(data.testing)))
    if run.method.startswith(OURS):
        centers = model.class_centers().detach().float().numpy()
        figures["accuracy"] = nearest_center_accuracy(queries, centers, labels[1])
    return [row(run, run.bits, minutes, figures)]


class Data:
    """A data set with its cached features; ``train`` trains what a run says."""

    def __init__(self, name: str, options: argparse.Namespace) -> None:
        self.options = options
        table = read_dataset(getattr(options, name), FAMILIES[name])
        assert table.is_train is not None, f"{table.name} has no split."
        self.training, self.testing = (table.subset(np.flatnonzero(part)) for part in (table.is_train, ~table.is_train))
        self.classes = make_class_table(table, "minilm")
        self.model_config = ModelConfig(
            4, 64, len(table.class_names), reading="patches", text_dim=len(self.classes.text_features[0])
        )
        self.n_views = options.views[name]
        self.train_features, self.test_features = (
            self._features(self.training, self.n_views),
            self._features(self.testing, 1),
        )

    def _features(self, table: ImageTable, n_views: int) -> Any:
        model, config = make_model(self.model_config, self.classes), self.model_config.backbone
        views = Views(table, config.image_size, n_views)
        return training_features(model.backbone, config, views, self.options.cache, cache_gb=self.options.cache_gb)

    def train(self, run: Run) -> tuple[ConceptHash, float]:
        """A trained model, in evaluation mode, and the minutes that it took."""
        started = time.process_time()
        change = ABLATIONS.get(run.method.removeprefix(f"{OURS}, "), {})
        losses = {name: value for name, value in change.items() if name in LOSS_FIELDS}
        sizes = {"n_concepts": n_concepts_of(run.bits), "n_bits": run.bits or 64}
        others = {name: value for name, value in change.items() if name not in LOSS_FIELDS}
        model = make_model(
            dataclasses.replace(self.model_config, **(sizes | others)),
            dataclasses.replace(self.classes, text_features=()) if "centers" in change else self.classes,
            seed=run.seed,
        )
        made: dict[str, Callable[[], Objective]] = {
            "OrthoHash": lambda: OrthoHash(model, run.seed),
            "CSQ": lambda: CSQ(model, run.seed),
            "HashNet": lambda: HashNet(model, len(self.training)),
            TRAINED: lambda: Softmax(model),
        }
        ours = dataclasses.replace(LOSS_PRESETS["grounded"], **losses)
        objective = Objective(model, ours) if run.method.startswith(OURS) else made[run.method]()
        precision = self.options.mixed_precision
        config = TrainConfig(epochs=run.epochs, n_views=self.n_views, mixed_precision=precision, seed=run.seed)
        trainer = Trainer(
            objective, self.train_features, self.training.labels, config, make_accelerator("cpu", config),
            origin_of(self.training, self.classes, None),
        )  # fmt: skip
        begun = self.options.cache / "runs" / f"{run} {run.seed}"
        state, clock = (begun.with_suffix(end) for end in (".pt", ".seconds"))
        begun.parent.mkdir(parents=True, exist_ok=True)
        if state.exists() and clock.exists():
            trainer.resume(state)
            started -= float(clock.read_text())
        while trainer.epoch < run.epochs:
            trainer.run_epoch(None if isinstance(objective, HashNet | Softmax) else state)  # these hold more than it
            clock.write_text(str(time.process_time() - started))
        if self.options.keep and run.method == OURS:
            settings = {"model": model.config, "losses": objective.losses, "train": config}
            metrics = {name: dataclasses.asdict(part) for name, part in settings.items()}
            folder = self.options.keep / f"{run.data}-{run.bits}-seed-{run.seed}"
            save_checkpoint(folder, model, self.classes, metrics=metrics)
        state.unlink(missing_ok=True)
        clock.unlink(missing_ok=True)
        return model.eval(), (time.process_time() - started) / 60

    def test_sizes(self) -> np.ndarray:
        """(n, 2) heights and widths of the test images."""
        return np.array([read_image(path).shape[:2] for path in self.testing.paths])


def batches(features: Any) -> Iterator[torch.Tensor]:
    """View 0 of every image, 64 at once, (b, F, h, w) float32."""
    n = len(features.array)
    for begin in range(0, n, 64):
        rows = np.arange(begin, min(n, begin + 64))
        yield features.read(rows, np.zeros_like(rows)).float()


@torch.inference_mode()
def encode(model: ConceptHash, features: Any) -> tuple[np.ndarray, np.ndarray]:
    """Code logits (n, K) and concept embeddings (n, M·D)."""
    outputs = [model.forward_features(part) for part in batches(features)]
    parts = [(output.code_logits.numpy(), output.concept_embeddings.flatten(1).numpy()) for output in outputs]
    logits, embeddings = (np.concatenate(arrays) for arrays in zip(*parts, strict=True))
    return logits, embeddings


@torch.inference_mode()
def maps_of(model: ConceptHash, features: Any) -> np.ndarray:
    """Rollout of every concept, (n, M, h, w)."""
    settings = MapSettings()
    n = settings.n_attention(len(model.backbone.blocks))
    outputs = (model.forward_features(part, n_attention=n) for part in batches(features))
    return np.concatenate([concept_maps(output, model, settings).numpy() for output in outputs])


def pooled(features: Any) -> np.ndarray:
    """Means over the grid, (n, F)."""
    return np.concatenate([part.mean(dim=(2, 3)).numpy() for part in batches(features)])


def hashed_rows(run: Run, data: Data, train: np.ndarray, test: np.ndarray, minutes: float) -> list[dict[str, Any]]:
    """Rows of ITQ and LSH on features (n, F)."""
    rows = []
    for bits in BITS[run.data]:
        for kind in HASHERS:
            started = time.process_time()
            gallery, queries = hashed(kind, bits, run.seed, train, test)
            figures = retrieval_figures(
                gallery, data.training.labels, queries, data.testing.labels, n_concepts_of(bits)
            )
            spent = minutes + (time.process_time() - started) / 60
            rows.append(row(run, bits, spent, figures) | {"method": f"{kind}, {run.method}"})
    return rows


def hashed(kind: str, bits: int, seed: int, train: np.ndarray, test: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Values (n, K) whose signs are codes, of features (n, F) scaled to length 1 and centered on those of ``train``."""
    train, test = normalize(train), normalize(test)
    train, test = (np.ascontiguousarray(part - train.mean(axis=0), dtype=np.float32) for part in (train, test))
    if kind == "ITQ":
        hasher = faiss.ITQTransform(train.shape[1], bits, True)  # it centers and scales once more, which changes little
        hasher.itq.seed = seed
        hasher.train(train)
    else:
        hasher = faiss.RandomRotationMatrix(train.shape[1], bits)
        hasher.init(seed)
    return hasher.apply(train), hasher.apply(test)


def row(run: Run, bits: int, minutes: float, figures: dict[str, Any]) -> dict[str, Any]:
    """What is kept of a run."""
    kept = {name: value for name, value in figures.items() if not name.endswith("_interval")}
    return dataclasses.asdict(run) | {"bits": bits, "run": run.method, "minutes": round(minutes, 2)} | kept


def known_runs(file: Path) -> set[Run]:
    """Runs that have a row."""
    rows = [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []
    return {
        Run(r["data"], r["run"], 0 if r["run"] in (FROZEN, TRAINED) else r["bits"], r["epochs"], r["seed"])
        for r in rows
    }


def main() -> int:
    """Train what is missing, and show the table."""
    options = _options()
    options.results.parent.mkdir(parents=True, exist_ok=True)
    known, runs = known_runs(options.results), all_runs(options.epochs, options.epochs_long)
    missing = [run for run in runs if run.seed in options.seeds and options.only in str(run) and run not in known]
    os.environ |= {"OMP_NUM_THREADS": "1"}
    with ProcessPoolExecutor(options.jobs, get_context("spawn")) as pool:
        futures = {pool.submit(rows_of, run, options): run for run in missing}
        for future in tqdm(as_completed(futures), total=len(futures), desc="runs"):
            if error := future.exception():  # which costs no other run
                print(f"{futures[future]} failed: {error!r}", file=sys.stderr)
                continue
            with options.results.open("a") as file:
                fcntl.flock(file, fcntl.LOCK_EX)
                file.writelines(json.dumps(made) + "\n" for made in future.result())
    table = table_of(options.results)
    if options.results.resolve() == RESULTS:
        write_table(table, ROOT / "checkpoints" / "README.md")
    print(table)
    return int(any(future.exception() for future in futures))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.retrieval", description=__doc__)
    add = parser.add_argument
    add("--birds", type=Path, required=True, help="birds in the layout of CUB-200-2011")
    add("--cars", type=Path, required=True, help="Stanford Cars with index.csv and classes.csv")
    add("--cache", type=Path, required=True, help="folder for frozen features")
    add("--cache-gb", type=float, default=30.0)
    add("--epochs-birds", type=int, default=30)
    add("--epochs-cars", type=int, default=30)
    add("--epochs-long", type=int, default=110, help="of the longer trainings")
    add("--views-birds", type=int, default=16)
    add("--views-cars", type=int, default=4)
    add("--seeds", type=int, nargs="*", default=SEEDS)
    add("--only", default="", help='only runs whose line, such as "birds CSQ 32 bits 30 epochs", contains this text')
    add("--mixed-precision", choices=("no", "bf16"), default="bf16", help="no: for CPUs that do not multiply in bf16")
    add("--jobs", type=int, default=os.cpu_count() or 1, help="trainings at once, each of one thread")
    add("--keep", type=Path, help="folder for checkpoints of the ConceptHash models that are trained")
    add("--results", type=Path, default=RESULTS, help="of another file the table is printed only")
    options = parser.parse_args()
    options.epochs = {"birds": options.epochs_birds, "cars": options.epochs_cars}
    options.views = {"birds": options.views_birds, "cars": options.views_cars}
    return options


if __name__ == "__main__":
    sys.exit(main())
