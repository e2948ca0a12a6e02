"""What a database tells of one image."""

from typing import NamedTuple

__all__ = ["IMAGE_COLUMNS", "ImageFacts"]

IMAGE_COLUMNS = ("row", "image_id", "path", "class", "family", "width", "height")  # what `ImageFacts` is made of


class ImageFacts(NamedTuple):
    """What is known of one image; class and family are None where unknown, width and height in pixels."""

    row: int
    image_id: str
    path: str
    class_name: str | None
    family: str | None
    width: int
    height: int
