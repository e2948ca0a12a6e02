"""How one concept's sub-codes moved between two models: a small alluvial picture."""

from collections.abc import Iterator, Sequence

import numpy as np

from ..training_records import ConceptFlow
from .markup import count, text
from .palette import badge, color_style

__all__ = ["flow_card"]

WIDTH, TOP, GAP, BAR = 280, 18, 7, 6
FULL = 150  # height of all images together, without gaps
LEAST = 3.0  # height of the smallest bar, so that it can be seen
LETTERS = 12  # a longer sub-code is cut in its middle
LETTER = 5.8  # width of a letter of a sub-code


def flow_card(flow: ConceptFlow, concept: int) -> str:
    """Draw a concept's flow: bars are sub-codes, before on the left, bands the images that share both."""
    counts = np.asarray(flow.counts, dtype=float)
    longest = max((len(_short(code)) for code in (*flow.before, *flow.after)), default=0)
    picture = _Picture(flow, counts, round(LETTER * max(longest, 6)) + 5)
    moved = f"{round(100 * flow.share_moved)} %"
    words = f"{moved} of the images have another sub-code in {flow.concept} than before"
    return (
        f'<figure class="ch-flow" style="{color_style(concept)}"><figcaption>{badge(concept)}'
        f"<strong>{text(flow.concept)}</strong><span>{moved} moved</span></figcaption>"
        f'<svg viewBox="0 0 {WIDTH} {picture.height:.0f}" role="img" aria-label="{text(words)}">{picture.drawn()}'
        "</svg></figure>"
    )


class _Picture:
    """Where the bars of both sides stand, and everything drawn between them."""

    def __init__(self, flow: ConceptFlow, counts: np.ndarray, label: int) -> None:
        self.flow, self.counts, self.label = flow, counts, label
        self.left, self.right = counts.sum(axis=1), counts.sum(axis=0)
        self.starts, self.ends = _stacked(self.left), _stacked(self.right)
        self.height = TOP + max((y + h for y, h in (*self.starts, *self.ends)), default=0.0) + 4

    def drawn(self) -> str:
        """Return heads, bands, bars and their sub-codes."""
        x0, x1 = self.label + BAR, WIDTH - self.label - BAR
        parts = [
            f'<text class="ch-flowhead" x="{x0}" y="10" text-anchor="end">before</text>',
            f'<text class="ch-flowhead" x="{x1}" y="10">after</text>',
            *self._bands(x0, x1),
            *_bars(self.flow.before, self.starts, self.left, self.label, self.label - 5, "end"),
            *_bars(self.flow.after, self.ends, self.right, x1, x1 + BAR + 5, "start"),
        ]
        return "".join(parts)

    def _bands(self, x0: int, x1: int) -> Iterator[str]:
        """Draw a band for every pair of sub-codes that images share; those that stayed are pale."""
        used_left, used_right = np.zeros(len(self.left)), np.zeros(len(self.right))
        middle = (x0 + x1) / 2
        for i, j in zip(*np.nonzero(self.counts), strict=True):
            thick0 = self.counts[i, j] / self.left[i] * self.starts[i][1]
            thick1 = self.counts[i, j] / self.right[j] * self.ends[j][1]
            a, b = TOP + self.starts[i][0] + used_left[i], TOP + self.ends[j][0] + used_right[j]
            used_left[i], used_right[j] = used_left[i] + thick0, used_right[j] + thick1
            old, new = self.flow.before[i], self.flow.after[j]
            kind = " is-same" if old == new and set(old) <= {"0", "1"} else ""
            said = f"{old} to {new}: {count(int(self.counts[i, j]), 'image')}"
            yield (
                f'<path class="ch-band{kind}" d="M{x0} {a:.1f}C{middle} {a:.1f} {middle} {b:.1f} {x1} {b:.1f}'
                f"V{b + thick1:.1f}C{middle} {b + thick1:.1f} {middle} {a + thick0:.1f} {x0} {a + thick0:.1f}Z"
                f'"><title>{text(said)}</title></path>'
            )


def _stacked(sizes: np.ndarray) -> list[tuple[float, float]]:
    """Return top and height of each bar, one below the other."""
    total, places, y = float(sizes.sum()), [], 0.0
    for size in sizes:
        height = max(FULL * float(size) / total, LEAST) if total else LEAST
        places.append((y, height))
        y += height + GAP
    return places


def _bars(
    codes: Sequence[str], places: list[tuple[float, float]], sizes: np.ndarray, x: int, at: int, anchor: str
) -> Iterator[str]:
    """Draw the bars of one side and name them; where bars are thin, not every one can be named."""
    free = 0.0
    for code, (top, height), size in zip(codes, places, sizes, strict=True):
        y = TOP + top + height / 2
        yield (
            f'<rect class="ch-flowbar" x="{x}" y="{TOP + top:.1f}" width="{BAR}" height="{height:.1f}">'
            f"<title>{text(code)}: {count(int(size), 'image')}</title></rect>"
        )
        if y - free >= 9.5:
            free = y
            yield f'<text x="{at}" y="{y + 3:.1f}" text-anchor="{anchor}">{text(_short(code))}</text>'


def _short(code: str) -> str:
    return code if len(code) <= LETTERS else f"{code[:5]}…{code[-5:]}"
