"""What every request passes before it reaches the page or a public function, from the outermost layer inward."""

from pathlib import Path
from typing import Any

from starlette.middleware import Middleware

from .body_limit import BodyLimit
from .closed_routes import CloseRoutes
from .long_links import ShortenLongLinks
from .rate_limit import RateLimit
from .settings import Settings
from .statuses import HonestStatus

__all__ = ["layers"]


def layers(settings: Settings, page: Any) -> list[Middleware]:
    """Return the layers for a ``gr.Blocks``."""
    at_once = max(settings.max_all_calls_bytes, 2 * settings.max_call_bytes)
    sizes = settings.max_call_bytes, settings.max_request_bytes, at_once
    return [
        Middleware(ShortenLongLinks),
        Middleware(CloseRoutes, page.upload_file_set),
        Middleware(RateLimit, settings.calls_per_minute or 0, settings.is_behind_proxy),
        Middleware(BodyLimit, *sizes, Path(page.GRADIO_CACHE)),
        Middleware(HonestStatus),
    ]
