"""``python -m tests.benchmarks.search``: search in memory over faiss, usearch, plain numpy, DuckDB and ClickHouse.

All engines hold the same skewed codes in one process. In every round each engine, in a shuffled order, answers five
questions of each kind one right after the other. ``first`` are the first answers of a row: where codes are few, the
processor's caches, as the engine before left them, cost as much as the search itself. ``again`` are the other four, and
all ratios but those called ``first``. Every answer is checked against distances computed by brute force; a first round
is checked and not timed.
``bandwidth_floor`` is the quickest pass found that only reads the codes: numpy's maximum over them as 32-bit numbers,
by one thread, or by two with half of them each. Peak memory is what numpy and Python allocate from making the index
(all lists) to the last answer of a round, and the codes themselves, over the codes.
"""

import argparse
import json
import random
import statistics
import sys
import time
import tracemalloc
from collections import defaultdict
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import numpy as np

from concepthash.codes import concept_distances
from concepthash.gallery import ConceptRule, Query, Selection

from . import search_peers
from .search_peers import Contender, Ours, Question
from .search_sql_peers import SQL_PEERS, class_name
from .synthetic_codes import SyntheticCodes, synthetic_codes

LAYOUTS = {(64, 4): ([1], 2), (16, 8): ([0, 3, 5], 1)}  # K, M -> concepts with a rule, and radius within which
SUBCODE_OPERATIONS = ("subcode_exact", "within_r", "weighted")
K = 10
IN_A_ROW = 5
TURNS = ("first", "again")
PEERS = search_peers.PEERS | SQL_PEERS
Times = dict[str, dict[str, list[float]]]


def questions(codes: SyntheticCodes, n_concepts: int, number: int) -> dict[str, Question]:
    """One question of each kind about a held-out code; weights are drawn between 0 and 2."""
    chosen, radius = LAYOUTS[codes.queries.shape[1], n_concepts]
    number %= len(codes.queries)
    code = tuple(map(bool, codes.queries[number]))
    weights = np.random.default_rng(number).uniform(0, 2, n_concepts)
    label = int(codes.query_labels[number])

    def ruled(rule: ConceptRule) -> Question:
        return Question(Query(code, tuple(rule if m in chosen else ConceptRule() for m in range(n_concepts)), k=K))

    free = (ConceptRule(),) * n_concepts
    of_class = Selection(classes=(class_name(label),))
    return {
        "full": Question(Query(code, free, k=K)),
        "subcode_exact": ruled(ConceptRule("exact")),
        "within_r": ruled(ConceptRule("within", radius)),
        "weighted": Question(Query(code, tuple(ConceptRule(weight=float(w)) for w in weights), "weighted", k=K)),
        "class_filter": Question(Query(code, free, selection=of_class, k=K), label),
    }


def check(name: str, answer: list[int], question: Question, codes: SyntheticCodes, distances: np.ndarray) -> None:
    """Compare with brute force: the same scores, and the same rows where an engine breaks ties as we do."""
    query = question.query
    holds = np.ones(len(distances), dtype=bool) if question.label < 0 else codes.labels == question.label
    score: np.ndarray = np.zeros(len(distances), dtype=np.float64)
    for rule, distance in zip(query.rules, distances.T, strict=True):
        holds &= distance < rule.distances(64).stop
        score += (rule.weight if query.rank == "weighted" else 1) * distance
    rows = np.flatnonzero(holds)
    if len(rows) > K:
        rows = rows[score[rows] <= np.partition(score[rows], K - 1)[K - 1]]
    expected = rows[np.argsort(score[rows], kind="stable")][:K]
    same = answer == expected.tolist() if name in ("ours", "duckdb", "chdb") else len(set(answer)) == len(expected)
    if not (same and holds[answer].all() and np.allclose(score[answer], score[expected], atol=0)):
        raise AssertionError(f"{name} answers {question} with {answer}, not {expected.tolist()}")


def floors(codes: SyntheticCodes, pool: ThreadPoolExecutor) -> dict[str, Callable[[], object]]:
    """Passes that only read."""
    numbers = codes.words.view(np.int32)
    return {
        "read by one thread": partial(np.max, numbers),
        "read by two threads": lambda: list(pool.map(np.max, np.array_split(numbers.ravel(), 2))),
    }


def timed(action: Callable[[], object]) -> tuple[float, object]:
    started = time.perf_counter()
    answer = action()
    return 1e3 * (time.perf_counter() - started), answer


def run_rounds(codes: SyntheticCodes, n_concepts: int, engines: dict[str, Contender], n_rounds: int) -> Times:
    """Milliseconds by operation and turn, and engine."""
    times: Times = defaultdict(lambda: defaultdict(list))
    order = random.Random(0)
    with ThreadPoolExecutor(2) as pool:
        for number in range(n_rounds + 1):
            numbers = range(number * IN_A_ROW, (number + 1) * IN_A_ROW)
            asked = [questions(codes, n_concepts, number) for number in numbers]
            expected = [brute_force(codes, n_concepts, number) for number in numbers]
            for name, read in floors(codes, pool).items():
                times["floor"][name].append(timed(read)[0])
            for operation in asked[0]:
                for name in order.sample(list(engines), len(engines)):
                    answers = [timed(partial(engines[name].answer, kinds[operation])) for kinds in asked]
                    for i, (elapsed, answer) in enumerate(answers):
                        if answer is not None:
                            check(name, answer, asked[i][operation], codes, expected[i])
                            times[f"{operation} {TURNS[i > 0]}"][name].append(elapsed)
            if not number:
                times.clear()
    return times


def brute_force(codes: SyntheticCodes, n_concepts: int, number: int) -> np.ndarray:
    """(N, M) distances of a held-out code."""
    return concept_distances(codes.queries[number % len(codes.queries)], codes.words, *sizes(codes, n_concepts))


def sizes(codes: SyntheticCodes, n_concepts: int) -> tuple[int, int]:
    return codes.queries.shape[1], n_concepts


def build(codes: SyntheticCodes, n_concepts: int) -> Ours:
    """Make our index with every list that these codes will ever use."""
    ours = Ours(codes, *sizes(codes, n_concepts))
    rules = (ConceptRule("exact"),) * n_concepts
    ours.answer(Question(Query(tuple(map(bool, codes.queries[0])), rules)))
    return ours


def peak_memory(codes: SyntheticCodes, n_concepts: int) -> float:
    """Peak of codes, index and questions over the codes."""
    tracemalloc.start()
    ours = build(codes, n_concepts)
    for number in range(5):
        for question in questions(codes, n_concepts, number).values():
            ours.answer(question)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return (codes.words.nbytes + peak) / codes.words.nbytes


def measure(n: int, n_bits: int, n_concepts: int, peers: list[str], n_rounds: int) -> dict[str, object]:
    """All figures of one size and kind of codes."""
    codes = synthetic_codes(n, n_bits, n_concepts)
    memory = peak_memory(codes, n_concepts)
    build_ms, ours = timed(partial(build, codes, n_concepts))
    engines = {"ours": ours} | {name: PEERS[name](codes, n_bits, n_concepts) for name in peers}
    times = run_rounds(codes, n_concepts, engines, n_rounds)
    medians = {op: {name: statistics.median(v) for name, v in by.items()} for op, by in times.items()}
    floor = min(medians.pop("floor").values())
    again = {op: medians[f"{op} again"] for op in SUBCODE_OPERATIONS}
    over_best = {turn: {op: over_best_peer(medians[f"{op} {turn}"]) for op in SUBCODE_OPERATIONS} for turn in TURNS}
    full = medians["full again"]
    return {
        "n": n,
        "n_bits": n_bits,
        "n_concepts": n_concepts,
        "rounds": n_rounds,
        "build_s": round(build_ms / 1e3, 2),
        "peak_memory_over_codes": round(memory, 2),
        "bandwidth_floor_ms": round(floor, 4),
        "full_ratio_to_bandwidth": round(full["ours"] / floor, 2),
        "full_over_faiss": round(full["ours"] / full["faiss"], 3) if "faiss" in full else None,
        "subcode_over_best_peer": max(over_best["again"].values()),
        "over_best_peer": over_best,
        "best_peer": {op: min(peers_of(by_engine), key=by_engine.__getitem__) for op, by_engine in again.items()},
        "median_ms": {op: {name: round(ms, 3) for name, ms in by.items()} for op, by in medians.items()},
    }


def peers_of(by_engine: dict[str, float]) -> list[str]:
    return [name for name in by_engine if name != "ours"]


def over_best_peer(by_engine: dict[str, float]) -> float:
    return round(by_engine["ours"] / min(by_engine[name] for name in peers_of(by_engine)), 3)


def results(options: argparse.Namespace) -> Iterator[dict[str, object]]:
    """One result for each size and kind of codes."""
    for n in options.n:
        for n_bits, n_concepts in LAYOUTS:
            yield measure(n, n_bits, n_concepts, options.peers, options.rounds)


def main() -> int:
    """Run the measurement and print it."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.search", description=__doc__.splitlines()[0])
    parser.add_argument("--n", type=int, nargs="+", default=[10_000, 1_000_000, 10_000_000])
    parser.add_argument("--rounds", type=int, default=6)
    parser.add_argument("--peers", nargs="+", choices=list(PEERS), default=list(PEERS))
    parser.add_argument("--json", action="store_true", help="print one JSON object (the only format)")
    options = parser.parse_args()
    print(json.dumps({"k": K, "results": list(results(options))}, indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
