"""ConceptHash Explorer: ``python app.py [--checkpoint NAME|DIR] [--gallery DIR]``."""

import errno
import json
import logging
import platform
import socket
import sys
import time
from importlib import metadata
from typing import Any

from explorer.settings import Settings, read_settings


def main(arguments: list[str] | None = None) -> int:
    """Start the app; 0 when it ends as asked, 2 with one sentence on standard error when it cannot start."""
    settings = read_settings(arguments)
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    from concepthash.errors import ConceptHashError

    try:
        if settings.is_check:
            return check(settings)
        check_port(settings)
        serve(settings)
    except ConceptHashError as error:
        print(error, file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 0
    return 0


def serve(settings: Settings) -> None:
    """Load everything, then answer visitors until the process is stopped."""
    from starlette.middleware import Middleware

    from explorer.long_links import ShortenLongLinks
    from explorer.services import load_services
    from explorer.ui import build_page, build_theme

    services = load_services(settings)
    build_page(services).queue(max_size=200).launch(
        server_name=settings.host,
        server_port=settings.port,
        theme=build_theme(),
        css_paths=settings.styles,
        footer_links=[],
        max_file_size=settings.max_request_bytes,
        allowed_paths=[],
        ssr_mode=False,
        share=False,
        enable_monitoring=False,
        app_kwargs={"middleware": [Middleware(ShortenLongLinks)]},
        show_error=False,
    )


def check(settings: Settings) -> int:
    """Load everything, explain and match one image, print one JSON object; 0 when all of it worked."""
    report: dict[str, Any] = {"ok": False}
    from explorer.services import ConceptHashError

    try:
        report |= _measure(settings)
    except ConceptHashError as error:
        report["error"] = str(error)
    except Exception as error:
        logging.getLogger("concepthash").exception("The check failed")
        report["error"] = f"Something unexpected failed ({type(error).__name__}); the traceback is on standard error."
    print(json.dumps(report | {"versions": versions()}))
    return 0 if report["ok"] else 1


def _measure(settings: Settings) -> dict[str, Any]:
    from explorer.records import MapControls
    from explorer.services import load_services

    services = load_services(settings)
    name = services.default_model
    info, image = services.info(name), services.photos.first_image(name)
    services.explain.explain(name, "check", image, MapControls(residual=0.4))  # first calls pay for warming up
    started = time.perf_counter()
    services.explain.explain(name, "check", image, MapControls())
    explained = time.perf_counter()
    services.match.match(name, "check", image, agree=(0,) + (-1,) * (info.n_concepts - 1))
    matched = time.perf_counter()
    return {
        "ok": True,
        "checkpoint": name,
        "device": info.device,
        "n_gallery": info.n_gallery,
        "explain_ms": round(1000 * (explained - started), 1),
        "match_ms": round(1000 * (matched - explained), 1),
    }


def versions() -> dict[str, str]:
    """Return the versions that matter in a report."""
    found = {"python": platform.python_version()}
    for name in ("torch", "timm", "gradio", "numpy", "concepthash"):
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            import concepthash

            found[name] = getattr(concepthash, "__version__", "unknown") if name == "concepthash" else "missing"
    return found


def check_port(settings: Settings) -> None:
    """Refuse a host or port that cannot be listened on, before seconds are spent on loading."""
    from concepthash.errors import ConfigError

    try:
        found = socket.getaddrinfo(settings.host, settings.port, type=socket.SOCK_STREAM)
        family, kind, protocol, _, address = found[0]
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
    except OSError as error:
        taken = error.errno == errno.EADDRINUSE
        reason = "is in use" if taken else f"cannot be listened on ({error.strerror or error})"
        raise ConfigError(
            f"Port {settings.port} on {settings.host} {reason}; choose another one with --port or --host."
        ) from error


if __name__ == "__main__":
    sys.exit(main())
