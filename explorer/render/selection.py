"""The part of the gallery that is looked at, in words and as chips that can be taken away."""

from collections.abc import Sequence

from .markup import action, count, icon, isolated, text
from .palette import badge, color_style

__all__ = ["selection_chips", "selection_words"]


def selection_chips(
    names: Sequence[str],
    *,
    classes: tuple[str, ...],
    family: str,
    patterns: tuple[str, ...],
    where: tuple[str, ...] = (),
) -> str:
    """Return one chip per condition, each a button that takes it away; nothing where the whole gallery is shown."""
    chips = []
    if classes:
        chips.append(_chip(text(_class_words(classes)), "classes", title=", ".join(classes[:40])))
    if family:
        chips.append(_chip(text(family), "family", title="Family"))
    for concept, pattern in enumerate(patterns):
        if pattern:
            chips.append(_chip(_pattern_html(concept, pattern), "patterns", concept=concept, title=names[concept]))
    for column, _, value in (one.partition("=") for one in where):
        chips.append(_chip(text(value), f"where:{column}", title=column))
    return f'<div class="ch-part" role="group" aria-label="Only images with">{"".join(chips)}</div>' if chips else ""


def selection_words(
    names: Sequence[str],
    *,
    classes: tuple[str, ...],
    family: str,
    patterns: tuple[str, ...],
    where: tuple[str, ...] = (),
) -> str:
    """Return the conditions as escaped words: ``in Wren with Concept 1 = 01``; empty where there is none."""
    places = " and ".join(isolated(word) for word in (_class_words(classes), family) if word)
    values = [(column, value) for column, _, value in (one.partition("=") for one in where)]
    values += [(names[concept], pattern) for concept, pattern in enumerate(patterns) if pattern]
    which = " and ".join(f"{isolated(name)} = <code>{text(value)}</code>" for name, value in values)
    return (f" in {places}" if places else "") + (f" with {which}" if which else "")


def _class_words(classes: tuple[str, ...]) -> str:
    return classes[0] if len(classes) == 1 else f"{count(len(classes))} classes" if classes else ""


def _pattern_html(concept: int, pattern: str) -> str:
    return f'<span style="{color_style(concept)}">{badge(concept)}</span><code>{text(pattern)}</code>'


def _chip(words: str, field: str, title: str, concept: int = -1) -> str:
    return (
        f'<button type="button" class="ch-partchip" title="{text(title)}" '
        f"{action('widen', field=field, concept=concept)}>"
        f'{words}<span class="ch-hidden">: show all again</span>{icon("close")}</button>'
    )
