"""Step Result: before and after, as numbers, as moved sub-codes and as maps; then the model itself."""

from ..training_records import RunResult
from .markup import action, icon, isolated, text, thumbnail_url
from .train_flow import flow_card
from .train_maps import both_maps
from .train_steps import duration

__all__ = ["download_line", "result_detail", "result_step", "result_summary"]

Interval = tuple[float, float, float]


def result_step(result: RunResult) -> str:
    """Show what the training changed in numbers, and the buttons that open the model or make its zip."""
    minutes = f'<p class="ch-muted">Trained in {text(duration(result.minutes))}.</p>' if result.minutes else ""
    return (
        f'<div class="ch-outcome"><div>{_sentence(result)}{minutes}</div>{_intervals(result)}</div>{_buttons(result)}'
    )


def result_detail(result: RunResult) -> str:
    """Show what the training changed in codes and maps."""
    flows = "".join(flow_card(flow, m) for m, flow in enumerate(result.flows))
    heading = 'How the codes moved <span class="ch-muted">images kept aside, by their most frequent sub-codes</span>'
    moved = f'<section><h3>{heading}</h3><div class="ch-flows">{flows}</div></section>' if flows else ""
    return f"{moved}{both_maps(result.before, result.after)}"


def result_summary(result: RunResult | None) -> str:
    """Say the outcome in a few words."""
    if result is None:
        return ""
    before = f"{result.map_before[0]:.2f} → " if result.map_before else ""
    return f"mAP {before}{result.map_after[0]:.2f}"


def download_line(path: str, name: str, size: int, once: str) -> str:
    """Return the link to a zip on this server, which the page follows by itself once."""
    return (
        f'<p class="ch-ready" role="status">Your zip is ready: <a data-follow="{text(once)}" download="{text(name)}" '
        f'href="{thumbnail_url(path)}">{isolated(name)}</a> <span class="ch-muted">{max(size / 1e6, 0.1):.1f} MB. '
        "Unpack it, then: python app.py --checkpoint FOLDER</span></p>"
    )


def _sentence(result: RunResult) -> str:
    after = result.map_after[0]
    if result.map_before is None:
        return f'<p class="ch-headline">Your model finds images of the same class with mAP {after:.2f}.</p>'
    before = result.map_before[0]
    is_clear = result.map_after[1] > result.map_before[2] or result.map_after[2] < result.map_before[1]
    word = "rose" if after >= before else "fell"
    sure = "" if is_clear else " The intervals overlap: this may be chance."
    return (
        f'<p class="ch-headline">mAP {word} from {before:.2f} to <strong>{after:.2f}</strong>.</p>'
        f'<p class="ch-muted">Measured on images that were kept aside.{sure}</p>'
    )


def _intervals(result: RunResult) -> str:
    rows = _interval("Before", result.map_before, "is-before") if result.map_before else ""
    rows += _interval("After", result.map_after, "is-after")
    ticks = "".join(f'<span style="left:{100 * tick:.0f}%">{tick:g}</span>' for tick in (0, 0.25, 0.5, 0.75, 1))
    return (
        f'<div class="ch-intervals"><ul>{rows}</ul><div class="ch-scale" aria-hidden="true">{ticks}</div>'
        '<p class="ch-hint">mAP with its 95 % interval</p></div>'
    )


def _interval(label: str, interval: Interval, kind: str) -> str:
    mean, low, high = (min(max(value, 0.0), 1.0) for value in interval)
    return (
        f'<li class="{kind}"><span>{label}</span><div class="ch-track" aria-hidden="true">'
        f'<i style="left:{100 * low:.1f}%;width:{100 * (high - low):.1f}%"></i><b style="left:{100 * mean:.1f}%"></b>'
        f'</div><span class="ch-num"><strong>{mean:.2f}</strong> {low:.2f}–{high:.2f}</span></li>'
    )


def _buttons(result: RunResult) -> str:
    word = "Open this model again" if result.opened else "Open this model"
    return (
        f'<div class="ch-next"><button type="button" class="ch-button is-primary" {action("open")}>{word}</button>'
        f'<button type="button" class="ch-button" {action("download")}>{icon("download")}Download</button>'
        '<p class="ch-muted">It joins the menu of models for you only.</p></div>'
    )
