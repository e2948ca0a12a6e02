"""The pictures of the class centers as one figure for plotly: up to three panels, one legend."""

import json
from collections.abc import Collection
from typing import Any

from ..center_records import CenterMap, CenterPanel, ClassImages
from .markup import count
from .plane import plain

__all__ = ["CLASS_KEY", "PANEL_TITLES", "center_figure", "short_code"]

CLASS_KEY = "class:"  # begins the key of a dot that is a class; all others are images
PANEL_TITLES = {"random": "Random vectors", "learnable": "Learned vectors", "language": "Language-guided"}
_SYMBOLS = ("circle", "square", "diamond", "triangle-up", "cross",
            "star", "triangle-down", "pentagon", "x", "hexagram")  # fmt: skip
_PANEL, _TITLE, _LEGEND, _GAP = 380, 54, 76, 0.02
_NARROW_PANEL, _NARROW_LEGEND = 330, 160
_CODE_BITS = 8  # of a sub-code in a hover text


def center_figure(
    shown: CenterMap, *, center: str, chosen: Collection[str], links: bool, images: ClassImages | None
) -> str:
    """Return the figure as JSON text; ``center`` gets a ring, and where classes are ``chosen`` all others fade."""
    data: list[dict[str, Any]] = []
    for number, panel in enumerate(shown.panels):
        traces = [_links(panel)] if links and len(panel.links) else []
        traces += _families(shown, panel, chosen)
        if images is not None and panel.is_own and images.images:
            traces.append(_images(images))
        if center in shown.class_names:
            traces.append(_ring(shown, panel, center))
        axis = str(number + 1) if number else ""
        data += [
            trace | {"xaxis": f"x{axis}", "yaxis": f"y{axis}", "showlegend": trace.get("showlegend", not number)}
            for trace in traces
        ]
    return json.dumps({
        "data": data,
        "layout": _layout(shown, is_narrow=False),
        "narrow": _layout(shown, is_narrow=True),
        "narrow_below": 860 if len(shown.panels) > 2 else 640,
        "label": _label(shown),
    })  # fmt: skip


def short_code(code: tuple[str, ...]) -> str:
    """Write a code concept by concept, long sub-codes cut off."""
    return " ".join(part if len(part) <= _CODE_BITS else part[: _CODE_BITS - 1] + "…" for part in code)


def _families(shown: CenterMap, panel: CenterPanel, chosen: Collection[str]) -> list[dict[str, Any]]:
    """Return one trace per family with a color of its own, after one for all others."""
    members: dict[str, list[int]] = {name: [] for name in ("", *shown.largest)}
    for index, family in enumerate(shown.families):
        members[family if family in members else ""].append(index)
    styles = {name: _style(number) for number, name in enumerate(shown.largest)}
    names = {"": "other families" if shown.largest else "classes"} | {name: name for name in shown.largest}
    found = []
    for number, (family, classes) in enumerate(members.items()):
        if classes:
            style = styles.get(family) or {"size": 7, "symbol": "circle-open", "color": "var(--ch-strong)"}
            trace = _dots(panel, classes, f"{names[family]} ({len(classes)})", style)
            trace["hovertext"] = [_hover(shown, panel, index) for index in classes]
            trace["customdata"] = [CLASS_KEY + shown.class_names[index] for index in classes]
            trace["legendgroup"] = f"family {number}"
            trace["legendrank"] = 1000 if family else 2000
            if chosen:
                trace["selectedpoints"] = [i for i, index in enumerate(classes) if shown.class_names[index] in chosen]
            found.append(trace)
    return found


def _style(number: int) -> dict[str, Any]:
    return {
        "size": 11,
        "symbol": _SYMBOLS[number % len(_SYMBOLS)],
        "color": f"var(--ch-family-{number % len(_SYMBOLS)})",
        "line": {"width": 1, "color": "var(--ch-card)"},
    }


def _dots(panel: CenterPanel, rows: list[int], name: str, marker: dict[str, Any]) -> dict[str, Any]:
    return {
        "type": "scatter", "mode": "markers", "name": plain(name), "hoverinfo": "text", "marker": marker,
        "x": _numbers(panel.positions[rows, 0]), "y": _numbers(panel.positions[rows, 1]),
        "selected": {"marker": {"opacity": 1}}, "unselected": {"marker": {"opacity": 0.16}},
    }  # fmt: skip


def _hover(shown: CenterMap, panel: CenterPanel, index: int) -> str:
    lines = [f"<b>{plain(shown.class_names[index])}</b>"]
    if shown.families[index]:
        lines.append(plain(shown.families[index]))
    lines.append(short_code(panel.codes[index]))
    if panel.kind == "language" and shown.prompts[index]:
        lines.append(f"“{plain(shown.prompts[index])}”")
    if not shown.gallery_classes[index]:
        lines.append("<i>no image in this gallery</i>")
    return "<br>".join(lines)


def _links(panel: CenterPanel) -> dict[str, Any]:
    """Return a line from each class to its nearest center, where the picture keeps them apart."""
    x: list[float | None] = []
    y: list[float | None] = []
    for pair in panel.links:
        x += [*_numbers(panel.positions[pair, 0]), None]
        y += [*_numbers(panel.positions[pair, 1]), None]
    return {
        "type": "scatter", "mode": "lines", "name": "nearest, but drawn apart", "x": x, "y": y, "hoverinfo": "skip",
        "line": {"width": 1, "color": "var(--ch-strong)", "dash": "dot"}, "opacity": 0.75,
        "legendgroup": "links", "legendrank": 3000,
    }  # fmt: skip


def _images(images: ClassImages) -> dict[str, Any]:
    name = plain(f"images of {images.class_name}")
    return {
        "type": "scatter", "mode": "markers", "name": f"{name} ({len(images.images)})", "hoverinfo": "text",
        "hovertext": f"an image of {plain(images.class_name)}", "customdata": list(images.images),
        "x": _numbers(images.positions[:, 0]), "y": _numbers(images.positions[:, 1]), "showlegend": True,
        "marker": {"size": 5, "symbol": "circle", "color": "var(--ch-ink)", "opacity": 0.55},
        "legendgroup": "images", "legendrank": 4000,
    }  # fmt: skip


def _ring(shown: CenterMap, panel: CenterPanel, center: str) -> dict[str, Any]:
    x, y = panel.positions[shown.class_names.index(center)]
    left, right = float(panel.positions[:, 0].min()), float(panel.positions[:, 0].max())
    share = (float(x) - left) / (right - left) if right > left else 0.5
    side = "right" if share < 0.25 else "left" if share > 0.75 else "center"
    return {
        "type": "scatter", "mode": "markers+text", "x": [float(x)], "y": [float(y)],
        "text": [f"<b>{plain(center)}</b>"], "textposition": f"top {side}", "textfont": {"color": "var(--ch-ink)"},
        "hoverinfo": "skip", "showlegend": False, "cliponaxis": False,
        "marker": {"size": 21, "symbol": "circle-open", "color": "var(--ch-ink)", "line": {"width": 2.5}},
    }  # fmt: skip


def _layout(shown: CenterMap, *, is_narrow: bool) -> dict[str, Any]:
    n = len(shown.panels)
    sizes = (n * (_NARROW_PANEL + _TITLE), _NARROW_LEGEND) if is_narrow else (_PANEL + _TITLE, _LEGEND)
    if n == 1 and not is_narrow:
        sizes = (540, _LEGEND)
    layout: dict[str, Any] = {
        "height": sum(sizes), "dragmode": False if is_narrow else "lasso", "hovermode": "closest",
        "margin": {"l": 2, "r": 2, "t": _TITLE, "b": sizes[1]},
        "uirevision": f"{shown.checkpoint} {shown.projection} {shown.grouping}",
        "legend": {
            "orientation": "h", "x": 0, "y": -10 / (sizes[0] - _TITLE), "yanchor": "top", "itemsizing": "constant",
            "font": {"size": 12}, "traceorder": "normal",
        },
        "annotations": [],
    }  # fmt: skip
    for number, panel in enumerate(shown.panels):
        axis = str(number + 1) if number else ""
        x, y = _domain(number, n, sizes[0] - _TITLE, is_narrow)
        frame = {"showticklabels": False, "showgrid": False, "zeroline": False, "showline": True, "mirror": True,
                 "ticks": ""}  # fmt: skip
        layout[f"xaxis{axis}"] = frame | {"domain": x, "anchor": f"y{axis}"}
        layout[f"yaxis{axis}"] = frame | {"domain": y, "anchor": f"x{axis}", "scaleanchor": f"x{axis}"}
        layout["annotations"].append(_title(shown, panel, x[0], y[1]))
    return layout


def _domain(number: int, n: int, height: int, is_narrow: bool) -> tuple[list[float], list[float]]:
    """Return where a panel stands, as shares of the whole: side by side, or one above the other on a phone."""
    if not is_narrow:
        size = (1 - _GAP * (n - 1)) / n
        return [number * (size + _GAP), number * (size + _GAP) + size], [0.0, 1.0]
    gap = _TITLE / height
    size = (1 - gap * (n - 1)) / n
    top = 1 - number * (size + gap)
    return [0.0, 1.0], [max(top - size, 0.0), top]


def _title(shown: CenterMap, panel: CenterPanel, left: float, top: float) -> dict[str, Any]:
    lines = [f"<b>{PANEL_TITLES[panel.kind]}</b>" + (" · this model" if len(shown.panels) > 1 and panel.is_own else "")]
    if panel.purity is not None and panel.chance is not None:
        lines.append(f"{panel.purity:.0%} family neighbors ({panel.chance:.0%} by chance)".replace("%", " %"))
    return {
        "text": "<br>".join(lines), "xref": "paper", "yref": "paper", "x": left, "y": top, "xanchor": "left",
        "yanchor": "bottom", "align": "left", "showarrow": False, "yshift": 3, "font": {"size": 13},
    }  # fmt: skip


def _label(shown: CenterMap) -> str:
    kinds = ", ".join(PANEL_TITLES[panel.kind].lower() for panel in shown.panels)
    n = len(shown.class_names)
    return (
        f"The centers of {count(n)} {'class' if n == 1 else 'classes'} as dots, colored by family: {kinds}. "
        "The list of classes above offers the same choice."
    )


def _numbers(values: Any) -> list[float]:
    return [round(float(value), 4) for value in values]
