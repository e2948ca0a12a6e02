"""Reading a foreign ``.pth`` file without trusting it: a flat dictionary of tensors, or one clear sentence."""

import pickle
import warnings
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from .errors import CheckpointError

__all__ = ["MAX_BYTES", "listed", "read_tensors", "to_float32"]

MAX_BYTES = 16 * 2**30
MAX_TENSORS = 100_000
WRAPPERS = ("state_dict", "model_state_dict", "model", "net")
PREFIXES = ("module.", "_orig_mod.", "model.")
MAX_WRAPPERS = 4


def read_tensors(file: Path) -> dict[str, Tensor]:
    """Tensors by name, wrapping dictionaries (``{"state_dict": …}``) and prefixes of all names (``module.``) taken off.

    Raises
    ------
    CheckpointError
        If the file is missing, empty, cut short or too large, holds code, or anything but tensors by name.
    """
    _check_file(file)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the one sentence is ours
            content = torch.load(file, map_location="cpu", weights_only=True)
    except Exception as error:  # torch lets every error of pickle, zip and allocation through
        is_pickle = isinstance(error, pickle.UnpicklingError)
        reason = "holds code or objects, which are never loaded," if is_pickle else "was cut short or altered,"
        raise CheckpointError(
            f"{file.name!r} {reason} or is not a file of torch.save ({type(error).__name__}); give a whole file that "
            "holds a state dictionary of tensors and nothing else."
        ) from error
    tensors = _unwrap(content, file)
    while any(all(name.startswith(prefix) for name in tensors) for prefix in PREFIXES):
        tensors = {name.split(".", 1)[1]: tensor for name, tensor in tensors.items()}
    return tensors


def _check_file(file: Path) -> None:
    try:
        if not file.is_file():
            what = "is a folder" if file.is_dir() else "is not there, or no file"
            raise CheckpointError(f"{file.name!r} {what}; give the .pth file that the official trainer wrote.")
        size = file.stat().st_size
        if not 0 < size <= MAX_BYTES:
            limit = f"more than the {MAX_BYTES >> 30} GiB that are read" if size else "no file of weights"
            raise CheckpointError(f"{file.name!r} has {size:,} bytes, {limit}; give the whole .pth file and no other.")
        if zipfile.is_zipfile(file):
            with zipfile.ZipFile(file) as archive:
                if any(entry.compress_type != zipfile.ZIP_STORED for entry in archive.infolist()):
                    raise CheckpointError(
                        f"{file.name!r} is a compressed archive, not a file of torch.save; save its tensors."
                    )
    except (OSError, ValueError, zipfile.BadZipFile, NotImplementedError) as error:
        raise (
            error
            if isinstance(error, CheckpointError)
            else CheckpointError(
                f"{file.name!r} cannot be read ({type(error).__name__}); check the path and copy the file again."
            )
        ) from error


def _unwrap(content: Any, file: Path) -> dict[str, Tensor]:
    for _ in range(MAX_WRAPPERS):
        inner = [content[name] for name in WRAPPERS if isinstance(content, Mapping) and name in content]
        if not inner or not isinstance(inner[0], Mapping):
            break
        content = inner[0]
    if not isinstance(content, Mapping) or not content or len(content) > MAX_TENSORS:
        what = f"{len(content):,} entries" if isinstance(content, Mapping) else f"a {type(content).__name__}"
        raise CheckpointError(f"{file.name!r} holds {what} instead of named tensors; give a state dictionary.")
    strange = [str(name) for name, value in content.items() if not (isinstance(name, str) and _is_plain(value))]
    if strange:
        raise CheckpointError(
            f"{file.name!r} holds other things than plain tensors by name: {listed(strange)}. Save the model's state "
            "dictionary alone, or below the name 'state_dict'."
        )
    return dict(content)


def _is_plain(value: Any) -> bool:
    is_dense = isinstance(value, Tensor) and value.layout is torch.strided
    return is_dense and not (value.is_quantized or value.is_meta or value.is_nested)


def to_float32(tensors: Mapping[str, Tensor], file: Path) -> dict[str, Tensor]:
    """The same tensors as float32 of any floating type, counters as they are.

    Raises
    ------
    CheckpointError
        If one is of another type, holds a value that is not finite, or they claim more data than the file has.
    """
    if sum(tensor.numel() * tensor.element_size() for tensor in tensors.values()) > file.stat().st_size:
        raise CheckpointError(f"The tensors of {file.name!r} claim more data than the file has; save it again.")
    counters = {name for name in tensors if name.endswith("num_batches_tracked")}
    strange = [name for name, tensor in tensors.items() if name not in counters and not tensor.is_floating_point()]
    if strange:
        raise CheckpointError(
            f"Weights of {file.name!r} are not floating point: {listed(strange)}. Save them as float32."
        )
    whole = {name: t.detach() if name in counters else t.detach().float() for name, t in tensors.items()}
    broken = [name for name, tensor in whole.items() if not tensor.isfinite().all()]
    negative = [name for name, tensor in whole.items() if name.endswith("running_var") and (tensor < 0).any()]
    if negative:
        raise CheckpointError(
            f"Variances of {file.name!r} are negative: {listed(negative)}. Use an earlier checkpoint."
        )
    if broken:
        raise CheckpointError(f"Weights of {file.name!r} are not finite: {listed(broken)}. Use an earlier checkpoint.")
    return whole


def listed(names: list[str], most: int = 5) -> str:
    """Names for a message: the first few, each on one line and not too long, and how many more there are."""
    shown = [name if name.isprintable() else ascii(name)[1:-1] for name in (name[:100] for name in names[:most])]
    return ", ".join(shown) + (f" and {len(names) - most} more" if len(names) > most else "")
