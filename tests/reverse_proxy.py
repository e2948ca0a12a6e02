"""A reverse proxy that shows an app under a prefix, as nginx would, and a page of another origin that frames it."""

import threading
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

import httpx
import uvicorn
from app_process import free_port
from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

METHODS = ["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS"]
OWN = {"host", "connection", "transfer-encoding", "keep-alive"}  # headers of one connection only


class ReverseProxy:
    """Passes what comes below ``prefix`` on without it; everything else is not there, and is listed in ``strays``."""

    def __init__(self, target: str, prefix: str) -> None:
        self.target, self.prefix, self.strays = target.rstrip("/"), prefix, []
        self.strays: list[str]
        self.port = free_port()

    @property
    def app(self) -> Starlette:
        return Starlette(
            routes=[
                Route(f"{self.prefix}/{{path:path}}", self._forward, methods=METHODS),
                Route("/frame", self._frame),
                Route("/favicon.ico", lambda request: PlainTextResponse("", 204)),
                Route("/{path:path}", self._stray, methods=METHODS),
            ],
            lifespan=self._lifespan,
        )

    @asynccontextmanager
    async def _lifespan(self, app: Starlette) -> AsyncIterator[None]:
        async with httpx.AsyncClient(timeout=None, trust_env=False) as self._client:
            yield

    async def _forward(self, request: Request) -> Response:
        headers = [(k, v) for k, v in request.headers.items() if k not in OWN]
        headers += [("x-forwarded-host", request.headers["host"]), ("x-forwarded-proto", "http")]
        query = f"?{request.url.query}" if request.url.query else ""
        path = request.scope["raw_path"].decode().split("?")[0].removeprefix(self.prefix)
        asked = self._client.build_request(
            request.method, self.target + path + query, headers=headers, content=await request.body()
        )
        answer = await self._client.send(asked, stream=True)
        passed = {k: v for k, v in answer.headers.items() if k not in OWN}
        return StreamingResponse(
            answer.aiter_raw(), answer.status_code, passed, background=BackgroundTask(answer.aclose)
        )

    async def _frame(self, request: Request) -> Response:
        address = f"http://127.0.0.1:{self.port}{self.prefix}/?{request.url.query}"
        return HTMLResponse(
            f'<!doctype html><html lang="en"><title>Another site</title><style>*{{margin:0}}</style>'
            f'<iframe title="app" src="{address}" style="border:0;width:100%;height:880px"></iframe></html>'
        )

    async def _stray(self, request: Request) -> Response:
        self.strays.append(request.url.path)
        return PlainTextResponse("nothing here", 404)


@contextmanager
def proxying(target: str, prefix: str) -> Iterator[ReverseProxy]:
    """Run a proxy in a thread."""
    proxy = ReverseProxy(target, prefix)
    config = uvicorn.Config(proxy.app, "127.0.0.1", proxy.port, log_level="error", timeout_graceful_shutdown=1)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        assert thread.is_alive()
        time.sleep(0.02)
    yield proxy
    server.should_exit = True
    thread.join(10)
