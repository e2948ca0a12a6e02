"""What a gallery is made with, as its database keeps it: one text a fact."""

from collections.abc import Mapping
from dataclasses import dataclass, fields

from .metadata import MetadataColumn, columns_from_text, columns_to_text

__all__ = ["FORMAT_VERSION", "WHOLE_TABLE", "Provenance"]

# 1 knew neither galleries of originals nor a data root relative to the gallery; 1 and 2 knew no attention centers; 1 to
# 3 knew no metadata, nothing of the files but their paths, and numbered their rows without gaps
FORMAT_VERSION = 4
WHOLE_TABLE = "all"


@dataclass(frozen=True)
class Provenance:
    """What a gallery is made with; a partial gallery is resumed only by a writer with the same.

    Attributes
    ----------
    fingerprint, checkpoint_name
        SHA-256 of the weights, and the name people know the checkpoint by.
    n_bits, n_concepts
        K and M; M divides K.
    transform
        Name of what is done to an image before the model, such as ``"squash-320x320"``.
    data_root
        Folder the images' paths are relative to; absolute, or relative to the gallery's own folder.
    images
        Digest of which images, with which labels and metadata, in which order; a part has that of all parts.
    thumbnails
        ``"own"``, or ``"originals"`` where the images themselves are shown.
    part
        Which share of the images: ``"all"``, ``"2 of 3"``, or ``"all of 3"`` where three parts are put together.
    metadata
        Columns of the user's own.
    """

    fingerprint: str
    checkpoint_name: str
    n_bits: int
    n_concepts: int
    transform: str
    data_root: str
    images: str
    thumbnails: str = "own"
    part: str = WHOLE_TABLE
    metadata: tuple[MetadataColumn, ...] = ()

    @property
    def facts(self) -> dict[str, str]:
        """All of it as the table ``provenance`` keeps it, the format included."""
        texts = {field.name: str(getattr(self, field.name)) for field in fields(self)}
        return {"format": str(FORMAT_VERSION), **texts, "metadata": columns_to_text(self.metadata)}

    @classmethod
    def from_facts(cls, facts: Mapping[str, str]) -> "Provenance":
        """Read what `facts` gave, or what an older format kept.

        Raises
        ------
        KeyError, ValueError
            If something is missing or is none.
        """
        return cls(
            fingerprint=facts["fingerprint"],
            checkpoint_name=facts["checkpoint_name"],
            n_bits=int(facts["n_bits"]),
            n_concepts=int(facts["n_concepts"]),
            transform=facts["transform"],
            data_root=facts["data_root"],
            images=facts.get("images", ""),
            thumbnails=facts.get("thumbnails", "own"),  # format 1 has no other
            part=facts.get("part", WHOLE_TABLE),
            metadata=columns_from_text(facts.get("metadata", "{}")),
        )
