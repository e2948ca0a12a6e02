"""Visitors of a running server: each asks about its own images and knows what the answers must be."""

import asyncio
import base64
import functools
import io
import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import orjson
from PIL import Image

__all__ = ["Asked", "Tally", "is_same", "pictures", "visit"]

JSON = {"Content-Type": "application/json"}


@dataclass(frozen=True)
class Asked:
    """A call, the picture it is about, and the right answer; ``values`` follow the image in the call's data."""

    name: str
    picture: bytes
    values: tuple[Any, ...] = ()
    expected: Any = None

    @functools.cached_property
    def body(self) -> bytes:
        """What is sent; made once, since the visitors' work takes time from the server's."""
        return orjson.dumps({"data": [base64.b64encode(self.picture).decode(), *self.values]})


class Tally:
    """What came back: seconds of each call, calls that failed, and answers that were not those of the image."""

    def __init__(self) -> None:
        self.seconds: list[float] = []
        self.errors: list[str] = []
        self.wrong: list[str] = []

    def add(self, other: "Tally") -> None:
        """Take in what came back elsewhere."""
        self.seconds += other.seconds
        self.errors += other.errors
        self.wrong += other.wrong


def pictures(files: Sequence[Path], n: int) -> list[bytes]:
    """Cut ``n`` photos, each of another file and with another border, into new JPEG files."""
    random, made = np.random.default_rng(0), []
    for i in range(n):
        with Image.open(files[i % len(files)]) as image:
            left, top, right, bottom = random.integers(1, 20, 4)
            part = image.convert("RGB").crop((left, top, image.width - right, image.height - bottom))
        file = io.BytesIO()
        part.save(file, "JPEG", quality=90)
        made.append(file.getvalue())
    return made


def is_same(answer: Any, expected: Any) -> bool:
    """Compare answers: numbers to 0.0001, everything else exactly."""
    if isinstance(expected, float):
        return isinstance(answer, (int, float)) and math.isclose(answer, expected, rel_tol=1e-4, abs_tol=1e-4)
    if isinstance(expected, dict):
        return isinstance(answer, dict) and answer.keys() == expected.keys() and is_same_items(answer, expected)
    if isinstance(expected, list):
        pairs = (
            zip(answer, expected, strict=True) if isinstance(answer, list) and len(answer) == len(expected) else None
        )
        return pairs is not None and all(is_same(*pair) for pair in pairs)
    return bool(answer == expected)


def is_same_items(answer: dict[str, Any], expected: dict[str, Any]) -> bool:
    return all(is_same(answer[key], value) for key, value in expected.items())


async def visit(address: str, calls: Sequence[Asked], tally: Tally, until: float, n_calls: float = math.inf) -> None:
    """Ask the calls in turn, again and again until a time of ``time.monotonic`` or ``n_calls``; check every answer."""
    async with httpx.AsyncClient(base_url=address, timeout=120, verify=False, trust_env=False) as client:
        number = 0
        while time.monotonic() < until and number < n_calls:
            await _ask(client, calls[number % len(calls)], tally)
            number += 1
            await asyncio.sleep(0)


async def _ask(client: httpx.AsyncClient, asked: Asked, tally: Tally) -> None:
    started = time.perf_counter()
    try:
        answer = await client.post(f"gradio_api/run/{asked.name}", content=asked.body, headers=JSON)
    except httpx.HTTPError as error:
        tally.errors.append(f"{asked.name}: {type(error).__name__}")
        return
    tally.seconds.append(time.perf_counter() - started)
    if answer.status_code != 200:
        tally.errors.append(f"{asked.name}: {answer.status_code} {answer.text[:200]}")
    elif not is_same(orjson.loads(answer.content)["data"][0], asked.expected):
        tally.wrong.append(f"{asked.name}: {answer.text[:200]}")
