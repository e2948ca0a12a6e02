"""Render the whole aviary into a folder: pictures and parts one by one, in any order, then the tables."""

import json
import multiprocessing
import os
import tempfile
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict, dataclass
from io import BytesIO
from pathlib import Path

import cv2
import numpy as np
from PIL import Image
from tqdm import tqdm

from ...errors import DataError
from ..images import quoted_name
from .picture import Picture, render_picture
from .scene import mitsuba
from .species import PART_COLORS, SPECIES
from .tables import write_tables

__all__ = ["Recipe", "render_aviary"]

_QUALITY = 90
_LEAST_SIZE = 32


@dataclass(frozen=True)
class Recipe:
    """What a rendered folder depends on: the same recipe gives the same pixels.

    Parameters
    ----------
    seed
        Not negative.
    size
        Side of a picture in pixels, at least 32.
    per_species
        How many pictures each species has, at least 1.
    n_samples
        How many paths of light measure a pixel, at least 1.
    """

    seed: int = 0
    size: int = 256
    per_species: int = 25
    n_samples: int = 14

    def __post_init__(self) -> None:
        least = {"seed": 0, "size": _LEAST_SIZE, "per_species": 1, "n_samples": 1}
        for name, value in asdict(self).items():
            if value < least[name]:
                raise DataError(f"{name} is {value}, but must be at least {least[name]}; give a greater one.")


def render_aviary(root: Path, recipe: Recipe, *, n_workers: int = 1) -> int:
    """Render what is not there yet, then write the tables.

    Parameters
    ----------
    root
        The folder; made if it is not there.
    recipe
        What to render. A folder that was begun must have been begun with the same one.
    n_workers
        How many processes share the work.

    Returns
    -------
    int
        How many pictures were rendered now.

    Raises
    ------
    DataError
        If Mitsuba or scikit-image is missing, the folder cannot be written, or was begun with another recipe.
    """
    root = Path(root)
    try:
        _claim(root, recipe)
        missing = [
            (number, index)
            for index in range(recipe.per_species)  # the first of each species first
            for number, species in enumerate(SPECIES)
            if not (root / "images" / species.slug / f"{index:02d}.jpg").is_file()
        ]
        for _ in tqdm(_rendered(root, recipe, missing, n_workers), total=len(missing), unit="bird", disable=None):
            pass
        write_tables(root, recipe.seed, recipe.per_species)
    except OSError as error:
        raise DataError(
            f"The aviary cannot be written to {quoted_name(root)} ({error.strerror or error}); check that there is "
            "space and that writing is permitted."
        ) from error
    return len(missing)


def _claim(root: Path, recipe: Recipe) -> None:
    """Note the recipe in the folder, or check that it is the one noted there."""
    path = root / "recipe.json"
    text = json.dumps(asdict(recipe), indent=2) + "\n"
    if not path.exists():
        root.mkdir(parents=True, exist_ok=True)
        _write(path, text.encode())
    elif path.read_bytes() != text.encode():
        raise DataError(
            f"{quoted_name(root)} holds an aviary of another seed, size or number of pictures (see its recipe.json); "
            "give the same ones or another folder."
        )


def _rendered(root: Path, recipe: Recipe, missing: list[tuple[int, int]], n_workers: int) -> Iterator[int]:
    if not missing:
        return
    mitsuba()  # missing libraries are told once, here
    if n_workers < 2:
        for number, index in missing:
            yield _render_one(root, recipe, number, index)
        return
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(n_workers, mp_context=context)
    try:
        jobs = [pool.submit(_render_one, root, recipe, number, index) for number, index in missing]
        for job in as_completed(jobs):
            yield job.result()
    finally:
        pool.shutdown(cancel_futures=True)  # when interrupted, without waiting for those not begun


def _render_one(root: Path, recipe: Recipe, number: int, index: int) -> int:
    """Render one picture and its parts, and give back its index."""
    cv2.setNumThreads(1)
    species = SPECIES[number]
    picture = render_picture(species, index, seed=recipe.seed, size=recipe.size, n_samples=recipe.n_samples)
    place = f"{species.slug}/{index:02d}"
    _write(root / "parts" / f"{place}.png", _parts_file(picture))
    _write(root / "images" / f"{place}.jpg", _image_file(picture))  # last, since it says that both are there
    return index


def _image_file(picture: Picture) -> bytes:
    stream = BytesIO()
    Image.fromarray(picture.image).save(stream, "JPEG", quality=_QUALITY, subsampling="4:2:0", optimize=True)
    return stream.getvalue()


def _parts_file(picture: Picture) -> bytes:
    image = Image.fromarray(picture.parts)  # gray until it gets its palette
    colors = ["#000000", *PART_COLORS]
    image.putpalette(np.array([[int(code[k : k + 2], 16) for k in (1, 3, 5)] for code in colors], np.uint8).tobytes())
    stream = BytesIO()
    image.save(stream, "PNG", optimize=True)
    return stream.getvalue()


def _write(path: Path, content: bytes) -> None:
    """Write a file so that it is never seen half written."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=".", suffix=".part")
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(content)
        Path(name).chmod(0o644)
        os.replace(name, path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
