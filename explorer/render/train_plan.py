"""Step Plan: what to start from, how long a code, how many rounds, which losses; and how long that takes."""

from collections.abc import Sequence

from ..training_records import Plan
from .markup import action, count, text
from .train_steps import duration

__all__ = ["CONCEPTS", "EPOCHS", "PER_CONCEPT", "TOP_WEIGHT", "estimate_line", "plan_step", "plan_summary"]

CONCEPTS = (1, 2, 3, 4, 6, 8)
PER_CONCEPT = (2, 3, 4, 6, 8, 12, 16)  # bits
EPOCHS = (1, 300)
TOP_WEIGHT = 5.0

Term = tuple[str, float, str]


def plan_step(
    plan: Plan,
    name: str,
    starts: Sequence[str],
    languages: Sequence[tuple[str, str]],
    terms: Sequence[Term],
) -> str:
    """Show every choice of a plan; whatever can be chosen is valid."""
    concepts = [(str(m), str(m)) for m in CONCEPTS]
    bits = [(str(plan.n_concepts * b), f"{plan.n_concepts * b} ({plan.n_concepts} × {b})") for b in PER_CONCEPT]
    fields = (
        _text("Name of the model", name),
        _select(
            "Start from", "start", [(start, start) for start in starts], plan.start, "What it learned to see is kept."
        ),
        _select(
            "Concepts", "n_concepts", concepts, str(plan.n_concepts), "Parts of the code, each about something else."
        ),
        _select("Bits", "n_bits", bits, str(plan.n_bits), "More tell more apart; fewer group more."),
        _epochs(plan.epochs),
        _select("Language", "language", languages, plan.language, "Lets the names of classes arrange them."),
    )
    return f'<div class="ch-planform">{"".join(fields)}</div>{_weights(plan, terms)}'


def plan_summary(plan: Plan | None) -> str:
    """Say the plan in a few words."""
    if plan is None:
        return ""
    bits = count(plan.n_bits // plan.n_concepts, "bit")
    return f"from {plan.start}, {plan.n_concepts} × {bits}, {count(plan.epochs, 'epoch')}"


def estimate_line(minutes: float | str | None) -> str:
    """Say how long the plan will take, or why that is not known, beside the button that starts it."""
    if isinstance(minutes, str):
        said = text(minutes)
    elif minutes is None:
        said = "Measuring how long this takes …"
    else:
        said = f"<strong>{duration(minutes).capitalize()}</strong> on this computer"
    return (
        '<div class="ch-next"><button type="button" class="ch-button is-primary" data-top="#ch-train" '
        f'{action("start")}>Start training</button><p class="ch-muted" role="status">{said}</p></div>'
    )


def _select(label: str, name: str, choices: Sequence[tuple[str, str]], chosen: str, hint: str) -> str:
    options = "".join(
        f'<option value="{text(value)}" {"selected" if value == chosen else ""}>{text(words)}</option>'
        for value, words in choices
    )
    return (
        f'<label class="ch-stack"><span class="ch-label">{text(label)}</span><select class="ch-select" '
        f'{action("plan", name=name)} data-value="value">{options}</select>'
        f'<span class="ch-hint">{text(hint)}</span></label>'
    )


def _text(label: str, value: str) -> str:
    return (
        f'<label class="ch-stack"><span class="ch-label">{text(label)}</span><input class="ch-input" '
        f'value="{text(value)}" maxlength="40" spellcheck="false" autocomplete="off" '
        f'{action("plan", name="name")} data-value="value"><span class="ch-hint">As your menu lists it.</span></label>'
    )


def _epochs(epochs: int) -> str:
    least, most = EPOCHS
    return (
        '<label class="ch-stack"><span class="ch-label">Epochs</span><input class="ch-input" type="number" '
        f'inputmode="numeric" min="{least}" max="{most}" value="{epochs}" {action("plan", name="epochs")} '
        'data-value="value"><span class="ch-hint">Rounds over all your images.</span></label>'
    )


def _weights(plan: Plan, terms: Sequence[Term]) -> str:
    own = dict(plan.weights)
    rows = "".join(_weight(term, own.get(term, default), default, line) for term, default, line in terms)
    reset = f'<button type="button" class="ch-link" {action("unweigh")}>Back to the preset</button>' if own else ""
    changed = f", {len(own)} changed" if own else ""
    return (
        f'<details class="ch-fold ch-weights" data-keep="train-weights"><summary>Loss weights{changed}</summary>'
        f"<ul>{rows}</ul>{reset}</details>"
        if rows
        else ""
    )


def _weight(term: str, value: float, default: float, line: str) -> str:
    tenths = round(10 * value)
    return (
        f'<li><label class="ch-range"><span><code>{text(term)}</code> <output>{value:.1f}</output></span>'
        f'<input type="range" min="0" max="{round(10 * TOP_WEIGHT)}" step="1" value="{tenths}" data-tenths="yes" '
        f'{action("weigh", term=term)} data-value="value" aria-label="Weight of {text(term)} in tenths"></label>'
        f'<p class="ch-hint">{text(line)} <span class="ch-num">Preset {default:.1f}.</span></p></li>'
    )
