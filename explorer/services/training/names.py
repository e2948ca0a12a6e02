"""Secret names of runs, trained models and visitors' images; each tells the next, and none the one before."""

import hashlib
import re
import secrets
import unicodedata

from concepthash.errors import QueryError

__all__ = [
    "MODEL_PREFIX",
    "folder_of_intake",
    "folder_of_model",
    "folder_of_run",
    "model_of_run",
    "new_secret",
    "plain_name",
    "slug",
]

MODEL_PREFIX = "run-"
NAME_LENGTH = 60
_MODEL = re.compile(r"run-[0-9a-f]{32}")
_SECRET = re.compile(r"[A-Za-z0-9_-]{16,64}")


def new_secret() -> str:
    """Return 128 bits that nobody can guess."""
    return secrets.token_urlsafe(16)


def model_of_run(run: str) -> str:
    """Name the model of a run: who knows this name can look at the model, but neither stop nor delete the run."""
    if not _SECRET.fullmatch(run):
        raise QueryError("That is no name of a training run; open the page on which it was started.")
    return MODEL_PREFIX + _digest("model", run)


def folder_of_model(model: str) -> str | None:
    """Name the folder of a trained model, from which its name cannot be told; None for what is no such name."""
    return _digest("folder", model) if _MODEL.fullmatch(model) else None


def folder_of_run(run: str) -> str:
    """Name the folder of a run: it stands in addresses of pictures, and opens nothing."""
    return _digest("folder", model_of_run(run))


def folder_of_intake(visitor: str, intake: str) -> str:
    """Name the folder of a visitor's images: another visitor who learns ``intake`` does not find it."""
    return _digest("intake", f"{len(visitor)} {visitor} {intake}")


def plain_name(name: str) -> str:
    """Return what a visitor calls a run as one short line of printable text."""
    kept = "".join(letter if unicodedata.category(letter)[0] != "C" else " " for letter in name)
    return " ".join(kept.split())[:NAME_LENGTH].strip() or "my model"


def slug(name: str) -> str:
    """Return a name as that of a file, which is safe on every system."""
    spelled = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
    return re.sub(r"[^a-z0-9]+", "-", spelled).strip("-")[:40].strip("-") or "my-model"


def _digest(kind: str, text: str) -> str:
    return hashlib.sha256(f"{kind}\0{text}".encode("utf-8", "surrogatepass")).hexdigest()[:32]
