"""A training service whose runs need no worker: they go on a step each time they are asked how they stand."""

import io
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from PIL import Image

from concepthash.data import arrange
from concepthash.errors import DataError, QueryError
from explorer.training_records import (
    ClassPreview,
    ConceptFlow,
    Curve,
    IntakeReport,
    MapFrame,
    Plan,
    RunResult,
    RunStatus,
)  # fmt: skip

TERMS = (
    ("clf", 1.0, "Pulls codes toward the center of their class."),
    ("quan", 1.0, "Pushes values away from 0, so that bits are sure."),
    ("csd", 1.5, "Keeps concepts from looking at the same place."),
    ("cd", 1.0, "Keeps sub-codes of one image apart."),
    ("ground", 2.0, "Ties each concept to a compact region."),
    ("sub", 1.0, "Lets every sub-code tell classes by itself."),
    ("sep", 1.0, "Keeps classes from having nearly the same code."),
)
HOSTILE = "<img src=x onerror=window.hacked=1>"


@dataclass
class Run:
    name: str
    plan: Plan
    state: str = "training"
    asked: int = 0
    asked_per_epoch: int = 2


class FakeTraining:
    """Has the interface of the real one; ``pictures`` stand for whatever is sent."""

    def __init__(self, pictures: Sequence[np.ndarray], model: str, zipped: Path, classes: Sequence[str]) -> None:
        self.pictures, self.model, self.zipped, self.classes = list(pictures), model, zipped, list(classes)
        self.runs: dict[str, Run] = {}
        self.forgotten: list[str] = []
        self.queued: dict[str, int] = {}
        self.plans: list[Plan] = []
        self.times_asked: Counter[Plan] = Counter()

    def check_zip(self, visitor: str, path: Path) -> IntakeReport:
        if Path(path).stat().st_size == 0:
            raise DataError("The zip is empty; send one with a folder of images per class.")
        counts = {name: 30 - i for i, name in enumerate(self.classes)}
        report = self._report(f"zip-{len(self.forgotten)}", counts)
        repeated = (f"{HOSTILE}/3.jpg repeats wren/1.jpg.",)
        return replace(report, duplicates=repeated, n_duplicates=1, broken=("wren/9.jpg: cut off.",))

    def check_files(self, visitor: str, files: Mapping[str, Sequence[Path]]) -> IntakeReport:
        with TemporaryDirectory() as folder:
            arrange(files, Path(folder) / "images")  # refuses what the real one does
        counts = {name.replace("_", " "): len(paths) for name, paths in files.items()}
        return self._report(f"files-{len(self.forgotten)}", counts)

    def check_folder(self, visitor: str, name: str) -> IntakeReport:
        return self._report("folder", {f"class {i}": 12 for i in range(60)})

    def _report(self, intake: str, counts: Mapping[str, int]) -> IntakeReport:
        pick = lambda i: tuple(webp(self.pictures[(3 * i + j) % len(self.pictures)]) for j in range(3))  # noqa: E731
        classes = tuple(ClassPreview(name, n, int(i == 2), pick(i)) for i, (name, n) in enumerate(counts.items()))
        problems = [f"“{name}” has {n} images; at least 5 are needed." for name, n in counts.items() if n < 5]
        problems += ["There is only one class; at least 2 are needed."] if len(counts) < 2 else []
        n = sum(counts.values())
        return IntakeReport(intake, classes, n, round(0.2 * n), (), (), tuple(problems))

    def keeps(self, visitor: str, intake: str) -> bool:
        return intake not in self.forgotten

    def forget(self, visitor: str, intake: str) -> None:
        self.forgotten.append(intake)

    def folders(self) -> tuple[str, ...]:
        return ("cars", "field-2026")

    def languages(self) -> tuple[tuple[str, str], ...]:
        return (("none", "None"), ("minilm", "Sentences (MiniLM)"))

    def starts(self) -> tuple[str, ...]:
        return (self.model,)

    def terms(self) -> tuple[tuple[str, float, str], ...]:
        return TERMS

    def estimate(self, visitor: str, plan: Plan) -> float | None:
        self.times_asked[plan] += 1
        return None if self.times_asked[plan] == 1 else 0.15 * plan.epochs

    def start(self, visitor: str, plan: Plan, name: str) -> str:
        token = f"token{len(self.runs)}"
        self.plans.append(plan)
        busy = sum(run.state in ("training", "queued") for run in self.runs.values())
        self.runs[token] = Run(name, plan, "queued" if busy else "training")
        self.queued[token] = busy
        return token

    def _run(self, token: str) -> Run:
        if token not in self.runs:
            raise QueryError("This run is gone; start a new one.")
        return self.runs[token]

    def status(self, token: str) -> RunStatus:
        run = self._run(token)
        epochs = run.plan.epochs
        if run.state == "queued":
            said = "Another run is training; yours starts by itself."
            return RunStatus(token, run.name, "queued", said, epochs=epochs, ahead=self.queued[token])
        if run.state == "training":
            run.asked += 1
        epoch = min(run.asked // run.asked_per_epoch, epochs)
        if epoch == epochs and run.state == "training":
            run.state = "done"
        said = {
            "training": f"Training on {9 * len(self.classes)} images.",
            "stopped": "Stopped; everything up to here is saved.",
            "failed": "The computer ran out of memory; resume with what was saved.",
            "done": "Done: the model is ready to be opened.",
        }[run.state]
        done = tuple(range(1, epoch + 1))
        curves = tuple(
            Curve(name, done, tuple(scale * (0.2 + np.exp(-e / (2 + i)) + 0.04 * np.sin(3 * e + i)) for e in done))
            for i, (name, scale) in enumerate(
                (("total", 7.0), *((t, w * 2.0**-i) for i, (t, w, _) in enumerate(TERMS)))
            )
        )
        accuracy = Curve("mAP", done, tuple(0.86 - 0.6 * float(np.exp(-e / 4)) for e in done))
        share = min(run.asked / (run.asked_per_epoch * epochs), 1.0)
        left = (1 - share) * 6.0 * epochs if run.asked > 2 and run.state == "training" else None
        return RunStatus(
            token, run.name, run.state, said, epoch, epochs, share, 3.0 * run.asked, left, 0,
            curves if done else (), accuracy if done else None,
            self._frames(epoch, run.plan.n_concepts) if done else (),
            tuple(f"epoch {e}: total {curves[0].values[e - 1]:.3f} {HOSTILE}" for e in done)[-12:],
        )  # fmt: skip

    def _frames(self, epoch: int, n_concepts: int) -> tuple[MapFrame, ...]:
        y, x = np.mgrid[0:14, 0:14] / 13
        frames = []
        for n in range(3):
            centers = [(0.5 + 0.35 * np.cos(2 * m + n), 0.5 + 0.35 * np.sin(2 * m + n)) for m in range(n_concepts)]
            width = 0.02 + 0.3 * np.exp(-epoch / 3)
            maps = np.stack([np.exp(-((x - a) ** 2 + (y - b) ** 2) / width) for a, b in centers]).astype(np.float32)
            frames.append(
                MapFrame(epoch, self.pictures[5 * n % len(self.pictures)], maps / maps.sum((1, 2), keepdims=True))
            )
        return tuple(frames)

    def stop(self, token: str) -> None:
        self._run(token).state = "stopped"

    def resume(self, token: str) -> None:
        self._run(token).state = "training"

    def delete(self, token: str) -> None:
        del self.runs[token]

    def result(self, token: str) -> RunResult:
        run = self._run(token)
        random = np.random.default_rng(1)
        codes = tuple(f"{n:08b}" for n in (11, 67, 140, 201))
        flows = tuple(
            ConceptFlow(
                f"concept {m + 1}", (*codes, "other"), (*codes[::-1], "other"), random.integers(0, 9, (5, 5)), share
            )
            for m, share in enumerate(random.uniform(0.4, 0.95, run.plan.n_concepts))
        )
        n = run.plan.n_concepts
        return RunResult(
            token,
            self.model,
            (0.31, 0.27, 0.36),
            (0.84, 0.79, 0.88),
            flows,
            self._frames(1, n),
            self._frames(40, n),
            4.2,
        )

    def open_model(self, token: str) -> str:
        self._run(token)
        return self.model

    def close(self) -> None:
        """Leave nothing behind: nothing runs."""

    def download(self, token: str) -> Path:
        return self.zipped


def webp(rgb: np.ndarray) -> bytes:
    """Return RGB uint8 (h, w, 3) as a WebP file."""
    file = io.BytesIO()
    Image.fromarray(rgb).save(file, "WEBP")
    return file.getvalue()


def pictures_below(folder: Path, n: int = 18) -> list[np.ndarray]:
    """Small pictures from a folder, RGB uint8."""
    files = sorted(f for f in folder.rglob("*") if f.suffix in (".png", ".webp", ".jpg"))
    found = []
    for file in files[:: max(1, len(files) // n)][:n]:
        image = Image.open(file).convert("RGB")
        image.thumbnail((240, 240))
        found.append(np.asarray(image))
    return found
