"""Turned bits of the image in hand: what it finds as it is, what it would find, and a real image that has them."""

from ..records import Match
from ..subcode_records import Flip
from .concept_card import FULL_MARGIN
from .markup import action, count, icon, isolated, pressed, text, thumbnail_url
from .palette import badge, color_style

__all__ = ["flip_page"]


def flip_page(flip: Flip, names: tuple[str, ...]) -> str:
    """Show the sub-code of the image in hand as switches, and what turning them changes."""
    m = flip.concept
    name = isolated(names[m])
    bits = "".join(
        _bit(bit, value, bit in flip.flipped, i == 0)
        for i, (bit, value) in enumerate(zip(flip.bits, flip.values, strict=True))
    )
    back = f'<button type="button" class="ch-link" {action("unflip")}>Turn all back</button>' if flip.flipped else ""
    rows = _changed(flip, names) if flip.flipped else _row("Nearest now", flip.before, set(), "")
    dense = " is-dense" if len(flip.bits) > 8 else ""
    return (
        f'<section class="ch-flip" style="{color_style(m)}" aria-label="Turn bits of the image in hand"><header>'
        f"<h3>{badge(m)}<span>What if a bit of {name} were the other way?</span></h3>{back}</header>"
        f'<div class="ch-bits{dense}" role="group" aria-label="Bits of the image in hand" data-roving>{bits}</div>'
        f"{rows}</section>"
    )


def _bit(bit: int, value: float, is_turned: bool, is_tab_stop: bool) -> str:
    digit = int((value > 0) != is_turned)
    label = f"Bit {bit}: {digit}, {'turned over' if is_turned else f'value {value:+.2f}'}"
    classes = (" is-on" if digit else "") + (" is-turned" if is_turned else "")
    mark = '<i aria-hidden="true">↺</i>' if is_turned else ""
    return (
        f'<button type="button" class="ch-bit{classes}" {pressed(is_turned)} tabindex="{0 if is_tab_stop else -1}" '
        f'style="--margin:{min(abs(value) / FULL_MARGIN, 1):.2f}" title="{label}" aria-label="{label}" '
        f"{action('flip', bit=bit)}>{digit}{mark}</button>"
    )


def _changed(flip: Flip, names: tuple[str, ...]) -> str:
    before = {match.thumbnail.image for match in flip.before}
    after = {match.thumbnail.image for match in flip.after}
    n_new = len(after - before)
    changed = f"{count(n_new)} of {len(after)} neighbors change" if n_new else "No neighbor changes"
    return (
        f'<p aria-live="polite">{changed}.</p>{_row("As it is", flip.before, before - after, "leaves")}'
        f"{_row('Turned', flip.after, after - before, 'new')}{_real(flip, names)}"
    )


def _row(title: str, matches: tuple[Match, ...], marked: set[str], word: str) -> str:
    cards = "".join(_card(match, word if match.thumbnail.image in marked else "") for match in matches)
    return f'<div class="ch-fliprow"><h4>{title}</h4><ul>{cards or "<li>no other image</li>"}</ul></div>'


def _card(match: Match, mark: str) -> str:
    card = match.thumbnail
    flag = f'<span class="ch-flag is-{mark}">{mark}</span>' if mark else ""
    apart = f"{count(match.distance, 'bit')} apart"
    return (
        f'<li><button type="button" class="ch-pick" data-top="#ch-query" {action("pick", image=card.image)} '
        f'aria-label="{text(card.class_name)}, {apart}{", " + mark if mark else ""}. Take in hand">'
        f'<img src="{thumbnail_url(card.path)}" alt="" loading="lazy" width="120" height="90">{flag}'
        f'<span class="ch-title">{text(card.class_name)}</span></button><span class="ch-num">{apart}</span></li>'
    )


def _real(flip: Flip, names: tuple[str, ...]) -> str:
    """Say which real image comes nearest to "this bit, and nothing else"."""
    where = f"{isolated(names[flip.concept])} = <code>{text(flip.code)}</code>"
    if flip.nearest is None:
        return f'<p class="ch-unused">No other image of the gallery has {where}: nobody looks like that.</p>'
    chips = [chip for chip in flip.nearest.chips if chip.concept != flip.concept and chip.distance]
    if not chips:
        words = "It differs in nothing else."
    else:
        parts = (f"{count(chip.distance, 'bit')} of {isolated(names[chip.concept])}" for chip in chips)
        words = f"It differs in {', '.join(parts)}, too; none of them differs here only."
    have = f"{count(flip.n_with_code, 'image')} {'has' if flip.n_with_code == 1 else 'have'}"
    return (
        f'<div class="ch-fliprow"><h4>{icon("target")}Nearest real image with {where}</h4>'
        f"<p>{words} {have} this sub-code.</p><ul>{_card(flip.nearest, '')}</ul></div>"
    )
