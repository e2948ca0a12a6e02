"""An encoding that kills itself at a given moment."""

import os
import shutil
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

from fake_encoder import FakeEncoder

from concepthash.data import read_dataset
from concepthash.encode import encode_table
from concepthash.gallery import changes, partial, store


def die_in(owner: Any, name: str, call: int = 1, *, after: bool = False) -> None:
    """Let this process die in the ``call``-th call of a function, before it has done anything or when it has."""
    real, calls = getattr(owner, name), []

    def patched(*arguments: Any, **options: Any) -> Any:
        calls.append(arguments)
        if len(calls) == call and not after:
            os.kill(os.getpid(), signal.SIGKILL)
        result = real(*arguments, **options)
        if len(calls) == call:
            os.kill(os.getpid(), signal.SIGKILL)
        return result

    setattr(owner, name, patched)


def be_killed(say: Callable[[str], None], moment: str, photos: Path, out: Path, overwrite: bool) -> None:
    last_rename = 3 if overwrite else 2
    moments = {
        "before the database has its tables": lambda: die_in(store, "create"),
        "before the database has its name": lambda: die_in(os, "rename"),
        "before the first image": lambda: die_in(FakeEncoder, "encode"),
        "with a batch's first thumbnail written": lambda: die_in(Path, "write_bytes", 5, after=True),
        "inside a transaction": lambda: die_in(changes, "insert", 8, after=True),
        "after some commits": lambda: die_in(FakeEncoder, "encode", 4),
        "after all commits": lambda: die_in(store.GalleryWriter, "finish"),
        "with all marked complete": lambda: die_in(partial.PartialFolder, "publish"),
        "just before it has its name": lambda: die_in(os, "rename", last_rename),
        "just after it has its name": lambda: die_in(os, "rename", last_rename, after=True),
        "with the replaced gallery half deleted": lambda: die_in(shutil, "rmtree"),
    }
    moments[moment]()
    encode_table(FakeEncoder(), read_dataset(photos), out, batch_size=2, progress=False, overwrite=overwrite)
