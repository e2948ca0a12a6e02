"""The card of a checkpoint: what it was trained on, how, what was measured, licences and limits, as Markdown."""

from collections.abc import Mapping
from typing import Any

from .checkpoint import ClassTable
from .data import ImageTable

__all__ = ["model_card"]


def model_card(table: ImageTable, classes: ClassTable, settings: Mapping[str, Any], figures: Mapping[str, Any]) -> str:
    """Markdown text from the settings of a run and its figures; nothing in it is a guess."""
    model, losses, train = settings["model"], settings["losses"], settings["train"]
    weights = ", ".join(
        f"{name.removesuffix('_weight')} {v:g}" for name, v in losses.items() if name.endswith("weight")
    )
    backbone, averaged = model["backbone"], settings.get("averaged")
    trained = backbone.get("trained_stages")
    has_own_size = backbone["name"] in ("hybrid", "clip")  # others have that of timm's model
    lines = [
        f"# ConceptHash, {model['n_bits']} bits over {model['n_concepts']} concepts",
        "",
        f"Data: {table.name}, {len(classes.names)} classes, {settings['n_train']} training images.",
        f"Network: {backbone['name']} at {backbone['image_size'][0]} px, "
        + (f"{backbone['depth']} blocks of width {backbone['width']}; " if has_own_size else "")
        + f"tokens read {model['reading']}.",
        *([f"Stages of its stem that trained: {trained}, at {train['stem_rate']:g} of the rate."] if trained else []),
        *([f"Started from: {settings['start']}."] if settings.get("start") else []),
        *([f"Weights: the means of {', '.join(averaged)}; the settings are the first's."] if averaged else []),
        f"Hash centers: {model['centers']}; text features: {classes.text_encoder}.",
        f"Loss weights: {weights}; maps of L_csd and L_ground: {losses['csd_map']}.",
        f"Training: {train['epochs']} epochs of batches of {train['batch_size']}, {train['optimizer']} at "
        f"{train['learning_rate']:g}, {train['n_views']} cached views an image, seed {train['seed']}; "
        f"{settings['minutes']} minutes on {settings['device']}.",
        "",
        "## Measured",
        "",
        *_figure_lines(figures.get("figures", {})),
        "",
        "## Limits",
        "",
        "- It knows the classes of classes.json and nothing else; an image of anything else still gets a code.",
        "- A concept map says where a token read, not why; a name given to a concept is a person's guess.",
        *(["- Stem weights of efficientnet-lite: Apache-2.0."] if backbone["name"] == "hybrid" else []),
        *(["- Sentence encoder all-MiniLM-L6-v2: Apache-2.0."] if classes.text_encoder == "minilm" else []),
        "- The rights in the training images stay with their owners; none is part of this folder.",
        "",
    ]
    return "\n".join(lines)


def _figure_lines(figures: Mapping[str, Any]) -> list[str]:
    if not figures:
        return ["Nothing."]
    rows = ["| figure | value |", "|---|---|"]
    for name, value in figures.items():
        if not name.endswith("_interval"):  # a card is read by people; metrics.json has them
            rows.append(f"| {name} | {_text(value)} |")
    return rows


def _text(value: Any) -> str:
    if isinstance(value, list):
        return ("; " if value and isinstance(value[0], dict | list) else ", ").join(map(_text, value))
    if isinstance(value, dict):
        return ", ".join(f"{name} {_text(part)}" for name, part in value.items())
    if value is None:
        return "–"
    return f"{value:.4g}" if isinstance(value, float) else str(value)
