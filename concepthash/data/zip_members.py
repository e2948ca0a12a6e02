"""What a visitor's zip file says it holds, checked before anything is unpacked."""

import stat
import zipfile
from collections.abc import Sequence
from pathlib import PurePosixPath, PureWindowsPath

from ..errors import DataError
from .intake_files import MAX_NAME_BYTES, folded, is_junk, portable_name, refuse_other_kinds
from .intake_limits import IntakeLimits

__all__ = ["checked_images", "too_large", "too_many"]

_MAX_DEPTH = 12  # folders in folders
_LOCAL_HEADER = 30  # bytes, before the name
_LOCKED = 0x2041  # flags: encrypted, strongly encrypted, list of files encrypted
_UTF8 = 0x800  # flag: the name is UTF-8

_Parts = tuple[str, ...]


def checked_images(
    archive: zipfile.ZipFile, name: str, n_packed: int, limits: IntakeLimits
) -> list[tuple[_Parts, zipfile.ZipInfo]]:
    """Say which members are images and where each goes, and refuse whatever can be told without unpacking.

    Parameters
    ----------
    archive
        The opened zip file.
    name
        Of the zip file, as a message is to begin.
    n_packed
        Bytes of the zip file.
    limits
        Only ``max_images`` and ``max_bytes`` count here.

    Returns
    -------
    list
        The parts of each path, without the top folders that all share, and the member.

    Raises
    ------
    DataError
        See `concepthash.data.unpack_zip`.
    zipfile.BadZipFile
        If a member ends behind the end of the file.
    """
    members = archive.infolist()
    _refuse_overlaps(members, name, n_packed)
    images = []
    for member in members:
        parts = _safe_parts(member, name)
        _refuse_special(member, name)
        if member.is_dir() or any(map(is_junk, PurePosixPath(_name(member)).parts)):
            continue
        refuse_other_kinds(parts[-1], name)
        images.append((parts, member))
    if not images:
        raise DataError(f"{name} holds no images; zip one folder of JPEG, PNG or WebP files for each class.")
    if len(images) > limits.max_images:
        raise too_many(name, limits)
    if sum(member.file_size for _, member in images) > limits.max_bytes:
        raise too_large(name, limits)
    n_shared = _n_shared([parts for parts, _ in images])
    images = [(parts[n_shared:], member) for parts, member in images]
    _refuse_clashes([parts for parts, _ in images], name)
    return images


def too_many(name: str, limits: IntakeLimits) -> DataError:
    """Say that there are too many files."""
    return DataError(f"{name} holds more than {limits.max_images} images; send fewer.")


def too_large(name: str, limits: IntakeLimits) -> DataError:
    """Say that the images are too large."""
    limit = f"{limits.max_bytes / 10**6:g} MB"
    return DataError(f"{name} holds more than {limit} of images; make them smaller, or send fewer.")


def _refuse_overlaps(members: Sequence[zipfile.ZipInfo], name: str, n_packed: int) -> None:
    """Refuse files that share bytes, with which the smallest zip bombs are made."""
    end = 0
    for member in sorted(members, key=lambda member: member.header_offset):
        if member.header_offset < end:
            raise DataError(f"{name} holds files that overlap, as no program makes them; zip the folder again.")
        end = member.header_offset + _LOCAL_HEADER + len(member.orig_filename) + member.compress_size
    if end > n_packed:
        raise zipfile.BadZipFile


def _safe_parts(member: zipfile.ZipInfo, name: str) -> _Parts:
    """Split a name into parts that every file system can hold and none of which leads anywhere else."""
    said, shown = _name(member), _shown(member)
    windows = PureWindowsPath(said)
    is_empty = not windows.parts and not said.endswith("/")  # "./" is the top folder itself
    is_odd = any(c in text for c in "\\\0" for text in (said, member.orig_filename))
    if windows.anchor or ".." in windows.parts or is_empty or is_odd:  # an anchor is a first slash, or a drive letter
        raise DataError(
            f"{name} holds the name {shown}, which could lead out of its folder; zip the folder of images again."
        )
    parts = PurePosixPath(said).parts
    if len(parts) > _MAX_DEPTH:
        raise DataError(f"{name} has folders more than {_MAX_DEPTH} deep, at {shown}; use one folder per class.")
    if any(len(part.encode()) > MAX_NAME_BYTES for part in parts):
        raise DataError(
            f"{name} holds a name of more than {MAX_NAME_BYTES} bytes, {shown}; shorten it and zip the folder again."
        )
    return tuple(map(portable_name, parts))


def _name(member: zipfile.ZipInfo) -> str:
    """Read a name as UTF-8 where it can be, which Linux writes without the flag that says so."""
    if member.flag_bits & _UTF8:
        return member.filename
    try:
        return member.filename.encode("cp437").decode("utf-8")
    except UnicodeError:
        return member.filename


def _refuse_special(member: zipfile.ZipInfo, name: str) -> None:
    if stat.S_IFMT(member.external_attr >> 16) not in (0, stat.S_IFREG, stat.S_IFDIR):
        raise DataError(
            f"{name} holds a link or device, {_shown(member)}; put the image itself there and zip the folder again."
        )
    if member.flag_bits & _LOCKED:
        raise DataError(f"{name} is locked with a password; zip the folder of images again without one.")
    if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):  # zipfile unpacks others without bound
        raise DataError(f"{name} is packed in an unusual way; zip the folder of images again as an ordinary zip file.")


def _shown(member: zipfile.ZipInfo) -> str:
    name = member.orig_filename
    return repr(name if len(name) <= 60 else f"{name[:29]}…{name[-30:]}")


def _n_shared(paths: Sequence[_Parts]) -> int:
    """Count the top folders that all share, down to the folders of the classes."""
    depths = [len(parts) for parts in paths]
    n_shared, most = 0, min(min(depths) - 1, max(depths) - 2)
    while n_shared < most and len({parts[n_shared] for parts in paths}) == 1:
        n_shared += 1
    return n_shared


def _refuse_clashes(paths: Sequence[_Parts], name: str) -> None:
    keys = [tuple(map(folded, parts)) for parts in paths]
    taken = {key[:depth] for key in keys for depth in range(1, len(key))}  # the folders
    for key, parts in zip(keys, paths, strict=True):
        if key in taken:
            shown = repr("/".join(parts)[-60:])
            raise DataError(f"{name} holds {shown} twice, maybe once in capital letters; rename one of the two.")
        taken.add(key)
