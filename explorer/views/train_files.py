"""How images reach the Train tab: a zip, images by class, or an operator's folder; each is checked when it comes."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import gradio as gr

from ..services import ConceptHashError, Services
from ..training_records import IntakeReport
from .guard import guarded, unchanged
from .surface import send_of
from .train_draft import Draft, name_of_zip
from .train_pages import Reports
from .train_parts import TrainParts

__all__ = ["receive_images", "with_report"]

CHECKS: dict[str, Any] = {
    "concurrency_id": "intake",
    "concurrency_limit": 2,
    "show_progress": "minimal",
    "api_visibility": "private",
}
QUICK: dict[str, Any] = CHECKS | {"concurrency_id": "upload", "concurrency_limit": 4, "show_progress": "hidden"}


def receive_images(
    services: Services, parts: TrainParts, draft: gr.State, reports: gr.State, found: gr.State, acted: Any
) -> None:
    """Let the upload buttons and the list of folders fill ``reports``; ``acted`` is the step's own listener."""
    checked, names = [reports, found], gr.State(())  # names: of the added classes that were last checked

    @guarded(unchanged)
    def name_after(drafted: Draft, path: str | None) -> Any:
        return drafted.replace(source="zip", name=drafted.name or name_of_zip(path)) if path else gr.skip()

    @guarded(lambda message: (unchanged(message), gr.skip()))
    def check_zip(told: Reports, number: int, path: str | None, request: gr.Request) -> Any:
        if not path:
            return gr.skip(), gr.skip()
        visitor = request.session_hash or ""
        return (
            with_report(services, told, visitor, "zip", lambda: services.training.check_zip(visitor, Path(path))),
            number + 1,
        )

    @guarded(unchanged)
    def add(drafted: Draft, paths: list[str] | None) -> Any:
        return drafted.replace(source="files").with_files(drafted.class_name, paths) if paths else gr.skip()

    @guarded(lambda message: (unchanged(message), gr.skip(), gr.skip()))
    def check_files(drafted: Draft, told: Reports, number: int, request: gr.Request) -> Any:
        visitor, files = request.session_hash or "", {name: [Path(p) for p in paths] for name, paths in drafted.files}
        ask = (lambda: services.training.check_files(visitor, files)) if files else None
        return with_report(services, told, visitor, "files", ask), number + 1, tuple(files)

    @guarded(lambda message: (unchanged(message), gr.skip()))
    def check_folder(told: Reports, number: int, event: gr.EventData, request: gr.Request) -> Any:
        do, values = send_of(event)
        visitor, name = request.session_hash or "", str(values.get("name", ""))
        if do != "folder" or name not in services.training.folders():
            return gr.skip(), gr.skip()
        return (
            with_report(services, told, visitor, "folder", lambda: services.training.check_folder(visitor, name)),
            number + 1,
        )

    @guarded(lambda message: (unchanged(message), gr.skip(), gr.skip()))
    def after_removal(drafted: Draft, told: Reports, number: int, last: tuple[str, ...], request: gr.Request) -> Any:
        if set(last) <= {name for name, _ in drafted.files}:  # what is added is checked when it comes
            return gr.skip(), gr.skip(), gr.skip()
        return check_files(drafted, told, number, request)

    parts.zip.upload(name_after, [draft, parts.zip], draft, **QUICK).then(
        check_zip,
        [reports, found, parts.zip],
        checked,
        show_progress_on=parts.data,
        trigger_mode="always_last",
        **CHECKS,
    )
    parts.images.upload(add, [draft, parts.images], draft, **QUICK).then(
        check_files,
        [draft, reports, found],
        [*checked, names],
        show_progress_on=parts.data,
        trigger_mode="always_last",  # a class added while the last check runs is checked after it
        **CHECKS,
    )
    parts.data.act(check_folder, [reports, found], checked, show_progress_on=parts.data, **CHECKS)
    acted.then(
        after_removal,
        [draft, reports, found, names],
        [*checked, names],
        trigger_mode="always_last",
        **(CHECKS | {"show_progress": "hidden"}),
    )


def with_report(
    services: Services, reports: Reports, visitor: str, source: str, ask: Callable[[], IntakeReport] | None
) -> dict[str, IntakeReport]:
    """Return the reports with a new one for ``source``, forgetting its older images; a refusal is a report."""
    if source in reports and reports[source].intake:
        services.training.forget(visitor, reports[source].intake)
    if ask is None:
        return _without(reports, source)
    try:
        return {**reports, source: ask()}
    except ConceptHashError as error:
        return {**reports, source: IntakeReport("", (), 0, 0, (), (), (str(error),))}


def _without(reports: Reports, source: str) -> dict[str, IntakeReport]:
    return {name: report for name, report in reports.items() if name != source}
