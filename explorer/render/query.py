"""The image in hand, and the strip of gallery images to choose another one from."""

from ..records import BitCell, ModelInfo, Photo, Thumbnail, ThumbnailPage
from .markup import action, count, icon, isolated, text, thumbnail_url
from .palette import badge, color_style
from .pictures import photo_picture

__all__ = ["code_ribbon", "image_in_hand", "picker"]


def image_in_hand(photo: Photo, cells: tuple[BitCell, ...], info: ModelInfo, names: tuple[str, ...]) -> str:
    """Show the query image with its whole code."""
    facts = (photo.family, f"{photo.width} × {photo.height}", photo.origin)
    line = " · ".join(isolated(fact) for fact in facts if fact)
    return (
        '<section class="ch-hand" aria-label="The image in hand">'
        f'<img src="{photo_picture(photo.rgb)}" alt="Query image: {text(photo.title)}" width="112" height="112">'
        f'<div><p class="ch-eyebrow">Image in hand</p><h2>{text(photo.title)}</h2><p class="ch-muted">{line}</p>'
        f"{code_ribbon(cells, info, names)}</div></section>"
    )


def code_ribbon(cells: tuple[BitCell, ...], info: ModelInfo, names: tuple[str, ...]) -> str:
    """Print the whole code, one group per concept."""
    size = info.bits_per_concept
    groups = []
    for concept in range(info.n_concepts):
        bits = "".join("1" if c.is_on else "0" for c in cells[concept * size : (concept + 1) * size])
        label = f"{names[concept]}: {bits}"
        groups.append(
            f'<li style="{color_style(concept)}" title="{text(label)}">{badge(concept)}<code>{text(bits)}</code></li>'
        )
    return f'<ul class="ch-ribbon" aria-label="Hash code by concept">{"".join(groups)}</ul>'


def picker(page: ThumbnailPage, current: str, info: ModelInfo, max_megabytes: int, part: str) -> str:
    """Show one page of the gallery, with search, paging, a random pick and upload; ``part`` says which part it is."""
    cards = "".join(_card(card, card.image == current) for card in page.cards)
    if not page.cards:
        why = f"No class name here contains “{text(page.search)}”." if page.search else "No image is like this."
        cards = (
            f'<li class="ch-empty">{why} '
            f'<button type="button" class="ch-link" {action("widen_all")}>Show all</button></li>'
        )
    return (
        '<section class="ch-picker" aria-label="Choose an image"><div class="ch-toolbar">'
        f'<label class="ch-search">{icon("search")}<span class="ch-hidden">Search by class name</span>'
        f'<input type="search" value="{text(page.search)}" maxlength="60" placeholder="Search {count(info.n_gallery)} '
        f'images by class" autocomplete="off" spellcheck="false" {action("browse")} data-value="search"></label>'
        f'<button type="button" class="ch-button" {action("random")}>{icon("shuffle")}Random</button>'
        f'<button type="button" class="ch-button" data-open="ch-upload" title="Or paste or drop an image anywhere on '
        f'this page. At most {max_megabytes} MB.">{icon("upload")}Upload</button>'
        f'{_part(page, part)}{_pager(page)}</div><ul class="ch-strip">{cards}</ul></section>'
    )


def _part(page: ThumbnailPage, chips: str) -> str:
    return f'<div class="ch-partline">{chips}<p>{count(page.n_total, "image")}</p></div>' if chips else ""


def _pager(page: ThumbnailPage) -> str:
    back, on = page.page - 1, page.page + 1
    where = f"{page.page + 1} / {page.n_pages}"
    return (
        '<div class="ch-pager" role="group" aria-label="Pages of the gallery">'
        f'<button type="button" class="ch-button is-icon" aria-label="Previous images" {action("turn", page=back)} '
        f"{'disabled' if back < 0 else ''}>{icon('left')}</button>"
        f'<span aria-live="polite" title="{_looked_at(page)}">{where}</span>'
        f'<button type="button" class="ch-button is-icon" aria-label="More images" {action("turn", page=on)} '
        f"{'disabled' if on >= page.n_pages else ''}>{icon('right')}</button></div>"
    )


def _looked_at(page: ThumbnailPage) -> str:
    sample = f"a sample of {count(page.n_total)} of " if page.sample_of else ""
    return f"{sample}{count(page.sample_of or page.n_total, 'image')}"


def _card(card: Thumbnail, is_current: bool) -> str:
    chosen = 'aria-current="true"' if is_current else ""
    return (
        f'<li><button type="button" class="ch-thumb" {chosen} {action("pick", image=card.image)} '
        f'title="{text(card.class_name)}" aria-label="Choose {text(card.class_name)}">'
        f'<img src="{thumbnail_url(card.path)}" alt="" loading="lazy" width="96" height="96"></button></li>'
    )
