"""How many bytes a request may bring, and all requests together: whatever is larger is refused while it arrives."""

import asyncio
import errno
import os
import shutil
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from starlette.datastructures import Headers
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

__all__ = ["BodyLimit"]

API = "/gradio_api/"
ENVELOPE = 1_000_000  # bytes around the files of a form
ROOM = 5_000_000  # bytes that uploads leave free on the disk
MOST = 2_000_000_000  # bytes of uploads that are kept at a time, if that is enough for two of the largest
MOST_FILES = 50_000  # two of the largest sets of images to train on, and some
COUNTED = 5.0  # seconds for which a count of what is kept holds, to which each upload since is added
LARGE = "This request is larger than {} MB, the most that this server reads."
BUSY = "Many large requests are being read at the moment; please try again in some seconds."
FULL = "This server cannot store more files at the moment; please try again later."
UNSTORED = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES)


class BodyLimit:
    """An ASGI layer: 413 for a body that is too large, 503 when all bodies together are, 507 where the disk is full.

    ``max_bytes`` counts for JSON, which is read into memory, ``max_form_bytes`` for forms of uploads, which go to
    ``folder``; ``max_all_bytes`` for all JSON that is being read and answered.
    """

    def __init__(self, app: ASGIApp, max_bytes: int, max_form_bytes: int, max_all_bytes: int, folder: Path) -> None:
        self.app, self._room = app, _Room(folder, max(MOST, 2 * (max_form_bytes + ENVELOPE)))
        self._max_bytes, self._max_form_bytes = max_bytes, max_form_bytes + ENVELOPE
        self._max_all_bytes, self._n_all = max_all_bytes, 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http" or scope["method"] not in ("POST", "PUT", "PATCH"):
            await self.app(scope, receive, send)
            return
        is_form = scope["path"].partition(API)[2] == "upload"
        limit = self._max_form_bytes if is_form else self._max_bytes
        declared = _declared(scope, limit)
        if is_form and declared <= limit and not await self._room.take(declared):
            await _refusal(FULL, 507)(scope, receive, send)
            return
        n_counted = 0 if is_form else min(declared, self._max_bytes)
        self._n_all += n_counted
        try:
            body = _Body(receive, send, lambda n: self._refused(is_form, max(n, declared)))
            await body.pass_on(self.app, scope)
        finally:
            self._n_all -= n_counted

    def _refused(self, is_form: bool, n_bytes: int) -> JSONResponse | None:
        """Say why a body of ``n_bytes`` is not read on."""
        limit = self._max_form_bytes if is_form else self._max_bytes
        if n_bytes > limit:
            return _refusal(LARGE.format(limit // 1_000_000), 413)
        return _refusal(BUSY, 503) if not is_form and self._n_all > self._max_all_bytes else None


class _Body:
    """Passes one request on until ``refused`` says, after so many bytes, what to answer instead."""

    def __init__(self, receive: Receive, send: Send, refused: Callable[[int], JSONResponse | None]) -> None:
        self._receive, self._send, self._refused = receive, send, refused
        self._n_read, self._has_begun = 0, False
        self._refusal = refused(0)

    async def pass_on(self, app: ASGIApp, scope: Scope) -> None:
        """Answer the request."""
        try:
            if self._refusal is None:
                await app(scope, self._read, self._answer)
        except Exception as error:
            if isinstance(error, OSError) and error.errno in UNSTORED:
                self._refusal = _refusal(FULL, 507)
            if self._refusal is None or self._has_begun:
                raise
        if self._refusal is not None and not self._has_begun:
            await self._refusal(scope, self._receive, self._send)

    async def _read(self) -> Message:
        message = await self._receive()
        self._n_read += len(message.get("body", b""))
        self._refusal = self._refusal or self._refused(self._n_read)
        if self._refusal is not None:
            raise _RefusedError
        return message

    async def _answer(self, message: Message) -> None:
        if self._refusal is None or self._has_begun:  # what the app makes of a body cut short is of no use
            self._has_begun = True
            await self._send(message)


class _Room:
    """The room for uploads in a folder, which need not be there yet; ``most`` bytes in all."""

    def __init__(self, folder: Path, most: int) -> None:
        self._folder, self._most = folder, most
        self._n_files, self._n_bytes, self._counted_at = 0, 0, -COUNTED
        self._counting = asyncio.Lock()

    async def take(self, n_bytes: int) -> bool:
        """Take the room for one more upload, or say that there is none."""
        async with self._counting:
            if time.monotonic() - self._counted_at >= COUNTED:
                self._n_files, self._n_bytes = await asyncio.to_thread(_stored, self._folder)
                self._counted_at = time.monotonic()
        there = next((parent for parent in (self._folder, *self._folder.parents) if parent.is_dir()), Path("/"))
        free = min(shutil.disk_usage(there).free, self._most - self._n_bytes)
        if free < n_bytes + ROOM or self._n_files >= MOST_FILES:
            return False
        self._n_files, self._n_bytes = self._n_files + 1, self._n_bytes + n_bytes
        return True


class _RefusedError(Exception):
    """Ends the reading of a body."""


def _declared(scope: Scope, unknown: int) -> int:
    length = Headers(scope=scope).get("content-length", "")
    return int(length[:16]) if length.isascii() and length.isdigit() else unknown


def _stored(folder: Path) -> tuple[int, int]:
    """Count the files below a folder, and their bytes."""
    n_files = n_bytes = 0
    for parent, _, names in os.walk(folder):  # passes over folders that are deleted meanwhile
        for name in names:
            with suppress(OSError):  # deleted meanwhile
                n_bytes += os.lstat(os.path.join(parent, name)).st_size
                n_files += 1
    return n_files, n_bytes


def _refusal(sentence: str, status: int) -> JSONResponse:
    headers = {"Retry-After": "5"} if status == 503 else None
    return JSONResponse({"error": sentence, "detail": sentence}, status, headers)
