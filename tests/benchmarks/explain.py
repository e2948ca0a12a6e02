"""``python -m tests.benchmarks.explain``: a full explanation of one image over a bare forward pass of the same network.

Both work on the same prepared image in one process, interleaved, and their medians are compared. The explanation is
code logits and the rollout of every concept; drawing is left out. The bare pass is timm's own: stem, tokens, blocks,
with fused attention everywhere and without concept tokens.
"""

import argparse
import copy
import json
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

import torch

from concepthash.attribution import MapSettings, concept_maps
from concepthash.checkpoint import load_model, read_checkpoint
from concepthash.devices import choose_device

ROOT = Path(__file__).parents[2]


def interleaved_medians(actions: dict[str, Callable[[], object]], n_rounds: int) -> dict[str, float]:
    """Median milliseconds of each action, all of them run once in every round."""
    times: dict[str, list[float]] = {name: [] for name in actions}
    for round_number in range(n_rounds + 5):
        for name, action in actions.items():
            started = time.perf_counter()
            action()
            if round_number >= 5:  # warm-up
                times[name].append(1e3 * (time.perf_counter() - started))
    return {name: statistics.median(values) for name, values in times.items()}


def measure(checkpoint: Path, device: str, n_rounds: int) -> dict[str, object]:
    """The ratio and the two medians."""
    kind = choose_device(device)
    model = load_model(read_checkpoint(checkpoint), kind)
    vit, settings = copy.deepcopy(model.backbone.vit), MapSettings()
    if model.config.backbone.trained_stages:
        vit.patch_embed.backbone = torch.nn.Sequential(vit.patch_embed.backbone, model.backbone.tail)
    n_attention = settings.n_attention(len(model.backbone.blocks))
    images = torch.randn(1, 3, *model.config.backbone.image_size, device=kind).to(memory_format=torch.channels_last)

    def explain() -> tuple[torch.Tensor, torch.Tensor]:
        output = model(images, n_attention=n_attention)
        return output.code_logits.cpu(), concept_maps(output, model, settings).cpu()

    def bare() -> torch.Tensor:
        return vit.forward_features(images).cpu()

    with torch.inference_mode():
        medians = interleaved_medians({"explain": explain, "bare": bare}, n_rounds)
    return {
        "checkpoint": checkpoint.name,
        "device": kind.type,
        "threads": torch.get_num_threads(),
        "rounds": n_rounds,
        "explain_ms": round(medians["explain"], 2),
        "bare_forward_ms": round(medians["bare"], 2),
        "ratio": round(medians["explain"] / medians["bare"], 3),
    }


def main() -> int:
    """Run the measurement and print it."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.explain", description=__doc__.splitlines()[0])
    parser.add_argument("--checkpoint", type=Path, default=ROOT / "checkpoints" / "birds-64")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--rounds", type=int, default=60)
    parser.add_argument("--json", action="store_true", help="print one JSON object (the only format)")
    options = parser.parse_args()
    print(json.dumps(measure(options.checkpoint, options.device, options.rounds)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
