"""Settings of the app from flags and environment; nothing else reads ``os.environ``."""

import ipaddress
import os
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from .flags import parser_of

__all__ = ["Settings", "read_settings", "without_proxy"]

ROOT = Path(__file__).resolve().parent.parent


@dataclass(frozen=True)
class Settings:
    """Where things lie and what a visitor may do; safe defaults."""

    checkpoint: str = ""  # name below `checkpoints`, or a folder; "" = the preferred one of those there are
    gallery: str = ""  # a folder, or the address of a gallery on a server
    gallery_memory_bytes: int = 1_000_000_000  # that the codes of a large gallery may take
    host: str = "127.0.0.1"
    port: int = 7860
    root_path: str = ""  # of the address behind a proxy, such as /explorer
    device: str = "auto"
    is_check: bool = False
    checkpoints: Path = ROOT / "checkpoints"
    galleries: Path = ROOT / "assets" / "galleries"  # bundled ones, each for the checkpoint that made it
    examples: Path = ROOT / "assets" / "examples"
    assets: Path = ROOT / "assets"
    cache: Path = Path(tempfile.gettempdir()) / "concepthash"
    max_upload_bytes: int = 25_000_000
    max_pixels: int = 64_000_000  # of an image that is sent; found out before it is decoded
    upload_seconds: float = 3600.0  # that what is sent is kept
    upload_memory_bytes: int = 500_000_000
    uploads_per_visitor: int = 8
    images_in_calls: int = 64  # that came with calls of the public functions and are kept for the next one
    visitors: int = 200
    calls_at_once: int = 2  # of the public functions
    calls_waiting: int = 100
    call_seconds: float = 60.0  # from the asking to the answer
    max_call_bytes: int = 70_000_000  # of a request: the largest image twice, as base64
    max_all_calls_bytes: int = 300_000_000  # of all requests that are being read and answered
    calls_per_minute: float | None = None  # by one visitor, 0 = any; None = 240, any where nobody else can ask
    is_behind_proxy: bool = False  # which says in X-Forwarded-For who asks
    queue_size: int = 200  # questions of pages that may wait
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
        if self.calls_per_minute is None:
            object.__setattr__(self, "calls_per_minute", 0.0 if self.is_local else 240.0)

    @property
    def max_request_bytes(self) -> int:
        """Bytes of the largest file that a visitor may send: an image, or a zip of images where training is on."""
        return max(self.max_upload_bytes, self.max_zip_bytes) if self.may_train else self.max_upload_bytes

    @property
    def uploads(self) -> Path:
        """Folder for what is uploaded, of this server alone."""
        return self.cache.resolve() / "uploads" / str(self.port)

    @property
    def styles(self) -> list[Path]:
        """All style sheets of the page."""
        return sorted(self.assets.glob("*.css"))

    @property
    def is_local(self) -> bool:
        """Whether only this computer can open the page; a proxy shows it to others."""
        if self.root_path or self.is_behind_proxy:
            return False
        if self.host == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False


def read_settings(arguments: Sequence[str] | None = None, environ: Mapping[str, str] | None = None) -> Settings:
    """Read the command line, then the environment for whatever it leaves open."""
    env = os.environ if environ is None else environ
    flags = parser_of(env, Settings).parse_args(arguments)
    settings = Settings(
        checkpoint=flags.checkpoint,
        gallery=flags.gallery,
        gallery_memory_bytes=int(flags.gallery_mb * 1e6),
        host=flags.host,
        port=flags.port,
        root_path=flags.root_path,
        device=flags.device,
        is_check=flags.check,
        checkpoints=Path(env.get("CONCEPTHASH_CHECKPOINTS", Settings.checkpoints)),
        galleries=Path(env.get("CONCEPTHASH_GALLERIES", Settings.galleries)),
        cache=_cache_folder(env),
        max_upload_bytes=int(flags.upload_mb * 1e6),
        max_call_bytes=int(max(flags.upload_mb * 2.8e6, 1e6)),
        calls_at_once=flags.calls_at_once,
        calls_per_minute=flags.calls_per_minute,
        is_behind_proxy=flags.behind_proxy,
        may_train=flags.train,
        train_data=tuple(flags.train_data),
        training_hours=flags.train_hours,
        max_zip_bytes=int(flags.train_mb * 1e6),
        max_unpacked_bytes=int(max(flags.train_mb * 2.5e6, Settings.max_unpacked_bytes)),
    )
    return settings


def without_proxy(host: str, environ: Mapping[str, str] | None = None) -> dict[str, str]:
    """Variables that keep the app's questions to itself, which Gradio asks at its start, from the proxy of others."""
    env = os.environ if environ is None else environ
    given = env.get("no_proxy") or env.get("NO_PROXY") or ""
    hosts = ["*"] if given == "*" else filter(None, (given, "localhost", "127.0.0.1", "::1", host))
    return dict.fromkeys(("no_proxy", "NO_PROXY"), ",".join(dict.fromkeys(hosts)))


def _cache_folder(env: Mapping[str, str]) -> Path:
    """Choose the folder for what can be made again; ``CONCEPTHASH_CACHE`` wins, where nothing can be written loses."""
    temporary = tempfile.gettempdir()
    home = env.get("XDG_CACHE_HOME") or (Path(env["HOME"]) / ".cache" if env.get("HOME") else temporary)
    folder = Path(env.get("CONCEPTHASH_CACHE") or Path(home) / "concepthash")
    there = next((place for place in (folder, *folder.absolute().parents) if place.exists()), folder)
    return folder if there.is_dir() and os.access(there, os.W_OK) else Path(temporary) / "concepthash"
