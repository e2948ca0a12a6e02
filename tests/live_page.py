"""The page in this process, with everything that ``app.py`` puts round it, for tests that reach into its services."""

import asyncio
import gc
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

from app_process import free_port

from app import build
from explorer.services import Services

LEAKS = ("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")  # of a running page


@contextmanager
def live_page(services: Services) -> Iterator[str]:
    """Serve a page over ``services`` on a free port, and give its address."""
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)  # Gradio would make one here, and leave it open
    page, options = build(services)
    page.launch(**options | {"server_port": free_port(), "quiet": True})
    try:
        yield str(page.local_url)
    finally:
        page.close(verbose=False)
        services.training.close()
        asyncio.set_event_loop(None)
        loop.close()
        with warnings.catch_warnings():  # Gradio leaves sockets behind, which no later test should trip over
            warnings.simplefilter("ignore")
            del page
            gc.collect()
