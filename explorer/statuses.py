"""Honest status codes of REST answers: whatever fails in an endpoint, Gradio would call it 500."""

import logging
from collections.abc import MutableMapping
from typing import Any

from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

__all__ = ["HonestStatus", "set_status"]

log = logging.getLogger("concepthash.explorer")

KEY = "concepthash.status"
CALLS = tuple(f"/gradio_api/{door}" for door in ("run/", "api/", "call/", "queue/join", "mcp", "upload"))
UNREADABLE = (
    "This call does not fit the function: too few values, a name it does not know, or no file where one belongs. "
    "GET /gradio_api/info lists all functions with their parameters."
)


def set_status(request: Any, status: int) -> None:
    """Say which status the failure of this request deserves."""
    scope: MutableMapping[str, Any] = getattr(request, "request", request).scope
    if KEY in scope:
        scope[KEY]["status"] = status


class HonestStatus:
    """Gives failed calls the status that the endpoint has set; a call that never reached it was malformed: 400."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http" or not any(path in scope["path"] for path in CALLS):
            await self.app(scope, receive, send)
            return
        known: dict[str, int] = scope.setdefault(KEY, {})
        unreadable, has_begun, is_unreadable, has_ended = JSONResponse({"error": UNREADABLE}, 400), False, False, False

        async def answer(message: Message) -> None:
            nonlocal has_begun, is_unreadable, has_ended
            has_ended = message["type"] == "http.response.body" and not message.get("more_body", False)
            if message["type"] == "http.response.start" and message["status"] == 500:
                if "status" not in known:
                    has_begun = is_unreadable = True
                    await unreadable(scope, receive, send)
                message = {**message, "status": known.get("status", 400)}
            if not is_unreadable:
                has_begun = True
                await send(message)

        try:
            await self.app(scope, receive, answer)
        except OSError:
            raise  # such as a full disk, of which the layer round this one speaks
        except Exception as error:
            log.warning("A call could not be read: %s", type(error).__name__)
            if not has_begun:
                await unreadable(scope, receive, send)
            elif not has_ended:  # a stream that has said what is wrong, and that Gradio would tear off
                await send({"type": "http.response.body"})
