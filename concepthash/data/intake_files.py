"""Files and folders made of what a visitor sends: safe names, images only, and nothing left behind by a refusal."""

import errno
import hashlib
import re
import shutil
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

from ..errors import DataError
from .images import IMAGE_SUFFIXES, quoted_name

__all__ = ["MAX_NAME_BYTES", "content_digest", "folded", "is_junk", "new_folder", "portable_name", "refuse_other_kinds"]

MAX_NAME_BYTES = 200  # of one part of a path; file systems allow 255

_ARCHIVES = frozenset(".zip .tar .gz .tgz .bz2 .tbz .xz .txz .lzma .zst .7z .rar .jar .cbz .iso .cab".split())
_JUNK = frozenset({"thumbs.db", "ehthumbs.db", "desktop.ini", "icon\r"})  # what desktops put into folders
_DEVICE = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?", re.IGNORECASE)  # no file can be called so on Windows
_CHUNK = 1 << 20


def is_junk(name: str) -> bool:
    """Whether a file or folder is hidden, or is one that a desktop makes for itself.

    Examples
    --------
    >>> is_junk("__MACOSX"), is_junk("Thumbs.db"), is_junk("crow.jpg")
    (True, True, False)
    """
    return name.startswith((".", "__MACOSX")) or name.lower() in _JUNK


def portable_name(name: str) -> str:
    """Spell a file or folder name so that every file system can hold it, and it stays within its folder.

    Parameters
    ----------
    name
        One part of a path.

    Returns
    -------
    str
        In the composed form of Unicode (NFC), with an underscore for each character that cannot stand in a name, and
        no space or dot at either end.

    Examples
    --------
    >>> portable_name("crow?.jpg"), portable_name("CON"), portable_name(" jay. ")
    ('crow_.jpg', '_CON', 'jay')
    """
    name = unicodedata.normalize("NFC", name)
    name = "".join(c if c.isprintable() and c not in '<>:"|?*/\\' else "_" for c in name)
    name = name.strip(" .") or "_"
    return f"_{name}" if _DEVICE.fullmatch(name) else name


def folded(name: str) -> str:
    """Give what two names have in common that are one name on some file system.

    Examples
    --------
    >>> folded("Crow.JPG") == folded("crow.jpg")
    True
    """
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())


def refuse_other_kinds(name: str, source: str) -> None:
    """Make sure that a file is named like an image.

    Parameters
    ----------
    name
        Of the file, without folders.
    source
        What it was sent in, as a message is to begin.

    Raises
    ------
    DataError
        If it is an archive, or something else.
    """
    path = PurePosixPath(name)
    suffix = path.suffix.lower()
    if suffix in IMAGE_SUFFIXES:
        return
    shown = quoted_name(Path(path))
    if suffix in _ARCHIVES:
        raise DataError(f"{source} holds another archive, {shown}; unpack that first, and send the images themselves.")
    raise DataError(
        f"{source} holds {shown}, which is not named like an image; take it out, so that only JPEG, PNG, WebP or other "
        "images are left."
    )


@contextmanager
def new_folder(folder: Path) -> Iterator[None]:
    """Make a folder to fill, and remove it with everything in it when that fails for any reason.

    Parameters
    ----------
    folder
        It must not exist; folders above it are made, and stay.

    Raises
    ------
    DataError
        If the folder exists or cannot be made, or an `OSError` ended the work, such as that of a full disk.
    """
    try:
        folder.mkdir(parents=True)
    except OSError as error:
        raise _disk_error(error) from error
    try:
        yield
    except BaseException as error:
        shutil.rmtree(folder, ignore_errors=True)
        if isinstance(error, OSError):
            raise _disk_error(error) from error
        raise


def content_digest(path: Path) -> bytes:
    """Give 16 bytes that are the same for files of the same content only.

    Raises
    ------
    DataError
        If the file cannot be read.
    """
    digest = hashlib.blake2b(digest_size=16)
    try:
        with path.open("rb") as stream:
            while chunk := stream.read(_CHUNK):
                digest.update(chunk)
    except OSError as error:
        raise DataError(f"{quoted_name(path)} cannot be read ({error.strerror}); send the images again.") from error
    return digest.digest()


def _disk_error(error: OSError) -> DataError:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return DataError("The disk is full, so that the images could not be stored; send fewer, or make room.")
    if isinstance(error, FileExistsError):
        return DataError("The folder for the images exists already; send them again.")
    return DataError(f"The images could not be stored ({error.strerror or error}); send them again.")
