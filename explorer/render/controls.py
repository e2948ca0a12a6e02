"""The controls of the maps: method, blocks and heads in plain words, and two more for the curious."""

from ..records import MapControls, ModelInfo
from .markup import action, pressed, text

__all__ = ["map_controls"]

_METHODS = {
    "rollout": ("Rollout", "Follows attention through all chosen blocks, from the concept back to the image."),
    "raw": ("Raw", "Attention of the last block only: the concept’s final look, without its history."),
    "gradient": ("Gradient", "Attention weighted by how much it changes this concept’s bits: what mattered."),
}
_FUSIONS = {
    "mean": ("Mean", "The average of all attention heads."),
    "max": ("Max", "The strongest head at each place; shows more, and more noise."),
    "min": ("Min", "Only where all heads agree; sparse."),
}


def map_controls(controls: MapControls, info: ModelInfo) -> str:
    """Show all controls; the sentence below tells what the chosen ones mean."""
    hint = f"{_METHODS[controls.method][1]} {_FUSIONS[controls.head_fusion][1]}"
    return (
        '<section class="ch-controls" aria-label="How maps are made"><div class="ch-row">'
        f"{_segments('Method', 'method', _METHODS, controls.method)}"
        f"{_blocks(controls, info.n_blocks)}"
        f"{_segments('Heads', 'head_fusion', _FUSIONS, controls.head_fusion)}</div>"
        f'<p class="ch-hint">{text(hint)}</p>{_advanced(controls)}</section>'
    )


def _segments(label: str, name: str, choices: dict[str, tuple[str, str]], chosen: str) -> str:
    buttons = "".join(
        f'<button type="button" class="ch-seg" {pressed(value == chosen)} title="{text(why)}" '
        f"{action('control', name=name, value=value)}>{text(word)}</button>"
        for value, (word, why) in choices.items()
    )
    return (
        f'<div class="ch-field"><span class="ch-label">{text(label)}</span>'
        f'<div class="ch-segments" role="group" aria-label="{text(label)}">{buttons}</div></div>'
    )


def _blocks(controls: MapControls, n_blocks: int) -> str:
    chosen = 0 if controls.last_k >= n_blocks else controls.last_k
    words = {0: f"All {n_blocks}"} | {k: "Last one" if k == 1 else f"Last {k}" for k in range(1, n_blocks)}
    options = "".join(
        f'<option value="{k}" {"selected" if k == chosen else ""}>{word}</option>' for k, word in words.items()
    )
    disabled = "disabled" if controls.method == "raw" else ""
    return (
        '<label class="ch-field"><span class="ch-label">Blocks</span><select class="ch-select" '
        f'title="Early blocks mix neighboring patches; leaving them out can sharpen the map." {disabled} '
        f'{action("control", name="last_k")} data-value="value" aria-label="Blocks">{options}</select></label>'
    )


def _advanced(controls: MapControls) -> str:
    disabled = "" if controls.method == "rollout" else "disabled"
    return (
        '<details class="ch-advanced" data-keep="advanced"><summary>More</summary><div class="ch-row">'
        f"{_slider('Residual', 'residual', controls.residual, 90, disabled)}"
        f"{_slider('Discard', 'discard', controls.discard, 95, '')}</div>"
        '<p class="ch-hint">Residual: how much of each token passes a block unchanged (rollout only). '
        "Discard: the share of the weakest attention that is dropped before maps are made.</p></details>"
    )


def _slider(label: str, name: str, value: float, top: int, disabled: str) -> str:
    percent = round(100 * value)
    return (
        f'<label class="ch-range"><span>{label} <output>{percent} %</output></span>'
        f'<input type="range" min="0" max="{top}" step="5" value="{percent}" {disabled} '
        f'{action("control", name=name)} data-value="value" aria-label="{label} in percent"></label>'
    )
