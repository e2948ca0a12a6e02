"""``python -m tests.benchmarks.pages``: what pages of 2 MB, which `concepthash` asks torch for, are worth and take.

Two processes, one with them and one without, do the same in turns: a training step of the network of the bundled
bird models, and its whole forward pass of 16 images and of one. ``speed`` is the median time without over that with,
``peak`` the largest memory with over that without.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from statistics import median

import numpy as np
import torch

from concepthash.config import TrainConfig

from .train import Bare, new_model, peak_of_process

WAYS = {"large": "1", "small": "0"}
WORK = ("step", "16 images", "image")


def serve() -> None:
    """Do what every line of standard input says, and say how many seconds it took."""
    features = np.random.default_rng(0).standard_normal((2 * TrainConfig().batch_size, 1, 1280, 10, 10), np.float32)
    loop, model = Bare(features, "cpu"), new_model().eval()
    images = torch.randn(16, 3, *model.config.backbone.image_size).to(memory_format=torch.channels_last)
    for line in sys.stdin:
        started = time.perf_counter()
        if line.strip() == "step":
            loop.step()
        else:
            with torch.inference_mode():
                model(images[:1] if line.strip() == "image" else images)
        print(time.perf_counter() - started, flush=True)
    print(peak_of_process())


def main() -> None:
    """Measure and print one JSON object."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.pages", description=__doc__)
    parser.add_argument("--json", action="store_true", help="there is no other output; for likeness with the others")
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        return serve()
    command = [sys.executable, "-m", "tests.benchmarks.pages", "--serve"]
    servers = {
        way: subprocess.Popen(command, stdin=-1, stdout=-1, text=True, env=os.environ | {"THP_MEM_ALLOC_ENABLE": value})
        for way, value in WAYS.items()
    }
    seconds: dict[tuple[str, str], list[float]] = {(way, work): [] for way in WAYS for work in WORK}
    for round_number in range(options.rounds + 3):
        for (way, work), spent in seconds.items():
            print(work, file=servers[way].stdin, flush=True)
            took = float(servers[way].stdout.readline())  # type: ignore[union-attr]
            if round_number >= 3:
                spent.append(took)
    peaks = {way: float(server.communicate()[0]) for way, server in servers.items()}
    medians = {key: median(spent) for key, spent in seconds.items()}
    print(json.dumps({
        "threads": torch.get_num_threads(),
        "rounds": options.rounds,
        "ms": {f"{work}, {way}": round(1000 * value, 1) for (way, work), value in medians.items()},
        "speed": {work: round(medians["small", work] / medians["large", work], 3) for work in WORK},
        "peak_mb": {way: round(peak) for way, peak in peaks.items()},
        "peak": round(peaks["large"] / peaks["small"], 3),
    }))  # fmt: skip
    return None


if __name__ == "__main__":
    main()
