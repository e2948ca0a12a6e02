"""A plot whose points can be clicked and enclosed: they send the same event, ``act``, as a piece of the page does."""

import importlib.util
from functools import lru_cache
from pathlib import Path
from typing import Any
from urllib.parse import quote

import gradio as gr

from ..render.markup import text

__all__ = ["plot"]

SCRIPT = Path(__file__).resolve().parent.parent.parent / "assets" / "plot.js"


def plot(value: str = "", *, height: int = 480, **options: Any) -> gr.HTML:
    """Make a plot; ``height`` in pixels is kept free until the first value says how high it is.

    The value is JSON text: ``data`` and ``layout`` as plotly writes them, whose points carry ``customdata`` (text),
    ``narrow`` (what changes in the layout on a phone) and ``label`` (what a screen reader says). A text ``var(--name)``
    in it takes the theme's color of that name. A click triggers ``act`` as ``point`` with ``key``; a box or lasso as
    ``lasso`` with ``keys``, which are empty when the selection is taken back.
    """
    library = _library()
    gr.set_static_paths([library])
    address = text("gradio_api/file=" + quote(library.as_posix()))
    return gr.HTML(
        value,
        html_template=f'<div class="ch-plot" style="height:{int(height)}px" data-script="{address}"></div>',
        js_on_load=_script(),
        apply_default_css=False,
        padding=False,
        **options,
    )


@lru_cache(maxsize=1)
def _library() -> Path:
    """Return plotly's script, which comes with its Python package; the package itself need not be imported."""
    package = importlib.util.find_spec("plotly")
    if package is None or package.origin is None:
        raise ImportError("The package plotly is missing; run: pip install -r requirements.txt")
    return (Path(package.origin).parent / "package_data" / "plotly.min.js").resolve()


@lru_cache(maxsize=1)
def _script() -> str:
    return SCRIPT.read_text(encoding="utf-8")
