"""Curves of a run as inline SVG: one small picture a loss term, each on its own scale, and a larger one for the mAP."""

import math
from collections.abc import Sequence

from ..training_records import Curve
from .markup import text

__all__ = ["accuracy_curve", "loss_curves"]

WIDTH, HEIGHT = 200, 64  # of the drawing; the page stretches it, lines keep their width
TOTAL = "total"


def loss_curves(curves: Sequence[Curve], epochs: int) -> str:
    """Show every term, the sum of all first; ``epochs`` is where the axis ends, so that nothing shifts meanwhile."""
    ordered = [_finite(curve) for curve in sorted(curves, key=lambda curve: curve.name != TOTAL)]
    if not any(curve.values for curve in ordered):
        return ""
    figures = "".join(_small(curve, epochs) for curve in ordered if curve.values)
    return f'<div class="ch-curves">{figures}</div>'


def accuracy_curve(curve: Curve | None, epochs: int) -> str:
    """Show the mAP on the held-out images from 0 to 1; a kept place where nothing is measured yet."""
    curve = _finite(curve) if curve else None
    values = curve.values if curve else ()
    last = f"{values[-1]:.2f}" if values else "–"
    words = f"mAP {last} after epoch {curve.epochs[-1]}" if curve and values else "no mAP measured yet"
    line = _line(curve, epochs, 0.0, 1.0) if curve else ""
    return (
        f'<figure class="ch-curve is-wide"><figcaption><strong>mAP</strong><span class="ch-muted">on images kept aside'
        f"</span><output>{last}</output></figcaption>{_picture(line, words, has_half=True)}"
        f"{_ends(epochs, '1.0', '0')}</figure>"
    )


def _small(curve: Curve, epochs: int) -> str:
    low, high = _bounds(curve.values)
    last, total = curve.values[-1], " is-total" if curve.name == TOTAL else ""
    words = f"{curve.name}: {_number(curve.values[0])} at epoch {curve.epochs[0]}, "
    words += f"{_number(last)} at epoch {curve.epochs[-1]}"
    return (
        f'<figure class="ch-curve{total}"><figcaption><strong>{text(curve.name)}</strong>'
        f"<output>{_number(last)}</output></figcaption>{_picture(_line(curve, epochs, low, high), words)}"
        f"{_ends(epochs, _number(high), _number(low))}</figure>"
    )


def _finite(curve: Curve) -> Curve:
    """Leave out what is no number, as a loss that has run away."""
    pairs = [pair for pair in zip(curve.epochs, curve.values, strict=True) if math.isfinite(pair[1])]
    return Curve(curve.name, tuple(epoch for epoch, _ in pairs), tuple(value for _, value in pairs))


def _bounds(values: Sequence[float]) -> tuple[float, float]:
    """Return the scale of a term: from 0 where that wastes little, always with some height."""
    low, high = min(values), max(values)
    if high - low < 1e-9:
        low, high = low - 0.5 * abs(low) - 0.05, high + 0.5 * abs(high) + 0.05
    return (0.0 if 0 <= min(values) < 0.6 * high else low), high


def _line(curve: Curve, epochs: int, low: float, high: float) -> str:
    """Draw the line and its last point; an epoch that was measured alone is a point."""
    span = max(epochs - 1, 1)
    places = [
        (WIDTH * min((epoch - 1) / span, 1.0), HEIGHT * (1 - (min(max(value, low), high) - low) / (high - low)))
        for epoch, value in zip(curve.epochs, curve.values, strict=True)
    ]
    if not places:
        return ""
    points = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
    x, y = places[-1]
    dot = f'<path class="ch-dot" d="M{x:.1f} {y:.1f}h0" vector-effect="non-scaling-stroke"/>'
    return f'<polyline points="{points}" vector-effect="non-scaling-stroke"/>{dot}'


def _picture(line: str, words: str, *, has_half: bool = False) -> str:
    half = f'<path class="ch-rule" d="M0 {HEIGHT / 2}H{WIDTH}" vector-effect="non-scaling-stroke"/>' if has_half else ""
    return (
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" preserveAspectRatio="none" role="img" aria-label="{text(words)}">'
        f'<path class="ch-rule" d="M0 0H{WIDTH}M0 {HEIGHT}H{WIDTH}" vector-effect="non-scaling-stroke"/>{half}{line}'
        "</svg>"
    )


def _ends(epochs: int, top: str, bottom: str) -> str:
    """Write the ends of both axes; screen readers have them in the picture's words."""
    return (
        f'<div class="ch-ends" aria-hidden="true"><span class="is-top">{top}</span><span class="is-bottom">{bottom}'
        f"</span><span>1</span><span>epoch {epochs}</span></div>"
    )


def _number(value: float) -> str:
    """Write a value with as many digits as it deserves."""
    size = abs(value)
    digits = 3 if 0 < size < 0.1 else 2 if size < 10 else 1 if size < 100 else 0
    return f"{value:.{digits}f}" if size else "0"
