"""Cells of a concept's sub-codes as HTML: quadrants, a Karnaugh map, or cards of a dictionary."""

from collections.abc import Sequence

from ..subcode_records import CellGrid, Crop, Dictionary, Share, SubcodeCell
from .markup import action, count, isolated, pager, percent, pressed, text, thumbnail_url

__all__ = ["GRAY", "cell_order", "cells_page", "dictionary_page"]

GRAY = {1: ("0", "1"), 2: ("00", "01", "11", "10")}
_QUADRANTS = {"paper": ("01", "11", "00", "10"), "poster": ("00", "01", "10", "11")}  # row by row from the top


def cell_order(n_axes: int, layout: str) -> tuple[tuple[str, ...], ...]:
    """Return the texts of the cells in rows from the top.

    Two bits make quadrants: the caption of the paper's figure puts the first bit to the right and the second upward,
    its poster the first downward and the second to the right. Three and four bits make a Karnaugh map, in which cells
    that touch differ in one bit, as do the two ends of every row and column.
    """
    if n_axes == 1:
        return (GRAY[1],)
    if n_axes == 2:
        a, b, c, d = _QUADRANTS.get(layout, _QUADRANTS["paper"])
        return (a, b), (c, d)
    return tuple(tuple(row + column for column in GRAY[2]) for row in GRAY[n_axes - 2])


def cells_page(grid: CellGrid, asked: str, layout: str) -> str:
    """Show all cells; ``asked`` is the pattern that the gallery is narrowed to in this concept."""
    by_text = {cell.text: cell for cell in grid.cells}
    rows = cell_order(len(grid.bits), layout)
    is_map = len(grid.bits) > 2
    body = "".join(_cell(by_text[name], grid.query, asked, is_map) for row in rows for name in row)
    kind = "is-map" if is_map else "is-quadrants"
    style = f"--columns:{len(rows[0])}"
    return f'<div class="ch-cells {kind}" style="{style}">{body}</div>'


def dictionary_page(book: Dictionary, asked: str) -> str:
    """Show one page of the sub-codes in use, the most common first."""
    cards = "".join(_entry(cell, book.query, asked) for cell in book.entries)
    possible = f" of {2**book.n_bits:,} possible ones" if book.n_bits <= 16 else ""
    once = f"; {count(book.n_once)} by one image only" if book.n_once else ""
    lead = f"{count(book.n_used, 'code')}{possible} used{once}. The most common first."
    pages = pager("codes", book.page, book.n_pages, "Pages of the dictionary")
    return f'<p class="ch-muted">{lead}</p><ol class="ch-book">{cards}</ol>{pages}'


def _cell(cell: SubcodeCell, query: str, asked: str, is_small: bool) -> str:
    here = '<span class="ch-here">image in hand</span>' if cell.text == query else ""
    classes = "ch-cellbox" + (" is-here" if here else "") + ("" if cell.n else " is-unused")
    if not cell.n:
        body = '<p class="ch-unused">unused</p>'
    else:
        crops = "".join(_crop(crop) for crop in cell.crops)
        body = f'<ul class="ch-crops">{crops}</ul>{_facts(cell, is_small)}'
    return (
        f'<section class="{classes}" aria-label="Code {text(cell.text)}"><header>{_cell_button(cell, asked)}{here}'
        f"</header>{body}</section>"
    )


def _entry(cell: SubcodeCell, query: str, asked: str) -> str:
    here = '<span class="ch-here">image in hand</span>' if cell.text == query else ""
    medoid, *others = cell.crops
    crops = "".join(_crop(crop) for crop in others)
    return (
        f'<li class="ch-entry{" is-here" if here else ""}"><header>{_cell_button(cell, asked)}{here}</header>'
        f'<div class="ch-entrycrops"><ul class="ch-crops is-medoid">{_crop(medoid, "Medoid: ")}</ul>'
        f'<ul class="ch-crops">{crops}</ul></div>{_facts(cell)}</li>'
    )


def _cell_button(cell: SubcodeCell, asked: str) -> str:
    images = f"{count(cell.n, 'image')} · {percent_of(cell.share)}" if cell.n else "no image"
    is_asked = asked == cell.pattern
    return (
        f'<button type="button" class="ch-cell" {pressed(is_asked)} {"" if cell.n or is_asked else "disabled"} '
        f'{action("cell", pattern=cell.pattern)} title="Look at these images only; click again for all">'
        f"<code>{text(cell.text)}</code><span>{images}</span></button>"
    )


def _facts(cell: SubcodeCell, is_small: bool = False) -> str:
    known = sum(share.n for share in cell.classes)
    if not known:
        return '<p class="ch-cellfacts">classes unknown</p>'
    families = f"<dt>Families</dt><dd>{_shares(cell.families)}</dd>" if cell.families else ""
    classes = "" if is_small and families else f"<dt>Classes</dt><dd>{_shares(cell.classes)}</dd>"
    top = cell.classes[0].name
    return (
        f'<dl class="ch-cellfacts">{families}{classes}'
        f'<dt title="Entropy of the classes: 0 = one class, 1 = as mixed as two, 2 = as four">Entropy</dt>'
        f'<dd class="ch-num">{cell.entropy:.1f} bits; {percent_of(cell.purity)} are {isolated(top)}</dd></dl>'
    )


def _shares(shares: Sequence[Share]) -> str:
    return ", ".join(f'{isolated(share.name)} <span class="ch-num">{count(share.n)}</span>' for share in shares)


def percent_of(share: float) -> str:
    """Write a share in [0, 1]."""
    return percent(round(share * 1_000_000), 1_000_000)


def _crop(crop: Crop, prefix: str = "") -> str:
    """Show the square window round where the concept looks; its size is the page's variable ``--window``."""
    card = crop.thumbnail
    name = text(card.class_name)
    return (
        f'<li><button type="button" class="ch-crop" {action("pick", image=card.image)} '
        f'title="Margin {crop.margin:.2f}"><img src="{thumbnail_url(card.path)}" alt="{prefix}{name}" loading="lazy" '
        f"{_window(crop)}></button></li>"
    )


def _window(crop: Crop) -> str:
    """Return what the style sheet needs: width and height over the shorter side, and the center in the same unit."""
    short = max(min(crop.thumbnail.width, crop.thumbnail.height), 1)
    a, b = crop.thumbnail.width / short, crop.thumbnail.height / short
    x, y = crop.center or (0.5, 0.5)
    kind = "" if crop.center else ' class="is-whole"'
    return f'style="--a:{a:.3f};--b:{b:.3f};--u:{x * a:.3f};--v:{y * b:.3f}"{kind}'
