"""What one visitor has selected: a frozen `Session` that every view reads and replaces, never changes."""

import dataclasses
from dataclasses import dataclass
from typing import Any

__all__ = ["ANY", "GALLERY_PREFIX", "IGNORE", "UPLOAD_PREFIX", "Session", "gallery_image", "upload_image"]

IGNORE = -1  # the value in `Session.agree` of a concept that need not agree
DIFFER = -2  # and of one that must not
ANY = "."  # a bit in `Session.patterns` that may be either
GALLERY_PREFIX = "gallery:"
UPLOAD_PREFIX = "upload:"
WHERE = "where:"  # before the name of a column in what `Session.widened` takes away


def gallery_image(image_id: str) -> str:
    """Name an image of the gallery as `Session.image` does."""
    return GALLERY_PREFIX + image_id


def upload_image(digest: str) -> str:
    """Name an uploaded image as `Session.image` does."""
    return UPLOAD_PREFIX + digest


@dataclass(frozen=True)
class Session:
    """One visitor's selection; only str, int and tuple fields, so it is hashable and can become a link.

    ``agree`` holds one number per concept: `IGNORE`, `DIFFER`, or the most bits that may differ (0 = same sub-code).
    ``weights`` are tenths, ``residual`` and ``discard`` percent. ``classes``, ``family``, ``patterns`` and ``where``
    say which part of the gallery is looked at, on every tab; ``patterns`` has one text per concept, of the bits ``0``
    and ``1`` that an image must have and `ANY` for all others; ``where`` has texts such as ``split=test``. An empty
    tuple means "as the model's default".
    """

    checkpoint: str = ""
    image: str = ""
    tab: str = "explain"
    concept: int = -1
    bit: int = -1
    # how maps are made
    method: str = "rollout"
    last_k: int = 0  # 0 = all blocks
    head_fusion: str = "mean"
    residual: int = 50
    discard: int = 0
    # the question on Match
    agree: tuple[int, ...] = ()
    weights: tuple[int, ...] = ()
    pins: tuple[str, ...] = ()  # images that concepts take their sub-code from, "" for the one in hand
    rank: str = "hamming"
    page: int = 0
    # the part of the gallery that is looked at, and the strip that shows it
    classes: tuple[str, ...] = ()
    family: str = ""
    patterns: tuple[str, ...] = ()
    where: tuple[str, ...] = ()
    browse: str = ""
    browse_page: int = 0
    # Sub-codes
    view: str = ""  # "cells", "scatter" or "dictionary"; "" = what suits the length of the sub-code
    layout: str = "paper"
    axes: tuple[int, ...] = ()  # two bits of the concept's sub-code, counted from 0; () = those that tell most
    window: int = 40  # side of a crop in percent of the image's shorter side
    flips: tuple[int, ...] = ()  # bits of the image in hand that are turned over
    dictionary_page: int = 0
    # Centers
    center: str = ""  # the class whose center was clicked
    projection: str = "tsne"
    grouping: str = "name"
    overlay: int = 0  # 1 = the images of the clicked class are drawn, too
    links: int = 0  # 1 = lines show where the picture lies
    names: tuple[str, ...] = ()

    def replace(self, **changes: Any) -> "Session":
        """Return a copy with ``changes``; a new question or another part always starts on its first page."""
        shows_other_part = {"classes", "family", "patterns", "where", "checkpoint"} & set(changes)
        if shows_other_part or {"image", "agree", "weights", "rank", "pins"} & set(changes):
            changes.setdefault("page", 0)
        if shows_other_part or "browse" in changes:
            changes.setdefault("browse_page", 0)
        if {"concept", "checkpoint"} & set(changes):
            changes.setdefault("dictionary_page", 0)
        return dataclasses.replace(self, **changes)

    @property
    def part(self) -> dict[str, Any]:
        """The conditions of the part of the gallery that is looked at, as services and render take them."""
        return {"classes": self.classes, "family": self.family, "patterns": self.patterns, "where": self.where}

    def widened(self, field: str, concept: int = -1) -> "Session":
        """Take one condition away: ``classes``, ``family``, the pattern of a concept, or a column in ``where``."""
        if field.startswith(WHERE):
            return self.with_value(field.removeprefix(WHERE), "")
        if field == "patterns" and 0 <= concept < len(self.patterns):
            patterns = tuple("" if m == concept else pattern for m, pattern in enumerate(self.patterns))
            return self.replace(patterns=patterns if any(patterns) else ())
        return self.replace(**{field: "" if field == "family" else ()}) if field in self.part else self

    def names_or(self, default: tuple[str, ...]) -> tuple[str, ...]:
        """Return this visitor's names for the concepts, or the model's own."""
        return self.names if len(self.names) == len(default) else default

    def with_image(self, image: str) -> "Session":
        """Move to another image; its clicked and turned bits stay behind, the selected concept comes along."""
        return self.replace(image=image, bit=-1, flips=())

    def with_checkpoint(self, checkpoint: str) -> "Session":
        """Move to another model; whatever was counted in its concepts, bits or gallery is forgotten."""
        image = self.image if self.image.startswith(UPLOAD_PREFIX) else ""
        return Session(
            checkpoint=checkpoint,
            image=image,
            tab=self.tab,
            method=self.method,
            head_fusion=self.head_fusion,
            residual=self.residual,
            discard=self.discard,
            layout=self.layout,
            window=self.window,
            projection=self.projection,
            grouping=self.grouping,
        )

    def with_rule(self, concept: int, n_concepts: int, radius: int) -> "Session":
        """Let ``concept`` agree within ``radius`` bits, be ignored for `IGNORE`, or differ for `DIFFER`."""
        return self.replace(agree=_with_item(self.agree, concept, n_concepts, max(DIFFER, radius), IGNORE))

    def with_weight(self, concept: int, n_concepts: int, weight: int) -> "Session":
        """Weigh ``concept`` by ``weight`` tenths when results are ranked by weights."""
        return self.replace(weights=_with_item(self.weights, concept, n_concepts, min(max(weight, 0), 50), 10))

    def with_pin(self, concept: int, n_concepts: int, image: str) -> "Session":
        """Let ``concept`` take its sub-code from ``image``, or again from the one in hand for an empty text."""
        pins = _with_item(self.pins, concept, n_concepts, image, "")
        return self.replace(pins=pins if any(pins) else ())

    def with_name(self, concept: int, names: tuple[str, ...], name: str) -> "Session":
        """Call ``concept`` by another name than in ``names``."""
        return self.replace(names=_with_item(names, concept, len(names), name, ""))

    def only_concept(self, concept: int, n_concepts: int, radius: int = 0) -> "Session":
        """Ask for agreement on ``concept`` alone, exact unless a radius is given, shown on the Match tab."""
        agree = tuple(max(radius, 0) if m == concept else IGNORE for m in range(n_concepts))
        return self.replace(agree=agree, concept=concept, tab="match", rank="hamming").whole_gallery()

    def whole_gallery(self) -> "Session":
        """Look at all images again; what is typed in the strip's search stays."""
        return self.replace(classes=(), family="", patterns=(), where=())

    def with_pattern(self, concept: int, n_concepts: int, pattern: str) -> "Session":
        """Look only at images with ``pattern`` in ``concept``; the same pattern a second time takes it back."""
        now = self.patterns[concept] if len(self.patterns) == n_concepts else ""
        patterns = _with_item(self.patterns, concept, n_concepts, "" if now == pattern else pattern, "")
        return self.replace(patterns=patterns if any(patterns) else ())

    def with_value(self, column: str, value: str) -> "Session":
        """Look only at images with a value in one of the other columns; with any one again for an empty text."""
        rest = tuple(text for text in self.where if text.partition("=")[0] != column)
        return self.replace(where=(*rest, f"{column}={value}") if value else rest)

    def with_flip(self, bit: int) -> "Session":
        """Turn over one bit of the image in hand; a second time turns it back."""
        return self.replace(flips=tuple(sorted({bit} ^ set(self.flips))))


def _with_item(values: tuple[Any, ...], index: int, length: int, item: Any, default: Any) -> tuple[Any, ...]:
    """Return ``values`` padded to ``length`` with one item replaced; an index out of range changes nothing."""
    full = list(values) if len(values) == length else [default] * length
    if 0 <= index < length:
        full[index] = item
    return tuple(full)
