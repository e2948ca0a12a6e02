"""Images at their values of two bits, as a figure that plotly.js draws."""

import json
from collections import Counter
from typing import Any

import numpy as np

from ..subcode_records import Plane
from .markup import count
from .palette import concept_color

__all__ = ["plane_figure"]

HEIGHT = 520
_SYMBOLS = ("circle", "square", "diamond", "triangle-up", "cross", "star", "triangle-down", "x")


def plane_figure(plane: Plane, layout: str) -> str:
    """Return the figure as JSON text; the most common families get a symbol and a color each, the others a gray dot."""
    is_poster = layout == "poster"
    families = np.array(plane.families)
    common = [name for name, _ in Counter(plane.families).most_common() if name][: len(_SYMBOLS)]
    traces = [_trace(plane, name, np.flatnonzero(families == name), i, is_poster) for i, name in enumerate(common)]
    others = np.flatnonzero(~np.isin(families, common))
    if len(others):
        traces.insert(0, _trace(plane, "other families" if common else "images", others, -1, is_poster))
    traces.append(_query(plane.query, is_poster))
    first, second = (f"bit {bit}, value before the sign" for bit in plane.bits)
    x, y = (second, first) if is_poster else (first, second)
    return json.dumps({
        "data": traces,
        "layout": {
            "height": HEIGHT, "dragmode": "zoom", "hovermode": "closest",
            "margin": {"l": 56, "r": 12, "t": 34, "b": 48},
            "xaxis": _axis(x), "yaxis": _axis(y) | ({"autorange": "reversed"} if is_poster else {}),
            "legend": {"orientation": "h", "y": 1.02, "yanchor": "bottom"},
            "annotations": [_corner(code, is_poster) for code in ("00", "01", "10", "11")],
        },
        "tools": ["zoom2d", "resetScale2d"],
        "label": f"{count(len(plane.images), 'image')} at their values of bits {plane.bits[0]} and {plane.bits[1]}",
    })  # fmt: skip


def _trace(plane: Plane, name: str, rows: np.ndarray, i: int, is_poster: bool) -> dict[str, Any]:
    color = "var(--ch-strong)" if i < 0 else concept_color(i)[0]
    x, y = _places(plane.values[rows], is_poster)
    symbol, opacity = ("circle", 0.4) if i < 0 else (_SYMBOLS[i], 0.8)
    return {
        "type": "scatter", "mode": "markers", "name": plain(name), "x": x, "y": y,
        "customdata": [plane.images[row] for row in rows], "text": [plain(plane.class_names[row]) for row in rows],
        "hovertemplate": "%{text}<extra></extra>",
        "marker": {"size": 7, "color": color, "symbol": symbol, "opacity": opacity},
    }  # fmt: skip


def _query(query: tuple[float, float], is_poster: bool) -> dict[str, Any]:
    x, y = _places(np.array([query]), is_poster)
    return {
        "type": "scatter", "mode": "markers+text", "name": "image in hand", "x": x, "y": y, "text": ["image in hand"],
        "textposition": "top center", "hoverinfo": "skip",
        "marker": {"size": 16, "symbol": "circle-open", "color": "var(--ch-ink)", "line": {"width": 3}},
    }  # fmt: skip


def _places(values: np.ndarray, is_poster: bool) -> tuple[list[float], list[float]]:
    """Return x and y of values (n, 2): the first bit to the right, or on the poster downward."""
    first, second = values.astype(np.float64).round(3).T.tolist()
    return (second, first) if is_poster else (first, second)


def _axis(title: str) -> dict[str, Any]:
    return {"title": {"text": title}, "zeroline": True, "zerolinecolor": "var(--ch-strong)", "zerolinewidth": 1.5}


def _corner(code: str, is_poster: bool) -> dict[str, Any]:
    """Write the code into the corner of its quadrant."""
    right, up = (int(code[1]), 1 - int(code[0])) if is_poster else (int(code[0]), int(code[1]))
    return {
        "xref": "paper", "yref": "paper", "x": right, "y": up, "xanchor": "right" if right else "left",
        "yanchor": "top" if up else "bottom", "text": f"<b>{code}</b>", "showarrow": False,
        "font": {"size": 20, "color": "var(--ch-soft)"},
    }  # fmt: skip


def plain(words: str) -> str:
    """Take from a text what plotly would read as markup or as a template."""
    return words.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace("%{", "% {")
