"""Read NABirds in the layout of its archive: lists like those of CUB-200-2011, ids that are no numbers, a hierarchy."""

from pathlib import Path

import numpy as np

from ..errors import DataError
from .cub import is_cub_layout
from .lists import inside, keyed_boxes, keyed_lines, lines_of, missing_files, present_files
from .table import ImageTable

__all__ = ["is_nabirds_layout", "read_nabirds"]

_FAMILY_DEPTH = 2  # below the root of the hierarchy stand 22 orders, and 50 families below these


def is_nabirds_layout(root: Path) -> bool:
    """Tell whether a folder is meant for `read_nabirds`, complete or not.

    Parameters
    ----------
    root
        Any path.

    Returns
    -------
    bool
        True if it looks like CUB-200-2011 and one of ``hierarchy.txt`` and ``photographers.txt`` is there.
    """
    return is_cub_layout(root) and any((root / name).is_file() for name in ("hierarchy.txt", "photographers.txt"))


def read_nabirds(root: Path) -> ImageTable:
    """Read the NABirds layout.

    Needed are ``images/``, ``images.txt``, ``image_class_labels.txt``, ``classes.txt`` and ``hierarchy.txt``;
    ``train_test_split.txt``, ``bounding_boxes.txt`` and ``parts/`` are read where present. Images without a file are
    left out with a line in the log.

    Parameters
    ----------
    root
        The folder.

    Returns
    -------
    ImageTable
        In the order of ``images.txt``; classes in the order in which ``image_class_labels.txt`` first names them, with
        their names as written, such as ``"Wood Duck (Breeding male)"``. A family is the class two levels below the
        root of the hierarchy, or the nearest to that.

    Raises
    ------
    DataError
        If a file is missing or malformed, or no listed image is there.

    References
    ----------
    Van Horn et al., Building a bird recognition app and large scale dataset with citizen scientists, CVPR 2015.
    """
    root = Path(root).resolve()
    names = ("images/", "images.txt", "image_class_labels.txt", "classes.txt", "hierarchy.txt")
    missing_files(root, names, "NABirds")
    listing = root / "images.txt"
    listed = {key: inside(name, listing) for key, name in keyed_lines(listing).items()}
    present = present_files(root / "images", listed, listing)
    keys = tuple(present)
    used, labels = _labels(root, keys)
    keypoint_names, keypoints = _keypoints(root / "parts", keys)
    boxes = root / "bounding_boxes.txt"
    return ImageTable(
        name=root.name,
        root=root,
        image_ids=tuple(path.as_posix() for path in present.values()),
        paths=tuple(root / "images" / path for path in present.values()),
        labels=labels,
        class_names=_class_names(root, used),
        families=_families(root, used),
        is_train=_split(root, keys),
        boxes=keyed_boxes(boxes, keys) if boxes.is_file() else None,
        keypoints=keypoints,
        keypoint_names=keypoint_names,
    )


def _labels(root: Path, keys: tuple[str, ...]) -> tuple[tuple[str, ...], np.ndarray]:
    """Ids of the classes that have an image, in the order in which the list first names them, and labels (n,)."""
    class_of = keyed_lines(root / "image_class_labels.txt")
    lost = [key for key in keys if key not in class_of]
    if lost:
        raise DataError(f"image_class_labels.txt has no line for {len(lost)} images, such as {lost[0]}; add them.")
    used = {class_of[key] for key in keys}
    order = {number: place for place, number in enumerate(n for n in dict.fromkeys(class_of.values()) if n in used)}
    return tuple(order), np.array([order[class_of[key]] for key in keys], dtype=np.int64)


def _class_names(root: Path, used: tuple[str, ...]) -> tuple[str, ...]:
    listed = keyed_lines(root / "classes.txt")
    unknown = [number for number in used if number not in listed]
    if unknown:
        raise DataError(f"classes.txt has no class {', '.join(unknown[:5])}, but images belong to it; add it.")
    return tuple(listed[number] for number in used)


def _families(root: Path, used: tuple[str, ...]) -> tuple[str, ...]:
    names, parents = keyed_lines(root / "classes.txt"), keyed_lines(root / "hierarchy.txt")
    families = []
    for number in used:
        line = [number]  # from the class up to the root
        while line[-1] in parents:
            if len(line) > len(parents):
                raise DataError(f"hierarchy.txt leads from class {number} in a circle; correct it.")
            line.append(parents[line[-1]])
        ancestor = line[::-1][min(_FAMILY_DEPTH, len(line) - 1)]
        if ancestor not in names:
            raise DataError(f"classes.txt has no class {ancestor}, which hierarchy.txt names; add it.")
        families.append(names[ancestor])
    return tuple(families)


def _split(root: Path, keys: tuple[str, ...]) -> np.ndarray | None:
    file = root / "train_test_split.txt"
    if not file.is_file():
        return None
    flags = keyed_lines(file)
    if not {flags.get(key) for key in keys} <= {"0", "1"}:
        raise DataError("train_test_split.txt must hold for each image its id and 1 (train) or 0 (test); correct it.")
    return np.array([flags[key] == "1" for key in keys])


def _keypoints(parts: Path, keys: tuple[str, ...]) -> tuple[tuple[str, ...], np.ndarray | None]:
    """Names (P,) and values (n, P, 3) float32; a key-point that is not listed is not visible."""
    if not (parts / "parts.txt").is_file() or not (parts / "part_locs.txt").is_file():
        return (), None
    names = keyed_lines(parts / "parts.txt")
    row_of, column_of = ({key: place for place, key in enumerate(order)} for order in (keys, names))
    keypoints = np.zeros((len(keys), len(names), 3), dtype=np.float32)
    for place, line in enumerate(lines_of(parts / "part_locs.txt"), start=1):
        fields = line.split()
        if len(fields) != 5 or fields[1] not in column_of:
            raise DataError(
                f"Line {place} of part_locs.txt must be an image, a part of parts.txt and 3 numbers; correct it."
            )
        if fields[0] in row_of:
            keypoints[row_of[fields[0]], column_of[fields[1]]] = _numbers(fields[2:], place)
    return tuple(names.values()), keypoints


def _numbers(fields: list[str], place: int) -> list[float]:
    try:
        numbers = [float(field) for field in fields]
    except ValueError as error:
        raise DataError(f"Line {place} of part_locs.txt must end in 3 numbers; correct it.") from error
    if not np.isfinite(numbers).all():
        raise DataError(f"Line {place} of part_locs.txt must end in 3 finite numbers; correct it.")
    return numbers
