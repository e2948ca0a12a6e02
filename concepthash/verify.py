"""Make sure that a file of the web is the one that was meant, before it is fetched and after."""

import hashlib
from pathlib import Path

from .download_sources import Archive
from .errors import DataError

__all__ = ["set_aside", "verify", "verify_offer"]

_CHUNK = 1 << 20


def verify(file: Path, archive: Archive) -> None:
    """Compare size and checksum, as far as they are known.

    Parameters
    ----------
    file
        To check; a wrong one is set aside (see `set_aside`).
    archive
        What it should be.

    Raises
    ------
    DataError
        If it is another file.
    """
    kind, _, expected = archive.digest.partition(":")
    size = file.stat().st_size
    if archive.n_bytes and size != archive.n_bytes:
        wrong = f"{size} bytes, not {archive.n_bytes}"
    elif kind and (found := _digest(file, kind)) != expected:
        wrong = f"the {kind} checksum {found}, not {expected}"
    else:
        return
    raise set_aside(file, archive.name, f"has {wrong}")


def set_aside(file: Path, name: str, fault: str) -> DataError:
    """Rename a bad file, which a person may have put there, so that the next try does not go on from it.

    Parameters
    ----------
    file
        To rename; an earlier one that was set aside is replaced.
    name
        Of the archive; the new name is ``NAME.wrong``.
    fault
        What it is or has, to follow its name in a sentence.

    Returns
    -------
    DataError
        To raise; it says all of this.
    """
    file.replace(file.with_name(f"{name}.wrong"))
    return DataError(
        f"{name} {fault}, and was renamed to {name}.wrong; run the command again to fetch it anew, or put a right copy "
        "in its place."
    )


def verify_offer(archive: Archive, n_bytes: int, n_done: int, n_free: int) -> None:
    """Compare the size that a server tells with what is expected and with the room on the disk.

    Parameters
    ----------
    archive
        What it should be.
    n_bytes
        Of the whole file as the server tells; 0 where it does not.
    n_done
        Bytes of it that are on the disk.
    n_free
        Bytes that are free there.

    Raises
    ------
    DataError
        If it is another file, or does not fit.
    """
    if archive.n_bytes and n_bytes not in (0, archive.n_bytes):
        raise DataError(
            f"The server offers {archive.name} with {n_bytes} bytes, but it should have {archive.n_bytes}; it is "
            "another file, so look at the page of the data set."
        )
    if n_bytes - n_done > n_free:
        raise DataError(
            f"{archive.name} needs {n_bytes - n_done} more bytes, but {n_free} are free; make room or choose another "
            "disk."
        )


def _digest(file: Path, kind: str) -> str:
    digest = hashlib.new(kind, usedforsecurity=False)
    with file.open("rb") as stream:
        while chunk := stream.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()
