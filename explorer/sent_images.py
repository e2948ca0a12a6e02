"""Images as JSON brings them: names of the gallery, base64, data addresses, files that were uploaded before."""

import base64
import binascii
from collections.abc import Collection
from pathlib import Path
from typing import Any

from concepthash.errors import ImageError

__all__ = ["image_of", "with_images"]

HELP = 'give the picture as base64 or a data: address, upload it, or say "gallery:" and the id of an image'


def with_images(values: dict[str, Any], uploaded: Collection[str]) -> dict[str, Any]:
    """Replace the images among the values of a call, those of its parts included."""
    values = dict(values)
    if "image" in values:
        values["image"] = image_of(values["image"], uploaded)
    if isinstance(values.get("parts"), list):
        values["parts"] = [_part(part, uploaded) for part in values["parts"]]
    return values


def image_of(value: Any, uploaded: Collection[str]) -> str | bytes:
    """Return the name of a gallery image, or the bytes of a file; nothing that is sent is ever taken for a path.

    Raises
    ------
    ImageError
        If it is neither, or a file that was not uploaded here.
    """
    if isinstance(value, dict):
        return _upload(value.get("path"), uploaded)
    if not isinstance(value, str):
        raise ImageError(f"The image is {repr(value)[:60]}; {HELP}.")
    if not value or value.startswith("gallery:"):
        return value
    if value.startswith("data:"):
        value = value.partition(",")[2]
    try:
        content = base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError) as error:
        raise ImageError(f"The image {value[:60]!r} is no base64; {HELP}.") from error
    if not content:
        raise ImageError(f"The image is empty; {HELP}.")
    return content


def _part(part: Any, uploaded: Collection[str]) -> Any:
    return part | {"image": image_of(part["image"], uploaded)} if isinstance(part, dict) and "image" in part else part


def _upload(path: Any, uploaded: Collection[str]) -> bytes:
    if not isinstance(path, str) or path not in uploaded:
        raise ImageError(f"That file was not uploaded to this server; {HELP}.")
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise ImageError("That upload is no longer kept here; please upload the image again.") from error
