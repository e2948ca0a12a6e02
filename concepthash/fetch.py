"""Fetch one file over HTTP, going on where an earlier try stopped, and make sure that it is the right one."""

import errno
import http.client
import re
import shutil
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tqdm import tqdm

from .download_sources import Archive
from .errors import DataError
from .verify import verify, verify_offer

__all__ = ["fetch"]

_CHUNK = 1 << 20
_TIMEOUT = 60  # seconds without a byte
_N_TRIES = 4  # in a row without a byte of progress
_AGAIN = "run the command again to go on where it stopped"
_BROKEN = (urllib.error.URLError, http.client.HTTPException, ConnectionError, TimeoutError)
_FULL = (errno.ENOSPC, errno.EDQUOT)


def fetch(archive: Archive, folder: Path, *, progress: bool = True, pause: float = 2.0) -> Path:
    """Give a file of the web that lies in a folder, and fetch it, or the rest of it, unless it is there.

    Parameters
    ----------
    archive
        What to fetch, and how to tell that it is right.
    folder
        It must exist; a file of the right name that a person put there is checked and taken.
    progress
        Whether to draw a bar on standard error.
    pause
        Seconds before a broken connection is tried again.

    Returns
    -------
    Path
        Of the whole file.

    Raises
    ------
    DataError
        If the server cannot be reached, has no such file or another one, the disk is full, or the checksum is wrong.
    """
    file, part = folder / archive.name, folder / f"{archive.name}.part"
    if not file.is_file():
        try:
            _fetch_part(archive, part, progress, pause)
        except OSError as error:
            raise _disk_error(error, archive) from error
        _version(part).unlink(missing_ok=True)
        verify(part, archive)
        part.replace(file)
    else:
        verify(file, archive)
    return file


def _fetch_part(archive: Archive, part: Path, progress: bool, pause: float) -> None:
    """Fetch until the part is whole; a try that brought something gives another round of tries."""
    tries = 0
    while tries < _N_TRIES:
        size = _size(part)
        try:
            _fetch_rest(archive, part, progress)
            return
        except urllib.error.HTTPError as error:
            error.close()
            if error.code < 500:
                raise _refusal(error, archive) from error
            problem = f"answers {error.code}"
        except _BROKEN as error:
            problem = f"cannot be reached or broke off ({_reason(error)})"
        tries = 0 if _size(part) > size else tries + 1
        if tries < _N_TRIES:
            time.sleep(pause)
    raise DataError(f"The server of {archive.name} {problem}; check the connection and {_AGAIN}.")


def _fetch_rest(archive: Archive, part: Path, progress: bool) -> None:
    done = _size(part)
    if archive.n_bytes and done == archive.n_bytes:
        return
    request = urllib.request.Request(archive.url, headers=_headers(archive, part, done))  # noqa: S310
    try:
        response = _opened(request)
    except urllib.error.HTTPError as error:
        error.close()
        if error.code != 416:
            raise
        if _total(error.headers.get("Content-Range")) == done:
            return  # all is there
        part.unlink()  # longer than the file is now
        response = _opened(archive.url)
    with response:
        first = _first(response)
        if first not in (0, done):
            raise DataError(f"The server of {archive.name} sent another range than asked for; {_AGAIN}.")
        total = first + response.length if response.length else archive.n_bytes  # where the server does not tell it
        verify_offer(archive, total, first, shutil.disk_usage(part.parent).free)
        _note_version(part, response)
        _append(response, part, first, total, progress)


def _append(response: http.client.HTTPResponse, part: Path, first: int, total: int, progress: bool) -> None:
    bar = tqdm(
        total=total or None, initial=first, unit="B", unit_scale=True, desc=part.stem, disable=not progress, leave=False
    )
    with bar, part.open("r+b" if first else "wb") as stream:
        stream.seek(first)
        while chunk := _read(response):
            stream.write(chunk)
            bar.update(len(chunk))
        written = stream.tell()
    if written < total:
        raise ConnectionError(f"after {written} of {total} bytes")


@contextmanager
def _network() -> Iterator[None]:
    """Tell faults of the network from those of the disk: many of both are a plain `OSError`."""
    try:
        yield
    except _BROKEN:
        raise
    except OSError as error:
        raise ConnectionError(*error.args) from error


@_network()
def _opened(request: urllib.request.Request | str) -> http.client.HTTPResponse:
    return _opener().open(request, timeout=_TIMEOUT)


@_network()
def _read(response: http.client.HTTPResponse) -> bytes:
    return response.read(_CHUNK)


def _headers(archive: Archive, part: Path, done: int) -> dict[str, str]:
    """Ask for the rest of the same file; a server that has another one now sends it whole."""
    headers = {"User-Agent": "concepthash-explorer", "Accept-Encoding": "identity"}
    version = _version(part).read_text().strip() if _version(part).is_file() else ""
    if done and version:
        headers |= {"Range": f"bytes={done}-", "If-Range": version}
    elif done and archive.digest:  # which finds out where the file is another one now
        headers["Range"] = f"bytes={done}-"
    return headers


def _note_version(part: Path, response: http.client.HTTPResponse) -> None:
    """Note which version of the file this is: a strong ETag, or the date."""
    tag = response.headers.get("ETag") or ""
    version = tag if tag.startswith('"') else response.headers.get("Last-Modified")
    if version:
        _version(part).write_text(version)
    else:
        _version(part).unlink(missing_ok=True)


def _version(part: Path) -> Path:
    return part.with_name(f"{part.name}.version")


def _opener() -> urllib.request.OpenerDirector:
    """Speak HTTP and HTTPS only: neither files nor FTP, whatever a redirect says."""
    opener = urllib.request.OpenerDirector()
    for handler in (
        urllib.request.ProxyHandler(),
        urllib.request.HTTPHandler(),
        urllib.request.HTTPSHandler(),
        urllib.request.HTTPDefaultErrorHandler(),
        urllib.request.HTTPRedirectHandler(),
        urllib.request.HTTPErrorProcessor(),
        urllib.request.UnknownHandler(),
    ):
        opener.add_handler(handler)
    return opener


def _first(response: http.client.HTTPResponse) -> int:
    """First byte that the server sends: 0 where it sends the whole file."""
    found = re.match(r"bytes (\d+)-", response.headers.get("Content-Range") or "")
    return int(found[1]) if response.status == 206 and found else 0


def _total(content_range: str | None) -> int | None:
    found = re.search(r"/(\d+)$", content_range or "")
    return int(found[1]) if found else None


def _size(file: Path) -> int:
    return file.stat().st_size if file.is_file() else 0


def _refusal(error: urllib.error.HTTPError, archive: Archive) -> DataError:
    what = "no longer has it" if error.code in (404, 410) else "refuses it"
    return DataError(
        f"The server {what} ({error.code} for {archive.url}); if you find {archive.name} elsewhere, put it in the "
        "folder that ends in .partial and run the command again, which checks it."
    )


def _reason(error: Exception) -> str:
    reason = getattr(error, "reason", None) or error
    return str(getattr(reason, "strerror", None) or reason or type(reason).__name__)[:120]


def _disk_error(error: OSError, archive: Archive) -> DataError:
    if error.errno in _FULL:
        return DataError(f"The disk is full while fetching {archive.name}; make room and {_AGAIN}.")
    return DataError(f"{archive.name} cannot be written ({error.strerror or error}); check the folder given as --out.")
