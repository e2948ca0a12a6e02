"""Rendered birds that know their parts: species by design, pictures by ray tracing, and a reader of them."""

from .reader import is_aviary_layout, read_aviary

__all__ = ["is_aviary_layout", "read_aviary"]
