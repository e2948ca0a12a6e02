"""Arrays of a gallery lie in files without a name, and in memory where these cannot be."""

import gc
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from stored_images import PROVENANCE, centers, image, logits

from concepthash.gallery import GalleryWriter, open_gallery
from concepthash.gallery.mapped import mapped

MAPS = Path("/proc/self/maps")


def parts() -> Iterator[tuple[np.ndarray, np.ndarray]]:
    for n in (0, 3, 2):
        yield np.arange(2 * n).reshape(n, 2), np.full((n, 4), n, dtype=np.float32)[:, ::2]


def n_mapped(folder: Path) -> int:
    """Count the maps of files in a folder, which are deleted and still there."""
    return sum(f"{folder}/" in line and "(deleted)" in line for line in MAPS.read_text().splitlines())


@pytest.mark.skipif(not MAPS.exists(), reason="no list of maps here")
def test_arrays_are_maps_of_files_that_nobody_sees_and_that_go_with_them(tmp_path: Path) -> None:
    arrays = mapped(parts, tmp_path / "new/folder")
    assert n_mapped(tmp_path) == 2 and not list((tmp_path / "new/folder").iterdir())
    assert type(arrays[0]) is np.ndarray and not arrays[0].flags.writeable
    del arrays
    gc.collect()
    assert n_mapped(tmp_path) == 0


@pytest.mark.parametrize("has_room", [True, False])
def test_arrays_are_joined_whether_there_is_room_for_files_or_not(tmp_path: Path, has_room: bool) -> None:
    folder = tmp_path / "folder"
    if not has_room:
        folder.write_text("a file in its place")
    numbers, floats = mapped(parts, folder)
    assert numbers.tolist() == [[0, 1], [2, 3], [4, 5], [0, 1], [2, 3]]
    assert floats.dtype == np.float32 and floats.tolist() == [[3, 3]] * 3 + [[2, 2]] * 2
    assert numbers.flags.c_contiguous and floats.flags.c_contiguous


def test_no_rows_are_an_empty_array(tmp_path: Path) -> None:
    (empty,) = mapped(lambda: [(np.empty((0, 2), dtype=np.int64),)], tmp_path)
    assert empty.shape == (0, 2) and empty.dtype == np.int64


def test_a_disk_that_fills_up_in_mid_writing_leaves_the_arrays_in_memory(tmp_path: Path) -> None:
    calls = []

    def filling() -> Iterator[tuple[np.ndarray, ...]]:
        calls.append(len(calls))
        yield (np.arange(3),)
        if len(calls) == 1:
            raise OSError(28, "No space left on device")
        yield (np.arange(2),)

    (array,) = mapped(filling, tmp_path)
    assert array.tolist() == [0, 1, 2, 0, 1] and calls == [0, 1]


@pytest.mark.skipif(not MAPS.exists(), reason="no list of maps here")
def test_a_gallery_read_whole_maps_its_codes_and_logits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with GalleryWriter(tmp_path / "gallery", PROVENANCE) as writer:
        writer.append([image(i) for i in range(5)], logits(5), centers(5))
        writer.finish()
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "temporary"))
    gallery = open_gallery(tmp_path / "gallery")
    assert n_mapped(tmp_path / "temporary") == 2
    assert np.array_equal(gallery.code_logits, logits(5)) and gallery.code_logits.flags.f_contiguous
