"""ConceptHash Explorer: ``python app.py [--checkpoint NAME|DIR] [--gallery DIR]``."""

import json
import logging
import os
import platform
import sys
import time
from importlib import metadata
from typing import Any

from explorer.closing import close_page, leave, leave_when_asked, wait_for_the_end
from explorer.doorway import Doorway
from explorer.settings import Settings, read_settings, without_proxy

NO_TELEMETRY = {"GRADIO_ANALYTICS_ENABLED": "False", "HF_HUB_DISABLE_TELEMETRY": "1", "DO_NOT_TRACK": "1"}


def main(arguments: list[str] | None = None) -> int:
    """Start the app; 0 when it ends as asked, 2 with one sentence on standard error when it cannot start."""
    settings = read_settings(arguments)
    os.environ |= NO_TELEMETRY | {"GRADIO_TEMP_DIR": str(settings.uploads)} | without_proxy(settings.host)
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    from concepthash.errors import ConceptHashError

    try:
        if settings.is_check:
            return check(settings)
        serve(settings)
    except ConceptHashError as error:
        print(error, file=sys.stderr)
        return 2
    except KeyboardInterrupt:  # Ctrl-C in a check, or twice in the app
        leave(1)
    return 0


def serve(settings: Settings) -> None:
    """Tell visitors to wait while everything is loaded, then answer them until the process is asked to stop."""
    leave_when_asked()
    with Doorway(settings.host, settings.port) as doorway:
        doorway.doing = "Loading the model and its gallery"
        from explorer.services import load_services

        services = load_services(settings)
        doorway.doing = "Building the page"
        share_cores(settings)
        page, options = build(services)
        sweep(services, page)
    page.launch(**options)
    wait_for_the_end()
    close_page(page)
    services.training.close()
    leave()


def build(services: Any) -> tuple[Any, dict[str, Any]]:
    """Return the ``gr.Blocks`` over ``services`` and what to launch it with, which blocks no thread."""
    from explorer.health import HealthRoute
    from explorer.layers import layers
    from explorer.ui import build_page, build_theme

    settings = services.settings
    page = build_page(services).queue(max_size=settings.queue_size, api_open=False)
    queue = page._queue  # looks for questions after so many seconds; a tenth of that keeps a tenth of a core busy
    queue.sleep_when_free, queue.progress_update_sleep_when_free = 0.01, 0.1
    page.space_id = None  # where a Space is opened directly, Gradio would fetch a bar for the top from other sites
    health = HealthRoute(services.health.look, page, services.gate)
    return page, {
        "server_name": settings.host,
        "server_port": settings.port,
        "root_path": settings.root_path,
        "theme": build_theme(),
        "css_paths": settings.styles,
        "head_paths": [settings.assets / "head.html"],
        "footer_links": [],
        "max_file_size": settings.max_request_bytes,
        "allowed_paths": [],
        "state_session_capacity": 5 * settings.visitors,
        "ssr_mode": False,
        "share": False,
        "enable_monitoring": False,
        "mcp_server": True,
        "app_kwargs": {"middleware": layers(settings, page), "routes": [health.route]},
        "show_error": False,
        "prevent_thread_lock": True,
        "_frontend": False,  # no check whether the page answers within 3 s, which ends the app on a busy machine
    }


def share_cores(settings: Settings) -> None:
    """Give each of the calls that run at once cores of its own, since threads that share one wait for each other."""
    import torch

    torch.set_num_threads(max(1, torch.get_num_threads() // settings.calls_at_once))


def sweep(services: Any, page: Any) -> None:
    """Delete what visitors of an earlier server uploaded, and from now on what those of ``page`` sent an hour ago."""
    from explorer.services.sweeper import delete_older, start_sweeping

    uploads, seconds = services.settings.uploads, services.settings.upload_seconds

    def sweep_uploads() -> None:
        page.upload_file_set.difference_update(delete_older(uploads, seconds))

    delete_older(uploads, 0)
    start_sweeping(services.photos.sweep, services.explain.sweep, sweep_uploads)


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


if __name__ == "__main__":
    sys.exit(main())
