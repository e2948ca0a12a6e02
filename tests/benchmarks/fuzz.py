"""``python -m tests.benchmarks.fuzz``: senseless questions to every public function of a running app, for a while.

Hypothesis draws them: wrong types and sizes, NaN, huge numbers, unicode, missing and surplus values, bodies that are no
calls; by REST, by Gradio's queue and by MCP. A question has failed that is answered with a status of 500 or above, with
a traceback, with what is no JSON, or not within a minute.
"""

import argparse
import json
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

import httpx
from hypothesis import HealthCheck, Phase, given, seed, settings

from tests.fuzzing import DOORS, SECONDS, Question, ask, questions

from .load import served

BATCH = 200  # questions between two looks at the clock


def fuzz(address: str, seconds: float) -> dict[str, Any]:
    """Put questions until the time is over and count what became of them."""
    counts: Counter[str] = Counter()
    failures: list[str] = []
    slowest, until, number = 0.0, time.monotonic() + seconds, 0
    with httpx.Client(base_url=address, timeout=SECONDS) as client:

        def put(door: str, question: Question) -> None:
            nonlocal slowest
            started = time.perf_counter()
            counts[f"{door}: {_outcome(client, door, question, failures)}"] += 1
            slowest = max(slowest, time.perf_counter() - started)

        while time.monotonic() < until:
            _batch(number, lambda question: [put(door, question) for door in DOORS])
            number += 1
        alive = client.get("/health").status_code
    return {
        "n_inputs": sum(counts.values()),
        "failures": len(failures),
        "outcomes": dict(sorted(counts.items())),
        "slowest_s": round(slowest, 2),
        "health_after": alive,
        "examples_of_failure": failures[:3],
    }


def _outcome(client: httpx.Client, door: str, question: Question, failures: list[str]) -> str:
    try:
        return ask(client, door, question)
    except (AssertionError, ValueError, httpx.HTTPError) as error:
        failures.append(f"{type(error).__name__}: {error}"[:600])
        return "failed"


def _batch(number: int, put: Any) -> None:
    @seed(number)
    @settings(
        max_examples=BATCH,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(question=questions())
    def run(question: Question) -> None:
        put(question)

    run()


def main(arguments: list[str] | None = None) -> int:
    """Print the figures; 1 if any question failed."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.fuzz", description=__doc__)
    parser.add_argument("--seconds", type=float, default=120)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    flags = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder, served(Path(folder)) as (address, _):
        report = fuzz(address, flags.seconds)
    print(json.dumps(report) if flags.json else "\n".join(f"{name}: {value}" for name, value in report.items()))
    return 1 if report["failures"] else 0


if __name__ == "__main__":
    sys.exit(main())
