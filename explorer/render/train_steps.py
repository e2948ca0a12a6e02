"""The frame of the Train tab: four steps that open in order, the visitor's runs, and words for time."""

from collections.abc import Sequence

from .markup import action, icon, pressed, text

__all__ = ["STEPS", "clock", "duration", "runs_bar", "step"]

STEPS = {"data": "Data", "plan": "Plan", "run": "Run", "result": "Result"}
STATES = {
    "queued": "waiting",
    "preparing": "preparing",
    "training": "training",
    "finishing": "finishing",
    "stopped": "stopped",
    "failed": "failed",
    "done": "done",
}


def step(name: str, body: str = "", *, is_open: bool, can_open: bool, summary: str = "", is_done: bool = False) -> str:
    """Show one step: its head is a button that opens and closes it; ``summary`` says what was chosen there."""
    number = list(STEPS).index(name) + 1
    locked = "" if can_open else "disabled"
    mark = '<span aria-hidden="true">✓</span>' if is_done else str(number)
    done = '<span class="ch-hidden">done</span>' if is_done else ""
    opened = "true" if is_open else "false"
    content = f'<div class="ch-stepbody" id="ch-body-{name}">{body}</div>' if is_open else ""
    return (
        f'<h2 class="ch-stephead"><button type="button" {action("step", name=name)} aria-expanded="{opened}" {locked}>'
        f'<span class="ch-stepmark{" is-done" if is_done else ""}">{mark}</span>'
        f'<span class="ch-stepname">{STEPS[name]}{done}</span><span class="ch-stepsummary">{text(summary)}</span>'
        f'<span class="ch-stepchevron" aria-hidden="true">{icon("right")}</span></button></h2>{content}'
    )


def runs_bar(runs: Sequence[tuple[str, str, str]], chosen: str) -> str:
    """List the visitor's runs as (token, name, state), the newest first, and offer a new one."""
    lead = (
        '<p class="ch-trainlead">Make a ConceptHash model of your own classes, on this computer. '
        "Nothing changes for anybody until you open it.</p>"
    )
    if not runs:
        return lead
    chips = "".join(
        f'<li><button type="button" class="ch-run is-{text(state)}" {pressed(token == chosen)} '
        f'{action("choose", run=token)}><i aria-hidden="true"></i><span class="ch-runname">{text(name)}</span>'
        f'<span class="ch-muted">{text(STATES.get(state, "gone"))}</span></button></li>'
        for token, name, state in runs
    )
    new = f'<li><button type="button" class="ch-link" {action("new")}>New model</button></li>' if chosen else ""
    return f'{lead}<ul class="ch-runs" aria-label="Your models">{chips}{new}</ul>'


def duration(minutes: float) -> str:
    """Write minutes as people say them: ``under a minute``, ``about 6 minutes``, ``about 1 h 20 min``."""
    if minutes < 0.75:
        return "under a minute"
    if minutes < 1.5:
        return "about a minute"
    if minutes < 90:
        return f"about {round(minutes)} minutes"
    tens = round(minutes / 10) * 10
    hours, rest = divmod(tens, 60)
    return f"about {hours} h" + (f" {rest} min" if rest else "")


def clock(seconds: float) -> str:
    """Write seconds as a clock: ``0:42``, ``12:05``, ``1:02:03``."""
    whole = max(0, int(seconds))
    hours, rest = divmod(whole, 3600)
    minutes, left = divmod(rest, 60)
    return f"{hours}:{minutes:02d}:{left:02d}" if hours else f"{minutes}:{left:02d}"
