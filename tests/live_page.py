"""The page in this process, with everything that ``app.py`` puts round it, for tests that reach into its services."""

import asyncio
import gc
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

from app_process import free_port

from app import _options
from explorer.services import Services
from explorer.ui import build_page

LEAKS = ("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")  # of a running page


@contextmanager
def live_page(services: Services) -> Iterator[str]:
    """Serve a page over ``services`` on a free port, and give its address."""
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)  # Gradio would make one here, and leave it open
    page = build_page(services).queue(max_size=services.settings.queue_size)
    page.launch(
        server_name="127.0.0.1",
        server_port=free_port(),
        max_file_size=services.settings.max_request_bytes,
        allowed_paths=[],
        ssr_mode=False,
        mcp_server=True,
        app_kwargs=_options(services, page),
        show_error=False,
        prevent_thread_lock=True,
        _frontend=False,
        quiet=True,
    )
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
