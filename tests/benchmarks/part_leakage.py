"""``python -m tests.benchmarks.part_leakage``: how much the cells on one part of a bird tell of its other parts.

Why matching by one concept does not agree on that concept's part more often. For every pair of parts of a rendered data
set: a logistic regression reads the stem's features, averaged over the cells on the first part, and guesses what
stands on the second. ``cells`` is its accuracy on test pictures; ``look`` that of the best guess by somebody who knows
what stands on the first part and nothing else. Where the two are equal, a concept that looks at one part can only know
that part. ``ceiling`` is the largest agreement ratio that concepts could have which know their own part and no more:
once where each of the others is on a part of its own, and once for the best parts that a checkpoint's concepts have.
"""

import argparse
import json
import sys
from pathlib import Path

import cv2
import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from concepthash.checkpoint import load_model, read_checkpoint
from concepthash.data import ImageTable, read_dataset, read_part_mask
from concepthash.features import StemFeatures
from concepthash.image_views import Views
from concepthash.parts import looks_of_classes

ROOT = Path(__file__).parents[2]
FEW = 0.3  # cells; a picture that shows less of a part says nothing of it


def mean_features(features: np.ndarray, shares: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Average features (n, F, h, w) over the cells of a part with these shares (n, h, w): (n, F), and who shows it."""
    area = shares.sum(axis=(1, 2))  # (n,)
    sums = np.einsum("nfhw,nhw->nf", features.astype(np.float32), shares)
    return sums / np.maximum(area, 1e-6)[:, None], area > FEW


def part_shares(table: ImageTable, grid: tuple[int, int]) -> dict[str, np.ndarray]:
    """How much of every cell each part covers: (n, h, w) float32 by name."""
    masks = [read_part_mask(table, row) for row in range(len(table))]
    return {
        name: np.stack([
            cv2.resize((mask == k).astype(np.float32), grid[::-1], interpolation=cv2.INTER_AREA) for mask in masks
        ])
        for k, name in enumerate(table.part_names, start=1)
    }  # fmt: skip


def best_guess(known: np.ndarray, wanted: np.ndarray) -> float:
    """Accuracy of the most common answer for each known value."""
    return float(sum(np.bincount(wanted[known == value]).max() for value in np.unique(known)) / len(wanted))


def ceiling(looks: dict[str, np.ndarray], part: str, others: list[str]) -> float:
    """Agreement on ``part`` of perfect neighbors by it, over that of perfect neighbors by each of the other parts."""
    same = {name: look[:, None] == look[None] for name, look in looks.items()}  # (C, C) each
    shares = [np.mean([same[part][c][same[other][c]].mean() for c in range(len(same[part]))]) for other in others]
    return float(1 / np.mean(shares))


def measure(checkpoint: Path, data: Path, parts: list[str]) -> dict[str, object]:
    """The table of accuracies, and the ceilings."""
    model = load_model(read_checkpoint(checkpoint))
    config, table = model.config.backbone, read_dataset(data)
    if table.is_train is None:
        raise SystemExit(f"{data} has no split into train and test.")
    looks = {name: look for name in table.part_names if (look := looks_of_classes(table, name)) is not None}
    stem, views = StemFeatures(model.backbone, config), Views(table, config.image_size, n_views=1)
    features = np.concatenate([stem(views.read_all(row)).numpy() for row in range(len(table))])  # (n, F, h, w)
    shares, train = part_shares(table, features.shape[2:]), table.is_train
    answers = {name: looks[name][table.labels] for name in parts} | {"species": table.labels}
    rows = []
    for part in parts:
        means, shown = mean_features(features, shares[part])
        fit, test = shown & train, shown & ~train
        row: dict[str, object] = {"cells_on": part, "n_test": int(test.sum())}
        for name, answer in answers.items():
            probe = make_pipeline(StandardScaler(), LogisticRegression(C=0.1, max_iter=400))
            accuracy = probe.fit(means[fit], answer[fit]).score(means[test], answer[test])
            look = best_guess(answers[part][test], answer[test])
            row[name] = {"cells": round(accuracy, 2), "look": round(look, 2)}
        rows.append(row)
    figures = read_checkpoint(checkpoint).metrics.get("figures", {})
    best = [part for part in figures.get("best_part", []) if part in looks]
    return {
        "checkpoint": checkpoint.name,
        "grid": list(features.shape[2:]),
        "rows": rows,
        "ceiling": {part: round(ceiling(looks, part, [p for p in parts if p != part]), 2) for part in parts},
        "best_parts": best,
        "ceiling_of_best_parts": [round(ceiling(looks, p, best[:i] + best[i + 1 :]), 2) for i, p in enumerate(best)],
    }


def main() -> int:
    """Run the measurement and print it."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.benchmarks.part_leakage", description=__doc__.splitlines()[0]
    )
    parser.add_argument("--checkpoint", type=Path, default=ROOT / "checkpoints" / "aviary-32")
    parser.add_argument("--data", type=Path, default=ROOT / "assets" / "aviary")
    parser.add_argument("--parts", nargs="+", default=["wing", "breast", "back", "tail", "crown"])
    parser.add_argument("--json", action="store_true", help="print one JSON object (the only format)")
    options = parser.parse_args()
    print(json.dumps(measure(options.checkpoint, options.data, options.parts), indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
