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
    gallery: Path | None = None
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
        host=flags.host,
        port=flags.port,
        device=flags.device,
        is_check=flags.check,
        checkpoints=Path(env.get("CONCEPTHASH_CHECKPOINTS", Settings.checkpoints)),
        galleries=Path(env.get("CONCEPTHASH_GALLERIES", Settings.galleries)),
        cache=_cache_folder(env),
    )
    return settings


def _parser(env: Mapping[str, str]) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="app.py",
        description="ConceptHash Explorer: see what each concept of a hash code looks at, and retrieve by one concept.",
    )
    gallery = env.get("CONCEPTHASH_GALLERY")
    parser.add_argument(
        "--checkpoint",
        default=env.get("CONCEPTHASH_CHECKPOINT", ""),
        metavar="NAME|DIR",
        help="a name below checkpoints/, or a checkpoint folder (default: aviary-32, else birds-64, else the first)",
    )
    parser.add_argument(
        "--gallery",
        type=Path,
        default=Path(gallery) if gallery else None,
        metavar="DIR",
        help="a gallery made by python -m concepthash.encode (default: the one that comes with the checkpoint, "
        "else a few drawn example birds)",
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
    return parser


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
