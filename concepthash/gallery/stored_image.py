"""What is told of one stored image."""

from dataclasses import dataclass

__all__ = ["StoredImage"]


@dataclass(frozen=True)
class StoredImage:
    """One image of a gallery.

    Attributes
    ----------
    row, image_id
        Its row in the gallery's questions and answers, and its unique id.
    class_name, family
        Empty where unknown.
    size
        Width and height of the original image in pixels.
    thumbnail
        Path of the picture that is shown of it.
    """

    row: int
    image_id: str
    class_name: str
    family: str
    size: tuple[int, int]
    thumbnail: str
