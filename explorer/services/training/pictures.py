"""The pictures that a run is watched on: their maps as they form, before and after, and how sub-codes moved."""

import threading
import zipfile
from collections import Counter, OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from concepthash.codes import subcode_text
from concepthash.data import read_image
from concepthash.errors import ImageError

from ...training_records import ConceptFlow, MapFrame

__all__ = ["FrameReader", "flows_of", "read_arrays"]

SIDE = 240  # longer side of a watched image in pixels
TOP = 6  # sub-codes told apart on each side of a flow
OTHERS = "others"


class FrameReader:
    """Reads concept maps beside a report; the images under them are read once."""

    def __init__(self, size: int = 48) -> None:
        self._size, self._lock = size, threading.Lock()
        self._kept: OrderedDict[str, np.ndarray] = OrderedDict()

    def frames(self, maps: np.ndarray | None, watched: tuple[str, ...], epoch: int) -> tuple[MapFrame, ...]:
        """Return maps (n, M, h, w) over the n watched images; none where an image is gone."""
        if maps is None or maps.ndim != 4 or len(maps) != len(watched):
            return ()
        pictures = [self._picture(path) for path in watched]
        return tuple(
            MapFrame(epoch, rgb, part.astype(np.float32))
            for rgb, part in zip(pictures, maps, strict=True)
            if rgb is not None
        )

    def _picture(self, path: str) -> np.ndarray | None:
        with self._lock:
            if path in self._kept:
                self._kept.move_to_end(path)
                return self._kept[path]
        try:
            image = Image.fromarray(read_image(path))
        except ImageError:
            return None
        image.thumbnail((SIDE, SIDE), Image.Resampling.LANCZOS)
        with self._lock:
            self._kept[path] = np.asarray(image)
            while len(self._kept) > self._size:
                self._kept.popitem(last=False)
            return self._kept[path]


def read_arrays(file: Path) -> dict[str, np.ndarray]:
    """Read all arrays of an npz file; none where it is missing, half written or damaged."""
    try:
        with np.load(file, allow_pickle=False) as content:
            return {name: np.asarray(content[name]) for name in content.files}
    except (OSError, ValueError, EOFError, KeyError, zipfile.BadZipFile):
        return {}


def flows_of(arrays: dict[str, np.ndarray], n_before: int, concepts: tuple[str, ...]) -> tuple[ConceptFlow, ...]:
    """Return how the sub-codes of each concept moved that both models have, (Q, K) code logits before and after."""
    before, after = arrays.get("before_logits"), arrays.get("after_logits")
    if before is None or after is None or len(before) != len(after) or not len(after):
        return ()
    old, new = _subcodes(before, n_before), _subcodes(after, len(concepts))
    return tuple(_flow(name, a, b) for name, a, b in zip(concepts, old, new, strict=False))


def _flow(concept: str, before: list[str], after: list[str]) -> ConceptFlow:
    rows, columns = _most_frequent(before), _most_frequent(after)
    counts = np.zeros((len(rows), len(columns)), dtype=np.int64)
    pairs: Counter[Any] = Counter(zip(before, after, strict=True))
    for (old, new), n in pairs.items():
        counts[_index(rows, old), _index(columns, new)] += n
    return ConceptFlow(concept, rows, columns, counts, _share_moved(before, after, pairs))


def _share_moved(before: list[str], after: list[str], pairs: "Counter[Any]") -> float:
    """Share of images whose sub-code changed; of another length, those that left most of what shared theirs."""
    if len(before[0]) == len(after[0]):
        return sum(old != new for old, new in zip(before, after, strict=True)) / len(before)
    largest: dict[str, int] = {}
    for (old, _), n in pairs.items():
        largest[old] = max(largest.get(old, 0), n)
    return 1 - sum(largest.values()) / len(before)


def _subcodes(logits: np.ndarray, n_concepts: int) -> list[list[str]]:
    parts = np.split(logits > 0, max(1, n_concepts), axis=1)
    return [[subcode_text(row) for row in part] for part in parts]


def _most_frequent(codes: list[str]) -> tuple[str, ...]:
    ranked = sorted(Counter(codes).items(), key=lambda item: (-item[1], item[0]))
    names = tuple(code for code, _ in ranked[:TOP])
    return (*names, OTHERS) if len(ranked) > TOP else names


def _index(names: tuple[str, ...], code: str) -> int:
    return names.index(code) if code in names else len(names) - 1
