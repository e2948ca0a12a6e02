"""``python -m concepthash.evaluate``: retrieval and concept figures of a checkpoint on a data set."""

import argparse
import json
import sys
from collections.abc import Iterator
from typing import Any

import numpy as np
from tqdm import tqdm

from .attribution import MapSettings
from .checkpoint import read_checkpoint
from .codes import binarize, hamming, pack_words
from .data import ImageTable, read_dataset, read_image, read_part_mask
from .devices import gather, is_main, share
from .encoder import Encoder
from .errors import ConceptHashError, DataError
from .keypoints import RADIUS, keypoint_figures, part_columns, score_parts
from .localization import concept_overlap, peaks_in_boxes
from .metrics import (
    bit_balance,
    map_per_concept,
    mean_average_precision,
    mean_average_precision_topk,
    precision_at,
    repeated_subcodes,
    subcode_redundancy,
)
from .parts import attribute_agreement, part_figures

__all__ = ["concept_figures", "evaluate", "main", "map_figures", "nearest_center_accuracy", "retrieval_figures"]

_KEYPOINTS_ARE = (
    "Where the data has boxes and key-points of birds, keypoint_table holds, a row a concept and a column one of "
    f"keypoint_parts, the share of the concept's map within {RADIUS:g} box diagonals of a visible key-point of the "
    "part, and keypoint_pointing the share of images in which the map peaks there, both over the images that show it; "
    "each has an _interval, [low, high], of 95 % from 1,000 resamples of the images. keypoint_chance is what a random "
    "point inside the box scores in either, keypoint_middle how often the middle of the box is "
    "there, keypoint_images how many images show the part."
)


def evaluate(
    encoder: Encoder, table: ImageTable, settings: MapSettings = MapSettings(), *, batch_size: int = 32
) -> dict[str, Any]:
    """Every figure, with the train split as gallery and the test split as queries.

    Of several processes each encodes its share of the images; all of them get the figures.

    Returns
    -------
    dict
        ``map`` (tie-averaged), ``map_topk``, ``precision_at_10``, ``map_per_concept``, ``accuracy`` (nearest class
        center by cosine, of the queries whose class the model knows; left out where there are none), ``bit_balance``,
        with several concepts ``subcode_redundancy``, ``concept_overlap`` and ``repeated_centers`` (share of classes
        whose center is M times the same sub-code), and, where the data set has boxes, ``concept_on_object`` and its
        minimum; all in [0, 1].
        Where it has boxes and key-points of birds also `keypoint_figures`. Where it has masks of parts also
        `part_figures` and ``match_attribute_agreement``, see `attribute_agreement`.

    Raises
    ------
    DataError
        If the data set has no split of images whose class is known.
    """
    table = table.subset(table.labels >= 0)
    labels = _labels_of_model(encoder, table)
    if table.is_train is None or table.is_train.all() or not table.is_train.any():
        raise DataError(f"{table.name} has no train and test split of images with a class; evaluation needs both.")
    gallery, queries = np.flatnonzero(table.is_train), np.flatnonzero(~table.is_train)
    codes = [encoder.code_logits(images) for images in _batches(table, share(gallery), batch_size, "gallery")]
    gallery_logits = np.concatenate([part for parts in gather(codes) for part in parts])
    seen = [
        (*encoder.explain_batch(images, settings), np.array([image.shape[:2] for image in images]))
        for images in _batches(table, share(queries), batch_size, "queries")
    ]
    everything = [part for parts in gather(seen) for part in parts]
    query_logits, maps, sizes = (np.concatenate(arrays) for arrays in zip(*everything, strict=True))
    n_concepts, centers = encoder.checkpoint.config.n_concepts, encoder.class_centers
    figures = retrieval_figures(gallery_logits, labels[gallery], query_logits, labels[queries], n_concepts)
    is_known = labels[queries] < len(centers)
    if is_known.any():
        figures["accuracy"] = nearest_center_accuracy(query_logits[is_known], centers, labels[queries][is_known])
    if n_concepts > 1:
        figures["repeated_centers"] = repeated_subcodes(binarize(centers), n_concepts)
    figures |= map_figures(maps, sizes, table, queries)
    if table.mask_paths is not None:
        figures["match_attribute_agreement"] = attribute_agreement(
            binarize(query_logits),
            binarize(gallery_logits),
            table.labels[queries],
            table.labels[gallery],
            table,
            figures["best_part"],
        )
    return {"n_gallery": len(gallery), "n_queries": len(queries)} | figures


def map_figures(maps: np.ndarray, image_sizes: np.ndarray, table: ImageTable, rows: np.ndarray) -> dict[str, Any]:
    """Figures of concept maps (n, M, h, w) of the images in ``rows`` (n,), whose heights and widths are (n, 2)."""
    boxes = None if table.boxes is None else table.boxes[rows]
    figures = concept_figures(maps, image_sizes, boxes)
    if boxes is not None and table.keypoints is not None and part_columns(table.keypoint_names).any():
        figures |= keypoint_figures(score_parts(maps, image_sizes, boxes, table.keypoints[rows], table.keypoint_names))
    if table.mask_paths is not None:
        figures |= part_figures(maps, [read_part_mask(table, row) for row in rows], table.part_names)
    return figures


def nearest_center_accuracy(code_logits: np.ndarray, class_centers: np.ndarray, labels: np.ndarray) -> float:
    """Share of images (n, K) whose nearest center by cosine, of (C, K), is their class's."""
    cosine = code_logits @ class_centers.T / np.linalg.norm(class_centers, axis=1)  # (n, C), times |v|
    return float((cosine.argmax(axis=1) == labels).mean())


def retrieval_figures(
    gallery_logits: np.ndarray,
    gallery_labels: np.ndarray,
    query_logits: np.ndarray,
    query_labels: np.ndarray,
    n_concepts: int,
) -> dict[str, Any]:
    """Figures of codes alone: logits (S, K) and (Q, K), labels (S,) and (Q,)."""
    gallery, queries = binarize(gallery_logits), binarize(query_logits)
    distances = hamming(pack_words(queries), pack_words(gallery))  # (Q, S)
    figures = {
        "map": mean_average_precision(distances, query_labels, gallery_labels),
        "map_topk": mean_average_precision_topk(distances, query_labels, gallery_labels),
        "precision_at_10": precision_at(distances, query_labels, gallery_labels, 10),
        "map_per_concept": map_per_concept(queries, gallery, query_labels, gallery_labels, n_concepts).tolist(),
        "bit_balance": bit_balance(gallery),
    }
    if n_concepts > 1:
        figures["subcode_redundancy"] = subcode_redundancy(gallery, n_concepts)
    return figures


def concept_figures(maps: np.ndarray, image_sizes: np.ndarray, boxes: np.ndarray | None) -> dict[str, Any]:
    """Figures of concept maps (n, M, h, w) alone; ``boxes`` (n, 4) may be None."""
    figures: dict[str, Any] = {"concept_overlap": concept_overlap(maps)} if maps.shape[1] > 1 else {}
    if boxes is not None:
        on_object = peaks_in_boxes(maps, image_sizes, boxes).mean(axis=0)  # (M,)
        figures |= {"concept_on_object": on_object.tolist(), "concept_on_object_min": float(on_object.min())}
    return figures


def _labels_of_model(encoder: Encoder, table: ImageTable) -> np.ndarray:
    """Labels of the table as indices into the model's classes where it knows them, behind them otherwise."""
    known = {name.casefold(): i for i, name in enumerate(encoder.checkpoint.class_names)}
    n = len(encoder.checkpoint.class_names)
    mapping = np.array([known.get(name.casefold(), n + i) for i, name in enumerate(table.class_names)])
    return mapping[table.labels]


def _batches(table: ImageTable, rows: np.ndarray, size: int, what: str) -> Iterator[list[np.ndarray]]:
    for begin in tqdm(range(0, len(rows), size), desc=what, unit="batch", leave=False, disable=not is_main()):
        yield [read_image(table.paths[row]) for row in rows[begin : begin + size]]


def main(arguments: list[str] | None = None) -> int:
    """Run the command; 0 when it worked, 2 with one sentence on standard error when it could not."""
    parser = argparse.ArgumentParser(prog="python -m concepthash.evaluate", description=f"{__doc__} {_KEYPOINTS_ARE}")
    parser.add_argument("--checkpoint", required=True, help="checkpoint folder")
    parser.add_argument("--data", required=True, help="data set with a train and a test split")
    parser.add_argument(
        "--device", default="auto", help="auto, cpu, cuda or mps; several processes by accelerate launch"
    )
    parser.add_argument("--maps", default="rollout", choices=["rollout", "raw", "gradient"], help="kind of concept map")
    parser.add_argument("--json", action="store_true", help="print one JSON object and nothing else")
    options = parser.parse_args(arguments)
    try:
        encoder = Encoder(read_checkpoint(options.checkpoint), options.device)
        figures = evaluate(encoder, read_dataset(options.data), MapSettings(options.maps))
    except ConceptHashError as error:
        print(error, file=sys.stderr)
        return 2
    if not is_main():
        return 0
    figures = {"checkpoint": encoder.checkpoint.name, "maps": options.maps} | figures
    if options.json:
        print(json.dumps(figures))
    else:
        for name, value in figures.items():
            print(f"{name:24}{value}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
