"""The parts of the page that speak of its link: the button that copies it, the notice about one, and the keys."""

from .markup import icon, text

__all__ = ["copy_button", "keys_button", "link_notice"]

_KEYS = (
    (("1", "…", "9"), "Choose a concept on the open tab; on Match: it has to agree exactly, or no longer"),
    (("0",), "All concepts, on Explain"),
    (("←", "→", "↑", "↓"), "Walk through results, the strip or the cells, once one of them has the focus"),
    (("Enter",), "Use what has the focus"),
    (("Tab",), "Go to the next control; in a row of bits the arrow keys go on from there"),
    (("?",), "Show this list"),
    (("Esc",), "Close it"),
)


def copy_button(keys: tuple[str, ...]) -> str:
    """Return the button that copies the address of this screen; ``keys`` are the parameters that are ours in it."""
    return (
        f'<div data-keys="{text(" ".join(keys))}">'
        '<button type="button" class="ch-button" data-copy title="Copy a link to this screen" '
        f'aria-label="Copy link">{icon("link")}<span>Copy link</span></button>'
        '<div class="ch-link-said"><p role="status" aria-live="polite"></p>'
        '<input class="ch-link-field" type="text" readonly hidden aria-label="Link to this screen"></div></div>'
    )


def keys_button() -> str:
    """Return the button that lists all keys, and the list."""
    rows = "".join(
        f"<div><dt>{' '.join(k if k == '…' else f'<kbd>{text(k)}</kbd>' for k in keys)}</dt><dd>{text(what)}</dd></div>"
        for keys, what in _KEYS
    )
    return (
        '<button type="button" class="ch-button" data-keys-open aria-haspopup="dialog" title="List all keys (?)" '
        f'aria-label="Keys">{icon("keys")}<span>Keys</span></button>'
        '<dialog class="ch-keys" aria-labelledby="ch-keys-title"><div class="ch-keys-head">'
        '<h2 id="ch-keys-title">Keys</h2><button type="button" class="ch-button is-icon" data-keys-close '
        f'aria-label="Close">{icon("close")}</button></div><dl>{rows}</dl>'
        '<label><input type="checkbox" data-keys-on checked> Single keys work on this page</label>'
        '<p class="ch-hint">Keys are left alone while you type, and with Ctrl, Alt or ⌘.</p></dialog>'
    )


def link_notice(sentence: str) -> str:
    """Say what of a link could not be used, until somebody closes it."""
    if not sentence:
        return ""
    return (
        f'<div class="ch-link-notice"><p>{text(sentence)}</p><button type="button" class="ch-button is-icon" '
        f'data-dismiss aria-label="Close this notice">{icon("close")}</button></div>'
    )
