"""Where to search: for each class, family or other value how many matches it has, as buttons, and a choice of all."""

from ..facet_records import Facet, FacetValue
from ..records import ModelInfo
from .markup import action, count, pressed, text

__all__ = ["facet_panel"]

_SHORT = 12  # characters of the longest value up to which buttons stand in two columns


def facet_panel(
    facets: tuple[Facet, ...], info: ModelInfo, *, classes: tuple[str, ...], family: str, where: tuple[str, ...]
) -> str:
    """Show what can be chosen, column by column."""
    chosen = {"class": classes, "family": (family,) if family else ()}
    chosen |= {column: (value,) for column, _, value in (one.partition("=") for one in where)}
    values = {"class": info.class_names, "family": info.family_names, **dict(info.facet_values)}
    found = {facet.column: facet for facet in facets}
    return "".join(_column(name, values[name], chosen.get(name, ()), found.get(name)) for name in values)


def _column(name: str, values: tuple[str, ...], chosen: tuple[str, ...], facet: Facet | None) -> str:
    label, n_columns = name[:1].upper() + name[1:], 1 if max(map(len, values), default=0) > _SHORT else 2
    n_shown = 5 if n_columns == 1 else 6
    n_rows = -(-min(len(values), n_shown) // n_columns)
    buttons = "".join(_button(name, value) for value in _shown(facet, n_shown)) if facet else ""
    return (
        f'<div class="ch-facet">{_choice(label, name, values, chosen)}<div class="ch-counts" role="group" '
        f'aria-label="Matches by {text(name)}" style="--rows: {n_rows}; --columns: {n_columns}">{buttons}</div></div>'
    )


def _shown(facet: Facet, n: int) -> tuple[FacetValue, ...]:
    """The most common values; one that is chosen takes the last place where it is not among them."""
    first, rest = facet.values[:n], [value for value in facet.values[n:] if value.is_chosen]
    return (*first[: n - 1], rest[0]) if len(rest) == 1 else first


def _button(name: str, value: FacetValue) -> str:
    matches = f"{count(value.n_matching)} match{'' if value.n_matching == 1 else 'es'}"
    send = action("filter", name=name, value="" if value.is_chosen else value.value)
    return (
        f'<button type="button" class="ch-count" {pressed(value.is_chosen)} {send} '
        f'title="{text(value.value)}: {matches}"><span>{text(value.value)}</span> '
        f'<span class="ch-num">{count(value.n_matching)}</span>'
        f'<span class="ch-hidden"> {matches.partition(" ")[2]}</span></button>'
    )


def _choice(label: str, name: str, values: tuple[str, ...], chosen: tuple[str, ...]) -> str:
    options = "".join(
        f'<option value="{text(value)}" {"selected" if chosen == (value,) else ""}>{text(value or "All")}</option>'
        for value in ("", *sorted(value for value in values if value))
    )
    if len(chosen) > 1:
        options = f'<option value="" selected disabled>{len(chosen)} chosen</option>{options}'
    return (
        f'<label class="ch-field is-wide"><span class="ch-label">{text(label)}</span><select class="ch-select" '
        f'{action("filter", name=name)} data-value="value" aria-label="{text(label)}">{options}</select></label>'
    )
