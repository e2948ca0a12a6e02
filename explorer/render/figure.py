"""The cells of a concept as a figure for a paper: PNG or PDF, drawn by matplotlib without a screen."""

import io
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ..subcode_records import CellGrid, SubcodeCell
from .cells import cell_order, percent_of
from .markup import count

__all__ = ["FIGURE_TYPES", "cells_figure"]

FIGURE_TYPES = {"png": "image/png", "pdf": "application/pdf"}
GAP = 6  # pixels between crops
_STYLE = {"font.family": "sans-serif", "font.size": 8, "pdf.fonttype": 42, "text.parse_math": False}


def cells_figure(
    grid: CellGrid, crops: Mapping[str, Sequence[np.ndarray]], title: str, layout: str, kind: str
) -> bytes:
    """Draw every cell as a mosaic of its crops under its code.

    Parameters
    ----------
    grid, crops
        The cells, and by text of the cell its crops, RGB uint8 (s, s, 3) each.
    title, layout, kind
        Words above the figure; ``"paper"`` or ``"poster"``; ``"png"`` (300 dpi) or ``"pdf"`` (with real text).
    """
    import matplotlib

    with matplotlib.rc_context(_STYLE):  # type: ignore[arg-type]
        figure = _figure(grid, crops, title, layout)
        file = io.BytesIO()
        figure.savefig(file, format=kind, dpi=300, bbox_inches="tight", facecolor="white")
    return file.getvalue()


def _figure(grid: CellGrid, crops: Mapping[str, Sequence[np.ndarray]], title: str, layout: str) -> Any:
    from matplotlib.figure import Figure

    order = cell_order(len(grid.bits), layout)
    columns = 5 if len(grid.bits) <= 2 else 3
    by_text = {cell.text: cell for cell in grid.cells}
    n_shown = max(1, max(len(pictures) for pictures in crops.values()))
    n_rows = -(-n_shown // columns)
    width = 3.4 if columns == 5 else 1.75  # inches of a cell
    height = width * n_rows / columns + 0.42
    figure = Figure(figsize=(width * len(order[0]), height * len(order) + 0.3))
    places = figure.subplots(len(order), len(order[0]), squeeze=False)
    for row, texts in enumerate(order):
        for column, text in enumerate(texts):
            _draw(places[row][column], by_text[text], crops[text], columns, n_rows)
    figure.suptitle(title, fontsize=9)
    figure.tight_layout(pad=0.6)
    if len(grid.bits) == 2:
        _cross(figure, places)
    return figure


def _draw(place: Any, cell: SubcodeCell, pictures: Sequence[np.ndarray], columns: int, n_rows: int) -> None:
    place.axis("off")
    words = f"{count(cell.n)} ({percent_of(cell.share)})" if cell.n else "unused"
    names = ", ".join(share.name for share in cell.families or cell.classes)
    place.set_title(f"{cell.text}   {words}", fontsize=8, fontweight="bold", loc="left", pad=3)
    place.imshow(_mosaic(pictures, columns, n_rows), interpolation="none")
    if names:
        place.text(0, -0.02, names, fontsize=6, va="top", transform=place.transAxes, color="0.35", wrap=True)


def _mosaic(pictures: Sequence[np.ndarray], columns: int, n_rows: int) -> np.ndarray:
    """Lay crops out row by row on white: (h, w, 3) uint8, of one size for any number of crops."""
    side = pictures[0].shape[0] if pictures else 128
    step = side + GAP
    canvas = np.full((n_rows * step - GAP, columns * step - GAP, 3), 255, np.uint8)
    for i, picture in enumerate(pictures):
        top, left = i // columns * step, i % columns * step
        canvas[top : top + side, left : left + side] = picture
    return canvas


def _cross(figure: Any, places: Any) -> None:
    """Draw the dashed cross between the quadrants."""
    from matplotlib.lines import Line2D

    boxes = [[place.get_position() for place in row] for row in places]
    x = (boxes[0][0].x1 + boxes[0][1].x0) / 2
    y = (boxes[0][0].y0 + boxes[1][0].y1) / 2
    for xs, ys in (((x, x), (0.01, 0.95)), ((0.01, 0.99), (y, y))):
        figure.add_artist(Line2D(xs, ys, linestyle="--", linewidth=0.8, color="0.5"))
