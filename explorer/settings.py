"""Settings of the app from flags and environment; nothing else reads ``os.environ``."""

import argparse
import ipaddress
import os
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Settings", "read_settings"]

ROOT = Path(__file__).resolve().parent.parent


@dataclass(frozen=True)
class Settings:
    """Where things lie and what a visitor may do; safe defaults."""

    checkpoint: str = ""  # name below `checkpoints`, or a folder; "" = the preferred one of those there are
    gallery: str = ""  # a folder, or the address of a gallery on a server
    gallery_memory_bytes: int = 1_000_000_000  # that the codes of a large gallery may take
    host: str = "127.0.0.1"
    port: int = 7860
    device: str = "auto"
    is_check: bool = False
    checkpoints: Path = ROOT / "checkpoints"
    galleries: Path = ROOT / "assets" / "galleries"  # bundled ones, each for the checkpoint that made it
    examples: Path = ROOT / "assets" / "examples"
    assets: Path = ROOT / "assets"
    cache: Path = Path(tempfile.gettempdir()) / "concepthash"
    max_upload_bytes: int = 25_000_000
    upload_memory_bytes: int = 500_000_000
    uploads_per_visitor: int = 8
    visitors: int = 200
    models_in_memory: int = 2
    cached_answers: int = 128
    may_save_names: bool = True
    # training by visitors; None = only where nobody but this computer can open the page
    may_train: bool | None = None
    train_data: tuple[Path, ...] = ()  # folders of this server that visitors may train on
    training_hours: float = 24.0  # that images and runs of visitors are kept after they were last used
    max_zip_bytes: int = 200_000_000
    max_unpacked_bytes: int = 500_000_000
    max_training_images: int = 20_000
    max_training_classes: int = 1_000
    max_training_epochs: int = 300
    max_waiting_runs: int = 20
    max_intakes: int = 40  # sets of images of all visitors together
    training_cache_gb: float = 5.0  # 10⁹ bytes that a run's frozen features may take on disk

    def __post_init__(self) -> None:
        if self.may_train is None:
            object.__setattr__(self, "may_train", self.is_local and os.name == "posix")

    @property
    def max_request_bytes(self) -> int:
        """Bytes of the largest file that a visitor may send: an image, or a zip of images where training is on."""
        return max(self.max_upload_bytes, self.max_zip_bytes) if self.may_train else self.max_upload_bytes

    @property
    def styles(self) -> list[Path]:
        """All style sheets of the page."""
        return sorted(self.assets.glob("*.css"))

    @property
    def is_local(self) -> bool:
        """Whether only this computer can open the page."""
        if self.host == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False


def read_settings(arguments: Sequence[str] | None = None, environ: Mapping[str, str] | None = None) -> Settings:
    """Read the command line, then the environment for whatever it leaves open."""
    env = os.environ if environ is None else environ
    flags = _parser(env).parse_args(arguments)
    settings = Settings(
        checkpoint=flags.checkpoint,
        gallery=flags.gallery,
        gallery_memory_bytes=int(flags.gallery_mb * 1e6),
        host=flags.host,
        port=flags.port,
        device=flags.device,
        is_check=flags.check,
        checkpoints=Path(env.get("CONCEPTHASH_CHECKPOINTS", Settings.checkpoints)),
        galleries=Path(env.get("CONCEPTHASH_GALLERIES", Settings.galleries)),
        cache=_cache_folder(env),
        may_train=flags.train,
        train_data=tuple(flags.train_data),
        training_hours=flags.train_hours,
        max_zip_bytes=int(flags.train_mb * 1e6),
        max_unpacked_bytes=int(max(flags.train_mb * 2.5e6, Settings.max_unpacked_bytes)),
    )
    return settings


def _parser(env: Mapping[str, str]) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="app.py",
        description="ConceptHash Explorer: see what each concept of a hash code looks at, and retrieve by one concept.",
    )
    parser.add_argument(
        "--checkpoint",
        default=env.get("CONCEPTHASH_CHECKPOINT", ""),
        metavar="NAME|DIR",
        help="a name below checkpoints/, or a checkpoint folder (default: aviary-32, else birds-64, else the first)",
    )
    parser.add_argument(
        "--gallery",
        default=env.get("CONCEPTHASH_GALLERY", ""),
        metavar="DIR|URL",
        help="a gallery made by python -m concepthash.encode, or clickhouse://host/database (default: the one that "
        "comes with the checkpoint, else a few drawn example birds)",
    )
    parser.add_argument(
        "--gallery-mb",
        type=_positive,
        default=Settings.gallery_memory_bytes / 1e6,
        metavar="N",
        help="megabytes that the codes of a large gallery may take in memory; beyond, its database searches "
        "(default: %(default)g)",
    )
    parser.add_argument(
        "--host",
        default=env.get("GRADIO_SERVER_NAME", "127.0.0.1"),
        help="address to listen on (default: %(default)s; 0.0.0.0 lets other computers in)",
    )
    parser.add_argument(
        "--port",
        type=_port,
        default=env.get("GRADIO_SERVER_PORT", "7860"),
        help="port to listen on (default: %(default)s)",
    )
    parser.add_argument(
        "--device",
        default=env.get("CONCEPTHASH_DEVICE", "auto"),
        choices=("auto", "cpu", "cuda", "mps"),
        help="where the model computes (default: %(default)s)",
    )
    parser.add_argument(
        "--check",
        action="store_true",
        help="load everything, explain and match one image, print one JSON object, and stop",
    )
    _add_training(parser.add_argument_group("training by visitors"), env)
    return parser


def _add_training(group: argparse._ArgumentGroup, env: Mapping[str, str]) -> None:
    group.add_argument(
        "--train",
        action=argparse.BooleanOptionalAction,
        default=_switch(env.get("CONCEPTHASH_TRAIN", "")),
        help="let visitors train models on images of theirs (default: only where nobody else can open the page)",
    )
    group.add_argument(
        "--train-data",
        type=Path,
        action="append",
        default=[],
        metavar="DIR",
        help="a folder of this computer that visitors may train on, too; may be given several times",
    )
    group.add_argument(
        "--train-hours",
        type=_positive,
        default=Settings.training_hours,
        help="hours that images and runs of visitors are kept after they were last used (default: %(default)g)",
    )
    group.add_argument(
        "--train-mb",
        type=_positive,
        default=Settings.max_zip_bytes // 1_000_000,
        help="megabytes of the largest zip of images (default: %(default)s)",
    )


def _switch(text: str) -> bool | None:
    """Read a switch of the environment; what says neither yes nor no leaves it open."""
    word = text.strip().lower()
    return True if word in ("1", "true", "yes", "on") else False if word in ("0", "false", "no", "off") else None


def _positive(text: str) -> float:
    value = float(text)  # argparse makes a sentence of a ValueError
    if not 0 < value < 1e6:
        raise argparse.ArgumentTypeError(f"{text!r} is not above 0 and below a million")
    return value


def _port(text: str) -> int:
    if not text.isdigit() or not 1 <= int(text) <= 65535:
        raise argparse.ArgumentTypeError(f"{text!r} is no port; use a whole number from 1 to 65535")
    return int(text)


def _cache_folder(env: Mapping[str, str]) -> Path:
    """Choose the folder for what can be made again; ``CONCEPTHASH_CACHE`` wins."""
    if env.get("CONCEPTHASH_CACHE"):
        return Path(env["CONCEPTHASH_CACHE"])
    home = env.get("XDG_CACHE_HOME") or (Path(env["HOME"]) / ".cache" if env.get("HOME") else tempfile.gettempdir())
    return Path(home) / "concepthash"
