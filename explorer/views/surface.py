"""A piece of the page written by render: its buttons and fields send one event, ``act``, to Python."""

from functools import lru_cache
from pathlib import Path
from typing import Any

import gradio as gr

__all__ = ["ASKS_MODEL", "SHOWS", "WRITES", "page_of", "send_of", "surface"]

# How a listener that writes the session runs: every click counts, and one after the other, so that none undoes another.
WRITES: dict[str, Any] = {
    "concurrency_id": "session",
    "concurrency_limit": 1,
    "trigger_mode": "multiple",
    "show_progress": "hidden",
    "api_visibility": "private",
}
# How a listener that shows the session runs: one at a time per visitor and the last change always, so that a late
# answer never overwrites a newer one (it reads the session when it starts, not when it was asked).
SHOWS: dict[str, Any] = {"trigger_mode": "always_last", "api_visibility": "private"}
# The same for one that may call the model; equal questions of several visitors wait for one answer in the services.
ASKS_MODEL: dict[str, Any] = SHOWS | {"concurrency_id": "model", "concurrency_limit": 2}
SCRIPT = Path(__file__).resolve().parent.parent.parent / "assets" / "surface.js"


def surface(value: str = "", **options: Any) -> gr.HTML:
    """Make a piece of the page whose elements with ``data-do`` trigger ``act`` with that name and their values.

    A function, since Gradio writes a stub file beside every module that derives from one of its components.
    """
    return gr.HTML(value, js_on_load=_script(), apply_default_css=False, padding=False, **options)


def send_of(event: gr.EventData) -> tuple[str, dict[str, Any]]:
    """Return name and values of an ``act`` event; what a browser sends is not trusted to be either."""
    data = event._data if isinstance(event._data, dict) else {}
    values = data.get("values")
    return str(data.get("do", "")), values if isinstance(values, dict) else {}


def page_of(values: dict[str, Any]) -> int:
    """Return the page number in ``values``, 0 where there is none."""
    return max(0, int(values.get("page", 0)))


@lru_cache(maxsize=1)
def _script() -> str:
    return SCRIPT.read_text(encoding="utf-8")
