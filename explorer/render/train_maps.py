"""Concept maps of the watched images: one row an image, one column a concept; alone, or before beside after."""

from collections.abc import Sequence

from ..training_records import MapFrame
from .markup import text
from .palette import badge, color_style
from .pictures import map_picture, photo_picture

__all__ = ["both_maps", "watched_maps"]


def watched_maps(frames: Sequence[MapFrame]) -> str:
    """Show what each concept looks at on the watched images, as it is now."""
    if not frames:
        return ""
    title = f"Concept maps after epoch {frames[0].epoch}"
    return f'<section class="ch-watched">{_heading(title, "on images kept aside")}{_table(title, frames)}</section>'


def both_maps(before: Sequence[MapFrame], after: Sequence[MapFrame]) -> str:
    """Show the maps of the start model beside those of the trained one."""
    if not after:
        return ""
    sides = ((before, "Before"), (after, "After"))
    tables = "".join(
        f"<div><h4>{word}</h4>{_table(f'Maps {word.lower()}', side)}</div>" for side, word in sides if side
    )
    return (
        f'<section class="ch-watched">{_heading("Where the concepts look", "on images kept aside")}'
        f'<div class="ch-both">{tables}</div></section>'
    )


def _heading(title: str, note: str) -> str:
    return f'<h3>{text(title)} <span class="ch-muted">{text(note)}</span></h3>'


def _table(label: str, frames: Sequence[MapFrame]) -> str:
    rows = "".join(_row(frame, f"Image {i + 1}") for i, frame in enumerate(frames))
    heads = "".join(
        f'<th scope="col" style="{color_style(m)}">{badge(m)}<span class="ch-hidden">concept {m + 1}</span></th>'
        for m in range(max(len(frame.maps) for frame in frames))
    )
    return (
        f'<div class="ch-scroll" tabindex="0" role="region" aria-label="{text(label)}"><table><thead><tr>'
        f'<th scope="col"><span class="ch-hidden">Image</span></th>{heads}</tr></thead><tbody>{rows}</tbody>'
        "</table></div>"
    )


def _row(frame: MapFrame, label: str) -> str:
    cells = "".join(
        f'<td><div class="ch-mini"><img class="ch-map" src="{map_picture(one)}" alt="{text(label)}, concept {m + 1}">'
        "</div></td>"
        for m, one in enumerate(frame.maps)
    )
    return (
        f'<tr style="--photo:url(\'{photo_picture(frame.rgb, 74)}\')"><th scope="row">'
        f'<div class="ch-mini"><span class="ch-hidden">{text(label)}</span></div></th>{cells}</tr>'
    )
