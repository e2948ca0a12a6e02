"""Unpack an archive from elsewhere: files and folders only, within one folder, and not more than was announced."""

import errno
import lzma
import tarfile
import zlib
from pathlib import Path, PurePosixPath, PureWindowsPath

from tqdm import tqdm

from .errors import DataError
from .verify import set_aside

__all__ = ["unpack"]

_CHUNK = 1 << 20
_MAX_MEMBERS = 1_000_000
_MAX_PADDING = 1 << 24  # zeros behind the last file, which fill its last record
_DAMAGE = "is damaged or cut short"
_DAMAGED = (tarfile.TarError, EOFError, lzma.LZMAError, zlib.error, UnicodeError, ValueError)


def unpack(archive: Path, folder: Path, max_bytes: int, *, progress: bool = True) -> int:
    """Unpack a tar archive, plain or gzipped, and read it to its end, so that damage is found.

    Parameters
    ----------
    archive
        The file; a damaged one is set aside (see `set_aside`).
    folder
        To unpack into; it must exist.
    max_bytes
        Of all files together.
    progress
        Whether to draw a bar on standard error.

    Returns
    -------
    int
        Bytes of all files.

    Raises
    ------
    DataError
        If the archive is damaged, has links, devices or names that leave the folder, or holds too much; or if the
        disk is full. What was unpacked until then stays, for the caller to remove.
    """
    n_bytes = 0
    try:
        with tarfile.open(archive, "r:*") as members:
            bar = tqdm(members, unit=" files", desc=archive.name, disable=not progress, leave=False)
            for number, member in enumerate(bar):
                n_bytes += member.size
                if n_bytes > max_bytes or number >= _MAX_MEMBERS:
                    raise DataError(
                        f"{archive.name} holds more than {max_bytes} bytes or {_MAX_MEMBERS} files, which the data set "
                        "does not have; get it from the page of the data set."
                    )
                _unpack_member(members, member, folder, archive.name)
            _read_to_end(members, archive.name)
    except DataError:
        raise
    except _DAMAGED as error:
        raise set_aside(archive, archive.name, _DAMAGE) from error
    except OSError as error:
        raise _os_error(error, archive) from error
    return n_bytes


def _unpack_member(members: tarfile.TarFile, member: tarfile.TarInfo, folder: Path, archive: str) -> None:
    path = folder / _safe_name(member.name, archive)
    if member.isdir():
        path.mkdir(parents=True, exist_ok=True)
        return
    content = members.extractfile(member) if member.isreg() else None
    if content is None:
        raise DataError(
            f"{archive} has a link or device, {member.name[:60]!r}, which is not unpacked; get it from the page of the "
            "data set."
        )
    path.parent.mkdir(parents=True, exist_ok=True)
    with content, path.open("wb") as stream:  # never with the owner and the rights that the archive wants
        while chunk := content.read(_CHUNK):
            stream.write(chunk)


def _read_to_end(members: tarfile.TarFile, archive: str) -> None:
    """Read what follows the last file: only at its very end does a compressed archive tell whether it is whole."""
    n_bytes = 0
    while members.fileobj is not None and (rest := members.fileobj.read(_CHUNK)):
        n_bytes += len(rest)
        if n_bytes > _MAX_PADDING:
            raise DataError(f"{archive} goes on behind its last file; get it from the page of the data set.")


def _safe_name(name: str, archive: str) -> PurePosixPath:
    path, windows = PurePosixPath(name), PureWindowsPath(name)
    if path.is_absolute() or windows.anchor or ".." in {*path.parts, *windows.parts} or "\0" in name:
        raise DataError(
            f"{archive} has a file {name[:60]!r} that would leave the folder; get it from the page of the data set."
        )
    return path


def _os_error(error: OSError, archive: Path) -> DataError:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return DataError(f"The disk is full while unpacking {archive.name}; make room and run the command again.")
    if error.errno is None:  # gzip's own: not a gzip file, a wrong check sum
        return set_aside(archive, archive.name, _DAMAGE)
    return DataError(f"{archive.name} cannot be unpacked ({error.strerror}); check the folder given as --out.")
