"""How much one sender may ask in a minute: whoever asks more is told when to come back."""

import math
import time
from collections import OrderedDict
from collections.abc import Callable

from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from .callers import address_of

__all__ = ["Allowance", "RateLimit"]

DOORS = ("/run/", "/api/", "/call/", "/mcp", "/upload")  # below /gradio_api: calls of public functions, and files
PAGE = 1 / 8  # of a call; about eight listeners of the page answer one click
MANY = 10_000  # senders that are remembered


class Allowance:
    """What every sender has left: ``per_minute`` calls at first, which come back evenly within a minute."""

    def __init__(self, per_minute: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._per_minute, self._clock = per_minute, clock
        self._left: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def take(self, sender: str, calls: float) -> float:
        """Take ``calls`` and return 0, or take nothing and return the seconds until there are as many."""
        now = self._clock()
        left, since = self._left.pop(sender, (self._per_minute, now))
        left = min(self._per_minute, left + (now - since) * self._per_minute / 60)
        wait = max(0.0, (calls - left) * 60 / self._per_minute)
        self._left[sender] = (left if wait else left - calls, now)
        if len(self._left) > MANY:
            self._left.popitem(last=False)
        return wait


class RateLimit:
    """An ASGI layer that answers 429 with the seconds to wait; a ``per_minute`` of 0 lets everybody ask."""

    def __init__(self, app: ASGIApp, per_minute: float, is_behind_proxy: bool = False) -> None:
        self.app, self._is_behind_proxy = app, is_behind_proxy
        self._allowance = Allowance(per_minute) if per_minute else None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        calls = _calls(scope) if self._allowance else 0
        wait = self._allowance.take(address_of(scope, self._is_behind_proxy), calls) if self._allowance and calls else 0
        if not wait:
            await self.app(scope, receive, send)
            return
        seconds = math.ceil(wait)
        told = f"That was more than one visitor may ask in a minute; please try again in {seconds} s."
        refusal = JSONResponse({"error": told, "detail": told}, 429, {"Retry-After": str(seconds)})
        await refusal(scope, receive, send)


def _calls(scope: Scope) -> float:
    """Return what a request costs: one call, part of one for a listener of the page, or nothing."""
    _, api, path = scope.get("path", "").partition("/gradio_api")
    if scope["type"] != "http" or scope["method"] != "POST" or not api:
        return 0
    return 1 if path.startswith(DOORS) else PAGE
