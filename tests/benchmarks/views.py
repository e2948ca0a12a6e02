"""``python -m tests.benchmarks.views``: what a view of a large gallery costs, over one numpy pass over its codes.

The gallery is synthetic: 100,000 codes of 64 bits for 4 concepts around 200 class centers, with code logits and centers
of attention. A view is timed from the question to the finished HTML, without any cache of answers; what is made once
per gallery (the code books and the choice of two bits) is reported apart. A pass is the plainest one
there is: ``np.bitwise_count(words ^ query)`` with its sum, one number per code. Writing the HTML of the pictures, which
does not grow with the gallery, is a large part of most views. All take turns in one process; medians.
"""

import argparse
import json
import statistics
import sys
import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from concepthash.codes import pack_words
from concepthash.gallery import Gallery
from explorer.records import ModelInfo
from explorer.render.flip import flip_page
from explorer.render.match import match_page
from explorer.render.plane import plane_figure
from explorer.render.query import picker
from explorer.render.subcodes import subcodes_page
from explorer.services.cache import AnswerCache
from explorer.services.explain import ExplainService
from explorer.services.flip import FlipService
from explorer.services.galleries import ShownGallery
from explorer.services.match import MatchService
from explorer.services.photos import PhotoService
from explorer.services.subcodes import SubcodeService
from explorer.settings import Settings

NAMES = tuple(f"concept {m + 1}" for m in range(4))
ASKED = ("synthetic", "visitor", "gallery:0.jpg")  # model, visitor, image in hand


def synthetic_gallery(n: int, n_bits: int = 64, n_concepts: int = 4, n_classes: int = 200) -> Gallery:
    """Make a gallery in memory; no picture is behind it, since a page only names them."""
    rng = np.random.default_rng(0)
    labels = rng.integers(0, n_classes, n)
    centers = rng.normal(size=(n_classes, n_bits)).astype(np.float32)
    logits = np.asfortranarray(centers[labels] + 0.6 * rng.normal(size=(n, n_bits)).astype(np.float32))
    return Gallery(
        path=Path("/gallery"),
        n_bits=n_bits,
        n_concepts=n_concepts,
        fingerprint="synthetic",
        checkpoint_name="synthetic",
        transform="squash-320x320",
        created="2026-01-01T00:00:00+00:00",
        data_root=Path("/photos"),
        image_ids=tuple(f"{i}.jpg" for i in range(n)),
        image_paths=tuple(f"{i}.jpg" for i in range(n)),
        class_names=tuple(f"class {c:03d}" for c in range(n_classes)),
        labels=labels,
        family_names=tuple(f"family {f:02d}" for f in range(n_classes // 5)),
        family_ids=labels // 5,
        words=pack_words(logits > 0),
        code_logits=logits,
        sizes=np.full((n, 2), (500, 375)),
        attention_centers=rng.random((n, n_concepts, 2)).astype(np.float32),
    )


class OneGallery:
    """A shelf with one gallery on it."""

    def __init__(self, gallery: Gallery) -> None:
        self._shown = ShownGallery(gallery, "synthetic", "own")

    def of(self, name: str) -> ShownGallery:
        """Return the gallery for any model."""
        return self._shown


def views_of(gallery: Gallery) -> dict[str, Callable[[], object]]:
    """Return every view that reads the whole gallery, from the question to HTML."""
    photos = PhotoService(Settings(), OneGallery(gallery))  # type: ignore[arg-type]
    explain = ExplainService(None, photos, AnswerCache(1))  # type: ignore[arg-type]
    match, subcodes, flip = MatchService(photos, explain), SubcodeService(photos, explain), FlipService(photos, explain)
    info = ModelInfo(
        "synthetic", "cpu", gallery.n_concepts, gallery.n_bits, len(gallery.class_names), 2, NAMES, False,
        len(gallery), "synthetic", "own", "", gallery.class_names, gallery.family_names,
    )  # fmt: skip
    part: dict[str, Any] = {"classes": (), "family": "", "patterns": ()}
    narrow: dict[str, Any] = part | {"patterns": ("01" + "." * 14, "", "1" + "." * 15, "")}
    look: dict[str, Any] = {"layout": "paper", "window": 40, "patterns": ()}

    def matches(agree: tuple[int, ...], chosen: dict[str, Any]) -> str:
        rules: dict[str, Any] = {"agree": agree, "weights": (10,) * 4, "rank": "hamming"} | chosen
        return match_page(match.match(*ASKED, names=NAMES, **rules), info, NAMES, **rules)

    def strip(chosen: dict[str, Any]) -> str:
        return picker(photos.strip("synthetic", "", 0, 12, **chosen), ASKED[2], info, 25, "")

    def cells(axes: tuple[int, ...]) -> str:
        return subcodes_page(subcodes.grid(*ASKED, 1, axes), info, NAMES, view="cells", axes=axes, **look)

    def plane() -> str:
        return plane_figure(subcodes.plane(*ASKED, 1, (2, 7)), "paper")

    def dictionary() -> str:
        return subcodes_page(subcodes.dictionary(*ASKED, 1, 0), info, NAMES, view="dictionary", axes=(), **look)

    return {
        "match, no rule": lambda: matches((-1,) * 4, part),
        "match by one concept": lambda: matches((-1, 0, -1, -1), part),
        "match within 3 bits, narrowed": lambda: matches((-1, 3, -1, -1), narrow),
        "strip": lambda: strip(part),
        "strip, narrowed": lambda: strip(narrow),
        "quadrants": lambda: cells((2, 7)),
        "Karnaugh map": lambda: cells((2, 7, 9, 12)),
        "scatter": plane,
        "dictionary": dictionary,
        "flip": lambda: flip_page(flip.flip(*ASKED, 1, (17,)), NAMES),
        "choice of two bits, once per gallery": lambda: SubcodeService(photos, explain).telling("synthetic", 1),
        "code book, once per gallery": lambda: SubcodeService(photos, explain).dictionary(*ASKED, 1, 0),
    }


def measure(n: int, n_rounds: int) -> dict[str, Any]:
    """Ratios, the milliseconds they come from, and the largest memory of a view over the size of the gallery."""
    gallery = synthetic_gallery(n)
    words = gallery.words.view(np.uint64)

    def one_pass() -> np.ndarray:
        return np.bitwise_count(words ^ words[5]).sum(axis=1)

    actions = {"pass": one_pass} | views_of(gallery)
    times: dict[str, list[float]] = {name: [] for name in actions}
    for _ in range(n_rounds):
        for name, action in actions.items():
            started = time.perf_counter()
            action()
            times[name].append(1e3 * (time.perf_counter() - started))
    medians = {name: statistics.median(values[2:]) for name, values in times.items()}
    arrays = (gallery.words, gallery.code_logits, gallery.labels, gallery.family_ids, gallery.sizes)
    n_bytes = sum(array.nbytes for array in arrays) + (gallery.attention_centers.nbytes if n else 0)  # type: ignore[union-attr]
    tracemalloc.start()
    for action in views_of(gallery).values():
        action()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    one = medians.pop("pass")
    return {
        "n": n,
        "pass_ms": round(one, 4),
        "views_ms": {name: round(value, 2) for name, value in medians.items()},
        "ratios": {name: round(value / one, 1) for name, value in medians.items()},
        "memory_over_gallery": round(1 + peak / n_bytes, 2),
    }


def main() -> int:
    """Run the measurement and print it."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.views", description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=30)
    parser.add_argument("--json", action="store_true", help="print one JSON object (the only format)")
    options = parser.parse_args()
    print(json.dumps(measure(options.images, options.rounds), indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
