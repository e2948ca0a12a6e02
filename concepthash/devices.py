"""The device of a process, and the processes of one ``accelerate launch``: their shares, and all shares together."""

import functools
import os
from collections.abc import Callable
from datetime import timedelta
from typing import Any, TypeVar

import numpy as np
import torch
from torch import distributed

from .errors import ConfigError, DeviceError

__all__ = [
    "choose_device",
    "gather",
    "is_main",
    "join",
    "launched_precision",
    "n_processes",
    "process_index",
    "share",
    "told_when_full",
    "wait",
]

T = TypeVar("T")
F = TypeVar("F", bound=Callable[..., Any])


def choose_device(name: str = "auto") -> torch.device:
    """The device called ``name``; ``"auto"`` takes CUDA, then MPS, then the CPU.

    Raises
    ------
    ConfigError
        If the name is unknown or this machine has no such device.
    """
    available = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    if name == "auto":
        return torch.device(next(kind for kind, is_there in available.items() if is_there))
    kind = name.split(":")[0]
    if kind not in available:
        raise ConfigError(f"There is no device {name!r}; choose auto, cpu, cuda or mps.")
    if not available[kind]:
        raise ConfigError(f"This machine has no {kind} device that torch can use; choose auto or cpu.")
    return torch.device(name)


def join(device: str) -> torch.device:
    """Join the other processes, where ``accelerate launch`` started several; the device of this one.

    Parameters
    ----------
    device
        ``"auto"``, ``"cpu"``, ``"cuda"`` or ``"mps"``; several processes on CUDA take one GPU each.

    Raises
    ------
    ConfigError
        If this machine has no such device.
    """
    chosen = choose_device(device)
    if int(os.environ.get("WORLD_SIZE", "1")) == 1:
        return chosen
    from accelerate import PartialState  # takes a second to import

    patience = timedelta(days=7)  # that processes wait for the slowest one; torch gives up after minutes
    return torch.device(PartialState(cpu=chosen.type == "cpu", timeout=patience).device)


def launched_precision() -> str | None:
    """``mixed_precision`` as ``accelerate launch`` was told, None where nobody launched or said."""
    return os.environ.get("ACCELERATE_MIXED_PRECISION")


def n_processes() -> int:
    """Number of processes that work together, 1 where nobody launched more."""
    return distributed.get_world_size() if distributed.is_initialized() else 1


def is_main() -> bool:
    """Whether this process is the one that writes and prints."""
    return process_index() == 0


def share(rows: np.ndarray) -> np.ndarray:
    """The part of ``rows`` (n,) that is this process's; the parts of all, in order, are ``rows``."""
    return np.array_split(rows, n_processes())[process_index()]


def gather(part: T) -> list[T]:
    """What every process gives, in their order, in every process."""
    if n_processes() == 1:
        return [part]
    parts: list[Any] = [None] * n_processes()
    distributed.all_gather_object(parts, part)
    return parts


def wait() -> None:
    """Go on when every process has come here."""
    if n_processes() > 1:
        distributed.barrier()


def process_index() -> int:
    """Number of this process, from 0."""
    return distributed.get_rank() if distributed.is_initialized() else int(os.environ.get("RANK", "0"))


def told_when_full(work: F) -> F:
    """Let a method say in a sentence that the memory of its ``device`` is full, and free it for the next call."""

    @functools.wraps(work)
    def attempt(owner: Any, *args: Any, **kwargs: Any) -> Any:
        try:
            return work(owner, *args, **kwargs)
        except torch.OutOfMemoryError as error:
            full = DeviceError(
                f"The device {owner.device} has no memory left for this; try again when less is going on, "
                "or start with --device cpu."
            )
            full.__cause__ = error.with_traceback(None)  # whose frames hold the tensors
        if owner.device.type == "cuda":
            torch.cuda.empty_cache()
        raise full

    return attempt  # type: ignore[return-value]
