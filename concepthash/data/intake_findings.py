"""Sentences on what forbids training on images, and on what one should know before."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from .images import quoted_name
from .intake_files import folded
from .intake_limits import IntakeLimits
from .table import ImageTable

__all__ = ["Look", "find_problems", "find_warnings"]

_N_NAMED = 3  # classes named in a sentence
_UNLABELED = "unlabeled"  # what `read_image_folder` calls the class of images in no class folder


@dataclass(frozen=True)
class Look:
    """What was seen of one file: a ``digest`` of its content, or the ``reason`` why it cannot be read."""

    digest: bytes = b""
    reason: str = ""


def find_problems(table: ImageTable, looks: Sequence[Look], limits: IntakeLimits) -> tuple[str, ...]:
    """Say what forbids training; nothing where it can begin.

    Parameters
    ----------
    table
        n images.
    looks
        (n,) in the order of the table.
    limits
        Of which ``min_images_per_class`` counts here.
    """
    all_broken = _all_broken(looks)
    if all_broken:
        return (all_broken,)
    strays = _strays(table)
    found = (
        strays or _one_class(table),
        _too_few(table, looks, limits.min_images_per_class, _UNLABELED if strays else None),
        _in_two_classes(table, looks),
        _untrained(table),
    )
    return tuple(sentence for sentence in found if sentence)


def find_warnings(table: ImageTable, looks: Sequence[Look]) -> tuple[str, ...]:
    """Say what one should know, though it does not forbid training; see `find_problems`."""
    found = (_broken(looks), _repeated(looks), _leaked(table, looks), _alike_names(table.class_names))
    return tuple(sentence for sentence in found if sentence)


def _all_broken(looks: Sequence[Look]) -> str:
    if any(not look.reason for look in looks):
        return ""
    return f"None of the {len(looks)} images can be read; the first says: {looks[0].reason}"


def _one_class(table: ImageTable) -> str:
    if len(table.class_names) >= 2:
        return ""
    return f"There is one class only, {_quoted(table.class_names[0])}; a model needs at least two to tell apart."


def _strays(table: ImageTable) -> str:
    if _UNLABELED not in table.class_names:
        return ""
    label = table.class_names.index(_UNLABELED)
    strays = [name for name, other in zip(table.image_ids, table.labels, strict=True) if other == label]
    strays = [name for name in strays if "/" not in name]  # a folder may be called so, too
    if not strays:
        return ""
    return (
        f"{_count(len(strays), 'image lies', 'images lie')} in no class folder, such as {_quoted(strays[0])}; put each "
        "into a folder that has the name of its class."
    )


def _too_few(table: ImageTable, looks: Sequence[Look], least: int, but: str | None) -> str:
    different: list[set[bytes]] = [set() for _ in table.class_names]
    for label, look in zip(table.labels.tolist(), looks, strict=True):
        if label >= 0 and not look.reason:
            different[label].add(look.digest)
    counts = {name: len(seen) for name, seen in zip(table.class_names, different, strict=True) if name != but}
    few = [(name, count) for name, count in counts.items() if count < least]
    if not few:
        return ""
    such = ", ".join(f"{_quoted(name)} with {count}" for name, count in few[:_N_NAMED])
    said = f"{such} has" if len(few) == 1 else f"{len(few)} classes, such as {such}, have"
    return f"{said} fewer than {least} different images that can be read; add images or leave the class out."


def _in_two_classes(table: ImageTable, looks: Sequence[Look]) -> str:
    first: dict[bytes, int] = {}
    twice: dict[bytes, tuple[int, int]] = {}
    for row, (label, look) in enumerate(zip(table.labels.tolist(), looks, strict=True)):
        if label >= 0 and not look.reason and table.labels[first.setdefault(look.digest, row)] != label:
            twice.setdefault(look.digest, (first[look.digest], row))
    if not twice:
        return ""
    one, other = next(iter(twice.values()))
    return (
        f"{_count(len(twice), 'picture lies', 'pictures lie')} in two classes, such as {_placed(table, one)} and "
        f"{_placed(table, other)}; keep each in the one class that it shows."
    )


def _untrained(table: ImageTable) -> str:
    if table.is_train is None:
        return ""
    lost = sorted(set(range(len(table.class_names))) - set(table.labels[table.is_train].tolist()))
    if not lost:
        return ""
    return (
        f"{_count(len(lost), 'class has', 'classes have')} no images in the training part, such as "
        f"{_quoted(table.class_names[lost[0]])}; move some there."
    )


def _broken(looks: Sequence[Look]) -> str:
    n_broken = sum(bool(look.reason) for look in looks)
    return f"{_count(n_broken, 'file', 'files')} cannot be read; mend them, or do without them." if n_broken else ""


def _repeated(looks: Sequence[Look]) -> str:
    digests = [look.digest for look in looks if not look.reason]
    n_repeated = len(digests) - len(set(digests))
    if not n_repeated:
        return ""
    return f"{_count(n_repeated, 'image repeats', 'images repeat')} another one exactly; remove what is there twice."


def _leaked(table: ImageTable, looks: Sequence[Look]) -> str:
    if table.is_train is None:
        return ""
    sides: list[set[bytes]] = [set(), set()]
    for is_train, look in zip(table.is_train.tolist(), looks, strict=True):
        sides[is_train] |= set() if look.reason else {look.digest}
    n_both = len(sides[0] & sides[1])
    if not n_both:
        return ""
    said = _count(n_both, "picture is", "pictures are")
    return f"{said} both in the training and in the test part, so that the figures will look too good; remove one."


def _alike_names(names: Sequence[str]) -> str:
    seen: dict[str, str] = {}
    for name in names:
        if seen.setdefault(folded(name), name) is not name:
            return f"The classes {_quoted(seen[folded(name)])} and {_quoted(name)} differ in capital letters only."
    return ""


def _placed(table: ImageTable, row: int) -> str:
    return f"{quoted_name(table.paths[row])} of {_quoted(table.class_names[table.labels[row]])}"


def _quoted(name: str) -> str:
    return quoted_name(Path(name))


def _count(number: int, one: str, several: str) -> str:
    return f"{number} {one if number == 1 else several}"
