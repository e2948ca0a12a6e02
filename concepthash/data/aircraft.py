"""Read FGVC-Aircraft in the layout of its archive: variants as classes, families from its own lists."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np

from ..errors import DataError
from .lists import inside, keyed_boxes, keyed_lines, lines_of, missing_files, present_files
from .table import ImageTable

__all__ = ["is_aircraft_layout", "read_aircraft"]

_LISTS = tuple(f"images_{kind}_{split}.txt" for kind in ("variant", "family") for split in ("trainval", "test"))


def is_aircraft_layout(root: Path) -> bool:
    """Tell whether a folder is meant for `read_aircraft`, complete or not.

    Parameters
    ----------
    root
        Any path; of the archive it is the folder ``data``.

    Returns
    -------
    bool
        True if ``images/`` and one of ``variants.txt``, ``images_variant_*.txt`` and ``images_family_*.txt`` are there.
    """
    return (root / "images").is_dir() and any((root / name).is_file() for name in ("variants.txt", *_LISTS))


def read_aircraft(root: Path) -> ImageTable:
    """Read the FGVC-Aircraft layout.

    Needed are ``images/``, ``variants.txt``, ``families.txt`` and, of both ``trainval`` and ``test``,
    ``images_variant_*.txt`` and ``images_family_*.txt``; ``images_box.txt`` is read where present. Images without a
    file are left out with a line in the log. The lowest 20 pixels of a photo are a banner with its author's name;
    reading does not cut it off, but the boxes leave it out.

    Parameters
    ----------
    root
        The folder ``data`` of the archive.

    Returns
    -------
    ImageTable
        Train (and validation) images first, each list in its order; image ids are such as ``"0034309.jpg"``; classes
        are those of ``variants.txt``, in its order.

    Raises
    ------
    DataError
        If a file is missing or malformed, or no listed image is there.

    References
    ----------
    Maji et al., Fine-grained visual classification of aircraft, arXiv:1306.5151, 2013.
    """
    root = Path(root).resolve()
    missing_files(root, ("images/", "variants.txt", "families.txt", *_LISTS), "FGVC-Aircraft")
    train, variants = _both_splits(root, "variant")
    listing = root / "images_variant_trainval.txt"
    present = present_files(root / "images", {key: inside(f"{key}.jpg", listing) for key in variants}, listing)
    class_names = _unique_lines(root / "variants.txt")
    place = {name: label for label, name in enumerate(class_names)}
    _check_known("variants.txt", place, (variants[key] for key in present))
    boxes = root / "images_box.txt"
    return ImageTable(
        name="fgvc-aircraft" if root.name == "data" else root.name,
        root=root,
        image_ids=tuple(path.as_posix() for path in present.values()),
        paths=tuple(root / "images" / path for path in present.values()),
        labels=np.array([place[variants[key]] for key in present], dtype=np.int64),
        class_names=class_names,
        families=_families(root, class_names, variants),
        is_train=np.array([key in train for key in present]),
        boxes=_corners_to_box(keyed_boxes(boxes, tuple(present))) if boxes.is_file() else None,
    )


def _both_splits(root: Path, kind: str) -> tuple[set[str], dict[str, str]]:
    """Ids of the train images, and what the lists of a ``kind`` say of each image, train images first."""
    train = keyed_lines(root / f"images_{kind}_trainval.txt")
    test = keyed_lines(root / f"images_{kind}_test.txt")
    both = sorted(train.keys() & test.keys())
    if both:
        raise DataError(f"Image {both[0]} stands in the lists of both {kind} splits; keep it in one.")
    return set(train), train | test


def _families(root: Path, class_names: tuple[str, ...], variants: dict[str, str]) -> tuple[str, ...]:
    """Family of each variant, known from the images that carry both; empty where no image tells."""
    _, family_of_image = _both_splits(root, "family")
    _check_known("families.txt", _unique_lines(root / "families.txt"), family_of_image.values())
    families: dict[str, str] = {}
    for image, variant in variants.items():
        family = family_of_image.get(image)
        if family and families.setdefault(variant, family) != family:
            raise DataError(f"Images of {variant} belong to {families[variant]} and to {family}; give one family.")
    return tuple(families.get(name, "") for name in class_names)


def _unique_lines(file: Path) -> tuple[str, ...]:
    lines = lines_of(file)
    if len(set(lines)) < len(lines):
        raise DataError(f"{file.name} lists a name twice; list each once.")
    return tuple(lines)


def _check_known(name: str, known: Iterable[str], used: Iterable[str]) -> None:
    unknown = sorted(set(used) - set(known))
    if unknown:
        raise DataError(f"{name} has no {', '.join(unknown[:5])}, but images belong to it; add it.")


def _corners_to_box(corners: np.ndarray) -> np.ndarray:
    """First and last pixel, counted from 1, (n, 4) -> x, y, width, height, counted from 0."""
    return np.concatenate([corners[:, :2] - 1, corners[:, 2:] - corners[:, :2] + 1], axis=1)
