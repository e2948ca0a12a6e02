"""The flags of the app's command line, and how their words are read."""

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import Any

__all__ = ["parser_of"]


def parser_of(env: Mapping[str, str], defaults: Any) -> argparse.ArgumentParser:
    """Return what reads the command line; ``defaults`` has what neither it nor the environment says."""
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
        default=defaults.gallery_memory_bytes / 1e6,
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
        "--root-path",
        default=env.get("GRADIO_ROOT_PATH", ""),
        metavar="PATH",
        help="prefix of the address where a proxy adds one and takes it off again, such as /explorer",
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
    _add_limits(parser.add_argument_group("limits"), env, defaults)
    _add_training(parser.add_argument_group("training by visitors"), env, defaults)
    return parser


def _add_limits(group: argparse._ArgumentGroup, env: Mapping[str, str], defaults: Any) -> None:
    group.add_argument(
        "--upload-mb",
        type=_positive,
        default=defaults.max_upload_bytes // 1_000_000,
        metavar="N",
        help="megabytes of the largest image that a visitor may send (default: %(default)s)",
    )
    group.add_argument(
        "--calls-per-minute",
        type=_rate,
        default=env.get("CONCEPTHASH_CALLS_PER_MINUTE"),
        metavar="N",
        help="of one visitor, 0 for any number; eight of the page's own questions count as one "
        "(default: 240, any where nobody else can open the page)",
    )
    group.add_argument(
        "--calls-at-once",
        type=_count,
        default=env.get("CONCEPTHASH_CALLS_AT_ONCE", str(defaults.calls_at_once)),
        metavar="N",
        help="calls of the public functions that are answered at the same time (default: %(default)s)",
    )
    group.add_argument(
        "--behind-proxy",
        action=argparse.BooleanOptionalAction,
        default=bool(env.get("SPACE_ID")),
        help="take a visitor's address from X-Forwarded-For, as the proxy in front wrote it (default: only in a Space)",
    )


def _add_training(group: argparse._ArgumentGroup, env: Mapping[str, str], defaults: Any) -> None:
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
        default=defaults.training_hours,
        help="hours that images and runs of visitors are kept after they were last used (default: %(default)g)",
    )
    group.add_argument(
        "--train-mb",
        type=_positive,
        default=defaults.max_zip_bytes // 1_000_000,
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


def _rate(text: str) -> float:
    value = 0.0 if float(text) == 0 else _positive(text)
    if 0 < value < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not even one call a minute; use at least 1, or 0 for any number")
    return value


def _count(text: str) -> int:
    if not text.isdigit() or not 1 <= int(text) <= 256:
        raise argparse.ArgumentTypeError(f"{text!r} is no number from 1 to 256")
    return int(text)


def _port(text: str) -> int:
    if not text.isdigit() or not 1 <= int(text) <= 65535:
        raise argparse.ArgumentTypeError(f"{text!r} is no port; use a whole number from 1 to 65535")
    return int(text)
