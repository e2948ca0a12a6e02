"""Several processes that encode together as those of `accelerate launch` do, with a model that needs no weights.

As a script it is one of them: ``python together.py PHOTOS OUT MEETING RANK COUNT HOW MOMENT``.
"""

import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

import numpy as np
from fake_encoder import FakeEncoder

from concepthash.data import read_dataset
from concepthash.encode_table import encode_table
from concepthash.encode_update import update_gallery
from concepthash.encoding import EncodeOptions
from concepthash.errors import ConceptHashError
from concepthash.gallery import merging, open_gallery, partial
from concepthash.gallery.editor import GalleryEditor

TESTS = Path(__file__).parent


def together(photos: Path, out: Path, count: int, moment: str = "", how: str = "encode") -> list[str]:
    """Encode, with ``how`` overwrite or update, and kill one at a ``moment``; what each said at its end."""
    environment = os.environ | {"PYTHONPATH": f"{TESTS.parent}{os.pathsep}{TESTS}", "OMP_NUM_THREADS": "1"}
    meeting = out.with_name(f"meeting-{len(list(out.parent.iterdir()))}-{moment}")
    outs = [out.with_name("elsewhere") if rank and how == "apart" else out for rank in range(count)]
    processes = [
        subprocess.Popen(
            [sys.executable, __file__, str(photos), str(one), str(meeting), str(rank), str(count), how, moment],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment,
        )
        for rank, one in enumerate(outs)
    ]  # fmt: skip
    said = [process.communicate(timeout=120)[0].strip() for process in processes]
    meeting.unlink(missing_ok=True)
    if moment:
        assert -signal.SIGKILL in [process.returncode for process in processes]
    return said


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


def main(photos: str, out: str, meeting: str, rank: str, count: str, how: str, moment: str) -> None:
    import torch.distributed as processes

    class Dying(FakeEncoder):
        def encode(self, images: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
            if len(self.batches) == 1 and moment == f"process {rank} encodes":
                die()
            return super().encode(images)

    size = {"rank": int(rank), "world_size": int(count), "timeout": timedelta(seconds=60)}
    processes.init_process_group("gloo", init_method=f"file://{meeting}", **size)
    if rank == "0":
        die_at(moment)
    encoder, table = Dying(), read_dataset(photos)
    try:
        if how == "update":
            done = update_gallery(encoder, table, Path(out), EncodeOptions(batch_size=2, progress=False))
            print(len(open_gallery(out)), len(encoder.numbers), done)
        else:
            print(len(encode_table(encoder, table, out, batch_size=2, progress=False, overwrite=how == "overwrite")))
    except ConceptHashError as error:
        print(error, flush=True)
        os._exit(2)


if __name__ == "__main__":
    main(*sys.argv[1:])
