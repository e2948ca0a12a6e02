"""Write the tables of a rendered aviary: its species, pictures, parts and attributes, and what it is."""

import csv
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from .picture import view_of
from .species import ATTRIBUTES, PART_COLORS, PARTS, SPECIES

__all__ = ["is_test", "write_tables"]

_README = """# The aviary

{n_images} pictures of {n_species} species of birds that do not exist, {n_families} families, rendered by this project
with `python -m concepthash.data.aviary`. Every pixel's part is known, and so is every attribute.

| file | holds |
|---|---|
| `images/<species>/<nn>.jpg` | the pictures |
| `parts/<species>/<nn>.png` | their parts: a pixel's palette index is its part, 0 background or what hides the bird |
| `images.csv` | for each picture: species, split, box x, y, width, height in pixels, and how it was seen |
| `species.csv` | for each species: family and attributes |
| `parts.csv` | ids, names and colors of the parts |
| `attributes.csv` | attributes, the part that shows each, and their values |
| `recipe.json` | what the pictures depend on |

No photo and no model of others went into it. License: Apache-2.0, as the project.
"""


def is_test(index: int) -> bool:
    """Tell whether a species' picture of this number is one to test on: every third is, eight of 25.

    Examples
    --------
    >>> sum(map(is_test, range(25)))
    8
    """
    return index % 3 == 2


def write_tables(root: Path, seed: int, per_species: int) -> None:
    """Write the tables of a folder in which all pictures and parts are rendered."""
    rows = [_image_row(root, number, index, seed) for number in range(len(SPECIES)) for index in range(per_species)]
    _write_csv(root / "images.csv", rows)
    _write_csv(
        root / "species.csv",
        [{"species": kind.name, "family": kind.family, **kind.attributes} for kind in SPECIES],
    )
    _write_csv(
        root / "parts.csv",
        [
            {"part": k + 1, "name": name, "color": color}
            for k, (name, color) in enumerate(zip(PARTS, PART_COLORS, strict=True))
        ],
    )
    values = {name: sorted({kind.attributes[name] for kind in SPECIES}) for name in ATTRIBUTES}
    _write_csv(
        root / "attributes.csv",
        [{"attribute": name, "part": part, "values": "|".join(values[name])} for name, part in ATTRIBUTES.items()],
    )
    n_families = len({kind.family for kind in SPECIES})
    text = _README.format(n_images=len(rows), n_species=len(SPECIES), n_families=n_families)
    (root / "README.md").write_text(text, encoding="utf-8")


def _image_row(root: Path, number: int, index: int, seed: int) -> dict[str, Any]:
    species = SPECIES[number]
    view, _ = view_of(species, index, seed)
    place = f"{species.slug}/{index:02d}"
    with Image.open(root / "parts" / f"{place}.png") as image:
        x, y, width, height = _box(np.asarray(image))
    return {
        "image": f"images/{place}.jpg",
        "species": species.name,
        "split": "test" if is_test(index) else "train",
        "x": x,
        "y": y,
        "width": width,
        "height": height,
        "setting": view.setting,
        "backdrop": view.backdrop,
        "occluder": view.occluder,
        "azimuth": round(view.azimuth, 1),
        "elevation": round(view.elevation, 1),
        "flipped": int(view.is_flipped),
    }


def _box(parts: np.ndarray) -> tuple[int, int, int, int]:
    """Left, top, width and height of all that is bird."""
    rows, columns = np.nonzero(parts.any(1))[0], np.nonzero(parts.any(0))[0]
    if not len(rows):
        return 0, 0, 0, 0
    return int(columns[0]), int(rows[0]), int(np.ptp(columns)) + 1, int(np.ptp(rows)) + 1


def _write_csv(path: Path, rows: list[dict[str, Any]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.DictWriter(stream, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
