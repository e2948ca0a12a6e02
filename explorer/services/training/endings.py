"""How a run ended: what is left of it on disk, said in one sentence."""

import shutil
from collections.abc import Sequence
from pathlib import Path

from .report import Progress
from .run_folder import RunFolder

__all__ = ["STOPPED", "ending", "hide", "last_lines"]

STOPPED = 75  # exit status of a worker that saved and ended as it was asked to
FULL = 20_000_000  # free bytes of a disk that is as good as full
RESUME = "resume to go on from where it was last saved."


def ending(folder: RunFolder, progress: Progress, code: int | None, *, is_asked: bool) -> tuple[str, str]:
    """Return the state of a run whose worker is gone, and a sentence on why; ``code`` is None where nobody saw it."""
    if _is_whole(folder.checkpoint, is_sure=code == 0 or progress.end == "done"):
        return "done", ""
    if code == STOPPED or progress.end == "stopped" or is_asked:
        return "stopped", ""
    if progress.end == "error":
        return "failed", progress.said
    if _is_full(folder.path):
        return "failed", f"The disk of this server is full, so the training process ended; make room, then {RESUME}"
    if code is None:
        return "stopped", f"The server was ended while this run was training; {RESUME}"
    if code < 0:
        return "failed", (
            f"The training process was ended from outside (signal {-code}), as happens when memory runs out; {RESUME}"
        )
    said = (last_lines(folder.log, 1) or ("",))[0]
    if code == 2 and said.endswith("."):
        return "failed", said
    return "failed", f"The training process ended unexpectedly (exit status {code}); the log says more, {RESUME}"


def hide(words: str, folders: Sequence[Path]) -> str:
    """Return words for a visitor, without where this server keeps things."""
    spelled = {str(path) for folder in folders for path in (folder, folder.absolute(), folder.resolve())}
    for path in sorted(spelled, key=len, reverse=True):
        if Path(path).is_absolute() and len(Path(path).parts) > 1:  # a home may be "/"
            words = words.replace(path, "…")
    return words


def last_lines(log: Path, n: int, hidden: Sequence[Path] = ()) -> tuple[str, ...]:
    """Return the last lines of a log; of a line that a progress bar wrote again and again only the last state."""
    try:
        with log.open("rb") as opened:
            opened.seek(0, 2)
            opened.seek(max(0, opened.tell() - 16_000))
            content = opened.read().decode("utf-8", "replace")
    except OSError:
        return ()
    content = hide(content, hidden)
    lines = [line.rsplit("\r", 1)[-1].strip() for line in content.replace("\r\n", "\n").rstrip("\r").split("\n")]
    return tuple(line[:300] for line in lines if line)[-n:]


def _is_whole(checkpoint: Path, *, is_sure: bool) -> bool:
    """Whether training went to its end; while ``run`` is inside, there still was something to do."""
    return (checkpoint / "config.json").is_file() and (is_sure or not (checkpoint / "run").exists())


def _is_full(folder: Path) -> bool:
    try:
        return shutil.disk_usage(folder).free < FULL
    except OSError:
        return False
