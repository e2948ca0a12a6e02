"""The Centers tab in HTML: its controls, what the pictures are worth, and one class in detail."""

from collections.abc import Collection

from ..center_records import CenterMap, ClassDetail, NearCenter
from ..records import ModelInfo, Thumbnail
from .center_plot import PANEL_TITLES
from .markup import action, count, icon, isolated, pressed, text, thumbnail_url
from .query import code_ribbon

__all__ = ["center_controls", "center_measures", "class_card", "waiting"]

_PROJECTIONS = {"tsne": "t-SNE", "pca": "PCA"}
_GROUPINGS = {"name": "Last word", "taxonomy": "Taxonomy"}
_READINGS = {
    "tsne": "Read t-SNE by who is near whom: distances between groups, and their sizes, mean nothing.",
    "pca": "PCA shows the two directions in which the centers differ most, and hides all others.",
}


def waiting() -> str:
    """Say what is being done before the first picture is there."""
    return '<p class="ch-muted" role="status">Laying out the class centers …</p>'


def center_controls(
    shown: CenterMap, *, center: str, chosen: Collection[str], overlay: bool, links: bool, n_images: int
) -> str:
    """Show projection, grouping, the choice of a class, and what is drawn besides; ``chosen`` are classes."""
    groupings = _segments("grouping", "Families by", _GROUPINGS, shown.grouping, shown.groupings)
    return (
        '<section class="ch-centerbar" aria-label="What the picture shows">'
        '<div class="ch-row">'
        f"{_segments('projection', 'Projection', _PROJECTIONS, shown.projection, tuple(_PROJECTIONS))}"
        f"{groupings if len(shown.groupings) > 1 else ''}"
        f"{_class_choice(shown, center)}"
        f"{_toggle('links', 'Where the picture lies', links)}"
        f"{_toggle('overlay', 'Images of the class', overlay, not n_images)}</div>"
        f"{_chosen(chosen) or _note(shown, overlay and n_images > 0)}</section>"
    )


def center_measures(shown: CenterMap) -> str:
    """Show for every panel how well families keep together, and how far the picture can be trusted."""
    heads = "".join(f'<th scope="col">{PANEL_TITLES[panel.kind]}</th>' for panel in shown.panels)
    k, n = shown.n_neighbors, len(shown.panels)
    rows = (
        (f"Of a class’s {count(k, 'nearest center')}, those of its own family", "purity", _share),
        ("… if families played no part", "chance", _share),
        ("… at best, since families are small", "best", _share),
        ("Families apart from each other: 0 = mixed, 1 = far apart (silhouette)", "silhouette", _figure),
        ("Trust in the picture: 1 = dots that stand together are near in the code, too", "trust", _figure),
    )
    body = "".join(
        f'<tr><th scope="row">{words}</th>'
        + "".join(f"<td>{write(getattr(panel, name))}</td>" for panel in shown.panels)
        + "</tr>"
        for words, name, write in rows
    )
    lies = "".join(f"<td>{len(panel.links)} of {count(len(shown.class_names))}</td>" for panel in shown.panels)
    body += f'<tr><th scope="row">Classes drawn apart from their nearest center</th>{lies}</tr>'
    return (
        f'<section class="ch-measures" data-panels="{n}" style="--ch-panels:{n}"><h3>What the picture is worth</h3>'
        f'<div class="ch-scroll" tabindex="0" role="region" aria-label="Measures of the centers"><table><thead><tr>'
        f'<td></td>{heads}</tr></thead><tbody>{body}</tbody></table></div><p class="ch-hint">Families are those by '
        f"{_GROUPINGS[shown.grouping].lower()}; a family of one class is not asked. All but the last two rows are "
        f"measured on the centers themselves, not on the picture.</p>{_only_one(shown)}</section>"
    )


def class_card(detail: ClassDetail | None, info: ModelInfo, names: tuple[str, ...]) -> str:
    """Show one class: images, code, nearest classes, and ways on; a hint where none is chosen."""
    if detail is None:
        return (
            '<section class="ch-classcard is-blank" aria-label="The chosen class"><p class="ch-hint">Click a dot, or '
            "choose a class from the list, to see its images, its code and its nearest classes. Draw around dots "
            "(lasso) to look at the images of several classes.</p></section>"
        )
    near = "".join(map(_near, detail.nearest))
    facts = " · ".join(
        isolated(fact) for fact in (detail.family, f"“{detail.prompt}”" if detail.prompt else "") if fact
    )
    return (
        f'<section class="ch-classcard" aria-label="The class {text(detail.class_name)}"><header><div>'
        f'<p class="ch-eyebrow">Class</p><h3>{text(detail.class_name)}</h3><p class="ch-muted">{facts}</p></div>'
        f'<button type="button" class="ch-button is-icon" aria-label="Choose no class" {action("center", name="")}>'
        f"{icon('close')}</button></header><div><h4>Code of its center</h4>"
        f"{code_ribbon(detail.cells, info, names)}</div><div><h4>Images</h4>{_images(detail)}</div>"
        f'<div><h4>Nearest classes, by the cosine of the centers</h4><ol class="ch-near">{near}</ol></div></section>'
    )


def _segments(name: str, label: str, words: dict[str, str], now: str, values: tuple[str, ...]) -> str:
    buttons = "".join(
        f'<button type="button" class="ch-seg" {pressed(value == now)} {action("show", name=name, value=value)}>'
        f"{words[value]}</button>"
        for value in values
    )
    return (
        f'<div class="ch-field"><span class="ch-label">{label}</span>'
        f'<div class="ch-segments" role="group" aria-label="{label}">{buttons}</div></div>'
    )


def _class_choice(shown: CenterMap, center: str) -> str:
    families = sorted(set(shown.families), key=lambda name: (not name, name))
    groups = []
    for family in families:
        names = sorted(n for n, f in zip(shown.class_names, shown.families, strict=True) if f == family)
        options = "".join(
            f'<option value="{text(name)}" {"selected" if name == center else ""}>{text(name)}</option>'
            for name in names
        )
        groups.append(f'<optgroup label="{text(family or "no family known")}">{options}</optgroup>')
    return (
        '<label class="ch-field"><span class="ch-label">Class</span><select class="ch-select" '
        f'{action("center")} data-value="name" aria-label="Class">'
        f'<option value="" {"" if center else "selected"}>none chosen</option>{"".join(groups)}</select></label>'
    )


def _toggle(name: str, label: str, is_on: bool, is_disabled: bool = False) -> str:
    return (
        f'<button type="button" class="ch-button is-toggle" {pressed(is_on and not is_disabled)} '
        f"{action('toggle', name=name, value=int(not is_on))} {'disabled' if is_disabled else ''}>{label}</button>"
    )


def _note(shown: CenterMap, has_images: bool) -> str:
    """Say how to read the picture, or where images stand in it."""
    if has_images and (shown.projection == "pca" or shown.is_plain):
        words = "The images of the class are projected onto the same plane as the centers."
    elif has_images:
        words = "t-SNE has no place for new points: each image is drawn between the three centers nearest to its code."
    elif shown.is_plain:
        words = f"{len(shown.class_names)} classes are too few for t-SNE; PCA shows them."
    else:
        words = _READINGS[shown.projection]
    return f'<p class="ch-hint">{words}</p>'


def _chosen(chosen: Collection[str]) -> str:
    if not chosen:
        return ""
    words = "1 class" if len(chosen) == 1 else f"{count(len(chosen))} classes"
    return (
        f'<p class="ch-hint ch-chosen" role="status"><strong>{words} chosen</strong>; only their images are shown '
        f'above and searched. <button type="button" class="ch-link" {action("clear")}>Clear</button></p>'
    )


def _share(value: float | None) -> str:
    return "–" if value is None else f"{100 * value:.0f} %"


def _figure(value: float | None) -> str:
    return "–" if value is None else f"{value:.2f}"


def _only_one(shown: CenterMap) -> str:
    if len(shown.panels) > 1:
        return ""
    return (
        '<p class="ch-hint">This checkpoint holds only the centers it was trained with. To compare, train the same '
        "with <code>--centers random</code> or <code>learnable</code>, then <code>python -m concepthash.centers "
        "--checkpoint CHECKPOINT --add OTHER</code>.</p>"
    )


def _images(detail: ClassDetail) -> str:
    if not detail.n_images:
        return '<p class="ch-hint">No image of this class is in this gallery.</p>'
    cards = "".join(map(_card, detail.thumbnails))
    name = detail.gallery_class
    return (
        f'<ul class="ch-classimages">{cards}</ul><div class="ch-row">'
        f'<button type="button" class="ch-button" {action("look", name=name)} data-top="#ch-query">'
        f"Look at its {count(detail.n_images, 'image')}</button>"
        f'<button type="button" class="ch-button" {action("match", name=name)} data-top="#ch-query">'
        f"Match only in this class</button></div>"
    )


def _card(card: Thumbnail) -> str:
    return (
        f'<li><button type="button" class="ch-thumb" {action("pick", image=card.image)} title="Take it in hand" '
        f'aria-label="Take this {text(card.class_name)} in hand"><img src="{thumbnail_url(card.path)}" alt="" '
        'loading="lazy" width="96" height="96"></button></li>'
    )


def _near(near: NearCenter) -> str:
    return (
        f'<li><button type="button" class="ch-nearclass" {action("center", name=near.class_name)}>'
        f'<span class="ch-class">{text(near.class_name)}</span><span class="ch-num">{count(near.distance, "bit")} '
        f"apart · cosine {near.cosine:.2f}</span></button></li>"
    )
