"""The frame of the page: header, status line, and the notice about pictures that are no photographs."""

from ..records import ModelInfo
from .markup import count, icon, text

__all__ = ["gallery_notice", "header", "server_line", "status_line", "theme_switch"]

_LOGO = (
    '<svg class="ch-logo" viewBox="0 0 40 40" width="40" height="40" aria-hidden="true" focusable="false">'
    '<rect width="40" height="40" rx="11" class="ch-logo-back"/>'
    '<rect x="8" y="8" width="11" height="11" rx="3" fill="#E69F00"/>'
    '<rect x="21" y="8" width="11" height="11" rx="5.5" fill="#56B4E9"/>'
    '<rect x="8" y="21" width="11" height="11" rx="5.5" fill="#009E73"/>'
    '<rect x="21" y="21" width="11" height="11" rx="3" fill="#CC79A7"/></svg>'
)


_WARNINGS = {
    "bundled": "A model trained on rendered pictures knows little about photographs: expect odd answers to yours.",
    "examples": "A model trained on photographs knows little about drawings: expect odd answers here.",
}


def header(status: str = "") -> str:
    """Return name and purpose of the app above the ``status`` line."""
    return (
        f'<div class="ch-brand">{_LOGO}<div><h1>ConceptHash Explorer</h1>'
        "<p>See what each concept of a hash code looks at, and find images by one concept alone.</p>"
        f"{status}</div></div>"
    )


def theme_switch() -> str:
    """Return the button that turns the page dark and light again."""
    return (
        '<button type="button" class="ch-button is-icon" data-theme="switch" title="Light or dark" '
        f'aria-label="Switch between light and dark">{icon("contrast")}</button>'
    )


def status_line(info: ModelInfo) -> str:
    """Return one line on what is running: device, model, code, gallery."""
    facts = (
        info.device.upper(),
        info.name,
        f"{count(info.n_concepts, 'concept')} × {count(info.bits_per_concept, 'bit')}",
        count(info.n_classes, "class"),
        count(info.n_gallery, "image"),
    )
    items = "".join(f"<li>{text(fact)}</li>" for fact in facts)
    return f'<ul class="ch-status" aria-label="What is running">{items}</ul>'


def server_line() -> str:
    """Return the place where the page says that the server is away, or what of it is down."""
    return '<div class="ch-server" role="status" aria-live="polite"></div>'


def gallery_notice(info: ModelInfo) -> str:
    """Say that the pictures are rendered or drawn, and how to open one's own; nothing where one's own are open."""
    if info.gallery_kind == "own":
        return ""
    lead = f"<strong>{text(info.foreign_gallery)}</strong> " if info.foreign_gallery else ""
    shown = f"{count(info.n_gallery)} drawn example birds"
    if info.gallery_kind == "bundled":
        shown = f"{text(info.gallery_name)}: {count(info.n_gallery, 'rendered picture')}, not photographs"
    return (
        f'<details class="ch-tip"><summary><span>{lead}You are looking at {shown}. '
        "<u>Use your own photos</u></span></summary><div>"
        "<p>Turn a folder with one subfolder per class into a gallery, then open it. Photos stay on this computer.</p>"
        '<pre tabindex="0" role="region" aria-label="Commands"><code>python -m concepthash.encode '
        f"--checkpoint checkpoints/{text(info.name)} --data PHOTOS --out my-gallery\n"
        f"python app.py --checkpoint {text(info.name)} --gallery my-gallery</code></pre>"
        f"<p>{_WARNINGS[info.gallery_kind]}</p></div></details>"
    )
