"""One concept's card: its map, its sub-code with margins, the nearest classes, and what a clicked bit adds."""

from ..records import BitCell, BitView, Center, ConceptView
from .markup import action, count, icon, percent, pressed, text
from .palette import badge, color_style

__all__ = ["FULL_MARGIN", "bit_cells", "center_bars", "concept_card"]

FULL_MARGIN = 1.5  # a value this far from 0 fills the bar below its bit


def concept_card(
    view: ConceptView, name: str, stage: str, *, is_chosen: bool = False, bit_view: BitView | None = None
) -> str:
    """Show one concept; ``stage`` is its picture, ``bit_view`` replaces the classes while a bit is clicked."""
    m = view.concept
    lower = _bit_panel(bit_view) if bit_view is not None else _classes(view)
    chosen = " is-chosen" if is_chosen else ""
    return (
        f'<article class="ch-card{chosen}" style="{color_style(m)}" aria-label="{text(name)}">'
        f'<header>{badge(m)}<input class="ch-name" value="{text(name)}" maxlength="40" spellcheck="false" '
        f'aria-label="Name of concept {m + 1}" title="Click to rename" {action("rename", concept=m)} data-value="name">'
        f"{_undecided(view.bits)}</header>"
        f'<button type="button" class="ch-look" {action("concept", concept=m)} {pressed(is_chosen)} '
        f'aria-label="Show the map of {text(name)} on the large image">{stage}{_stage_chip(bit_view)}</button>'
        f"{bit_cells(view.bits, name, bit_view.cell.bit if bit_view else -1)}{lower}"
        f'<footer><button type="button" class="ch-button is-concept" data-top="#ch-query" '
        f"{action('match', concept=m, radius=0 if view.n_sharing else view.nearest)}>"
        f"{icon('target')}Match by this concept</button>{_sharing(view)}</footer></article>"
    )


def bit_cells(bits: tuple[BitCell, ...], name: str, clicked: int) -> str:
    """Print a sub-code as cells; a bar tells the margin, a hatch and a question mark an undecided bit."""
    dense = " is-dense" if len(bits) > 8 else ""
    cells = "".join(_bit(cell, cell.bit == clicked, i == _tab_stop(bits, clicked)) for i, cell in enumerate(bits))
    return f'<div class="ch-bits{dense}" role="group" aria-label="Sub-code of {text(name)}" data-roving>{cells}</div>'


def center_bars(centers: tuple[Center, ...], concept: int, n_shown: int = 5) -> str:
    """List classes with their cosine as number and bar."""
    style = f' style="{color_style(concept)}"' if concept >= 0 else ""
    rows = "".join(
        f'<li><span class="ch-bar" style="--share:{max(center.value, 0):.3f}"></span><span class="ch-class" '
        f'title="{text(center.class_name)}">{text(center.class_name)}</span><span class="ch-num">{center.value:+.2f}'
        "</span></li>"
        for center in centers[:n_shown]
    )
    return f'<ol class="ch-centers"{style}>{rows}</ol>'


def _tab_stop(bits: tuple[BitCell, ...], clicked: int) -> int:
    """Choose the one cell that Tab reaches; arrow keys go on from there."""
    return next((i for i, cell in enumerate(bits) if cell.bit == clicked), 0)


def _bit(cell: BitCell, is_clicked: bool, is_tab_stop: bool) -> str:
    digit = int(cell.is_on)
    sure = "undecided" if cell.is_undecided else "decided"
    label = f"Bit {cell.bit} is {digit}, value {cell.value:+.2f}, {sure}"
    classes = (" is-on" if cell.is_on else "") + (" is-undecided" if cell.is_undecided else "")
    mark = '<i aria-hidden="true">?</i>' if cell.is_undecided else ""
    return (
        f'<button type="button" class="ch-bit{classes}" {pressed(is_clicked)} tabindex="{0 if is_tab_stop else -1}" '
        f'style="--margin:{min(abs(cell.value) / FULL_MARGIN, 1):.2f}" title="{label}" aria-label="{label}" '
        f"{action('bit', bit=-1 if is_clicked else cell.bit)}>{digit}{mark}</button>"
    )


def _sharing(view: ConceptView) -> str:
    """Say how many other images carry this sub-code, or how near the nearest comes."""
    if view.n_sharing or not view.n_gallery:
        words = f"{count(view.n_sharing)} of {count(view.n_gallery)} share it"
    else:
        words = f"nobody shares it; nearest differs in {count(view.nearest, 'bit')}"
    return f'<span class="ch-muted" title="Other images of the gallery with exactly this sub-code">{words}</span>'


def _undecided(bits: tuple[BitCell, ...]) -> str:
    n = sum(cell.is_undecided for cell in bits)
    if not n:
        return f'<span class="ch-muted">{count(len(bits), "bit")}, all sure</span>'
    return f'<span class="ch-muted">{n} of {count(len(bits), "bit")} unsure</span>'


def _stage_chip(bit_view: BitView | None) -> str:
    return f'<span class="ch-chip-over">bit {bit_view.cell.bit} only</span>' if bit_view is not None else ""


def _classes(view: ConceptView) -> str:
    return (
        '<section class="ch-lower"><h3>Nearest classes <span class="ch-muted">by this sub-code</span></h3>'
        f"{center_bars(view.centers, view.concept)}</section>"
    )


def _bit_panel(view: BitView) -> str:
    cell = view.cell
    sure = "too near to 0 to be sure" if cell.is_undecided else "decided"
    return (
        '<section class="ch-lower ch-bitpanel" aria-live="polite">'
        f"<h3>Bit {cell.bit} is {int(cell.is_on)} "
        f'<span class="ch-muted">value {cell.value:+.2f}, {sure}; on in {percent(view.n_on, view.n_gallery)} of the '
        f'gallery</span><button type="button" class="ch-button is-icon" aria-label="Back to the whole concept" '
        f'{action("bit", bit=-1)}>{icon("close")}</button></h3><div class="ch-sides">'
        f"{_side('1', view.on)}{_side('0', view.off)}</div></section>"
    )


def _side(digit: str, centers: tuple[Center, ...]) -> str:
    rows = "".join(
        f'<li><span title="{text(c.class_name)}">{text(c.class_name)}</span>'
        f'<span class="ch-num">{c.value:+.2f}</span></li>'
        for c in centers
    )
    return f"<div><h4>Strongest for {digit}</h4><ol>{rows or '<li>no class</li>'}</ol></div>"
