"""Lets sessions share what Gradio would write anew for each, and for each call of a function: what every block is."""

from collections.abc import Callable
from typing import Any

__all__ = ["share_configs"]

DESCRIPTIONS = ("get_config", "api_info", "api_info_as_input", "api_info_as_output")


def share_configs(page: Any) -> None:
    """Let every block of a finished ``gr.Blocks`` describe itself once; whoever asks gets a copy.

    Gradio asks all blocks for each session and each call, which takes 20 ms: as long as a pass of the network.
    """
    for block in page.blocks.values():
        for name in DESCRIPTIONS:
            if hasattr(block, name):
                setattr(block, name, _kept(getattr(block, name)()))


def _kept(described: Any) -> Callable[[], Any]:
    return lambda: dict(described) if isinstance(described, dict) else described
