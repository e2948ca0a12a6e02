"""The table of results, made from one JSON line a run."""

import json
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

__all__ = ["table_of", "write_table"]

BEGIN, END = "<!-- table of results: begin -->", "<!-- table of results: end -->"
HEADS = (
    "mAP",
    "mAP (topk)",
    "P@10",
    "mAP of a sub-code",
    "overlap",
    "on object, worst",
    "pointing",
    "minutes",
    "seeds",
)
ORDER = (
    "ConceptHash", "OrthoHash", "CSQ", "HashNet", "ITQ, trained features", "LSH, trained features",
    "ITQ, frozen features", "LSH, frozen features",
)  # fmt: skip


def table_of(results: Path) -> str:
    """Markdown of all results."""
    return "\n".join(_tables([json.loads(line) for line in results.read_text().splitlines()]))


def write_table(table: str, readme: Path) -> None:
    """Put a table between the two marks of ``readme``."""
    content = readme.read_text()
    before, after = content.split(BEGIN)[0], content.split(END)[1]
    readme.write_text(f"{before}{BEGIN}\n{table}\n{END}{after}")


def _tables(rows: Sequence[dict[str, Any]]) -> list[str]:
    groups: dict[tuple[str, int, int], dict[str, list[dict[str, Any]]]] = defaultdict(lambda: defaultdict(list))
    shortest = {
        name: min((r["epochs"] for r in rows if r["data"] == name and r["epochs"]), default=0)
        for name in {r["data"] for r in rows}
    }
    for row in rows:  # what is not trained stands among the shortest trainings
        groups[row["data"], row["bits"], row["epochs"] or shortest[row["data"]]][row["method"]].append(row)
    lines = []
    for (data, bits, epochs), methods in sorted(groups.items()):
        lines += [
            "",
            f"**{data}, {bits} bits, {epochs} epochs**",
            "",
            f"| method | {' | '.join(HEADS)} |",
            "|---" * (len(HEADS) + 1) + "|",
        ]
        for method in sorted(methods, key=lambda name: (ORDER.index(name) if name in ORDER else len(ORDER), name)):
            lines.append(f"| {method} | {' | '.join(_cells(methods[method]))} |")
    return [*lines, ""]


def _cells(runs: Sequence[dict[str, Any]]) -> list[str]:
    has_maps = "concept_overlap" in runs[0]
    columns = [
        [run["map"] for run in runs],
        [run["map_topk"] for run in runs],
        [run["precision_at_10"] for run in runs],
        [np.mean(run["map_per_concept"]) for run in runs],
        [run["concept_overlap"] for run in runs] if has_maps else [],
        [run["concept_on_object_min"] for run in runs] if "concept_on_object_min" in runs[0] else [],
        [_pointing(run) for run in runs] if "keypoint_pointing" in runs[0] else [],
    ]
    minutes = f"{np.mean([run['minutes'] for run in runs]):.1f}"
    return [*map(_spread, columns), minutes, str(len(runs))]


def _pointing(run: dict[str, Any]) -> float:
    """Mean over concepts of how often the map peaks near the concept's best part."""
    table = np.array(run["keypoint_pointing"], dtype=float)  # (M, P)
    return float(np.nanmax(table, axis=1).mean())  # nan: no image shows the part


def _spread(values: Sequence[float]) -> str:
    """Mean and standard deviation."""
    if not len(values):
        return "–"
    spread = f" ± {np.std(values, ddof=1):.3f}" if len(values) > 1 else ""
    return f"{np.mean(values):.3f}{spread}"
