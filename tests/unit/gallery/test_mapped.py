"""Arrays of a gallery lie in files without a name, and in memory where these cannot be."""

import gc
import io
from pathlib import Path

import numpy as np
import pytest
from stored_images import PROVENANCE, centers, image, logits

from concepthash.gallery import GalleryWriter, open_gallery
from concepthash.gallery import mapped as module
from concepthash.gallery.mapped import mapped

MAPS = Path("/proc/self/maps")


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where temporary files lie."""
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "temporary"))
    return tmp_path / "temporary"


def n_mapped(folder: Path) -> int:
    """Count the maps of files in a folder, which are deleted and still there."""
    return sum(f"{folder}/" in line and "(deleted)" in line for line in MAPS.read_text().splitlines())


@pytest.mark.skipif(not MAPS.exists(), reason="no list of maps here")
def test_an_array_is_the_map_of_a_file_that_nobody_sees_and_that_goes_with_it(folder: Path) -> None:
    array = mapped(np.arange(6).reshape(2, 3))
    assert n_mapped(folder) == 1 and not list(folder.iterdir())
    assert type(array) is np.ndarray and not array.flags.writeable and array.tolist() == [[0, 1, 2], [3, 4, 5]]
    del array
    gc.collect()
    assert n_mapped(folder) == 0


def test_without_a_folder_for_files_the_array_stays_in_memory(folder: Path) -> None:
    folder.rmdir()
    array = np.arange(3, dtype=np.float32)
    assert mapped(array) is array


def test_a_disk_that_fills_up_in_mid_writing_leaves_the_array_in_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    class Filling(io.BytesIO):
        def flush(self) -> None:
            raise OSError(28, "No space left on device")

    monkeypatch.setattr(module, "TemporaryFile", Filling)
    array = np.arange(3)
    assert mapped(array) is array


def test_an_empty_array_stays_as_it_is() -> None:
    array = np.empty((0, 2), dtype=np.int64)
    assert mapped(array) is array


@pytest.mark.skipif(not MAPS.exists(), reason="no list of maps here")
def test_a_gallery_read_whole_maps_its_codes_and_logits(tmp_path: Path, folder: Path) -> None:
    with GalleryWriter(tmp_path / "gallery", PROVENANCE) as writer:
        writer.append([image(i) for i in range(5)], logits(5), centers(5))
        writer.finish()
    gallery = open_gallery(tmp_path / "gallery")
    assert n_mapped(folder) == 2
    assert np.array_equal(gallery.code_logits, logits(5)) and gallery.code_logits.flags.f_contiguous
