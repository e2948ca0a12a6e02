"""The Sub-codes tab: which concept, which bits and which view, then its cells."""

from ..records import ModelInfo
from ..subcode_records import CellGrid, Dictionary, Plane
from .cells import cells_page, dictionary_page
from .markup import action, count, icon, pressed, text
from .palette import badge, color_style
from .selection import selection_words

__all__ = ["subcodes_page"]

_VIEWS = {
    "cells": ("Cells", "Images by their bits: a cell for every combination."),
    "scatter": ("Scatter", "Every image at its two values before the sign."),
    "dictionary": ("Dictionary", "The sub-codes in use, the most common first."),
}
_LAYOUTS = {
    "paper": ("Paper", "As in the paper’s figure: the first bit to the right, the second upward; 00 bottom left."),
    "poster": ("Poster", "As on its poster: the first bit downward, the second to the right; 00 top left."),
}


def subcodes_page(
    shown: CellGrid | Plane | Dictionary,
    info: ModelInfo,
    names: tuple[str, ...],
    *,
    view: str,
    layout: str,
    axes: tuple[int, ...],
    window: int,
    patterns: tuple[str, ...],
) -> str:
    """Show the controls and, unless it is the plane, what they ask for; ``patterns`` narrow the gallery."""
    concept = shown.concept
    asked = patterns[concept] if len(patterns) == info.n_concepts else ""
    body = ""
    if isinstance(shown, CellGrid):
        body = cells_page(shown, asked, layout)
    elif isinstance(shown, Dictionary):
        body = dictionary_page(shown, asked)
    controls = (
        _layouts(view, layout, axes),
        _axes(view, axes, concept * info.bits_per_concept, info.bits_per_concept),
        _window(view, window),
    )
    return (
        f'<div class="ch-subcodes" style="{color_style(concept)};--window:{window / 100:.2f}">'
        f'<div class="ch-row">{_concepts(concept, names)}{_segments("View", "view", _VIEWS, view)}'
        f"{''.join(controls)}{_export(view)}</div>"
        f'<div class="ch-say">{_asked(names, patterns) or _hint(view, len(axes), layout)}{_sampled(info)}</div>'
        f"{body}</div>"
    )


def _sampled(info: ModelInfo) -> str:
    if not info.n_sample:
        return ""
    return f" <span>Counted in a sample of {count(info.n_sample)} of {count(info.n_gallery, 'image')}.</span>"


def _concepts(concept: int, names: tuple[str, ...]) -> str:
    buttons = "".join(
        f'<button type="button" class="ch-seg" style="{color_style(m)}" {pressed(m == concept)} '
        f"{action('concept', concept=m)}>{badge(m)}{text(name)}</button>"
        for m, name in enumerate(names)
    )
    return f'<div class="ch-segments" role="group" aria-label="Concept">{buttons}</div>'


def _segments(label: str, name: str, choices: dict[str, tuple[str, str]], chosen: str) -> str:
    buttons = "".join(
        f'<button type="button" class="ch-seg" {pressed(value == chosen)} title="{text(why)}" '
        f"{action('show', name=name, value=value)}>{text(word)}</button>"
        for value, (word, why) in choices.items()
    )
    return f'<div class="ch-segments" role="group" aria-label="{text(label)}">{buttons}</div>'


def _layouts(view: str, layout: str, axes: tuple[int, ...]) -> str:
    has_layout = view == "scatter" or (view == "cells" and len(axes) == 2)
    return _segments("Layout", "layout", _LAYOUTS, layout) if has_layout else ""


def _axes(view: str, axes: tuple[int, ...], start: int, size: int) -> str:
    """Offer two bits of a longer sub-code; the first option of a short one is all of its bits together."""
    if size <= 2 or view == "dictionary":
        return ""
    pair = axes if len(axes) == 2 else (-1, -1)
    return _axis("First bit", 0, pair, start, size) + _axis("Second bit", 1, pair, start, size)


def _axis(label: str, which: int, pair: tuple[int, ...], start: int, size: int) -> str:
    whole = " selected" if pair[which] < 0 else ""
    options = f'<option value="-1"{whole}>{"all" if size <= 4 else "auto"}</option>' + "".join(
        f'<option value="{bit}" {"selected" if bit == pair[which] else ""} '
        f"{'disabled' if bit == pair[1 - which] else ''}>{start + bit}</option>"
        for bit in range(size)
    )
    return (
        f'<label class="ch-field"><span class="ch-label">{label}</span><select class="ch-select" '
        f'{action("axis", which=which)} data-value="value" aria-label="{label}">{options}</select></label>'
    )


def _window(view: str, window: int) -> str:
    if view == "scatter":
        return ""
    return (
        f'<label class="ch-range"><span>Window <output>{window} %</output></span><input type="range" min="15" '
        f'max="100" step="5" value="{window}" data-variable="--ch-window" {action("window")} data-value="value" '
        'aria-label="Side of the window in percent of the image"></label>'
    )


def _export(view: str) -> str:
    if view != "cells":
        return ""
    buttons = "".join(
        f'<button type="button" class="ch-button" {action("export", kind=kind)} '
        f'title="The figure as it stands, for a paper">{icon("download")}{kind.upper()}</button>'
        for kind in ("png", "pdf")
    )
    return f'<span class="ch-export">{buttons}</span>'


def _hint(view: str, n_axes: int, layout: str) -> str:
    if view == "scatter":
        words = "Click a point to take its image in hand; of a large gallery, every so many-th image is drawn."
    else:
        words = (
            "Each picture shows the window where the concept looks; click one to take it in hand, or a code to look at "
            "its images only."
        )
        if view == "dictionary":
            words = "The large picture is the most typical one of its code. " + words
        elif n_axes > 2:
            words = "Cells that touch differ in one bit; so do the ends of a row or column. " + words
        elif n_axes == 2:
            words = f"{_LAYOUTS[layout][1]} {words}"
    return f'<p class="ch-hint">{text(words)}</p>'


def _asked(names: tuple[str, ...], patterns: tuple[str, ...]) -> str:
    if not any(patterns):
        return ""
    words = selection_words(names, classes=(), family="", patterns=patterns)
    return (
        f'<p class="ch-asked" role="status">The gallery shows only images{words}. '
        f'<button type="button" class="ch-link" data-top="#ch-query" {action("look")}>Look at them</button> '
        f'<button type="button" class="ch-link" data-top="#ch-query" {action("search")}>Match among them</button> '
        f'<button type="button" class="ch-link" {action("clear")}>Show all again</button></p>'
    )
