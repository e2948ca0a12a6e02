"""Search against a naive loop over bits, and the queries that are refused."""

import numpy as np
import pytest
from builders import make_gallery
from hypothesis import given, settings
from hypothesis import strategies as st

from concepthash.errors import QueryError
from concepthash.gallery import ConceptRule, Gallery, Query, Selection


def naive_search(code: np.ndarray, gallery: Gallery, query: Query) -> tuple[list[tuple], int, int, int]:
    """Rows as (score, row, distance, distances per concept), then the counts, bit by bit."""
    size = gallery.n_bits // gallery.n_concepts
    found, n_filtered, n_agreeing = [], 0, 0
    chosen = query.selection
    for row in range(len(gallery)):
        near = [
            sum(bool(code[row, bit]) != query.code[bit] for bit in range(m * size, (m + 1) * size))
            for m in range(gallery.n_concepts)
        ]
        agrees = all(
            rule.agree == "ignore"
            or (rule.agree == "exact" and d == 0)
            or (rule.agree == "within" and d <= rule.radius)
            or (rule.agree == "differ" and d > rule.radius)
            for rule, d in zip(query.rules, near, strict=True)
        )
        n_agreeing += agrees and row != query.exclude_row
        label, family = gallery.labels[row], gallery.family_ids[row]
        if chosen.classes and (label < 0 or gallery.class_names[label] not in chosen.classes):
            continue
        if chosen.family and (family < 0 or gallery.family_names[family] != chosen.family):
            continue
        wanted = "".join(pattern or "." * size for pattern in chosen.patterns) or "." * len(query.code)
        if any(bit != "." and (bit == "1") != code[row, j] for j, bit in enumerate(wanted)):
            continue
        if row == query.exclude_row:
            continue
        n_filtered += 1
        score = 0.0
        for rule, d in zip(query.rules, near, strict=True):
            if query.rank == "weighted":
                score += rule.weight * d
            elif query.rank == "hamming" and rule.agree != "exact":
                score += d
        if agrees:
            found.append((score, row, sum(near), near))
    return sorted(found), len(found), n_filtered, n_agreeing


RULES = st.builds(
    ConceptRule,
    agree=st.sampled_from(["exact", "within", "differ", "ignore"]),
    radius=st.integers(0, 4),
    weight=st.sampled_from([0.0, 0.1, 0.5, 1.0, 2.7]),
)


@st.composite
def cases(draw: st.DrawFn) -> tuple[np.ndarray, Gallery, Query]:
    n_concepts = draw(st.integers(1, 5))
    size = draw(st.sampled_from([1, 2, 3, 16, 30, 70]))
    n = draw(st.integers(1, 40))
    patterns = st.just("") | st.text("01.......", min_size=size, max_size=size)  # mostly open, so that some agree
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    prototypes = rng.random((3, n_concepts, size)) < 0.5  # few sub-codes, so that many agree and many tie
    chosen = prototypes[rng.integers(0, 3, (n + 1, n_concepts)), np.arange(n_concepts)]  # (n + 1, M, size)
    code = (chosen ^ (rng.random(chosen.shape) < draw(st.sampled_from([0.0, 0.05, 0.3])))).reshape(n + 1, -1)
    gallery = make_gallery(code[:n], n_concepts, rng.integers(-1, 3, n))
    query = Query(
        code=tuple(map(bool, code[draw(st.integers(0, n))])),
        rules=tuple(draw(st.lists(RULES, min_size=n_concepts, max_size=n_concepts))),
        rank=draw(st.sampled_from(["hamming", "none", "weighted"])),
        selection=Selection(
            draw(st.sampled_from([(), (), ("class 1",), ("class 0", "class 2"), ("no such class",)])),
            draw(st.sampled_from(["", "", "odd", "no such family"])),
            tuple(draw(st.lists(patterns, min_size=n_concepts, max_size=n_concepts))) if draw(st.booleans()) else (),
        ),
        k=draw(st.integers(0, 12)),
        offset=draw(st.sampled_from([0, 0, 1, 5, 100])),
        exclude_row=draw(st.none() | st.integers(0, n - 1)),
    )
    return code[:n], gallery, query


@settings(deadline=None, max_examples=300)
@given(cases())
def test_search_equals_a_naive_loop_over_bits(case: tuple[np.ndarray, Gallery, Query]) -> None:
    code, gallery, query = case
    expected, n_matching, n_filtered, n_agreeing = naive_search(code, gallery, query)
    page = expected[query.offset : query.offset + query.k]

    matches = gallery.search(query)

    assert matches.rows.tolist() == [row for _, row, _, _ in page]
    assert matches.score.tolist() == [score for score, _, _, _ in page]
    assert matches.distance.tolist() == [distance for _, _, distance, _ in page]
    assert matches.concept_distances.tolist() == [near for _, _, _, near in page]
    assert matches.concept_distances.shape == (len(page), gallery.n_concepts)
    assert (matches.n_matching, matches.n_filtered) == (n_matching, n_filtered)
    assert matches.n_agreeing == n_agreeing


@settings(deadline=None, max_examples=50)
@given(cases())
def test_pages_put_together_are_the_whole_result(case: tuple[np.ndarray, Gallery, Query]) -> None:
    _, gallery, query = case

    def page(k: int, offset: int) -> list[int]:
        asked = Query(query.code, query.rules, query.rank, k=k, offset=offset, exclude_row=query.exclude_row)
        return gallery.search(asked).rows.tolist()

    assert [row for offset in range(0, 42, 7) for row in page(7, offset)] == page(100, 0)


def test_ranking_by_hamming_leaves_out_nothing_when_a_concept_agrees_exactly() -> None:
    code = np.array([[0, 0, 1, 1], [0, 0, 0, 1], [1, 0, 0, 0]], dtype=bool)
    query = Query((False,) * 4, (ConceptRule("exact"), ConceptRule()))
    matches = make_gallery(code, 2).search(query)
    assert matches.rows.tolist() == [1, 0]
    assert matches.score.tolist() == matches.distance.tolist() == [1, 2]


def test_equal_scores_are_ordered_by_row() -> None:
    gallery = make_gallery(np.zeros((200, 8), dtype=bool), 2)
    matches = gallery.search(Query((False,) * 8, (ConceptRule(),) * 2, k=5, offset=50))
    assert matches.rows.tolist() == [50, 51, 52, 53, 54]


def test_a_search_leaves_the_gallery_as_it_was() -> None:
    gallery = make_gallery(np.eye(8, dtype=bool), 2)
    for array in (gallery.words, gallery.labels, gallery.family_ids):
        array.flags.writeable = False
    rules = (ConceptRule("within", 1), ConceptRule())
    assert gallery.search(Query((True,) * 8, rules, selection=Selection(family="odd"), exclude_row=1)).n_filtered < 8


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"code": (True,) * 6}, "6 bits"),
        ({"rules": (ConceptRule(),)}, "1 concepts"),
        ({"exclude_row": 8}, "exclude_row is 8"),
        ({"exclude_row": -1}, "exclude_row is -1"),
    ],
)
def test_a_query_that_does_not_fit_the_gallery_is_refused(arguments: dict, sentence: str) -> None:
    gallery = make_gallery(np.eye(8, dtype=bool), 2)
    with pytest.raises(QueryError, match=sentence):
        gallery.search(Query(**({"code": (True,) * 8, "rules": (ConceptRule(),) * 2} | arguments)))
    with pytest.raises(QueryError, match=sentence):
        gallery.facets(Query(**({"code": (True,) * 8, "rules": (ConceptRule(),) * 2} | arguments)))


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"code": (True,) * 5}, "5 bits does not split over 2 rules"),
        ({"code": ()}, "0 bits"),
        ({"rules": ()}, "0 rules"),
        ({"rank": "best"}, "rank is 'best'"),
        ({"k": -1}, "k is -1"),
        ({"offset": -3}, "offset is -3"),
    ],
)
def test_a_query_without_meaning_is_refused(arguments: dict, sentence: str) -> None:
    with pytest.raises(QueryError, match=sentence):
        Query(**({"code": (True,) * 8, "rules": (ConceptRule(),) * 2} | arguments))


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"agree": "almost"}, "agree is 'almost'"),
        ({"agree": "within", "radius": -1}, "radius is -1"),
        ({"weight": -0.5}, "weight is -0.5"),
        ({"weight": float("nan")}, "weight is nan"),
        ({"weight": float("inf")}, "weight is inf"),
    ],
)
def test_a_rule_without_meaning_is_refused(arguments: dict, sentence: str) -> None:
    with pytest.raises(QueryError, match=sentence):
        ConceptRule(**arguments)
