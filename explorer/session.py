"""What one visitor has selected: a frozen `Session` that every view reads and replaces, never changes."""

import dataclasses
from dataclasses import dataclass
from typing import Any

__all__ = ["GALLERY_PREFIX", "IGNORE", "UPLOAD_PREFIX", "Session", "gallery_image", "upload_image"]

IGNORE = -1  # the value in `Session.agree` of a concept that need not agree
GALLERY_PREFIX = "gallery:"
UPLOAD_PREFIX = "upload:"


def gallery_image(image_id: str) -> str:
    """Name an image of the gallery as `Session.image` does."""
    return GALLERY_PREFIX + image_id


def upload_image(digest: str) -> str:
    """Name an uploaded image as `Session.image` does."""
    return UPLOAD_PREFIX + digest


@dataclass(frozen=True)
class Session:
    """One visitor's selection; only str, int and tuple fields, so it is hashable and could become a link.

    ``agree`` holds one number per concept: `IGNORE`, or the most bits that may differ (0 = exactly the same sub-code).
    ``weights`` are tenths, ``residual`` and ``discard`` percent. An empty tuple means "as the model's default".
    """

    checkpoint: str = ""
    image: str = ""
    tab: str = "explain"
    concept: int = -1
    bit: int = -1
    method: str = "rollout"
    last_k: int = 0  # 0 = all blocks
    head_fusion: str = "mean"
    residual: int = 50
    discard: int = 0
    agree: tuple[int, ...] = ()
    weights: tuple[int, ...] = ()
    rank: str = "hamming"
    class_name: str = ""
    family: str = ""
    page: int = 0
    browse: str = ""
    browse_page: int = 0
    names: tuple[str, ...] = ()

    def replace(self, **changes: Any) -> "Session":
        """Return a copy with ``changes``; a new question always starts on its first page of results."""
        asks_anew = {"image", "agree", "weights", "rank", "class_name", "family", "checkpoint"} & set(changes)
        if asks_anew and "page" not in changes:
            changes["page"] = 0
        if "browse" in changes and "browse_page" not in changes:
            changes["browse_page"] = 0
        return dataclasses.replace(self, **changes)

    def names_or(self, default: tuple[str, ...]) -> tuple[str, ...]:
        """Return this visitor's names for the concepts, or the model's own."""
        return self.names if len(self.names) == len(default) else default

    def with_image(self, image: str) -> "Session":
        """Move to another image; the clicked bit stays behind, the selected concept comes along."""
        return self.replace(image=image, bit=-1)

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
        )

    def with_rule(self, concept: int, n_concepts: int, radius: int) -> "Session":
        """Let ``concept`` agree within ``radius`` bits, or be ignored for `IGNORE`."""
        return self.replace(agree=_with_item(self.agree, concept, n_concepts, max(IGNORE, radius), IGNORE))

    def with_weight(self, concept: int, n_concepts: int, weight: int) -> "Session":
        """Weigh ``concept`` by ``weight`` tenths when results are ranked by weights."""
        return self.replace(weights=_with_item(self.weights, concept, n_concepts, min(max(weight, 0), 50), 10))

    def with_name(self, concept: int, names: tuple[str, ...], name: str) -> "Session":
        """Call ``concept`` by another name than in ``names``."""
        return self.replace(names=_with_item(names, concept, len(names), name, ""))

    def only_concept(self, concept: int, n_concepts: int, radius: int = 0) -> "Session":
        """Ask for agreement on ``concept`` alone, exact unless a radius is given, shown on the Match tab."""
        agree = tuple(max(radius, 0) if m == concept else IGNORE for m in range(n_concepts))
        return self.replace(agree=agree, concept=concept, tab="match", rank="hamming", class_name="", family="")


def _with_item(values: tuple[Any, ...], index: int, length: int, item: Any, default: Any) -> tuple[Any, ...]:
    """Return ``values`` padded to ``length`` with one item replaced; an index out of range changes nothing."""
    full = list(values) if len(values) == length else [default] * length
    if 0 <= index < length:
        full[index] = item
    return tuple(full)
