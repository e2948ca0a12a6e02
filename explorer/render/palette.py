"""One color per concept, the same on every tab: Okabe and Ito's set, which color-blind readers can tell apart."""

__all__ = ["badge", "color_style", "concept_color"]

# (fill, ink that is readable on the fill)
_COLORS = (
    ("#E69F00", "#1b1b1b"),
    ("#56B4E9", "#1b1b1b"),
    ("#009E73", "#0b0b0b"),
    ("#CC79A7", "#1b1b1b"),
    ("#0072B2", "#ffffff"),
    ("#D55E00", "#0b0b0b"),
    ("#F0E442", "#1b1b1b"),
    ("#8C8C8C", "#0b0b0b"),
)


def concept_color(concept: int) -> tuple[str, str]:
    """Return fill and ink of a concept; colors come round again after eight, the number never does."""
    return _COLORS[concept % len(_COLORS)]


def color_style(concept: int) -> str:
    """Return the CSS variables by which everything inside an element takes the concept's color."""
    fill, ink = concept_color(concept)
    return f"--concept:{fill};--concept-ink:{ink}"


def badge(concept: int) -> str:
    """Return the numbered disc that stands for a concept."""
    return f'<span class="ch-badge" style="{color_style(concept)}" aria-hidden="true">{concept + 1}</span>'
