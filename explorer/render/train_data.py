"""Step Data: where the images come from, and what was found in them."""

from collections.abc import Sequence

from ..training_records import ClassPreview, IntakeReport
from .markup import action, count, icon, pager, pressed, text
from .pictures import webp_picture

__all__ = ["PER_PAGE", "data_step", "data_summary"]

PER_PAGE = 24  # classes on one page
LISTED = 20  # sentences of one kind that are spelled out
_SOURCES = {"zip": "One zip", "files": "Images by class", "folder": "On this server"}


def data_step(
    report: IntakeReport | None,
    *,
    source: str,
    files: Sequence[tuple[str, int]],
    class_name: str,
    folders: Sequence[str],
    page: int,
    max_zip_bytes: int,
) -> str:
    """Show the ways to give images, and below what was found; ``files`` are the classes added so far, with counts."""
    sources = {name: words for name, words in _SOURCES.items() if name != "folder" or folders}
    chosen = source if source in sources else "zip"
    buttons = "".join(
        f'<button type="button" class="ch-seg" {pressed(name == chosen)} {action("source", name=name)}>{words}</button>'
        for name, words in sources.items()
    )
    ways = {"zip": _zip(max_zip_bytes), "files": _files(files, class_name), "folder": _folders(folders)}
    return (
        f'<div class="ch-segments" role="group" aria-label="Where the images come from">{buttons}</div>'
        f'<div class="ch-source">{ways[chosen]}</div>{_found(report, page) if report else ""}'
    )


def data_summary(report: IntakeReport | None) -> str:
    """Say in a few words what was found."""
    if report is None:
        return ""
    if report.problems:
        return "needs a look"
    return f"{_classes(len(report.classes))}, {count(report.n_images, 'image')}"


def _zip(max_zip_bytes: int) -> str:
    return (
        '<div class="ch-drop" data-drop="ch-train-zip"><p class="ch-dropwords"><strong>Drop a zip here</strong>'
        '<span class="ch-muted">One folder per class, at least 5 images in each; '
        f"up to {max_zip_bytes // 1_000_000} MB.</span></p>"
        '<button type="button" class="ch-button" data-open="ch-train-zip" aria-label="Choose a zip">'
        f"{icon('upload')}Choose a zip</button></div>"
    )


def _files(files: Sequence[tuple[str, int]], class_name: str) -> str:
    rows = "".join(
        f"<li><strong>{text(name)}</strong><span>{count(n, 'image')}</span>"
        f'<button type="button" class="ch-button is-icon" aria-label="Remove {text(name)}" '
        f"{action('remove', name=name)}>{icon('close')}</button></li>"
        for name, n in files
    )
    listed = f'<ul class="ch-added" aria-label="Classes added">{rows}</ul>' if rows else ""
    return (
        '<div class="ch-drop" data-drop="ch-train-files"><label class="ch-stack"><span class="ch-label">Name of the '
        f'class</span><input class="ch-input" value="{text(class_name)}" maxlength="80" autocomplete="off" '
        f'spellcheck="false" placeholder="marsh wren" {action("class_name")} data-value="value"></label>'
        '<button type="button" class="ch-button" data-open="ch-train-files" aria-label="Choose images of the class">'
        f"{icon('upload')}Choose its images</button>"
        '<p class="ch-muted">Or drop them here. The same name once more adds to that class.</p></div>'
        f"{listed}"
    )


def _folders(folders: Sequence[str]) -> str:
    buttons = "".join(
        f'<li><button type="button" class="ch-button" {action("folder", name=name)}>{text(name)}</button></li>'
        for name in folders
    )
    return f'<ul class="ch-folders" aria-label="Folders on this server">{buttons}</ul>'


def _found(report: IntakeReport, page: int) -> str:
    on = (
        f'<div class="ch-next"><button type="button" class="ch-button is-primary" {action("step", name="plan")}>'
        f"Plan the training{icon('right')}</button></div>"
        if not report.problems
        else ""
    )
    return (
        f'<section class="ch-found" aria-label="What was found">{_problems(report)}{_totals(report)}'
        f"{_more('Repeated', report.duplicates, report.n_duplicates)}"
        f"{_more('Unreadable', report.broken, report.n_broken)}{_previews(report, page)}{on}</section>"
    )


def _problems(report: IntakeReport) -> str:
    if not report.problems and not report.warnings:
        return ""
    kind = "problem" if report.problems else "warning"
    lead = "<p><strong>Not yet ready to train</strong></p>" if report.problems else ""
    lines = (*report.problems, *report.warnings)
    items = "".join(f"<li>{text(line)}</li>" for line in lines[:LISTED])
    rest = f"<li>and {count(len(lines) - LISTED)} more</li>" if len(lines) > LISTED else ""
    return f'<div class="ch-notice is-{kind}" role="status">{lead}<ul>{items}{rest}</ul></div>'


def _totals(report: IntakeReport) -> str:
    if not report.classes:
        return ""
    facts = [_classes(len(report.classes)), count(report.n_images, "image")]
    facts += [f"{count(report.n_held_out)} kept aside to measure"] if report.n_held_out else []
    facts += [f"{count(report.n_broken)} unreadable"] if report.n_broken else []
    return f'<p class="ch-totals">{" · ".join(facts)}</p>'


def _more(word: str, lines: tuple[str, ...], number: int) -> str:
    """List the first of ``number`` sentences behind a fold."""
    if not lines:
        return ""
    items = "".join(f"<li>{text(line)}</li>" for line in lines[:LISTED])
    rest = f"<li>and {count(number - LISTED)} more</li>" if number > LISTED else ""
    return (
        f'<details class="ch-fold" data-keep="train-{word}"><summary>{word}: {count(number, "file")}</summary>'
        f"<ul>{items}{rest}</ul></details>"
    )


def _previews(report: IntakeReport, page: int) -> str:
    n_pages = max(1, -(-len(report.classes) // PER_PAGE))
    shown = min(max(page, 0), n_pages - 1)
    cards = "".join(_preview(one) for one in report.classes[shown * PER_PAGE : (shown + 1) * PER_PAGE])
    if not cards:
        return ""
    return f'<ul class="ch-previews">{cards}</ul>{pager("classes", shown, n_pages, "Pages of classes")}'


def _preview(one: ClassPreview) -> str:
    pictures = "".join(f'<img src="{webp_picture(content)}" alt="">' for content in one.pictures[:3])
    blanks = '<i aria-hidden="true"></i>' * (3 - len(one.pictures[:3]))
    broken = f" · {count(one.n_broken)} unreadable" if one.n_broken else ""
    return (
        f'<li><div class="ch-trio">{pictures}{blanks}</div><strong title="{text(one.name)}">{text(one.name)}</strong>'
        f'<span class="ch-muted">{count(one.n_images, "image")}{broken}</span></li>'
    )


def _classes(number: int) -> str:
    return f"{count(number)} class{'' if number == 1 else 'es'}"
