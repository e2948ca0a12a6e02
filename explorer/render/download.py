"""A file made on request, as a link that the page follows by itself once."""

import base64
import uuid

from .markup import text

__all__ = ["download_link"]


def download_link(content: bytes, name: str, kind: str) -> str:
    """Return a hidden link to ``content``; every call makes another one, so that the same file can be had again."""
    address = f"data:{kind};base64,{base64.b64encode(content).decode('ascii')}"
    once = uuid.uuid4().hex
    return (
        f'<a class="ch-hidden" tabindex="-1" data-follow="{once}" download="{text(name)}" href="{address}">'
        f"{text(name)}</a>"
    )
