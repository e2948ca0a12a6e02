"""The types of what the public functions take, and how wrong values are refused."""

import functools
import io
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Literal, ParamSpec, TypeAlias, TypeVar

import numpy as np
import PIL.Image
from pydantic import ConfigDict, Field, SkipValidation, ValidationError, validate_call
from typing_extensions import TypedDict

from concepthash.data.images import to_rgb
from concepthash.errors import ImageError, QueryError

from .records import DIFFER, IGNORE

__all__ = ["NAMED", "WORDS", "Count", "Image", "Index", "Part", "Rule", "Share", "Weight", "checked", "content_of"]

Image: TypeAlias = Annotated[str | Path | bytes | np.ndarray | PIL.Image.Image, SkipValidation]
Index: TypeAlias = Annotated[int, Field(ge=0, le=1_000_000)]
Rule: TypeAlias = Literal["exact", "ignore", "differ"] | Annotated[int, Field(ge=DIFFER, le=1_000_000)]
Weight: TypeAlias = Annotated[float, Field(ge=0, le=1_000)]
Count: TypeAlias = Annotated[int, Field(ge=1, le=100)]
Share: TypeAlias = Annotated[float, Field(ge=0, lt=1)]

WORDS = {"exact": 0, "ignore": IGNORE, "differ": DIFFER}
NAMED = ("gallery:", "upload:")

P = ParamSpec("P")
R = TypeVar("R")


class Part(TypedDict, total=False):
    """A sub-code to look for; ``image`` and ``concept`` are needed, ``radius`` is 0 and ``differs`` false otherwise."""

    image: Any
    concept: Index
    radius: Index
    differs: bool


def checked(function: Callable[P, R]) -> Callable[P, R]:
    """Refuse values that are not of the annotated types and ranges, with a sentence."""
    check = validate_call(config=ConfigDict(arbitrary_types_allowed=True, allow_inf_nan=False))(function)

    @functools.wraps(function)
    def answer(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return check(*args, **kwargs)
        except ValidationError as error:
            raise QueryError(_sentence(error)) from error

    return answer


def _sentence(error: ValidationError) -> str:
    first = error.errors(include_url=False, include_context=False)[0]
    where = ".".join(str(step) for step in first["loc"][:3] if step != "self")
    return f"{where[:80]} is {repr(first['input'])[:80]}: {first['msg']}."


def content_of(image: Image) -> bytes:
    """Return an image that is no name as the bytes of a file."""
    if isinstance(image, bytes):
        return image
    if isinstance(image, (str, Path)):
        try:
            return Path(image).expanduser().read_bytes()
        except (OSError, ValueError) as error:
            raise ImageError(f"{str(image)[:80]!r} cannot be read; give the path of an image.") from error
    if not isinstance(image, (np.ndarray, PIL.Image.Image)):
        raise ImageError(f"{repr(image)[:80]} is no image; give a path, bytes, an array or a picture.")
    if isinstance(image, np.ndarray):
        if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or not image.size:
            raise ImageError(f"The array is {image.dtype} {image.shape}; give RGB uint8 (H, W, 3).")
        image = PIL.Image.fromarray(image)
    file = io.BytesIO()
    PIL.Image.fromarray(to_rgb(image)).save(file, "PNG", compress_level=1)
    return file.getvalue()
