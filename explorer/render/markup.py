"""Escaping, actions and icons: every piece of text that reaches a page passes through `text`."""

import html
import json
import re
from typing import Any
from urllib.parse import quote

__all__ = ["action", "count", "icon", "isolated", "notice", "pager", "percent", "pressed", "text", "thumbnail_url"]

_ICONS = {
    "shuffle": "M3 7h3.5c4 0 5 10 9.5 10H21m-3-3 3 3-3 3"
    "M3 17h3.5c1.6 0 2.7-1.6 3.6-3.4M13 9c.8-1.2 1.7-2 3-2h5m-3-3 3 3-3 3",
    "upload": "M12 16V4m-4.5 4.5L12 4l4.5 4.5M4 15v3.5A1.5 1.5 0 0 0 5.5 20h13a1.5 1.5 0 0 0 1.5-1.5V15",
    "left": "M15 5l-7 7 7 7",
    "right": "M9 5l7 7-7 7",
    "search": "M10.5 4a6.5 6.5 0 1 1 0 13 6.5 6.5 0 0 1 0-13zM20 20l-4.8-4.8",
    "close": "M6 6l12 12M18 6L6 18",
    "target": "M12 3v4m0 10v4m9-9h-4M7 12H3m9-4a4 4 0 1 1 0 8 4 4 0 0 1 0-8z",
    "contrast": "M12 3.5a8.5 8.5 0 1 0 0 17zM12 3.5a8.5 8.5 0 0 1 0 17M14 8h4m-4 4h6m-6 4h4",
    "download": "M12 4v12m-4.5-4.5L12 16l4.5-4.5M4 20h16",
    "link": "M10 14a4 4 0 0 0 5.7 0l3-3a4 4 0 0 0-5.7-5.7l-1 1M14 10a4 4 0 0 0-5.7 0l-3 3a4 4 0 0 0 5.7 5.7l1-1",
    "keys": "M4.5 6h15A1.5 1.5 0 0 1 21 7.5v9a1.5 1.5 0 0 1-1.5 1.5h-15A1.5 1.5 0 0 1 3 16.5v-9A1.5 1.5 0 0 1 4.5 6z"
    "M7 10h.01M12 10h.01M17 10h.01M8 14h8",
}
_JSON = json.JSONEncoder(sort_keys=True)
_PLAIN_PATH = re.compile(r"[A-Za-z0-9/._~-]+")  # needs neither quoting nor escaping, and is most paths


def text(value: object) -> str:
    """Escape ``value`` for text and for attributes in double quotes."""
    return html.escape(str(value), quote=True)


def isolated(value: object) -> str:
    """Escape a name in a line with numbers, which one written from right to left would move about."""
    return f"<bdi>{text(value)}</bdi>"


def action(name: str, /, **values: Any) -> str:
    """Return the attributes that make an element send ``name`` with ``values`` to the view when it is used."""
    return f'data-do="{text(name)}" data-with="{text(_JSON.encode(values))}"'


def pressed(is_pressed: bool) -> str:
    """Return the attribute that tells a toggle's state to eyes and screen readers alike."""
    return f'aria-pressed="{"true" if is_pressed else "false"}"'


def icon(name: str) -> str:
    """Return a line icon that screen readers skip."""
    return (
        '<svg class="ch-icon" viewBox="0 0 24 24" width="18" height="18" fill="none" stroke="currentColor" '
        'stroke-width="1.8" stroke-linecap="round" stroke-linejoin="round" aria-hidden="true" focusable="false">'
        f'<path d="{_ICONS[name]}"/></svg>'
    )


def notice(message: str, kind: str = "problem") -> str:
    """Return a message shown in place of what could not be done."""
    return f'<div class="ch-notice is-{text(kind)}" role="status"><p>{text(message)}</p></div>'


def pager(do: str, page: int, n_pages: int, label: str) -> str:
    """Return buttons to the page before and after, which send ``do``; nothing where there is only one page."""
    if n_pages < 2:
        return ""
    back, on = page - 1, page + 1
    return (
        f'<nav class="ch-pager" aria-label="{text(label)}">'
        f'<button type="button" class="ch-button" {action(do, page=back)} {"disabled" if back < 0 else ""}>'
        f"{icon('left')}Previous</button><span>{count(page + 1)} / {count(n_pages)}</span>"
        f'<button type="button" class="ch-button" {action(do, page=on)} '
        f"{'disabled' if on >= n_pages else ''}>Next{icon('right')}</button></nav>"
    )


def count(number: int, noun: str = "") -> str:
    """Write a number with thousands separators and its noun: ``1,500 images``, ``1 image``, ``2 classes``."""
    many = "es" if noun.endswith("s") else "s"
    return f"{number:,}" + (f" {noun}{'' if number == 1 else many}" if noun else "")


def percent(part: int, whole: int) -> str:
    """Write a share with as many digits as it deserves; ``0 %`` and ``100 %`` are said of nothing and all alone."""
    share = 100 * part / whole if whole else 0.0
    if share in (0, 100):
        return f"{share:.0f} %"
    if share < 0.05:
        return "under 0.1 %"
    if share >= 99.5:
        return "over 99 %"
    return f"{share:.1f} %" if share < 9.95 else f"{share:.0f} %"


def thumbnail_url(path: str) -> str:
    """Return the address of a file that the server may show, relative so that a URL prefix does no harm."""
    return "gradio_api/file=" + (path if _PLAIN_PATH.fullmatch(path) else text(quote(path)))
