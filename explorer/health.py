"""``GET /health``: how the running app stands, for monitors and for the page, which says in words what is down."""

import asyncio
import logging
import time
import uuid
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from .services.gate import Gate
from .services.health import Health

__all__ = ["HealthRoute"]

_log = logging.getLogger(__name__)
FRESH = 2.0  # seconds for which an answer of the parts is good
WAITS = 0.5  # seconds that one who asks waits for a newer one
SILENT = 6.0  # seconds after which a part that has not answered counts as down
SLOW = "Something that the answers need does not respond; see the server's log."
FULL = "More people are asking than this server can answer; please try again in a minute."


class HealthRoute:
    """Answers from what the parts said last; they are asked in a thread of their own, so a slow one keeps nobody.

    ``look`` asks the parts; ``page`` is the ``gr.Blocks`` whose queue is counted; ``gate`` counts programs' calls.
    """

    def __init__(self, look: Callable[[], Health], page: Any, gate: Gate) -> None:
        self._look, self._queue, self._gate, self._process = look, page._queue, gate, uuid.uuid4().hex
        self._thread = ThreadPoolExecutor(1, "health")
        self._known, self._asked = look(), time.monotonic()
        self._asking: Future[Health] | None = None

    @property
    def route(self) -> Route:
        """What the app adds to its routes."""
        return Route("/health", self.answer, methods=["GET"])

    async def answer(self, request: Request) -> JSONResponse:
        """Say how things stand: 200, or 503 where questions cannot be answered."""
        await self._ask()
        troubles, can_answer = list(self._known.troubles), self._known.can_answer
        if self._asking is not None and time.monotonic() - self._asked > SILENT:
            troubles.append(SLOW)
        waiting, limit = len(self._queue), self._queue.max_size
        if (limit is not None and waiting >= limit) or self._gate.is_full:
            troubles.append(FULL)
            can_answer = False
        state = {
            "status": "degraded" if troubles or not can_answer else "ok",
            "model": self._known.model,
            "device": self._known.device,
            "gallery": self._known.gallery,
            "engine": self._known.engine,
            "queue": {"waiting": waiting, "running": sum(map(len, filter(None, self._queue.active_jobs)))},
            "calls": {"waiting": self._gate.waiting, "running": self._gate.running},
            "troubles": troubles,
            "page": f"{self._process} {self._known.gallery}",  # a page that was loaded under another one is out of date
        }
        return JSONResponse(state, 200 if can_answer else 503, {"Cache-Control": "no-store"})

    async def _ask(self) -> None:
        now = time.monotonic()
        if self._asking is None and now - self._asked >= FRESH:
            self._asking, self._asked = self._thread.submit(self._look_on), now
        asking = self._asking
        if asking is None:
            return
        await asyncio.wait([asyncio.wrap_future(asking)], timeout=WAITS if now - self._asked < SILENT else 0)
        if asking.done() and self._asking is asking:
            self._known, self._asking = asking.result(), None

    def _look_on(self) -> Health:
        try:
            return self._look()
        except Exception:
            _log.exception("Looking at the parts of the app failed")
            return replace(self._known, troubles=(SLOW,))
