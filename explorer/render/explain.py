"""The Explain tab: the photo with one map over it, the nearest classes, and a card per concept."""

from ..records import BitView, Explanation, MapControls, ModelInfo
from .concept_card import center_bars, concept_card
from .controls import map_controls
from .markup import action, isolated, percent, pressed, text
from .palette import badge, color_style
from .pictures import map_picture, map_strength, photo_picture

__all__ = ["explanation_page", "guide", "nothing_chosen", "stage"]


def explanation_page(
    explanation: Explanation,
    info: ModelInfo,
    names: tuple[str, ...],
    controls: MapControls,
    *,
    concept: int = -1,
    bit_view: BitView | None = None,
) -> str:
    """Lay out one explained image."""
    photo = photo_picture(explanation.photo.rgb)
    pictures = [map_picture(view.concept_map) for view in explanation.concepts]
    cards = "".join(
        concept_card(
            view,
            names[view.concept],
            stage(
                explanation,
                "",
                _overlay(pictures[view.concept], bit_view, view.concept),
                label=f"{names[view.concept]} over {explanation.photo.title}",
            ),
            is_chosen=view.concept == concept,
            bit_view=bit_view if bit_view is not None and bit_view.concept == view.concept else None,
        )
        for view in explanation.concepts
    )
    return (
        f'<div class="ch-explain" style="--photo:url({photo})">'
        f"{_hero(explanation, names, pictures, concept, bit_view, photo)}"
        f'<div class="ch-side">{map_controls(controls, info)}'
        f'<div class="ch-cards" data-count="{info.n_concepts}">{cards}</div>{_names_bar(info, names)}</div></div>'
    )


def nothing_chosen() -> str:
    """Say what to do while no image is chosen."""
    how = "Choose one from the strip above, or upload your own."
    return f'<div class="ch-blank"><h2>No image yet</h2><p>{how}</p></div>'


def guide() -> str:
    """Explain the tab to someone who has never seen a hash code."""
    return (
        '<details class="ch-tip" data-keep="guide"><summary><span>The model writes every image as a short string of '
        "bits, and each <em>concept</em> writes its own part of it. <u>How to read this page</u></span></summary>"
        "<div><ul><li><strong>The map</strong> shows where in the image a concept looked: bright is more, clear is "
        "less. It says where the information came from, not what the concept means.</li>"
        "<li><strong>The 0/1 cells</strong> are the concept’s part of the code. The bar below a bit is how sure the "
        "model is of it; hatched bits with a <b>?</b> could as well have been the other one. Click a bit to see its "
        "own map, and a name to change it.</li>"
        "<li><strong>Nearest classes</strong> compare that part of the code with the hash center of each class; "
        "1.00 is the same direction, 0 is unrelated.</li>"
        "<li><strong>Match by this concept</strong> finds the images that carry exactly this sub-code, whatever the "
        "rest of them looks like.</li></ul></div></details>"
    )


def stage(explanation: Explanation, photo: str, overlay: str, *, label: str) -> str:
    """Show the photo in a box of fixed shape with ``overlay`` on it; ``photo`` empty takes the shared background."""
    width, height = explanation.photo.width, explanation.photo.height
    fit = "is-wide" if width * 3 >= height * 4 else "is-tall"
    inner = (
        f'<img class="ch-photo" src="{photo}" alt="{text(label)}">'
        if photo
        else f'<div class="ch-photo" role="img" aria-label="{text(label)}"></div>'
    )
    top = f'<img class="ch-map" src="{overlay}" alt="">' if overlay else ""
    shape = f'class="ch-frame {fit}" style="aspect-ratio:{width}/{height}"'
    return f'<div class="ch-stage"><div {shape}>{inner}{top}</div></div>'


def _overlay(picture: str, bit_view: BitView | None, concept: int) -> str:
    if bit_view is not None and bit_view.concept == concept:
        return map_picture(bit_view.bit_map)
    return picture


def _hero(
    explanation: Explanation,
    names: tuple[str, ...],
    pictures: list[str],
    concept: int,
    bit_view: BitView | None,
    photo: str,
) -> str:
    is_shown = 0 <= concept < len(pictures)
    overlay = _overlay(pictures[concept], bit_view, concept) if is_shown else ""
    what = f"where {names[concept]} looks" if is_shown else "no map"
    label = f"{explanation.photo.title}, {what}"
    return (
        f'<section class="ch-hero" aria-label="The whole image">{stage(explanation, photo, overlay, label=label)}'
        f'{_map_choice(names, concept)}<p class="ch-caption">{_caption(explanation, names, concept, bit_view)}</p>'
        '<label class="ch-range"><span>Map opacity</span><input type="range" min="0" max="100" value="75" '
        'data-variable="--map-opacity" aria-label="Map opacity in percent"></label>'
        '<h3>Nearest classes <span class="ch-muted">by the whole code</span></h3>'
        f"{center_bars(explanation.centers, -1)}</section>"
    )


def _map_choice(names: tuple[str, ...], concept: int) -> str:
    buttons = [
        f'<button type="button" class="ch-seg" {pressed(concept < 0)} {action("concept", concept=-1)}>Photo</button>'
    ] + [
        f'<button type="button" class="ch-seg" {pressed(concept == m)} {action("concept", concept=m)} '
        f'style="{color_style(m)}" title="{text(name)}" aria-label="Map of {text(name)}">{badge(m)}</button>'
        for m, name in enumerate(names)
    ]
    return f'<div class="ch-segments" role="group" aria-label="Map over the image">{"".join(buttons)}</div>'


def _caption(explanation: Explanation, names: tuple[str, ...], concept: int, bit_view: BitView | None) -> str:
    if not 0 <= concept < len(names):
        return f"{explanation.photo.width} × {explanation.photo.height} pixels. Choose a number to lay a map over it."
    if bit_view is not None and bit_view.concept == concept:
        return f"What holds bit {bit_view.cell.bit} at {int(bit_view.cell.is_on)}, by gradient-weighted attention."
    view = explanation.concepts[concept]
    strength = map_strength(view.concept_map)
    return (
        f"<strong>{isolated(names[concept])}</strong>: at its brightest point {strength:.1f}× the average attention; "
        f"{percent(view.n_sharing, view.n_gallery)} of the gallery shares its sub-code."
    )


def _names_bar(info: ModelInfo, names: tuple[str, ...]) -> str:
    """Offer to keep concept names: with the checkpoint where that can be written, as a file anywhere."""
    kept = (
        f"Names you type are kept with the checkpoint {text(info.name)}."
        if info.can_save_names
        else "Names you type last as long as this page; download them to keep them."
    )
    payload = text("\n".join(names))
    return (
        f'<div class="ch-names"><p>{kept}</p>'
        f'<button type="button" class="ch-link" data-download="{text(info.name)}-concepts.json" data-names="{payload}">'
        "Download names</button>"
        f'<label class="ch-link">Load names<input type="file" class="ch-hidden" accept=".json,application/json" '
        f'{action("names")} data-value="file"></label></div>'
    )
