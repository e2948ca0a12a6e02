"""A process whose children write to galleries until somebody kills them; each says what it is about to do, and did.

Orders come on standard input, one JSON object a line. A child first says its process number, as ``child N``. It
writes ``begin N`` before and ``done N`` after its N-th operation, and exits when there is nothing more to do.
"""

import json
import os
import random
import sys
from pathlib import Path
from typing import Any

import numpy as np
from fake_encoder import FakeEncoder
from stored_images import centers, image, logits

from concepthash import devices  # imported before the forks, as torch takes seconds
from concepthash.data import read_dataset
from concepthash.encode import encode_table
from concepthash.gallery import GalleryWriter, NewImage
from concepthash.gallery.editor import GalleryEditor

State = dict[str, int]  # image id -> version, which gives code and thumbnail
N_NAMES = 60


def stored(name: str, version: int) -> NewImage:
    return image(int(name), image_id=name, path=name, thumbnail=f"{name} v{version}".encode() * 200)


def numbers(versions: list[int]) -> tuple[np.ndarray, np.ndarray]:
    """Code logits and attention centers of versions of images."""
    if not versions:
        return np.empty((0, 12), np.float32), np.empty((0, 3, 2), np.float32)
    return np.concatenate([logits(1) + v for v in versions]), np.concatenate([centers(1)] * len(versions))


def operation(state: State, seed: int) -> tuple[str, list[str], list[str]]:
    """What to do with a gallery: ids that go and ids that come; the same in the process that checks it."""
    chance = random.Random(seed)
    free = [str(name) for name in range(N_NAMES) if str(name) not in state]
    kind = chance.choice(["append", "replace", "delete"]) if free and len(state) > 12 else "append"
    there = chance.sample(sorted(state), min(len(state), chance.randint(1, 6)))
    if kind == "append":
        return kind, [], chance.sample(free, min(len(free), chance.randint(1, 9)))
    return kind, there, there if kind == "replace" else []


def applied(state: State, seed: int) -> State:
    _, going, coming = operation(state, seed)
    kept = {name: version for name, version in state.items() if name not in going}
    return kept | dict.fromkeys(coming, seed)


def say(word: str, number: int) -> None:
    os.write(1, f"{word} {number}\n".encode())


def edit(folder: Path, state: State, seed: int) -> None:
    while True:
        with GalleryEditor(folder) as editor:  # opened anew now and then, as opening and closing may be killed, too
            for _ in range(5):
                seed += 1
                kind, going, coming = operation(state, seed)
                say("begin", seed)
                if kind == "delete":
                    editor.delete(going)
                else:
                    editor.replace(going, [stored(name, seed) for name in coming], *numbers([seed] * len(coming)))
                say("done", seed)
                state = applied(state, seed)


def encode(folder: Path, photos: Path) -> None:
    real = GalleryWriter.append

    def append(writer: GalleryWriter, *batch: Any) -> None:
        say("begin", writer.n_images + writer.n_skipped)
        real(writer, *batch)
        say("done", writer.n_images + writer.n_skipped)

    GalleryWriter.append = append  # type: ignore[method-assign]
    encode_table(FakeEncoder(), read_dataset(photos), folder, batch_size=3, progress=False)
    say("finished", 0)


def main() -> None:
    assert devices.n_processes() == 1
    for line in sys.stdin:
        order = json.loads(line)
        child = os.fork()
        if child:
            os.waitpid(child, 0)
            say("ended", child)
            continue
        say("child", os.getpid())
        try:
            folder = Path(order["folder"])
            if order["what"] == "edit":
                edit(folder, order["state"], order["seed"])
            else:
                encode(folder, Path(order["photos"]))
        except BaseException as error:
            os.write(1, f"failed {error!r}\n".replace("\n", " ").encode() + b"\n")
        finally:
            os._exit(0)


if __name__ == "__main__":
    main()
