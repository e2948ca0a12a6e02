"""What the server does with an address that is longer than any link: send the visitor on, instead of failing."""

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from .link import LONG, MAX_LENGTH

__all__ = ["ShortenLongLinks"]

MAX_QUERY = 2 * MAX_LENGTH  # bytes; somebody else's parameters may stand beside the link
Message = MutableMapping[str, Any]
App = Callable[[Message, Callable[[], Awaitable[Message]], Callable[[Message], Awaitable[None]]], Awaitable[None]]


class ShortenLongLinks:
    """An ASGI layer that answers a query of more than `MAX_QUERY` bytes with the address of a page that says so."""

    def __init__(self, app: App) -> None:
        self.app = app

    async def __call__(
        self, scope: Message, receive: Callable[[], Awaitable[Message]], send: Callable[[Message], Awaitable[None]]
    ) -> None:
        """Pass everything on, except for what is too long."""
        if scope["type"] != "http" or len(scope["query_string"]) <= MAX_QUERY:
            await self.app(scope, receive, send)
            return
        headers = [(b"location", f"?v={LONG}".encode()), (b"content-length", b"0"), (b"cache-control", b"no-store")]
        await send({"type": "http.response.start", "status": 303, "headers": headers})
        await send({"type": "http.response.body", "body": b""})
