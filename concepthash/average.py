"""``python -m concepthash.average``: one model whose weights are the means of those of several.

Models that went on training from the same one, by other seeds or settings, may be averaged weight by weight, and the
mean often generalizes better than any of them, at the price of one: a "model soup" (Wortsman et al., 2022, arXiv
2203.05482).
"""

import argparse
import json
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import torch

from .card import model_card
from .checkpoint import STEM, Checkpoint, load_model, read_checkpoint, save_checkpoint
from .data import read_dataset
from .encoder import Encoder
from .errors import CheckpointError, ConceptHashError
from .evaluate import evaluate
from .model import ConceptHash

__all__ = ["average", "main"]


@torch.no_grad()
def average(checkpoints: Sequence[Checkpoint]) -> ConceptHash:
    """The mean of some models, in evaluation mode; whole numbers are those of the first.

    Raises
    ------
    CheckpointError
        If they are less than two, or differ in sizes, classes or frozen stem, or weights are missing or altered.
    """
    first, *others = checkpoints
    if not others:
        raise CheckpointError("A mean takes two checkpoints or more; give another one.")
    for other in others:
        if (other.config, other.classes, other.stem) != (first.config, first.classes, first.stem):
            raise CheckpointError(
                f"{first.name!r} and {other.name!r} differ in sizes, classes or frozen stem; average models that went "
                "on training from the same one."
            )
    models = [load_model(checkpoint, fold=False) for checkpoint in checkpoints]
    states = [model.state_dict() for model in models]
    for name, weight in states[0].items():
        if weight.is_floating_point() and not name.startswith(STEM):
            weight.copy_(torch.stack([state[name] for state in states]).double().mean(dim=0))
    return models[0]


def main(arguments: list[str] | None = None) -> int:
    """Run the command; 0 when it worked, 2 with one sentence on standard error when it could not."""
    options = _parser().parse_args(arguments)
    try:
        made = _make(options)
    except ConceptHashError as error:
        print(error, file=sys.stderr)
        return 2
    except OSError as error:
        print(f"{options.out!r} cannot be written: {error.strerror or error}.", file=sys.stderr)
        return 2
    print(json.dumps({"checkpoint": str(made.path)} | dict(made.metrics)))
    return 0


def _make(options: argparse.Namespace) -> Checkpoint:
    out = Path(options.out)
    if out.exists():
        raise CheckpointError(f"{out.name!r} is there already; choose another --out.")
    table = read_dataset(options.data)
    checkpoints = [read_checkpoint(path) for path in options.checkpoints]
    settings = {name: value for name, value in checkpoints[0].metrics.items() if name != "figures"}
    if "train" not in settings:
        raise CheckpointError(
            f"{checkpoints[0].name!r} does not say how it was trained; average models of this project."
        )
    model, classes = average(checkpoints), checkpoints[0].classes
    settings["averaged"] = [checkpoint.name for checkpoint in checkpoints]
    settings["minutes"] = round(sum(checkpoint.metrics.get("minutes", 0) for checkpoint in checkpoints), 1)
    with tempfile.TemporaryDirectory() as folder:  # what is measured are the weights as they will be stored
        made = save_checkpoint(Path(folder) / out.name, model, classes)
        figures = {"figures": evaluate(Encoder(made, options.device), table)}
    card = model_card(table, classes, settings, figures)
    return save_checkpoint(out, model, classes, metrics=settings | figures, card=card, share_stem=options.share_stem)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m concepthash.average", description=__doc__)
    add = parser.add_argument
    add("checkpoints", nargs="+", metavar="CHECKPOINT", help="checkpoint folder; settings are kept from the first")
    add("--data", required=True, help="data set with a train and a test split, to measure the mean on")
    add("--out", required=True, help="checkpoint folder to make")
    add("--share-stem", action="store_true", help="keep the frozen stem in the folder 'stems' beside --out")
    add("--device", default="auto", help="auto, cpu, cuda or mps")
    return parser


if __name__ == "__main__":
    sys.exit(main())
