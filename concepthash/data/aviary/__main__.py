"""``python -m concepthash.data.aviary``: render the aviary, going on where an earlier run stopped."""

import argparse
import os
import sys
from pathlib import Path

from ...errors import ConceptHashError
from .render import Recipe, render_aviary

__all__ = ["main"]


def main(arguments: list[str] | None = None) -> int:
    """Run the command; 0 when it worked, 2 with one sentence on standard error when it could not."""
    options = _parser().parse_args(arguments)
    try:
        recipe = Recipe(options.seed, options.size, options.per_species, options.samples)
        n_rendered = render_aviary(Path(options.out), recipe, n_workers=options.workers or _n_cores())
    except ConceptHashError as error:
        print(error, file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("Interrupted; run the same command again, it goes on where it stopped.", file=sys.stderr)
        return 130
    print(f"{options.out}: {n_rendered} pictures rendered")
    return 0


def _n_cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _parser() -> argparse.ArgumentParser:
    default = Recipe()
    parser = argparse.ArgumentParser(
        prog="python -m concepthash.data.aviary",
        description="Render pictures of birds that know their parts; run again, it goes on where it stopped.",
    )
    parser.add_argument("--out", required=True, metavar="DIR", help="folder to render into")
    parser.add_argument("--seed", type=int, default=default.seed, help="of all that is drawn at random (default 0)")
    parser.add_argument("--workers", type=int, default=0, metavar="N", help="processes (default: one for each core)")
    parser.add_argument("--size", type=int, default=default.size, help="side of a picture in pixels (default 256)")
    parser.add_argument(
        "--per-species", type=int, default=default.per_species, metavar="N", help="pictures a species (default 25)"
    )
    parser.add_argument(
        "--samples", type=int, default=default.n_samples, metavar="N", help="light paths a pixel (default 14)"
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
