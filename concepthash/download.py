"""``python -m concepthash.download cub200|cars196|nabirds|aircraft --out DIR``: fetch a data set from its authors."""

import argparse
import logging
import os
import shutil
import sys
from pathlib import Path

from .data import ImageTable, read_dataset
from .download_sources import SOURCES, Source
from .errors import ConceptHashError, DataError
from .fetch import fetch
from .unpack import unpack

__all__ = ["download", "main", "notice"]

_log = logging.getLogger(__name__)


def notice(source: Source) -> str:
    """Say what the authors of a data set ask for, and how its archives are checked."""
    lines = [source.title, f"  from  {source.home}", f"  terms {source.terms}"]
    for archive in source.archives:
        kind = archive.digest.partition(":")[0]
        known = f"checked by {kind}" if kind else "no checksum is known; the archive's own checks are made"
        lines.append(f"  fetch {archive.url} ({known})")
    return "\n".join(lines)


def download(source: Source, out: Path, *, progress: bool = True, pause: float = 2.0) -> ImageTable:
    """Fetch a data set, check and unpack it, and make sure that it can be read; it appears whole or not at all.

    Until then all lies in the folder ``out`` with ``.partial`` behind its name, from where a later call goes on. In the
    end what this call fetched is removed from there; archives that were there before and wrong ones stay.

    Parameters
    ----------
    source
        One of `concepthash.download_sources.SOURCES`, or of your own.
    out
        Folder to make; it may exist, if it is empty and no disk is mounted there.
    progress
        Whether to draw bars on standard error.
    pause
        Seconds before a broken connection is tried again.

    Returns
    -------
    ImageTable
        The data set in ``out``.

    Raises
    ------
    DataError
        If there is something in ``out`` or a disk mounted there, or the data set cannot be fetched or written, or is
        not what it should be.
    """
    out = Path(out).expanduser().resolve()
    if not source.archives:
        raise DataError(
            f"{source.title} cannot be fetched by a command, since its authors want a form filled in: open "
            f"{source.home}, unpack the archive, and give its folder to --data."
        )
    try:
        if out.exists() and (not out.is_dir() or any(out.iterdir())):
            raise DataError(f"{out.name!r} exists and is not empty; give a new folder, or use the data set in it.")
        if os.path.ismount(out):
            raise DataError(f"A disk is mounted at {out.name!r}, which cannot be replaced; give a new folder in it.")
        partial = out.with_name(f"{out.name}.partial")
        partial.mkdir(parents=True, exist_ok=True)
        own = _own_files(source, partial)
        staged = _staged(source, partial, progress, pause)
        read_dataset(staged)
        if out.exists():
            out.rmdir()
        staged.replace(out)
        _tidy(partial, own)
    except OSError as error:
        raise DataError(f"{out.name!r} cannot be written ({error.strerror or error}); give another folder.") from error
    return read_dataset(out)


def _staged(source: Source, partial: Path, progress: bool, pause: float) -> Path:
    """Fetch all archives first, then unpack them into a fresh folder."""
    files = [fetch(archive, partial, progress=progress, pause=pause) for archive in source.archives]
    staged = partial / "unpacked"
    shutil.rmtree(staged, ignore_errors=True)
    staged.mkdir()
    left = source.unpacked_bytes
    for archive, file in zip(source.archives, files, strict=True):
        folder = staged / archive.into
        folder.mkdir(parents=True, exist_ok=True)
        if archive.name.endswith((".tgz", ".tar.gz", ".tar")):
            left -= unpack(file, folder, left, progress=progress)
        else:
            shutil.copyfile(file, folder / archive.name)
    return staged


def _own_files(source: Source, partial: Path) -> list[Path]:
    """Say what fetching leaves: no archive that is there already, since a person may have put it there."""
    return [
        partial / f"{archive.name}{end}"
        for archive in source.archives
        for end in ("", ".part", ".part.version")
        if end or not (partial / archive.name).is_file()
    ]


def _tidy(partial: Path, own: list[Path]) -> None:
    for file in own:
        file.unlink(missing_ok=True)
    if any(partial.iterdir()):
        _log.warning("%s holds files that this run did not fetch; delete it unless you need them", partial.name)
    else:
        partial.rmdir()


def main(arguments: list[str] | None = None) -> int:
    """Run the command; 0 when it worked, 2 with one sentence on standard error when it could not, 130 when stopped."""
    parser = argparse.ArgumentParser(prog="python -m concepthash.download", description=__doc__)
    parser.add_argument("dataset", choices=sorted(SOURCES), help="which data set")
    parser.add_argument("--out", required=True, metavar="DIR", help="folder to make")
    options = parser.parse_args(arguments)
    source = SOURCES[options.dataset]
    print(notice(source), flush=True)
    try:
        table = download(source, Path(options.out), progress=sys.stderr.isatty())
    except ConceptHashError as error:
        print(error, file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("Stopped; run the command again to go on where it stopped.", file=sys.stderr)
        return 130
    print(f"{options.out}: {len(table)} images of {len(table.class_names)} classes")
    return 0


if __name__ == "__main__":
    sys.exit(main())
