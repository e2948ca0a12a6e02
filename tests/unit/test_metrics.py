"""Retrieval metrics against enumeration of every order inside ties."""

import itertools
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from concepthash.errors import ConfigError, QueryError
from concepthash.metrics import (
    bit_balance,
    map_per_concept,
    mean_average_precision,
    mean_average_precision_topk,
    precision_at,
)

quick = settings(deadline=None, database=None, max_examples=60)
small_rows = st.lists(st.tuples(st.integers(0, 3), st.booleans()), min_size=1, max_size=6)  # distance, relevant


def average_precision(relevant: Sequence[bool]) -> float:
    n_found, total = 0, 0.0
    for rank, hit in enumerate(relevant, start=1):
        n_found += hit
        total += n_found / rank if hit else 0.0
    return total / max(1, n_found)


def orders(row: list[tuple[int, bool]]) -> list[list[bool]]:
    """Every ranking that ties allow, each as often as any other."""
    permuted = itertools.permutations(row)
    return [[hit for _, hit in order] for order in permuted if list(order) == sorted(order, key=lambda item: item[0])]


def as_arguments(row: list[tuple[int, bool]]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    return np.array([[d for d, _ in row]]), np.array([1]), np.array([1 if hit else 0 for _, hit in row])


def random_problem(seed: int, n_queries: int = 30, n_stored: int = 50) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    distances = rng.integers(0, 9, (n_queries, n_stored)).astype(np.uint16)
    return distances, rng.integers(0, 5, n_queries), rng.integers(-1, 5, n_stored)


@quick
@given(small_rows)
def test_map_is_the_mean_over_all_orders_of_the_ties(row: list[tuple[int, bool]]) -> None:
    expected = np.mean([average_precision(order) for order in orders(row)])
    assert mean_average_precision(*as_arguments(row)) == pytest.approx(expected, abs=1e-12)


@quick
@given(small_rows, st.integers(1, 8))
def test_precision_is_the_mean_over_all_orders_of_the_ties(row: list[tuple[int, bool]], k: int) -> None:
    expected = np.mean([np.mean(order[:k]) for order in orders(row)])
    assert precision_at(*as_arguments(row), k=k) == pytest.approx(expected, abs=1e-12)


@quick
@given(small_rows)
def test_topk_style_keeps_the_order_of_the_gallery_inside_ties(row: list[tuple[int, bool]]) -> None:
    ranked = [hit for _, hit in sorted(row, key=lambda item: item[0])]
    assert mean_average_precision_topk(*as_arguments(row)) == pytest.approx(average_precision(ranked), abs=1e-12)


@pytest.mark.parametrize("seed", range(5))
def test_neither_map_nor_precision_depends_on_the_order_of_the_gallery(seed: int) -> None:
    distances, queries, gallery = random_problem(seed)
    order = np.random.default_rng(seed).permutation(len(gallery))
    for metric in (mean_average_precision, lambda *args: precision_at(*args, k=10)):
        shuffled = metric(distances[:, order], queries, gallery[order])
        assert shuffled == pytest.approx(metric(distances, queries, gallery), abs=1e-13)


def test_without_ties_both_kinds_of_map_agree() -> None:
    rng = np.random.default_rng(0)
    distances = rng.permuted(np.tile(np.arange(200), (40, 1)), axis=1)
    queries, gallery = rng.integers(0, 6, 40), rng.integers(0, 6, 200)
    expected = mean_average_precision_topk(distances, queries, gallery)
    assert mean_average_precision(distances, queries, gallery) == pytest.approx(expected, abs=1e-12)


def test_map_is_the_mean_of_many_shuffled_galleries() -> None:
    distances, queries, gallery = random_problem(7)
    rng = np.random.default_rng(0)
    sampled = []
    for _ in range(300):
        order = rng.permutation(len(gallery))
        sampled.append(mean_average_precision_topk(distances[:, order], queries, gallery[order]))
    error = np.std(sampled) / np.sqrt(len(sampled))
    assert abs(np.mean(sampled) - mean_average_precision(distances, queries, gallery)) < 4 * error


def test_more_queries_than_one_block_takes_give_the_mean_of_their_maps() -> None:
    distances, queries, gallery = random_problem(3, n_queries=300, n_stored=5000)
    for metric in (mean_average_precision, mean_average_precision_topk, lambda *args: precision_at(*args, k=7)):
        singles = [metric(distances[row, None], queries[row, None], gallery) for row in range(300)]
        assert metric(distances, queries, gallery) == pytest.approx(np.mean(singles), abs=1e-12)


def test_a_large_tie_keeps_its_precision() -> None:
    n, relevant = 200_000, 1000
    gallery = (np.arange(n) < relevant).astype(int)
    value = mean_average_precision(np.zeros((1, n), dtype=np.uint16), np.array([1]), gallery)
    ranks = np.arange(1, n + 1)
    expected = ((1 + (ranks - 1) * (relevant - 1) / (n - 1)) / ranks).sum() / n
    assert value == pytest.approx(expected, rel=1e-10)


def test_perfect_and_hopeless_rankings_score_one_and_zero() -> None:
    distances, queries = np.array([[0, 1, 5]]), np.array([2])
    assert mean_average_precision(distances, queries, np.array([2, 2, 3])) == 1.0
    for metric in (mean_average_precision, mean_average_precision_topk):
        assert metric(distances, queries, np.array([3, 3, -1])) == 0.0


@pytest.mark.parametrize(
    "metric", [mean_average_precision, mean_average_precision_topk, lambda *a: precision_at(*a, k=3)]
)
@pytest.mark.parametrize(
    ("distances", "queries", "gallery", "part_of_message"),
    [
        (np.zeros((2, 3), int), [0, 0], [0, 0], "do not match"),
        (np.zeros((2, 3), int), [[0], [0]], [0, 0, 0], "do not match"),
        (np.zeros((0, 3), int), [], [0, 0, 0], "Nothing to rank"),
        (np.zeros((1, 0), int), [0], [], "Nothing to rank"),
        (np.zeros((1, 2)), [0], [0, 0], "whole numbers"),
        (np.array([[-1, 0]]), [0], [0, 0], "0 or more"),
        (np.zeros((2, 1), int), [0, -1], [0], "1 of 2 queries have no known class"),
    ],
)
def test_a_question_without_meaning_is_refused(
    metric: object, distances: np.ndarray, queries: list[int], gallery: list[int], part_of_message: str
) -> None:
    with pytest.raises(QueryError, match=part_of_message):
        metric(distances, np.array(queries), np.array(gallery))  # type: ignore[operator]


def test_precision_of_no_results_is_refused() -> None:
    with pytest.raises(QueryError, match="first 0 results"):
        precision_at(np.zeros((1, 1), int), np.array([0]), np.array([0]), k=0)


def test_bits_on_half_the_time_are_balanced_and_constant_ones_are_not() -> None:
    code = np.array([[1, 1, 0, 1], [0, 1, 0, 0], [1, 1, 0, 0], [0, 1, 0, 0]], dtype=bool)
    assert bit_balance(code) == pytest.approx((1 + 0 + 0 + 0.5) / 4)
    assert bit_balance(code[:, :1]) == 1 and bit_balance(code[:, 1:3]) == 0
    with pytest.raises(QueryError, match="at least one code"):
        bit_balance(np.zeros((0, 4), dtype=bool))


def test_map_per_concept_compares_one_subcode_at_a_time() -> None:
    rng = np.random.default_rng(0)
    queries, gallery = rng.random((20, 12)) < 0.5, rng.random((60, 12)) < 0.5
    query_labels, gallery_labels = rng.integers(0, 4, 20), rng.integers(0, 4, 60)
    maps = map_per_concept(queries, gallery, query_labels, gallery_labels, 3)
    assert maps.shape == (3,) and maps.dtype == np.float64
    for concept in range(3):
        part = slice(concept * 4, concept * 4 + 4)
        distances = (queries[:, None, part] != gallery[None, :, part]).sum(axis=2)
        assert maps[concept] == pytest.approx(mean_average_precision(distances, query_labels, gallery_labels))


def test_a_concept_that_tells_the_class_scores_one() -> None:
    labels = np.arange(40) % 4
    telling = np.stack([labels & 1, labels >> 1], axis=1).astype(bool)
    code = np.concatenate([telling, np.zeros_like(telling)], axis=1)
    assert map_per_concept(code, code, labels, labels, 2) == pytest.approx([1.0, _map_of_one_tie(40, 10)])


def test_codes_that_do_not_fit_together_are_refused() -> None:
    labels = np.array([0])
    with pytest.raises(QueryError, match="cannot be compared"):
        map_per_concept(np.zeros((1, 4), bool), np.zeros((1, 8), bool), labels, labels, 2)
    with pytest.raises(ConfigError, match="do not split"):
        map_per_concept(np.zeros((1, 4), bool), np.zeros((1, 4), bool), labels, labels, 3)


def _map_of_one_tie(n: int, relevant: int) -> float:
    return sum((1 + j * (relevant - 1) / (n - 1)) / (j + 1) for j in range(n)) / n
