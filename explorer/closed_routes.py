"""Routes of Gradio's that the page does not use, and that would let visitors run, write or see more than it offers."""

import os
from collections.abc import Collection

from starlette.datastructures import QueryParams
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

__all__ = ["CloseRoutes"]

API = "/gradio_api/"
CLOSED = (
    "process_recording",  # runs ffmpeg on what is sent
    "component_server",  # keeps files of senders who hang up for ever
    "upload_progress",  # keeps every name that is asked for, and so does an upload with such a name
    "deep_link",  # writes a whole session to the disk, readable by whoever has its address
    "proxy=",
    "vibe-",
    "run-history",
    "runs",
    "profiling",
    "custom_component",
)
FILES = ("file=", "file/")
LONGEST = 255  # bytes of a file's name


class CloseRoutes:
    """An ASGI layer that answers 404 for them, and for files that visitors ``uploaded``, which nobody reads back."""

    def __init__(self, app: ASGIApp, uploaded: Collection[str]) -> None:
        self.app, self._uploaded = app, uploaded

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] == "http" and self._is_closed(scope["path"], scope["query_string"]):
            await JSONResponse({"detail": "There is nothing here."}, 404)(scope, receive, send)
        else:
            await self.app(scope, receive, send)

    def _is_closed(self, path: str, query: bytes) -> bool:
        if "/monitoring" in path and API not in path:
            return True
        if "\0" in path or any(len(part.encode(errors="replace")) > LONGEST for part in path.split("/")):
            return True  # no file is called that, and Gradio stumbles over it
        name = path.partition(API)[2]
        if name.startswith("upload") and "upload_id" in QueryParams(query):
            return True
        is_file = name.startswith(FILES)
        return name.startswith(CLOSED) or (is_file and os.path.realpath(name[len(FILES[0]) :]) in self._uploaded)
