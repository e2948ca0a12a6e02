"""Search in memory against a naive loop over bits, whichever way the index takes to the codes."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from concepthash.codes import pack_words
from concepthash.errors import QueryError
from concepthash.gallery import ConceptRule, Query, code_index, few_codes, subcode_lists
from concepthash.gallery.code_index import BLOCK_ROWS, CodeIndex
from concepthash.gallery.few_codes import FewCodes
from concepthash.gallery.matches import Matches
from concepthash.gallery.postings import Postings

Found = tuple[list[tuple], int, int, int]
HAMMING = (ConceptRule(),) * 4


@pytest.fixture(autouse=True, scope="module")
def lists_of_few_codes() -> Iterator[None]:
    with patch.object(code_index, "_LISTED", 2):
        yield


def naive_search(code: np.ndarray, query: Query, kept: np.ndarray | None) -> Found:
    """Codes as (score, position, distance, distances per concept), then the counts, bit by bit."""
    size = len(query.code) // len(query.rules)
    found, n_filtered, n_agreeing = [], 0, 0
    for row, bits in enumerate(code.tolist()):
        differs = [bit != wanted for bit, wanted in zip(bits, query.code, strict=True)]
        near = [sum(differs[m * size : (m + 1) * size]) for m in range(len(query.rules))]
        holds = {
            "exact": lambda rule, d: d == 0,
            "within": lambda rule, d: d <= rule.radius,
            "differ": lambda rule, d: d > rule.radius,
            "ignore": lambda rule, d: True,
        }
        agrees = all(holds[rule.agree](rule, d) for rule, d in zip(query.rules, near, strict=True))
        is_searched = row != query.exclude_row and (kept is None or row in kept)
        n_agreeing += agrees and row != query.exclude_row
        n_filtered += is_searched
        score = 0.0
        for rule, d in zip(query.rules, near, strict=True):
            score += {"weighted": rule.weight, "hamming": 1.0, "none": 0.0}[query.rank] * d
        if agrees and is_searched:
            found.append((score, row, sum(near), near))
    return sorted(found), len(found), n_filtered, n_agreeing


def assert_same(matches: Matches, expected: Found, query: Query) -> None:
    page = expected[0][query.offset : query.offset + query.k]
    assert matches.rows.tolist() == [row for _, row, _, _ in page]
    assert matches.score.tolist() == [score for score, _, _, _ in page]
    assert matches.distance.tolist() == [distance for _, _, distance, _ in page]
    assert matches.concept_distances.tolist() == [near for _, _, _, near in page]
    assert matches.concept_distances.shape == (len(page), len(query.rules))
    assert (matches.n_matching, matches.n_filtered, matches.n_agreeing) == expected[1:]
    assert (matches.rows.dtype, matches.score.dtype, matches.distance.dtype) == (np.int64, np.float64, np.int64)


RULES = st.builds(
    ConceptRule,
    agree=st.sampled_from(["exact", "within", "differ", "ignore", "ignore"]),
    radius=st.integers(0, 4),
    weight=st.sampled_from([0.0, 0.1, 0.1, 0.3, 0.5, 1.0, 2.7, 1e6]),
)
FREE_RULES = st.builds(ConceptRule, weight=st.sampled_from([0.0, 0.1, 0.3, 1.0, 2.0, 1e6]))


@st.composite
def cases(draw: st.DrawFn) -> tuple[np.ndarray, Query, np.ndarray | None]:
    n_concepts = draw(st.integers(1, 8))
    size = draw(st.sampled_from([1, 2, 3, 8, 11, 16, 20, 65]).filter(lambda size: 2 <= n_concepts * size <= 132))
    n = draw(st.integers(1, 70))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    prototypes = rng.random((3, n_concepts, size)) < 0.5  # few sub-codes, so that many agree and many tie
    chosen = prototypes[rng.integers(0, 3, (n + 1, n_concepts)), np.arange(n_concepts)]  # (n + 1, M, size)
    code = (chosen ^ (rng.random(chosen.shape) < draw(st.sampled_from([0.0, 0.05, 0.3])))).reshape(n + 1, -1)
    query = Query(
        code=tuple(map(bool, code[draw(st.integers(0, n))])),
        rules=tuple(
            draw(st.lists(draw(st.sampled_from([RULES, FREE_RULES])), min_size=n_concepts, max_size=n_concepts))
        ),
        rank=draw(st.sampled_from(["hamming", "weighted", "none"])),
        k=draw(st.integers(0, 12)),
        offset=draw(st.sampled_from([0, 0, 1, 5, 40, 100])),
        exclude_row=draw(st.none() | st.integers(0, n - 1)),
    )
    kept = np.flatnonzero(rng.random(n) < draw(st.sampled_from([0.0, 0.1, 0.7]))) if draw(st.booleans()) else None
    return code[:n], query, kept


@pytest.mark.parametrize("distinct_bits", [0, 20], ids=["codes", "distinct codes"])
@pytest.mark.parametrize("list_cost", [1e9, -1e9], ids=["scan", "lists"])
@settings(deadline=None, max_examples=250)
@given(case=cases(), block_rows=st.sampled_from([1, 3, 8, 1000]), n_sorted=st.sampled_from([0, 1000]))
def test_search_equals_a_naive_loop_over_bits(
    distinct_bits: int,
    list_cost: float,
    case: tuple[np.ndarray, Query, np.ndarray | None],
    block_rows: int,
    n_sorted: int,
) -> None:
    code, query, kept = case
    index = CodeIndex(pack_words(code), code.shape[1], len(query.rules), block_rows)
    distinct = patch.object(code_index, "_DISTINCT_BITS", distinct_bits)
    costs = patch.object(subcode_lists, "_LIST_COST", list_cost), patch.object(few_codes, "_SORTED", n_sorted)
    with distinct, costs[0], costs[1]:
        assert_same(index.search(query, kept), naive_search(code, query, kept), query)
        agreeing = np.arange(len(code))[index.agreeing(query, kept)]
        anywhere = naive_search(code, replace(query, exclude_row=None), kept)[0]
        assert agreeing.tolist() == sorted(row for _, row, _, _ in anywhere)


def random_index(n: int, n_bits: int = 64, block_rows: int = 256) -> tuple[np.ndarray, CodeIndex]:
    """Codes of a few prototypes with noise, and their index."""
    rng = np.random.default_rng(0)
    code = (rng.random((5, n_bits)) < 0.5)[rng.integers(0, 5, n)] ^ (rng.random((n, n_bits)) < 0.05)
    return code, CodeIndex(pack_words(code), n_bits, 4, block_rows)


@pytest.mark.parametrize("n_bits", [16, 64])
@pytest.mark.parametrize("rank", ["hamming", "weighted", "none"])
def test_pages_put_together_are_the_whole_result(rank: str, n_bits: int) -> None:
    code, index = random_index(3000, n_bits)
    rules = tuple(ConceptRule(weight=weight) for weight in (0.1, 0.7, 0.0, 2.0))

    def page(k: int, offset: int) -> list[int]:
        return index.search(Query(tuple(map(bool, code[7])), rules, rank, k=k, offset=offset)).rows.tolist()

    whole = page(10_000, 0)
    assert sorted(whole) == list(range(3000))
    assert [row for offset in range(0, 3000, 250) for row in page(250, offset)] == whole


@pytest.mark.parametrize("agree", ["exact", "within"])
def test_a_list_gives_what_a_scan_gives(agree: str) -> None:
    code, index = random_index(20_000)
    rules = (ConceptRule(), ConceptRule(agree, 1), ConceptRule(), ConceptRule())
    query = Query(tuple(map(bool, code[7])), rules, k=50)
    with patch.object(subcode_lists, "_LIST_COST", 1e9):
        scanned = index.search(query)
    with patch.object(subcode_lists, "_LIST_COST", -1e9):
        listed = index.search(query)
    assert index._lists._made.keys() == {(16, 16)}
    assert listed.rows.tolist() == scanned.rows.tolist()
    assert 50 < listed.n_matching == scanned.n_matching


def test_few_codes_have_no_lists_which_would_take_more_memory_than_they_do() -> None:
    code, index = random_index(20_000)
    query = Query(tuple(map(bool, code[7])), (ConceptRule("exact"), *HAMMING[1:]), k=50)
    with patch.object(code_index, "_LISTED", 20_001), patch.object(subcode_lists, "_LIST_COST", -1e9):
        assert index.search(query).n_matching > 50
        assert not index._lists._made
    with patch.object(code_index, "_LISTED", 20_000), patch.object(subcode_lists, "_LIST_COST", -1e9):
        index.search(query)
    assert index._lists._made


@pytest.mark.parametrize("rank", ["hamming", "weighted", "none"])
@pytest.mark.parametrize("agree", ["ignore", "exact", "within", "differ"])
def test_codes_ranked_at_once_are_ranked_as_in_blocks(agree: str, rank: str) -> None:
    code, index = random_index(20_000, block_rows=BLOCK_ROWS)
    rules = tuple(ConceptRule(agree if m < 2 else "ignore", 1, weight) for m, weight in enumerate((0.1, 0.7, 0.0, 2.0)))
    query = Query(tuple(map(bool, code[7])), rules, rank, k=50, exclude_row=7)
    with patch.object(FewCodes, "first", autospec=True, side_effect=FewCodes.first) as scan:
        at_once = index.search(query)
    assert scan.called
    with patch.object(code_index, "_FEW", 0):
        in_blocks = index.search(query)
    for name, value in vars(at_once).items():
        assert np.array_equal(value, getattr(in_blocks, name)), name


@pytest.mark.parametrize(
    "weights",
    [(1e300, 1.0), (1e-300, 1e-310), (1.0, 1e-40), (0.1, 0.1 + 1e-9), (0.0, 1e-3), (1.7e308, 1e308), (5e-324, 5e-324)],
)
def test_weights_that_estimates_cannot_hold_or_tell_apart_rank_exactly(weights: tuple[float, float]) -> None:
    code, _ = random_index(3_000, n_bits=16)
    index = CodeIndex(pack_words(code), 16, 2)
    rules = tuple(ConceptRule(weight=weight) for weight in weights)
    for row in range(5):
        query = Query(tuple(map(bool, code[row])), rules, "weighted", k=20, exclude_row=row)
        assert_same(index.search(query), naive_search(code, query, None), query)


def test_a_list_of_first_bits_leaves_out_codes_that_differ_in_the_others() -> None:
    code = np.zeros((6, 60), dtype=bool)
    code[3, 39] = True  # the last of the 20 bits of the second sub-code
    index = CodeIndex(pack_words(code), 60, 3, block_rows=2)
    query = Query((False,) * 60, (ConceptRule(), ConceptRule("exact"), ConceptRule()))
    with patch.object(subcode_lists, "_LIST_COST", -1e9):
        assert index.search(query).rows.tolist() == [0, 1, 2, 4, 5]


def test_a_score_that_is_rounded_down_is_found() -> None:
    """Eight times 0.1 added up is less than 0.8, which is 0.4 + 0.4."""
    differing = np.zeros((101, 8, 8), dtype=bool)  # (N, M, K/M)
    differing[:100, :2, :4] = True
    differing[100, :, 0] = True
    index = CodeIndex(pack_words(differing.reshape(101, 64)), 64, 8, block_rows=4)
    matches = index.search(Query((False,) * 64, (ConceptRule(weight=0.1),) * 8, "weighted", k=1))
    assert (matches.rows.tolist(), matches.score.tolist()) == ([100], [0.7999999999999999])


def test_several_threads_may_search_at_once() -> None:
    code, index = random_index(20_000)
    rules = [(ConceptRule("within", 1), ConceptRule("exact"), *HAMMING[2:]), HAMMING]
    queries = [Query(tuple(map(bool, code[i])), rules[i % 2], k=5) for i in range(40)]
    with ThreadPoolExecutor(8) as pool:
        together = [matches.rows.tolist() for matches in pool.map(index.search, queries)]
    assert together == [index.search(query).rows.tolist() for query in queries]


def test_a_search_leaves_the_codes_as_they_were() -> None:
    words = pack_words(np.eye(64, dtype=bool))
    words.flags.writeable = False
    assert CodeIndex(words, 64, 4).search(Query((True,) * 64, HAMMING, k=64)).rows.tolist() == list(range(64))


def test_an_index_without_codes_finds_nothing() -> None:
    for n_bits in (16, 64):
        index = CodeIndex(np.empty((0, 1), dtype=np.int64), n_bits, 4)
        matches = index.search(Query((True,) * n_bits, (ConceptRule("exact"), *HAMMING[1:])))
        assert (matches.rows.tolist(), matches.n_matching, matches.concept_distances.shape) == ([], 0, (0, 4))


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"code": (True,) * 6, "rules": (ConceptRule(),) * 2}, "6 bits"),
        ({"rules": (ConceptRule(),)}, "1 concepts"),
        ({"exclude_row": 8}, "exclude_row is 8"),
        ({"exclude_row": -1}, "exclude_row is -1"),
    ],
)
def test_a_query_that_does_not_fit_the_codes_is_refused(arguments: dict, sentence: str) -> None:
    index = CodeIndex(pack_words(np.eye(8, dtype=bool)), 8, 2)
    with pytest.raises(QueryError, match=sentence):
        index.search(Query(**({"code": (True,) * 8, "rules": (ConceptRule(),) * 2} | arguments)))


@pytest.mark.parametrize("n", [0, 1, 1000, 200_000])
def test_postings_hold_every_position_of_every_value_once(n: int) -> None:
    values = np.random.default_rng(0).integers(0, 7, n)
    postings = Postings(values, 9)
    assert postings.lengths(np.arange(9)).tolist() == np.bincount(values, minlength=9).tolist()
    for value in range(9):
        assert np.array_equal(postings.positions(np.array([value])), np.flatnonzero(values == value))
    assert np.array_equal(postings.positions(np.array([1, 8, 5])), np.flatnonzero((values == 1) | (values == 5)))
    assert postings.positions(np.array([1, 5]), at_most=3).tolist() == sorted(
        [*np.flatnonzero(values == 1)[:3], *np.flatnonzero(values == 5)[:3]]
    )
