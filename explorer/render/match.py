"""The Match tab: the question on the left, its answers with their base rate on the right."""

from ..records import DIFFER, IGNORE, Chip, Match, MatchResult, ModelInfo, Relaxation, Thumbnail
from .facets import facet_panel
from .markup import action, count, isolated, pager, percent, text, thumbnail_url
from .palette import color_style
from .question import question_panel
from .selection import selection_words

__all__ = ["base_rate", "match_page", "results_panel"]


def match_page(
    result: MatchResult,
    info: ModelInfo,
    names: tuple[str, ...],
    *,
    agree: tuple[int, ...],
    weights: tuple[int, ...],
    rank: str,
    classes: tuple[str, ...],
    family: str,
    patterns: tuple[str, ...],
    where: tuple[str, ...],
    pins: tuple[Thumbnail | None, ...] = (),
) -> str:
    """Lay out one question and its answers; ``pins`` are images that concepts take their sub-codes from."""
    facets = facet_panel(result.facets, info, classes=classes, family=family, where=where)
    question = question_panel(
        result.subcodes, info, names, agree=agree, weights=weights, rank=rank, where_to_search=facets, pins=pins
    )
    part = selection_words(names, classes=classes, family=family, patterns=patterns, where=where)
    answers = results_panel(result, names, agree, part)
    return f'<div class="ch-match">{question}{answers}</div>'


def results_panel(result: MatchResult, names: tuple[str, ...], agree: tuple[int, ...], part: str) -> str:
    """Show the answers with how common they are, or say why there are none; ``part`` says where was searched."""
    filtered = f'{part} <button type="button" class="ch-link" {action("unfilter")}>clear</button>' if part else ""
    head = (
        f'<header><h3 aria-live="polite">{_matches(result.n_matching)}{filtered}</h3>'
        f'<p class="ch-muted">{base_rate(result, names, agree)}</p></header>'
    )
    offers = "".join(_offer(relaxation) for relaxation in result.relaxations)
    if result.matches:
        cards = "".join(_card(match, names, agree) for match in result.matches)
        more = f'<div class="ch-more"><p>For more matches:</p><ul>{offers}</ul></div>' if offers else ""
        pages = pager("page", result.page, result.n_pages, "Pages of matches")
        body = f'<ul class="ch-grid">{cards}</ul>{pages}{more}'
    else:
        body = _empty(result, names, agree, bool(part), offers)
    return f'<section class="ch-results" aria-label="Matches">{head}{body}</section>'


def base_rate(result: MatchResult, names: tuple[str, ...], agree: tuple[int, ...]) -> str:
    """Say how common such an agreement is in the whole gallery."""
    if not any(radius != IGNORE for radius in agree):
        return f"No concept has to agree, so all {_of_gallery(result)} are ranked."
    share = percent(result.n_carrying, result.n_gallery)
    return f"{count(result.n_carrying)} of {_of_gallery(result)} ({share}) {_rule_words(names, agree, many=True)}."


def _of_gallery(result: MatchResult) -> str:
    """Count the images of the gallery, the query itself left out where it is one of them."""
    return f"{count(result.n_gallery)} {'images' if result.has_query else 'other images'}"


def _rule_words(names: tuple[str, ...], agree: tuple[int, ...], *, many: bool) -> str:
    """Say what images do: agree on some concepts and differ in others."""
    same = [
        isolated(names[m]) + ("" if radius == 0 else f" within {count(radius, 'bit')}")
        for m, radius in enumerate(agree)
        if radius >= 0
    ]
    other = [isolated(names[m]) for m, radius in enumerate(agree) if radius == DIFFER]
    agrees, differs = ("agree on", "differ in") if many else ("agrees on", "differs in")
    return " and ".join(f"{verb} {_listed(parts)}" for verb, parts in ((agrees, same), (differs, other)) if parts)


def _listed(parts: list[str]) -> str:
    return parts[0] if len(parts) == 1 else ", ".join(parts[:-1]) + " and " + parts[-1]


def _card(match: Match, names: tuple[str, ...], agree: tuple[int, ...]) -> str:
    card = match.thumbnail
    chips = "".join(_chip(chip, names[chip.concept], agree[chip.concept]) for chip in match.chips)
    bits = count(match.distance, "bit")
    return (
        '<li class="ch-result"><button type="button" class="ch-pick" data-top="#ch-query" '
        f'{action("pick", image=card.image)} title="Make this the image in hand" '
        f'aria-label="{text(card.class_name)}, {bits} apart. Make it the query">'
        f'<img src="{thumbnail_url(card.path)}" alt="" loading="lazy" width="256" height="192">'
        f'<span class="ch-title">{text(card.class_name)}</span></button>'
        f'<p><span class="ch-distance">{bits} apart</span>'
        f'<button type="button" class="ch-link" data-top="#ch-query" {action("explain", image=card.image)} '
        f'aria-label="Explain this {text(card.class_name)}">Explain</button></p>'
        f'<ul class="ch-chips" aria-label="Differing bits per concept">{chips}</ul></li>'
    )


def _chip(chip: Chip, name: str, radius: int) -> str:
    """Mark agreement by shape and sign: filled with ✓ where all bits agree, outlined with the number elsewhere."""
    same = chip.distance == 0
    words = "agrees" if same else f"differs in {count(chip.distance, 'bit')} of {chip.n_bits}"
    asked = " is-asked" if radius != IGNORE else ""
    return (
        f'<li class="ch-chip {"is-same" if same else "is-other"}{asked}" style="{color_style(chip.concept)}" '
        f'title="{text(name)} {words}"><span class="ch-hidden">{text(name)} {words}</span>'
        f'<span aria-hidden="true"><b>{chip.concept + 1}</b>{"✓" if same else f"≠{chip.distance}"}</span></li>'
    )


def _empty(result: MatchResult, names: tuple[str, ...], agree: tuple[int, ...], has_filter: bool, offers: str) -> str:
    if not result.n_filtered:
        why = "No other image meets all of the conditions on class, family, values and sub-codes."
    else:
        where = "among the chosen images" if has_filter else "in the gallery"
        why = f"No other image {where} {_rule_words(names, agree, many=False)}."
    ways = f"<p>Nearest questions that have answers:</p><ul>{offers}</ul>" if offers else ""
    return f'<div class="ch-blank"><h2>Nothing matches</h2><p>{why}</p>{ways}</div>'


def _offer(relaxation: Relaxation) -> str:
    return (
        f'<li><button type="button" class="ch-button" '
        f"{action('relax', agree=relaxation.agree, keeps_filter=relaxation.keeps_filter)}>{text(relaxation.text)}"
        f'<span class="ch-muted">{_matches(relaxation.n_matching)}</span></button></li>'
    )


def _matches(number: int) -> str:
    return f"{count(number)} match{'' if number == 1 else 'es'}"
