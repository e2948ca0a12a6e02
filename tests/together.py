"""Several processes that encode together as those of `accelerate launch` do, with a model that needs no weights."""

import os
import signal
from collections.abc import Callable, Sequence
from datetime import timedelta
from pathlib import Path

import numpy as np
from fake_encoder import FakeEncoder
from forked import Forked
from torch import distributed

from concepthash.data import read_dataset
from concepthash.encode_table import encode_table
from concepthash.encode_update import update_gallery
from concepthash.encoding import EncodeOptions
from concepthash.errors import ConceptHashError
from concepthash.gallery import merging, open_gallery, partial
from concepthash.gallery.editor import GalleryEditor


def together(photos: Path, out: Path, count: int, moment: str = "", how: str = "encode") -> list[str]:
    """Encode, with ``how`` overwrite or update, and kill one at a ``moment``; what each said at its end."""
    meeting = out.with_name(f"meeting-{len(list(out.parent.iterdir()))}-{moment}")
    outs = [out.with_name("elsewhere") if rank and how == "apart" else out for rank in range(count)]
    members = [Forked(take_part, photos, one, meeting, rank, count, how, moment) for rank, one in enumerate(outs)]
    codes, said = zip(*(member.end() for member in members), strict=True)
    meeting.unlink(missing_ok=True)
    if moment:
        assert -signal.SIGKILL in codes
    return list(said)


def die(*_: object, **__: object) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def die_at(moment: str) -> None:
    """Let the first process die at a moment."""
    calls: list[int] = []
    link, replace = merging._link_thumbnails, GalleryEditor.replace
    if moment == "half is put together":
        merging._CHUNK = 2
        merging._link_thumbnails = lambda *a: (calls.append(1), die() if len(calls) == 4 else link(*a))[1]
    if moment == "the parts are deleted":
        partial.PartialFolder._swap = die  # type: ignore[method-assign]
    if moment == "half is updated":
        GalleryEditor.replace = lambda *a: (calls.append(1), die() if len(calls) == 3 else replace(*a))[1]  # type: ignore[assignment]


def take_part(
    say: Callable[[str], None], photos: Path, out: Path, meeting: Path, rank: int, count: int, how: str, moment: str
) -> None:
    class Dying(FakeEncoder):
        def encode(self, images: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
            if len(self.batches) == 1 and moment == f"process {rank} encodes":
                die()
            return super().encode(images)

    size = {"rank": rank, "world_size": count, "timeout": timedelta(seconds=60)}
    distributed.init_process_group("gloo", init_method=f"file://{meeting}", **size)
    if rank == 0:
        die_at(moment)
    encoder, table = Dying(), read_dataset(photos)
    try:
        if how == "update":
            done = update_gallery(encoder, table, out, EncodeOptions(batch_size=2, progress=False))
            say(f"{len(open_gallery(out))} {len(encoder.numbers)} {done}")
        else:
            gallery = encode_table(encoder, table, out, batch_size=2, progress=False, overwrite=how == "overwrite")
            say(str(len(gallery)))
    except ConceptHashError as error:
        say(str(error))
        os._exit(2)
