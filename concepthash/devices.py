"""The device of a process, and the processes of one ``accelerate launch``: their shares, and all shares together."""

import atexit
import functools
import logging
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from torch import distributed

from .errors import ConfigError, DeviceError

__all__ = [
    "choose_device",
    "explain_lost_processes",
    "gather",
    "is_main",
    "is_shared",
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
_SIZES = ("WORLD_SIZE", "PMI_SIZE", "OMPI_COMM_WORLD_SIZE", "MV2_COMM_WORLD_SIZE")  # where launchers say how many
_log = logging.getLogger(__name__)


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
    try:
        return torch.device(name)
    except RuntimeError as error:
        raise ConfigError(f"There is no device {name!r}; choose auto, cpu, cuda or mps.") from error


def join(device: str) -> torch.device:
    """Join the other processes, where ``accelerate launch`` started several; the device of this one.

    It starts one only where there are not several GPUs and nobody said ``--multi_gpu``, whatever ``--num_processes``
    says, so that is told.

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
    if all(int(os.environ.get(name, "1")) == 1 for name in _SIZES):
        if launched_precision() and "MASTER_ADDR" in os.environ:  # which it sets for several processes only
            _log.warning(
                "accelerate launch has started one process here, not several: without several GPUs, and with --cpu, it "
                "does that. To have several on CPUs, give it --multi_gpu in place of --cpu, and --device cpu to this "
                "command."
            )
        return chosen
    from accelerate import PartialState  # takes a second to import

    patience = timedelta(days=7)  # that processes wait for the slowest one; torch gives up after minutes
    state = PartialState(cpu=chosen.type == "cpu", timeout=patience)
    atexit.register(state.destroy_process_group)  # threads that still wait at the end would abort the process
    return torch.device(state.device)


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
    with explain_lost_processes():
        distributed.all_gather_object(parts, part)
    return parts


def is_shared(path: Path) -> bool:
    """Whether all processes see what the first one has just made: they do where their machines share the folder."""
    wait()
    return all(gather(path.exists()))


def wait() -> None:
    """Go on when every process has come here."""
    if n_processes() > 1:
        with explain_lost_processes():
            distributed.barrier()


@contextmanager
def explain_lost_processes() -> Iterator[None]:
    """Say in a sentence that another process has ended, which all that wait for it are told in many words.

    Raises
    ------
    DeviceError
        If that is so.
    """
    try:
        yield
    except RuntimeError as error:
        if not isinstance(error, distributed.DistError) and "Connection" not in str(error):
            raise
        raise DeviceError(
            f"Another of the {n_processes()} processes has ended, or its machine does not answer; see what it said, "
            "and run the same commands again: they go on where they stopped."
        ) from error


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
