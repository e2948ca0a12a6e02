"""Step Run: how a run stands in one sentence, its curves, its log, and what can be done about it."""

from ..training_records import RunStatus
from .markup import action, count, icon, text
from .train_curves import accuracy_curve, loss_curves
from .train_steps import STATES, clock, duration

__all__ = ["LIVE", "run_log", "run_step", "run_summary"]

LIVE = ("queued", "preparing", "training", "finishing")
BUTTONS = {
    "queued": ("stop", "delete"),
    "preparing": ("stop",),
    "training": ("stop",),
    "finishing": (),
    "stopped": ("resume", "delete"),
    "failed": ("resume", "delete"),
    "done": ("result", "delete"),
}
_WORDS = {"stop": "Stop", "resume": "Resume", "delete": "Delete", "result": "See the result"}


def run_step(status: RunStatus, *, is_confirming: bool = False) -> str:
    """Show state, progress, buttons and curves; ``is_confirming`` asks once more before the run is deleted."""
    return (
        f'<div class="ch-runstate is-{text(status.state)}"><p class="ch-said"><i aria-hidden="true"></i>'
        f'<span class="ch-hidden" role="status">{text(STATES.get(status.state, status.state))}</span>'
        f"<strong>{text(_sentence(status))}</strong></p>{_bar(status)}{_facts(status)}"
        f"{_confirm(status) if is_confirming else _buttons(status)}</div>{_pictures(status)}"
    )


def run_log(status: RunStatus) -> str:
    """Show the last lines of the log behind a fold."""
    if not status.log:
        return ""
    lines = "\n".join(text(line) for line in status.log)
    return (
        '<details class="ch-fold ch-log" data-keep="train-log"><summary>Log</summary>'
        f'<pre tabindex="0" role="region" aria-label="Log">{lines}</pre></details>'
    )


def run_summary(status: RunStatus | None) -> str:
    """Say in a few words how a run stands."""
    if status is None:
        return ""
    if status.state == "queued":
        return f"waiting, {_ahead(status.ahead)}"
    if status.state in ("training", "stopped") and status.epochs:
        return f"{STATES[status.state]}, epoch {status.epoch} of {status.epochs}"
    return STATES.get(status.state, status.state)


def _sentence(status: RunStatus) -> str:
    """Return what the service said, with the place in the queue where that is not told."""
    if status.state != "queued" or str(status.ahead) in status.said:
        return status.said
    return f"{status.said} {_ahead(status.ahead).capitalize()}."


def _ahead(ahead: int) -> str:
    return f"{count(ahead, 'run')} before yours" if ahead else "yours is next"


def _bar(status: RunStatus) -> str:
    percent = round(100 * min(max(status.share, 0.0), 1.0), 1)
    return (
        f'<div class="ch-progress" role="progressbar" aria-label="Progress" aria-valuemin="0" aria-valuemax="100" '
        f'aria-valuenow="{percent:.0f}"><span style="width:{percent}%"></span></div>'
    )


def _facts(status: RunStatus) -> str:
    facts = [f"{round(100 * status.share)} %"]
    if status.epochs and status.epoch:
        facts.append(f"epoch {status.epoch} of {status.epochs}")
    facts.append(f"{clock(status.elapsed)} so far" if status.state != "done" else f"took {clock(status.elapsed)}")
    if status.state in LIVE:
        facts.append("time left not known yet" if status.left is None else f"{duration(status.left / 60)} left")
    return f'<p class="ch-facts">{"".join(f"<span>{text(fact)}</span>" for fact in facts)}</p>'


def _buttons(status: RunStatus) -> str:
    buttons = "".join(_button(name) for name in BUTTONS.get(status.state, ("delete",)))
    return f'<div class="ch-row ch-runbuttons">{buttons}</div>'


def _button(name: str) -> str:
    if name == "result":
        return (
            f'<button type="button" class="ch-button is-primary" {action("step", name="result")}>'
            f"{_WORDS[name]}{icon('right')}</button>"
        )
    kind = " is-primary" if name == "resume" else ""
    do = "ask_delete" if name == "delete" else name
    return f'<button type="button" class="ch-button{kind}" {action(do)}>{_WORDS[name]}</button>'


def _confirm(status: RunStatus) -> str:
    return (
        '<div class="ch-row ch-runbuttons" role="group" aria-label="Delete this run?">'
        f"<span>Delete “{text(status.name)}” with its images and model?</span>"
        f'<button type="button" class="ch-button is-danger" {action("delete")}>Delete for good</button>'
        f'<button type="button" class="ch-button" {action("keep")}>Keep</button></div>'
    )


def _pictures(status: RunStatus) -> str:
    curves = loss_curves(status.curves, status.epochs)
    if not curves and status.accuracy is None:
        waiting = "Curves show here after the first epoch." if status.state in LIVE else "No epoch was finished."
        return f'<div class="ch-empty-curves"><p class="ch-muted">{waiting}</p></div>'
    lead = '<h3>Losses <span class="ch-muted">each on its own scale</span></h3>'
    return f'<div class="ch-pictures">{accuracy_curve(status.accuracy, status.epochs)}<div>{lead}{curves}</div></div>'
