"""Where GPUs are lent to single calls (Hugging Face ZeroGPU), each call of a model borrows one; elsewhere nothing."""

from collections.abc import Callable
from functools import partial
from typing import Any

from concepthash.checkpoint import Checkpoint
from concepthash.encoder import Encoder

__all__ = ["load_encoder"]

CALLS = ("code_logits", "encode", "explain_batch", "bit_map")  # numpy in, numpy out; the others are made of these
SECONDS = 15  # that a call may keep the GPU


def load_encoder(checkpoint: Checkpoint, device: str, copies: int = 1) -> Encoder:
    """Load a model that borrows a GPU for each call, where the package ``spaces`` is installed and lends them."""
    lend = _lender()  # first of all, since it makes torch see the GPU that will be lent
    encoder = Encoder(checkpoint, device, copies=copies)
    if lend is not None:
        _borrow(encoder, lend)
    return encoder


def _lender() -> Callable[..., Any] | None:
    try:
        import spaces
    except ImportError:
        return None
    lend: Callable[..., Any] = spaces.GPU  # gives a function back as it is where nothing is lent
    return lend


def _borrow(encoder: Encoder, lend: Callable[..., Any]) -> None:
    """Make one borrowing function of all calls, so that one worker process serves them all."""

    def call(name: str, *arguments: Any, **named: Any) -> Any:
        return getattr(Encoder, name)(encoder, *arguments, **named)

    lent = lend(call, duration=SECONDS)
    for name in CALLS:
        setattr(encoder, name, partial(lent, name))
