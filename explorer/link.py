"""A session as a short query string of ids, and back; whatever a link says is checked before it is used."""

import json
import re
from collections.abc import Callable
from typing import Any
from unicodedata import category
from urllib.parse import quote, unquote_plus

from .link_fields import FIELDS, Field, Known
from .session import UPLOAD_PREFIX, Session, gallery_image

__all__ = ["KEYS", "UPLOADED", "Known", "is_link", "link_of", "missing_of", "screen_of", "sentence_of", "session_of"]

VERSION = "1"
MAX_LENGTH = 16_000  # characters of all that is ours in a query
LONG = "long"  # the version in the address that takes the place of a link too long to be sent
TOO_LONG = "it is too long"
OTHER_VERSION = "another version of this app wrote it"
UPLOADED = "the uploaded image, which is never part of a link"
CONTROLS = ("Cc", "Zl", "Zp")  # characters that no value holds: control characters and ends of lines
SAID = 4  # problems that are named one by one
SCREEN = ("checkpoint", "image", "tab", "concept", "center", "view")  # what makes another screen when it changes
KEYS = ("v", "m", "u", *(field.key for field in FIELDS.values()))  # all other parameters belong to somebody else


def link_of(session: Session, known: Known) -> str:
    """Write what differs from the defaults as ``v=1&m=…``; a value that could not be read again is left out."""
    parts = [f"v={VERSION}", f"m={quote(session.checkpoint, safe='')}"]
    if session.image.startswith(UPLOAD_PREFIX):
        parts.append("u=1")
    start = Session()
    for name, field in FIELDS.items():
        value = getattr(session, name)
        text = "" if value == getattr(start, name) else _written(field, value, known)
        parts += [f"{field.key}={text}"] if text else []
    return "&".join(parts)


def session_of(query: str, known_of: Callable[[str], Known | None], model: str) -> tuple[Session, tuple[str, ...]]:
    """Return the session a query describes, and words for what in it is not valid; ``model`` is the default one."""
    given, problems = _values(query)
    name = _one(given["m"]) if "m" in given else model
    named = known_of(name) if name else None
    if named is None:
        problems.append("the model")
    known = named or known_of(model)
    assert known is not None, "the default model is always there"
    changes: dict[str, Any] = {"image": gallery_image(known.first_image) if known.first_image else ""}
    for name, field in FIELDS.items():
        if field.key in given and (named is not None or not field.needs_model):
            try:
                changes[name] = field.read(_one(given[field.key]), known)
            except ValueError:
                problems.append(field.word)
    if "u" in given and "i" not in given:
        problems.append(UPLOADED)
    return Session(known.model, **changes), tuple(problems)


def is_link(query: str) -> bool:
    """Tell whether a query says anything about a session; it may hold other parameters, such as ``__theme``."""
    return re.search(r"(?:^\??|&)v=", query) is not None


def missing_of(session: Session, known: Known) -> str:
    """Say what a visitor would miss in a link to what is selected; empty where nothing is missing."""
    images = {"image": [session.image], "pins": [*session.pins]}
    uploads = [name for name in images if any(image.startswith(UPLOAD_PREFIX) for image in images[name])]
    start = Session()
    words = ["your uploaded image"] if uploads else []
    for name, field in FIELDS.items():
        value = getattr(session, name)
        if name not in uploads and value != getattr(start, name) and not _written(field, value, known):
            words.append(field.word)
    return _listed(words)


def screen_of(session: Session) -> str:
    """Return a text that changes when a person would say that this is another screen."""
    return json.dumps([getattr(session, name) for name in SCREEN])


def sentence_of(problems: tuple[str, ...]) -> str:
    """Say calmly what of a link could not be used; nothing where all of it could."""
    if not problems:
        return ""
    if problems[0] in (TOO_LONG, OTHER_VERSION):
        return f"This link could not be used: {problems[0]}."
    words = list(problems[:SAID]) + ([f"{len(problems) - SAID} more"] if len(problems) > SAID else [])
    return f"This link was opened without what could not be used: {_listed(words)}."


def _listed(words: list[str]) -> str:
    return ", ".join(words[:-1]) + " and " + words[-1] if len(words) > 1 else "".join(words)


def _values(query: str) -> tuple[dict[str, list[str]], list[str]]:
    """Sort the raw values of our own keys, and say why none of them is used where that is so."""
    found: dict[str, list[str]] = {}
    for part in query.removeprefix("?").split("&") if is_link(query) else ():
        key, _, value = part.partition("=")
        if key in KEYS:
            found.setdefault(key, []).append(value)
    if found.get("v") == [LONG] or sum(len(value) for values in found.values() for value in values) > MAX_LENGTH:
        return {}, [TOO_LONG]
    if found and found["v"] != [VERSION]:
        return {}, [OTHER_VERSION]
    return found, []


def _one(values: list[str]) -> str:
    """Return the only value, decoded; empty, which is never valid, for two values, bad bytes or control characters."""
    try:
        text = unquote_plus(values[0], errors="strict")
    except UnicodeDecodeError:
        return ""
    return text if len(values) == 1 and not any(category(sign) in CONTROLS for sign in text) else ""


def _written(field: Field, value: Any, known: Known) -> str:
    """Write a value, or nothing where it would not come back as it is."""
    try:
        text = quote(field.write(value, known), safe="/")
        return text if field.read(_one([text]), known) == value else ""
    except ValueError:
        return ""
