"""``python -m tests.benchmarks.load``: 50 visitors at once, on this computer, through the public functions by REST.

The app runs as a process of its own. Every visitor has pictures of its own and asks explain, match and flip about them,
the next as soon as the last is answered, and checks each answer against what the same functions say in this process.
There are more pictures than the app remembers answers for, so every call costs one pass of the network.

The bare loop is those passes alone: one process, one picture after the other, decoded before; it takes turns with the
visitors, while the app has nothing to do. Memory is the app's resident one, when all its caches are full and at the
end. The unloaded median is that of one visitor alone. With visitors who never pause, latency under load is mostly the
time of all others' calls: about their number times the time of one.
"""

import argparse
import asyncio
import gc
import inspect
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from concepthash.data import read_image
from explorer.api import Api
from explorer.doors import as_json
from explorer.services import Services, load_services
from explorer.settings import read_settings
from tests.app_process import free_port, wait_for

from .visitors import Asked, Tally, pictures, visit

ROOT = Path(__file__).parents[2]
OPERATIONS = ("explain", "match", "flip")
PER_VISITOR = 6  # pictures; all visitors' together are more than the app keeps answers for
N_ALONE, N_BARE = 60, 100
ROUNDS = 4  # of bare loop and visitors, so that both meet the same moods of the computer


def prepared(api: Api, n_visitors: int) -> list[Asked]:
    """Make every visitor's calls, one after the other, with the right answers."""
    files = sorted((ROOT / "assets" / "aviary" / "images").rglob("*.jpg"))
    made = pictures(files, n_visitors * PER_VISITOR)
    return [_asked(api, OPERATIONS[i % len(OPERATIONS)], picture, i) for i, picture in enumerate(made)]


def _asked(api: Api, name: str, picture: bytes, number: int) -> Asked:
    n_concepts = api.checkpoints()[0].n_concepts
    exact = number % n_concepts
    rules = ["exact" if m == exact else "ignore" for m in range(n_concepts)]
    given: dict[str, Any] = {"explain": {}, "match": {"agree": rules}, "flip": {"concept": exact}}[name]
    function = getattr(api, name)
    taken = [p for p in inspect.signature(function).parameters.values() if p.kind is not p.KEYWORD_ONLY]
    values = tuple(given.get(p.name, p.default) for p in taken if p.name != "image")
    return Asked(name, picture, values, json.loads(json.dumps(as_json(function(picture, *values)))))


def bare_loop(services: Services, calls: Sequence[Asked]) -> float:
    """Return passes of the network per second."""
    encoder = services.models.encoder(services.default_model)
    decoded = [(asked.name, read_image(asked.picture)) for asked in calls[:N_BARE]]
    started = time.perf_counter()
    for name, rgb in decoded:
        _pass(encoder, name, rgb)
    return len(decoded) / (time.perf_counter() - started)


def _pass(encoder: Any, name: str, rgb: np.ndarray) -> None:
    if name == "explain":
        encoder.explain(rgb)
    else:
        encoder.code_logits([rgb])


def resident_mb(process: "subprocess.Popen[bytes]") -> float:
    """Return the memory a process has in use."""
    pages = int(Path(f"/proc/{process.pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def cpu_seconds(process: "subprocess.Popen[bytes]") -> float:
    """Return the time of all cores that a process has had."""
    fields = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@contextmanager
def served(folder: Path) -> Iterator[tuple[str, "subprocess.Popen[bytes]"]]:
    """Run the app on a free port."""
    port, logs = free_port(), folder / "app.log"
    command = [sys.executable, "app.py", "--port", str(port), "--calls-per-minute", "900000"]
    env = os.environ | {"CONCEPTHASH_CACHE": str(folder / "cache")}
    with logs.open("w") as log, subprocess.Popen(command, cwd=ROOT, env=env, stdout=log, stderr=log) as process:
        try:
            wait_for(f"http://127.0.0.1:{port}/", process, logs)
            yield f"http://127.0.0.1:{port}/", process
        finally:
            process.terminate()


async def crowd(address: str, calls: Sequence[Asked], seconds: float, n_calls: float = float("inf")) -> Tally:
    """Let every visitor ask about its own pictures."""
    tally, until = Tally(), time.monotonic() + seconds
    visitors = [calls[i : i + PER_VISITOR] for i in range(0, len(calls), PER_VISITOR)]
    await asyncio.gather(*(visit(address, own, tally, until, n_calls) for own in visitors))
    return tally


def measure(n_visitors: int, seconds: float) -> dict[str, Any]:
    """Run everything and return the figures."""
    services = load_services(read_settings([]))
    calls = prepared(Api(lambda: services), n_visitors)
    bare_loop(services, calls[:20])
    with tempfile.TemporaryDirectory() as folder, served(Path(folder)) as (address, process):
        gc.freeze()  # what this process has loaded is not looked through for every answer
        warm = asyncio.run(crowd(address, calls, 600, PER_VISITOR))
        alone = Tally()
        forgotten = [asked for i, asked in enumerate(calls) if i % PER_VISITOR < PER_VISITOR // 2]  # by the app
        asyncio.run(visit(address, forgotten[:N_ALONE], alone, time.monotonic() + 600, N_ALONE))
        memory, bare, loaded, took, cpu = resident_mb(process), [], Tally(), 0.0, -cpu_seconds(process)
        for _ in range(ROUNDS):
            bare.append(bare_loop(services, calls))
            started = time.perf_counter()
            loaded.add(asyncio.run(crowd(address, calls, seconds / ROUNDS)))
            took += time.perf_counter() - started
        cpu += cpu_seconds(process)
        growth = resident_mb(process) - memory
        bare.append(bare_loop(services, calls))
    n = len(loaded.seconds)
    median, p95 = statistics.median(alone.seconds), float(np.quantile(loaded.seconds, 0.95))
    return {
        "n_visitors": n_visitors,
        "seconds": round(took, 1),
        "n_requests": n,
        "errors": len(loaded.errors + warm.errors + alone.errors),
        "wrong_answers": len(loaded.wrong + warm.wrong + alone.wrong),
        "unloaded_median_ms": round(1000 * median, 1),
        "loaded_median_ms": round(1000 * statistics.median(loaded.seconds), 1),
        "loaded_p95_ms": round(1000 * p95, 1),
        "p95_over_unloaded_median": round(p95 / median, 1),
        "requests_per_second": round(n / took, 1),
        "bare_per_second": [round(value, 1) for value in bare],
        "throughput_over_bare_loop": round(n / took / statistics.mean(bare), 2),
        "app_cpu_ms_per_request": round(1000 * cpu / n, 1),
        "memory_mb": round(memory),
        "memory_growth_mb": round(growth, 1),
        "examples_of_failure": (loaded.errors + loaded.wrong + warm.errors + warm.wrong)[:3],
    }


def main(arguments: list[str] | None = None) -> int:
    """Print the figures; 1 if any call failed or was answered wrongly."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.load", description=__doc__)
    parser.add_argument("--visitors", type=int, default=50)
    parser.add_argument("--seconds", type=float, default=120)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    flags = parser.parse_args(arguments)
    report = measure(flags.visitors, flags.seconds)
    lines = (f"{name}: {value}" for name, value in report.items())
    print(json.dumps(report) if flags.json else "\n".join(lines))
    return 1 if report["errors"] or report["wrong_answers"] else 0


if __name__ == "__main__":
    sys.exit(main())
