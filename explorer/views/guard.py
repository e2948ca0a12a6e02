"""One decorator that turns every failure into a sentence, so that a visitor's selection is never lost."""

import functools
import html
import logging
from collections.abc import Callable
from typing import Any, TypeVar

import gradio as gr

from ..render.markup import notice
from ..services import ConceptHashError

__all__ = ["guarded", "in_place", "unchanged"]

F = TypeVar("F", bound=Callable[..., Any])
SORRY = "Something went wrong on our side; it has been noted. Your selection is kept: please try once more."

log = logging.getLogger("concepthash.explorer")


def in_place(message: str) -> str:
    """Show the message where the answer would have been."""
    return notice(message)


def unchanged(message: str) -> Any:
    """Warn, and leave everything as it was."""
    gr.Warning(html.escape(message), title="Not done")
    return gr.skip()


def guarded(answer: Callable[[str], Any]) -> Callable[[F], F]:
    """Let ``answer`` make something of the message when the decorated listener fails."""

    def decorate(listener: F) -> F:
        @functools.wraps(listener)
        def guard(*args: Any, **kwargs: Any) -> Any:
            try:
                return listener(*args, **kwargs)
            except ConceptHashError as error:
                return answer(str(error))
            except Exception:
                log.exception("A listener failed: %s", listener.__qualname__)
                return answer(SORRY)

        return guard  # type: ignore[return-value]

    return decorate
