"""REST and MCP: the public functions as endpoints and tools of the page's server, JSON in and out."""

import collections.abc
import dataclasses
import inspect
import json
import logging
import math
import re
from collections.abc import Callable
from typing import Any, get_args, get_origin, get_type_hints

import gradio as gr
import numpy as np

from concepthash.errors import ConceptHashError, DeviceError

from .api import Api
from .records import Photo, Thumbnail
from .sent_images import with_images
from .services.gate import BusyError, Gate, TooLateError
from .statuses import set_status

__all__ = ["FUNCTIONS", "Page", "as_json", "open_doors"]

FUNCTIONS = ("checkpoints", "classify", "explain", "match", "compose", "flip", "subcodes", "centers")
SORRY = "Something went wrong on our side; it has been noted. Please try once more."
IMAGE = 'The picture as base64 or a data: address, a file uploaded here, or "gallery:" and the id of a gallery image.'
STATUS = {BusyError: 503, DeviceError: 503, TooLateError: 504}  # of a REST answer; 422 for any other refusal

log = logging.getLogger("concepthash.explorer")


class Refused(gr.Error):
    """What an endpoint answers instead: one sentence, and nothing in the log."""

    def __init__(self, message: str) -> None:
        super().__init__(message, print_exception=False)

    def __str__(self) -> str:
        """Return the sentence; Gradio would put it in quotes."""
        return str(self.message)


class Page(gr.Blocks):
    """A page whose public functions may be called with their first values only, as in Python."""

    def validate_inputs(self, block_fn: Any, inputs: list[Any]) -> None:
        """Add the defaults of the values that a call leaves out, or say which one it needs."""
        if block_fn.api_name in FUNCTIONS:
            for parameter in _taken(getattr(Api, block_fn.api_name))[1:][len(inputs) :]:
                if parameter.default is parameter.empty:
                    name = block_fn.api_name
                    raise Refused(f"{name} needs a value for {parameter.name}; GET /gradio_api/info lists all of them.")
                inputs.append(parameter.default)
        super().validate_inputs(block_fn, inputs)


def open_doors(page: gr.Blocks, api: Api, gate: Gate) -> None:
    """Offer every public function as an endpoint and a tool of the page that is being built."""
    for name in FUNCTIONS:
        gr.api(_endpoint(getattr(api, name), page, gate), api_name=name, queue=False, concurrency_limit=None)


def as_json(value: Any) -> Any:
    """Turn records, arrays and what they hold into what JSON can say; pixels and paths stay behind, NaN is null."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        left_out = {Photo: "rgb", Thumbnail: "path"}.get(type(value))
        names = (field.name for field in dataclasses.fields(value) if field.name != left_out)
        return {name: as_json(getattr(value, name)) for name in names}
    if isinstance(value, (np.ndarray, np.generic)):
        plain = value.tolist()
        return plain if value.dtype.kind in "biu" or np.isfinite(value).all() else as_json(plain)
    if isinstance(value, (list, tuple)):
        return [as_json(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _endpoint(function: Callable[..., Any], page: gr.Blocks, gate: Gate) -> Callable[..., Any]:
    """Make the endpoint of a function: without what only the page may say, with images as JSON brings them."""
    taken = _taken(function)

    async def endpoint(request: gr.Request, *args: Any) -> Any:
        values = {parameter.name: value for parameter, value in zip(taken, args, strict=False)}
        try:
            answer = await gate.run(lambda: as_json(function(**with_images(values, page.upload_file_set))))
            return json.dumps(answer) if _is_tool(request) else answer
        except ConceptHashError as error:
            set_status(request, STATUS.get(type(error), 422))
            raise Refused(str(error)) from error
        except Exception as error:
            log.exception("The public function %s failed", function.__name__)
            set_status(request, 500)
            raise Refused(SORRY) from error

    own = inspect.Parameter("request", inspect.Parameter.POSITIONAL_OR_KEYWORD)
    hints = get_type_hints(function)
    endpoint.__name__ = endpoint.__qualname__ = function.__name__
    endpoint.__doc__ = _described(function)
    endpoint.__signature__ = inspect.Signature([own, *taken], return_annotation=Any)  # type: ignore[attr-defined]
    endpoint.__annotations__ = {p.name: _in_json(p.name, hints[p.name]) for p in taken} | {"request": gr.Request}
    return endpoint


def _taken(function: Callable[..., Any]) -> list[inspect.Parameter]:
    """List what a program may say to a function, and ``self`` where it is not bound."""
    return [p for p in inspect.signature(function).parameters.values() if p.kind is not p.KEYWORD_ONLY]


def _is_tool(request: Any) -> bool:
    """Whether the call came by MCP, which answers with a text: that of a Python object if Gradio wrote it."""
    return "/gradio_api/mcp" in request.url.path


def _in_json(name: str, hint: Any) -> Any:
    """Return what JSON gives for a type."""
    if name == "image":
        return str
    return list[get_args(hint)[0]] if get_origin(hint) is collections.abc.Sequence else hint  # type: ignore[misc]


def _described(function: Callable[..., Any]) -> str:
    """Write a numpydoc text the way in which Gradio reads descriptions of parameters."""
    sections = re.split(r"\n(\w+)\n-+\n", inspect.getdoc(function) or "")
    named = dict(zip(sections[1::2], sections[2::2], strict=True))
    entries = re.findall(r"^(\w+)\n((?: {4}.*\n?)+)", named.get("Parameters", ""), re.MULTILINE)
    parameters = "".join(f"\n{name}: {IMAGE if name == 'image' else _line(text)}" for name, text in entries)
    returns = re.sub(r"^.*\n", "", named.get("Returns", ""), count=1)
    return f"{_line(sections[0])} Answers: {_line(returns)}\n\nParameters:{parameters}"


def _line(text: str) -> str:
    return " ".join(text.split())
