"""``python -m concepthash.centers``: compare the class centers of models, and keep them beside a checkpoint."""

import argparse
import json
import sys
from collections.abc import Sequence
from typing import Any

import numpy as np

from .center_maps import METHODS, project
from .center_measures import false_links, family_purity, family_silhouette, picture_trust
from .center_sets import add_center_set, center_sets, class_centers
from .checkpoint import Checkpoint, read_checkpoint
from .data.families import GROUPINGS, families_of
from .errors import ConceptHashError

__all__ = ["center_figures", "compare", "main"]


def compare(checkpoint: Checkpoint, grouping: str = "name", k: int = 5) -> dict[str, dict[str, Any]]:
    """Measure every center set of a checkpoint, see `center_figures`."""
    families = checkpoint.families if grouping == "name" else families_of(checkpoint.class_names, grouping)
    sets = center_sets(checkpoint, class_centers(checkpoint))
    return {kind: center_figures(centers, families, k) for kind, centers in sets.items()}


def center_figures(centers: np.ndarray, families: Sequence[str], k: int = 5) -> dict[str, Any]:
    """Measure centers (C, K) in code space and in both pictures.

    Returns
    -------
    dict
        ``family_purity`` of the k nearest centers, ``chance`` and ``best`` it could be, ``family_silhouette``, and for
        each projection its trustworthiness ``trust_…`` and the share ``false_…`` of classes whose nearest center is
        not among their k nearest dots; None where something cannot be measured.
    """
    purity = family_purity(centers, families, k)
    figures: dict[str, Any] = {
        "family_purity": purity and purity.share,
        "chance": purity and purity.chance,
        "best": purity and purity.best,
        "family_silhouette": family_silhouette(centers, families),
    }
    for method in METHODS:
        positions = project(centers, method)
        figures[f"trust_{method}"] = picture_trust(centers, positions, k)
        figures[f"false_{method}"] = len(false_links(centers, positions, k)) / len(centers)
    return figures


def main(arguments: list[str] | None = None) -> int:
    """Run the command; 0 when it worked, 2 with one sentence on standard error when it could not."""
    parser = argparse.ArgumentParser(prog="python -m concepthash.centers", description=__doc__)
    parser.add_argument("--checkpoint", required=True, help="checkpoint folder")
    parser.add_argument(
        "--add",
        metavar="OTHER",
        help="keep the centers of this checkpoint, too: one trained on the same classes with --centers learnable or "
        "random",
    )
    parser.add_argument("--families", default="name", choices=GROUPINGS, help="by last word of the name, or by table")
    parser.add_argument("--neighbors", type=int, default=5, metavar="K", help="nearest centers asked (default: 5)")
    parser.add_argument("--json", action="store_true", help="print one JSON object and nothing else")
    options = parser.parse_args(arguments)
    if options.neighbors < 1:
        parser.error(f"--neighbors is {options.neighbors}; use 1 or more")
    try:
        checkpoint = read_checkpoint(options.checkpoint)
        if options.add:
            kind = add_center_set(checkpoint, read_checkpoint(options.add))
            if not options.json:
                print(f"{checkpoint.name} now has {kind} centers, too.")
        figures = compare(checkpoint, options.families, options.neighbors)
    except ConceptHashError as error:
        print(error, file=sys.stderr)
        return 2
    if options.json:
        report = {"checkpoint": checkpoint.name, "families": options.families, "neighbors": options.neighbors}
        print(json.dumps(report | {"sets": figures}))
    else:
        print(_table(figures))
    return 0


def _table(figures: dict[str, dict[str, Any]]) -> str:
    names = list(next(iter(figures.values())))
    rows = [["", *figures]]
    rows += [[name, *("-" if row[name] is None else f"{row[name]:.3f}" for row in figures.values())] for name in names]
    return "\n".join("".join(f"{cell:>{20 if i == 0 else 11}}" for i, cell in enumerate(row)) for row in rows)


if __name__ == "__main__":
    sys.exit(main())
