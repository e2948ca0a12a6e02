"""Questions that make no sense, put to every public function through every door, and what any answer must be like."""

import base64
import inspect
import io
import json
from dataclasses import dataclass
from typing import Any

import httpx
import numpy as np
from hypothesis import strategies as st
from PIL import Image

from explorer.api import Api
from explorer.doors import FUNCTIONS

__all__ = ["DOORS", "Question", "ask", "questions", "sensible"]

DOORS = ("run", "call", "mcp")
SECONDS = 60.0  # until an answer must be there
PARAMETERS = {
    name: [p for p in inspect.signature(getattr(Api, name)).parameters.values() if p.kind is not p.KEYWORD_ONLY][1:]
    for name in FUNCTIONS
}
MCP_HEADERS = {"Accept": "application/json, text/event-stream"}


def _drawn() -> str:
    file = io.BytesIO()
    Image.fromarray(np.arange(40 * 30 * 3, dtype=np.uint8).reshape(30, 40, 3)).save(file, "PNG")
    return base64.b64encode(file.getvalue()).decode()


PICTURE = _drawn()
WORDS = ("", "gallery:", "gallery:../../etc/passwd", "upload:", "guest:" + "0" * 32, "/etc/passwd", "app.py", "data:")
WORDS += (
    "exact",
    "differ",
    "rollout",
    "gradient",
    "hamming",
    "none",
    "dictionary",
    "scatter",
    "pca",
    "0.1",
    "' OR 1=1--",
)
odd_numbers = st.one_of(
    st.integers(-3, 12), st.integers(), st.sampled_from([2**31, 2**63, -(2**63) - 1, 10**40, 1e308, -0.0]), st.floats()
)
odd_texts = st.one_of(
    st.sampled_from(WORDS), st.text(max_size=40), st.sampled_from(["\ud800", "\0", "<script>", "é" * 5000, "%s%n{0}"])
)
images = st.one_of(st.just(PICTURE), st.just(f"data:image/png;base64,{PICTURE}"), st.just(PICTURE[:60]), odd_texts)
simple = st.one_of(st.none(), st.booleans(), odd_numbers, odd_texts)
parts = st.lists(
    st.dictionaries(
        st.sampled_from(["image", "concept", "radius", "differs", "x"]), st.one_of(images, simple), max_size=5
    ),
    max_size=4,
)
nested = st.recursive(
    simple,
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=8,
)
odd = st.one_of(
    simple,
    images,
    parts,
    nested,
    st.sampled_from([{"path": "/etc/passwd"}, {"path": None}, {"url": "http://127.0.0.1:1/"}, [[]] * 50, [0] * 2000]),
)
GIVEN: dict[str, Any] = {
    "image": PICTURE,
    "concept": 0,
    "parts": [{"image": PICTURE, "concept": 0}],
    "projection": "pca",
}


def sensible(function: str) -> list[Any]:
    """Values of a call that has an answer: every parameter's own where it has one."""
    values = [GIVEN.get(p.name, p.default) for p in PARAMETERS[function]]
    return [list(value) if isinstance(value, tuple) else value for value in values]


@dataclass(frozen=True)
class Question:
    """A call of one function: its values in order, or by name for MCP."""

    function: str
    values: Any


@st.composite
def questions(draw: st.DrawFn) -> Question:
    """Draw a call that is right but for a few values, or a body that is no call at all."""
    function = draw(st.sampled_from(FUNCTIONS))
    values = sensible(function)
    for at in draw(st.lists(st.integers(0, max(len(values) - 1, 0)), max_size=3)):
        values[at : at + 1] = [draw(odd)]
    kind = draw(st.sampled_from(["call"] * 8 + ["short", "long", "body"]))
    if kind == "body":
        return Question(draw(st.sampled_from([*FUNCTIONS, "nothing", "..", "predict"])), draw(odd))
    return Question(function, {"call": values, "short": values[:-1], "long": [*values, draw(odd)]}[kind])


def ask(client: httpx.Client, door: str, question: Question) -> str:
    """Put a question through a door, check that the answer is one, and say how it was meant: answered or refused."""
    answer = {"run": _run, "call": _call, "mcp": _mcp}[door](client, question)
    said = f"{door} {question}: {answer.status_code} {answer.text[:500]}"
    assert answer.status_code < 500, said
    assert "Traceback" not in answer.text and "site-packages" not in answer.text, said
    assert "root:x:0" not in answer.text, said
    return "answered" if _is_answer(answer, door) else "refused"


def _run(client: httpx.Client, question: Question) -> httpx.Response:
    answer = client.post(f"/gradio_api/run/{question.function}", **_body({"data": question.values}))
    json.loads(answer.text, parse_constant=_refuse_constant)
    return answer


def _call(client: httpx.Client, question: Question) -> httpx.Response:
    begun = client.post(f"/gradio_api/call/{question.function}", **_body({"data": question.values}))
    if begun.status_code != 200:
        return begun
    return client.get(f"/gradio_api/call/{question.function}/{begun.json()['event_id']}")


def _mcp(client: httpx.Client, question: Question) -> httpx.Response:
    values = question.values
    names = [p.name for p in PARAMETERS.get(question.function, ())] + ["x"]
    arguments = dict(zip(names, values, strict=False)) if isinstance(values, list) else values
    call = {"name": question.function, "arguments": arguments}
    asked = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": call}
    return client.post("/gradio_api/mcp/", **_body(asked, MCP_HEADERS))


def _body(value: Any, headers: dict[str, str] | None = None) -> dict[str, Any]:
    """Write JSON as Python does: NaN and lone surrogates included."""
    content = json.dumps(value).encode()
    return {"content": content, "headers": {"Content-Type": "application/json", **(headers or {})}}


def _is_answer(answer: httpx.Response, door: str) -> bool:
    if door == "call":
        return "event: complete" in answer.text
    return answer.status_code == 200 and '"isError":true' not in answer.text.replace(" ", "")


def _refuse_constant(name: str) -> None:
    raise AssertionError(f"{name} is no JSON")
