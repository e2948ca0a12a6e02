"""The line at the foot of the page that says in words what is down; its script asks ``/health`` now and then."""

from pathlib import Path

import gradio as gr

from ..render.page import server_line as line

__all__ = ["server_line"]

SCRIPT = Path(__file__).resolve().parent.parent.parent / "assets" / "server.js"


def server_line() -> gr.HTML:
    """Put the line on the page; it takes no room, and shows only while something is down."""
    script = SCRIPT.read_text(encoding="utf-8")
    return gr.HTML(line(), js_on_load=script, elem_id="ch-server", apply_default_css=False, padding=False)
