"""The question on the Match tab: which concepts must agree, how the rest ranks, where to search."""

from ..records import DIFFER, IGNORE, ModelInfo, Thumbnail
from .markup import action, count, icon, pressed, text, thumbnail_url
from .palette import badge, color_style

__all__ = ["question_panel"]

_RANKS = {
    "hamming": ("All other bits", "Fewest differing bits in the concepts that need not agree exactly come first."),
    "weighted": ("Weighted", "Each concept’s differing bits count as much as its weight says."),
    "none": ("Not at all", "In the gallery’s own order: every image that satisfies the rules is as good as another."),
}
COMPOSED = '<p class="ch-hint">By the concepts asked for, since they come from several images.</p>'


def question_panel(
    subcodes: tuple[str, ...],
    info: ModelInfo,
    names: tuple[str, ...],
    *,
    agree: tuple[int, ...],
    weights: tuple[int, ...],
    rank: str,
    where_to_search: str,
    pins: tuple[Thumbnail | None, ...] = (),
) -> str:
    """Show which concepts must agree, how the rest ranks, and, as HTML, where to search."""
    kept = pins or (None,) * info.n_concepts
    is_composed = any(pin and radius != IGNORE for pin, radius in zip(kept, agree, strict=True))
    rules = "".join(
        _rule(m, names[m], subcodes[m], kept[m], agree[m], info.bits_per_concept)
        + (_weight(m, names[m], weights[m]) if rank == "weighted" and not is_composed else "")
        + "</li>"
        for m in range(info.n_concepts)
    )
    ranking = COMPOSED if is_composed else _ranking(rank)
    return (
        '<section class="ch-question" aria-label="The question"><h3>Which concepts must agree?</h3>'
        f'<ul class="ch-rules">{rules}</ul>'
        f'<div class="ch-presets"><button type="button" class="ch-link" {action("all", radius=0)}>All exactly</button>'
        f'<button type="button" class="ch-link" {action("all", radius=IGNORE)}>None</button></div>'
        f"<h3>How are matches ranked?</h3>{ranking}<h3>Search in</h3>{where_to_search}</section>"
    )


def _ranking(rank: str) -> str:
    ranks = "".join(
        f'<button type="button" class="ch-seg" {pressed(value == rank)} {action("rank", value=value)} '
        f'title="{text(why)}">{text(word)}</button>'
        for value, (word, why) in _RANKS.items()
    )
    return (
        f'<div class="ch-segments" role="group" aria-label="Ranking">{ranks}</div>'
        f'<p class="ch-hint">{text(_RANKS[rank][1])}</p>'
    )


def _rule(m: int, name: str, subcode: str, pin: Thumbnail | None, radius: int, size: int) -> str:
    within = max(radius, 1)
    buttons = "".join(
        f'<button type="button" class="ch-seg" {pressed(is_on)} '
        f"{action('rule', concept=m, radius=value)}>{word}</button>"
        for word, value, is_on in (
            ("Ignore", IGNORE, radius == IGNORE),
            ("Exact", 0, radius == 0),
            (f"≤ {count(within, 'bit')}", within, radius > 0),
            ("Differs", DIFFER, radius == DIFFER),
        )
    )
    stepper = _stepper(m, name, radius, size) if radius > 0 else ""
    asked = "" if radius == IGNORE else "is-asked"
    return (
        f'<li style="{color_style(m)}" class="{asked}"><div class="ch-rulehead">{badge(m)}'
        f'<strong>{text(name)}</strong><code title="Sub-code of the query">{text(subcode)}</code>'
        f"{'' if pin else _keep(m, name)}</div>{_pin(m, name, pin) if pin else ''}"
        f'<div class="ch-row"><div class="ch-segments" role="group" aria-label="Agreement on {text(name)}">{buttons}'
        f"</div>{stepper}</div>"
    )


def _keep(m: int, name: str) -> str:
    return (
        f'<button type="button" class="ch-link" {action("pin", concept=m, keep=True)} aria-label="Keep {text(name)} of '
        'this image" title="Keep this sub-code while you choose another image for the other concepts">Keep</button>'
    )


def _pin(m: int, name: str, pin: Thumbnail) -> str:
    """Show which image a concept takes its sub-code from."""
    picture = f'<img src="{thumbnail_url(pin.path)}" alt="" width="36" height="36">' if pin.path else ""
    return (
        f'<div class="ch-pin">{picture}<span>of {text(pin.class_name)}</span><button type="button" '
        f'class="ch-button is-icon" {action("pin", concept=m, keep=False)} title="Take it from the image in hand" '
        f'aria-label="Take {text(name)} from the image in hand again">{icon("close")}</button></div>'
    )


def _stepper(m: int, name: str, radius: int, size: int) -> str:
    less, more = max(radius - 1, 1), min(radius + 1, size)
    return (
        '<div class="ch-stepper">'
        f'<button type="button" class="ch-button is-icon" aria-label="One bit less for {text(name)}" '
        f"{action('rule', concept=m, radius=less)} {'disabled' if radius <= 1 else ''}>−</button>"
        f'<button type="button" class="ch-button is-icon" aria-label="One bit more for {text(name)}" '
        f"{action('rule', concept=m, radius=more)} {'disabled' if radius >= size else ''}>+</button></div>"
    )


def _weight(m: int, name: str, weight: int) -> str:
    return (
        f'<label class="ch-range"><span>Weight <output>{weight / 10:.1f}</output></span><input type="range" min="0" '
        f'max="50" step="5" value="{weight}" data-tenths="yes" {action("weight", concept=m)} data-value="value" '
        f'aria-label="Weight of {text(name)} in tenths"></label>'
    )
