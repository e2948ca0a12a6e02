"""``kill -9`` at random moments: a gallery opens every time, with what was acknowledged and at most one change more.

The one more is the change under way: it may have been committed by the time its process died, but not been reported.
"""

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from fake_encoder import FakeEncoder, content, make_photos
from killed_writer import State, applied, numbers, stored
from stored_images import PROVENANCE

from concepthash.encode import encode_table
from concepthash.gallery import GalleryWriter, open_gallery
from concepthash.gallery.database import connect
from concepthash.gallery.editor import GalleryEditor

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="kills with a POSIX signal")
TESTS = Path(__file__).parents[2]
N_KILLS = 50


class Writers:
    """Starts writers, lets each work for a while, kills it, and gives what it had said."""

    def __init__(self) -> None:
        path = os.pathsep.join([str(TESTS.parent), str(TESTS)])
        self.process = subprocess.Popen(
            [sys.executable, str(TESTS / "killed_writer.py")],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=os.environ | {"PYTHONPATH": path},
        )  # fmt: skip

    def run(self, n_lines: int, seconds: float, **order: object) -> list[tuple[str, str]]:
        """Kill the writer so long after it said so much, or let it end where that is sooner."""
        assert self.process.stdin is not None and self.process.stdout is not None
        self.process.stdin.write(json.dumps(order) + "\n")
        self.process.stdin.flush()
        child, said = int(self.process.stdout.readline().split()[1]), [("", "")]
        while len(said) <= n_lines and said[-1][0] != "ended":
            said.append(self.read())
        if said[-1][0] != "ended":
            time.sleep(seconds)
            with suppress(ProcessLookupError):  # it has just ended
                os.kill(child, signal.SIGKILL)
        while said[-1][0] != "ended":
            said.append(self.read())
        assert "failed" not in dict(said), said
        return said[1:-1]

    def read(self) -> tuple[str, str]:
        assert self.process.stdout is not None
        word, _, rest = self.process.stdout.readline().strip().partition(" ")
        return word, rest


@pytest.fixture
def writers() -> Iterator[Writers]:
    started = Writers()
    yield started
    started.process.kill()
    started.process.communicate()


def stored_state(folder: Path) -> State:
    """What a reader finds, every row with its own code and its own thumbnail."""
    gallery = open_gallery(folder)
    state = {}
    for position, name in enumerate(gallery.image_ids):
        shown = gallery.thumbnail_path(position).read_bytes()
        version = int(shown[: len(shown) // 200].split(b" v")[1])
        assert shown == stored(name, version).thumbnail
        np.testing.assert_array_equal(gallery.code_logits[position], numbers([version])[0][0])
        state[name] = version
    return state


def test_a_gallery_whose_editors_are_killed_holds_what_they_acknowledged(tmp_path: Path, writers: Writers) -> None:
    folder, state, seed = tmp_path / "gallery", {"0": 0}, 0
    with GalleryWriter(folder, PROVENANCE) as writer:
        writer.append([stored("0", 0)], *numbers([0]))
        writer.finish()
    chance, n_done, n_cut = random.Random(7), 0, 0
    for _ in range(N_KILLS):
        said = writers.run(
            chance.randint(0, 12), chance.uniform(0, 0.03), what="edit", folder=str(folder), state=state, seed=seed
        )
        for word, number in said:
            if word == "done":
                state, seed, n_done = applied(state, int(number)), int(number), n_done + 1
        found = stored_state(folder)
        if said and said[-1][0] == "begin" and found != state:
            state, seed, n_cut = applied(state, seed + 1), seed + 1, n_cut + 1
        assert found == state
    GalleryEditor(folder).close()
    pictures = {path.stem for path in (folder / "thumbnails").rglob("*.webp")}
    assert pictures == {str(row) for row in open_gallery(folder).rows}
    assert {path.name for path in folder.iterdir()} == {"gallery.duckdb", "thumbnails"}
    assert n_done > N_KILLS, "the writers were killed before they could work"


def n_stored(folder: Path) -> int:
    """Images and unreadable files in an unfinished gallery, each image with its thumbnail."""
    if not (folder / "gallery.duckdb").exists():
        return 0
    with connect(folder / "gallery.duckdb", read_only=True) as database:
        rows = [row for (row,) in database.execute('SELECT "row" FROM images ORDER BY "row"').fetchall()]
        ((n_skipped,),) = database.execute("SELECT count(*) FROM skipped").fetchall()
    assert rows == list(range(len(rows)))
    assert all((folder / f"thumbnails/{row:02x}/{row}.webp").stat().st_size for row in rows)
    return len(rows) + int(n_skipped)


def test_an_encoding_that_is_killed_again_and_again_ends_as_an_unbroken_one(tmp_path: Path, writers: Writers) -> None:
    photos, unbroken = tmp_path / "photos", tmp_path / "unbroken"
    table = make_photos(photos, n=60, bad=(7, 31))
    encode_table(FakeEncoder(), table, unbroken, batch_size=3, progress=False)
    chance, n_done, n_finished, n_kills = random.Random(3), 0, 0, 0
    folder, acknowledged = tmp_path / "gallery-0", 0
    while n_kills < N_KILLS:
        said = writers.run(
            chance.randint(0, 12), chance.uniform(0, 0.03), what="encode", folder=str(folder), photos=str(photos)
        )
        n_kills += not said or said[-1][0] != "finished"
        done = [int(number) for word, number in said if word == "done"]
        acknowledged, n_done = (done or [acknowledged])[-1], n_done + len(done)
        if folder.exists():  # complete, whether or not it could still say so
            assert content(folder) == content(unbroken)
            n_finished += 1
            folder, acknowledged = tmp_path / f"gallery-{n_finished}", 0
            continue
        assert said[-1:] != [("finished", "0")]
        found = n_stored(folder.with_name(f"{folder.name}.partial"))
        assert found in (acknowledged, acknowledged + 3)
        acknowledged = found
    assert n_done > N_KILLS / 2, "the writers were killed before they could work"
    encode_table(FakeEncoder(), table, folder, batch_size=3, progress=False)
    assert content(folder) == content(unbroken)
