"""Unpack a visitor's zip file of images: nothing that it announces is believed, and a refusal leaves nothing behind."""

import struct
import zipfile
import zlib
from pathlib import Path

from ..errors import DataError
from .images import quoted_name
from .intake_files import new_folder
from .intake_limits import IntakeLimits
from .zip_members import checked_images, too_large, too_many

__all__ = ["unpack_zip"]

_CHUNK = 1 << 20
_NO_BOMB = 10_000_000  # bytes that may come out of any file, however small
_ENTRY = b"PK\x01\x02"  # begins each entry of the list of files
_DAMAGED = (zipfile.BadZipFile, zlib.error, struct.error, EOFError, ValueError, OverflowError, RuntimeError)


def unpack_zip(file: Path, folder: Path, limits: IntakeLimits | None = None) -> None:
    """Unpack a zip file of images, member by member.

    A folder that all images share is left out, so that the class folders lie right in ``folder``. What desktops add,
    such as ``__MACOSX`` and hidden files, is left out, too. Characters that some file system cannot hold become
    underscores.

    Parameters
    ----------
    file
        The zip file.
    folder
        To unpack into; it must not exist.
    limits
        The defaults of `IntakeLimits` if None.

    Raises
    ------
    DataError
        If the file is missing, empty, too large, damaged, no zip file, encrypted or packed in an unusual way; if it
        holds too many or too large files, names that leave the folder, are too long or twice there, links, archives
        or files that are not named like images; or if the disk is full.
    """
    limits = limits or IntakeLimits()
    name = quoted_name(file)
    n_packed = _checked_size(file, name, limits)
    try:
        _refuse_long_list(file, name, limits)
        with zipfile.ZipFile(file) as archive:
            images = checked_images(archive, name, n_packed, limits)
            meter = _Meter(name, n_packed, limits)
            with new_folder(folder):
                for parts, member in images:
                    _write(archive, member, folder.joinpath(*parts), meter)
    except DataError:
        raise
    except _DAMAGED as error:
        raise DataError(f"{name} is damaged or no zip file; zip the folder of images again and send that.") from error
    except OSError as error:
        raise DataError(f"{name} cannot be read ({error.strerror or error}); send it again.") from error


def _checked_size(file: Path, name: str, limits: IntakeLimits) -> int:
    if not file.is_file():
        raise DataError(f"{name} is not there, or no file; send a zip file with one folder of images for each class.")
    n_packed = file.stat().st_size
    if n_packed == 0:
        raise DataError(f"{name} is empty (0 bytes); zip the folder of images again and send that.")
    if n_packed > limits.max_zip_bytes:
        sizes = f"{n_packed / 10**6:.1f} MB, more than the {limits.max_zip_bytes / 10**6:g} MB"
        raise DataError(f"{name} has {sizes} that can be sent; make the images smaller, or send fewer.")
    return n_packed


def _refuse_long_list(file: Path, name: str, limits: IntakeLimits) -> None:
    """Count the entries in the list of files before `zipfile` makes an object of each."""
    n_entries, rest = 0, b""
    with file.open("rb") as stream:
        while chunk := stream.read(_CHUNK):
            n_entries += (rest + chunk).count(_ENTRY)
            rest = chunk[1 - len(_ENTRY) :]
    if n_entries > 3 * limits.max_images + 1000:  # folders, and the shadow of each file that a Mac adds
        raise too_many(name, limits)


class _Meter:
    """Counts unpacked bytes and stops when they become too many."""

    def __init__(self, name: str, n_packed: int, limits: IntakeLimits) -> None:
        self.name, self.n_packed, self.limits = name, n_packed, limits
        self.n_bytes = 0

    def add(self, n_bytes: int, n_member: int, member: zipfile.ZipInfo) -> None:
        """Count ``n_bytes`` more, with which ``member`` has ``n_member``."""
        self.n_bytes += n_bytes
        if self.n_bytes > self.limits.max_bytes:
            raise too_large(self.name, self.limits)
        for n_unpacked, n_packed in ((n_member, member.compress_size), (self.n_bytes, self.n_packed)):
            if n_unpacked > max(_NO_BOMB, self.limits.max_ratio * n_packed):
                raise DataError(
                    f"{self.name} unpacks to more than {self.limits.max_ratio} times its size, as images do not; "
                    "save them as JPEG, PNG or WebP and zip them again."
                )


def _write(archive: zipfile.ZipFile, member: zipfile.ZipInfo, path: Path, meter: _Meter) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    n_member = 0
    with archive.open(member) as content, path.open("xb") as stream:
        while chunk := content.read(_CHUNK):
            n_member += len(chunk)
            meter.add(len(chunk), n_member, member)
            stream.write(chunk)
    if n_member != member.file_size:  # it lied
        raise zipfile.BadZipFile
