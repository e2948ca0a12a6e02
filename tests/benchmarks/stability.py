"""``python -m tests.benchmarks.stability``: do two models of the same data look at the same parts?

Give two checkpoints that differ in the seed; ``differences`` says what differs, and ``seeds`` both seeds. Two runs of
one seed begin with the same concept tokens, and that they agree is no sign of stability. On the test images, the
concepts of one are matched with those of the other, each with one, so that the sum of their similarities is largest
(Hungarian method), in two ways:

- ``maps``: similarity is the mean cosine of two concepts' maps of an image. 1 is the same map on every image.
- ``parts``: similarity is the correlation of two rows of the concept x part matrix (mass near a part over what a random
  point of the box has there, see `concepthash.keypoints`), after the mean row of each model is taken off: what tells
  a concept from the others of its model. Only where the data has boxes and key-points of birds.

``best`` is the mean similarity of the best matching, ``random`` that of random matchings: their mean, and the middle
95 %. The best of all matchings is above the mean of them by construction, so ``best`` is to be read beside two more:
``best_other_images``, the best matching if the second model's maps come from other images (what is left is that birds
are in the middle), and ``best_null``, the best matching of random part rows. ``same_part`` says for how many pairs of
the best matching by maps the part with the largest mass over chance is the same.
"""

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
from scipy.optimize import linear_sum_assignment

from concepthash.attribution import MapSettings
from concepthash.checkpoint import Checkpoint, read_checkpoint
from concepthash.data import ImageTable, read_dataset, read_image
from concepthash.encoder import Encoder
from concepthash.keypoints import KEYPOINT_PARTS, RADIUS, part_columns, score_parts
from concepthash.localization import concept_overlap

N_RANDOM = 1000


def maps_of(checkpoint: Checkpoint, table: ImageTable, method: str) -> tuple[np.ndarray, np.ndarray]:
    """Maps (n, M, h, w) of every image, and the images' heights and widths (n, 2)."""
    encoder, maps, sizes = Encoder(checkpoint, "cpu"), [], []
    for begin in range(0, len(table), 32):
        images = [read_image(path) for path in table.paths[begin : begin + 32]]
        maps.append(encoder.explain_batch(images, MapSettings(method))[1])  # type: ignore[arg-type]
        sizes += [image.shape[:2] for image in images]
    return np.concatenate(maps), np.array(sizes)


def map_similarity(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Mean cosine over images of each concept of one model with each of the other: (M, M')."""
    flat = [maps.reshape(*maps.shape[:2], -1) for maps in (one, other)]
    unit = [maps / np.linalg.norm(maps, axis=2, keepdims=True) for maps in flat]
    return np.asarray(np.einsum("nax,nbx->ab", *unit) / len(one))


def row_similarity(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Cosine of each row of one matrix (M, P) with each of the other (M', P), their mean rows taken off: (M, M')."""
    rows = [matrix - matrix.mean(axis=0) for matrix in (one, other)]
    unit = [matrix / np.maximum(np.linalg.norm(matrix, axis=1, keepdims=True), 1e-12) for matrix in rows]
    return np.asarray(unit[0] @ unit[1].T)


def best_matching(similarity: np.ndarray) -> tuple[np.ndarray, float]:
    """Partner of each concept of the first model, -1 for none (M,), and the mean similarity of the pairs."""
    rows, columns = linear_sum_assignment(similarity, maximize=True)
    partners = np.full(len(similarity), -1)
    partners[rows] = columns
    return partners, float(similarity[rows, columns].mean())


def random_matchings(similarity: np.ndarray, random: np.random.Generator) -> dict[str, Any]:
    """Mean similarity of pairs drawn at random: over `N_RANDOM` drawings the mean and the middle 95 %."""
    m, other = similarity.shape
    n = min(m, other)
    means = [
        float(similarity[random.permutation(m)[:n], random.permutation(other)[:n]].mean()) for _ in range(N_RANDOM)
    ]
    return _summary(means)


def _summary(means: list[float]) -> dict[str, Any]:
    return {"mean": float(np.mean(means)), "middle": np.percentile(means, (2.5, 97.5)).round(3).tolist()}


def by_maps(one: np.ndarray, other: np.ndarray, random: np.random.Generator) -> dict[str, Any]:
    """Match concepts by where their maps of the same image lie."""
    similarity = map_similarity(one, other)
    partners, best = best_matching(similarity)
    moved = (np.arange(len(one)) + len(one) // 2) % len(one)  # every image gets another class's, as far as they go
    return {
        "similarity": similarity.astype(np.float64).round(3).tolist(),
        "partners": partners.tolist(),
        "best": best,
        "random": random_matchings(similarity, random),
        "best_other_images": best_matching(map_similarity(one, other[moved]))[1],
        "overlap_within_each": [concept_overlap(one), concept_overlap(other)],
    }


def by_parts(ratios: list[np.ndarray], random: np.random.Generator) -> dict[str, Any]:
    """Match concepts by their rows (M, P) of mass over chance."""
    similarity = row_similarity(*ratios)
    partners, best = best_matching(similarity)
    null = [
        best_matching(row_similarity(random.normal(size=ratios[0].shape), random.normal(size=ratios[1].shape)))[1]
        for _ in range(N_RANDOM)
    ]
    return {
        "similarity": similarity.astype(np.float64).round(3).tolist(),
        "partners": partners.tolist(),
        "best": best,
        "random": random_matchings(similarity, random),
        "best_null": _summary(null),
    }


def part_ratios(maps: np.ndarray, sizes: np.ndarray, table: ImageTable, radius: float) -> np.ndarray:
    """Mass near each part over that of a random point of the box: (M, P), 0 for parts that no image shows."""
    assert table.boxes is not None and table.keypoints is not None
    scores = score_parts(maps, sizes, table.boxes, table.keypoints, table.keypoint_names, radius)
    chance = scores.chance.sum(axis=0)
    mass = scores.mass.sum(axis=0)
    return np.divide(mass, chance, out=np.zeros_like(mass), where=chance > 0)


def differences(one: Checkpoint, other: Checkpoint) -> dict[str, list[Any]]:
    """Settings in which the two runs differ, the seed among them: name → both values."""
    said = [
        {
            f"{group}.{name}": value
            for group in ("model", "losses", "train")
            for name, value in metrics.get(group, {}).items()
        }
        for metrics in (one.metrics, other.metrics)
    ]
    names = sorted(set(said[0]) | set(said[1]))
    return {name: [run.get(name) for run in said] for name in names if said[0].get(name) != said[1].get(name)}


def measure(paths: list[Path], data: Path, method: str, radius: float, limit: int | None) -> dict[str, Any]:
    """Everything that is printed."""
    table, checkpoints = read_dataset(data), [read_checkpoint(path) for path in paths]
    if table.is_train is None:
        raise SystemExit(f"{data} has no split into train and test.")
    rows = np.flatnonzero(~table.is_train)
    table = table.subset(rows[:: 1 if limit is None else max(1, len(rows) // limit)])
    (one, sizes), (other, _) = (maps_of(checkpoint, table, method) for checkpoint in checkpoints)
    if one.shape[2:] != other.shape[2:]:
        raise SystemExit(f"Maps of {one.shape[2:]} and {other.shape[2:]} cells cannot be compared; use equal grids.")
    random = np.random.default_rng(0)
    figures: dict[str, Any] = {
        "checkpoints": [str(path) for path in paths],
        "n_images": len(table),
        "seeds": [checkpoint.metrics.get("train", {}).get("seed") for checkpoint in checkpoints],
        "differences": differences(*checkpoints),
        "maps": by_maps(one, other, random),
    }
    if table.boxes is None or not part_columns(table.keypoint_names).any():
        return figures
    ratios = [part_ratios(maps, sizes, table, radius) for maps in (one, other)]
    parts = [[list(KEYPOINT_PARTS)[part] for part in rows.argmax(axis=1)] for rows in ratios]
    pairs = [(row, partner) for row, partner in enumerate(figures["maps"]["partners"]) if partner >= 0]
    return figures | {
        "parts": by_parts(ratios, random),
        "mass_over_chance": [rows.round(2).tolist() for rows in ratios],
        "densest_part": parts,
        "same_part": sum(parts[0][row] == parts[1][partner] for row, partner in pairs),
    }


def main() -> int:
    """Run the measurement and print it."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.stability", description=__doc__.splitlines()[0])
    parser.add_argument("--checkpoints", type=Path, nargs=2, required=True, help="two checkpoint folders")
    parser.add_argument("--data", type=Path, required=True, help="data set with a split, such as CUB-200-2011")
    parser.add_argument("--maps", default="rollout", choices=["rollout", "raw", "gradient"], help="kind of map")
    parser.add_argument("--radius", type=float, default=RADIUS, help="near a part, as a share of the box diagonal")
    parser.add_argument("--limit", type=int, help="about so many test images instead of all")
    parser.add_argument("--json", action="store_true", help="print one JSON object (the only format)")
    options = parser.parse_args()
    figures = measure(options.checkpoints, options.data, options.maps, options.radius, options.limit)
    print(json.dumps(figures, indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
