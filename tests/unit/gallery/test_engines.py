"""Every engine against a naive loop over bits: the same rows, distances, scores and counts, in the same order."""

import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import permutations
from pathlib import Path
from tempfile import TemporaryDirectory

import duckdb
import numpy as np
import pytest
from clickhouse_rig import ChdbServer, needs_chdb
from hypothesis import given, settings
from hypothesis import strategies as st
from stored_galleries import StoredGallery, assert_same, naive_facets, naive_search

from concepthash.codes import pack_words
from concepthash.errors import GalleryError
from concepthash.gallery import ConceptRule, Query, Selection
from concepthash.gallery.clickhouse import ClickHouseEngine, open_clickhouse
from concepthash.gallery.clickhouse_client import ClickHouseAddress, ClickHouseClient
from concepthash.gallery.code_index import CodeIndex
from concepthash.gallery.duckdb_engine import DuckDBEngine
from concepthash.gallery.facet_index import FacetIndex
from concepthash.gallery.facets import Facets
from concepthash.gallery.matches import Matches
from concepthash.gallery.selection import Condition
from concepthash.gallery.sql import count_statement

NAMES = (
    "wren",
    "o'hara",
    'say "tern"',
    "back\\slash\\",
    "{t0:String}",
    "$1 $t0",
    "? %s",
    "naïve 🐦",
    "a\nb\tc\x00",
    "",
)
BIG = 2**62 + 1
WIDTHS, EGGS, WEIGHTS = (1, 7, 8), (-3, 0, 2, BIG, None), (-0.5, 0.1, 2.5, 1e300, float("nan"), None)
VALUES = {  # column -> what it is compared with
    "split": ("train", "test", "tes", ""),
    "note": (*NAMES, "zebra"),
    "width": (7, 7.5, -1.5, 2.0**63, -(2**70)),
    "n_eggs": (0, 2, 1.5, BIG, float(BIG), 10**30, -(10**30), 1e300),
    "Weight": (0, 0.1, 0.30000000000000004, 2, 1e300, -1e-300),
    "image_id": ("0.png", "5.png", "x"),
}
RULES = st.builds(
    ConceptRule,
    agree=st.sampled_from(["exact", "within", "differ", "ignore", "ignore", "ignore"]),
    radius=st.sampled_from([0, 1, 2, 3, 9, 70]),
    weight=st.sampled_from([0.0, 0.1, 0.3, 1.0, 2.7, 1e6, 1e-7, 1 / 3, 5e-324, 1.7e308]),
)
FREE_RULES = st.builds(ConceptRule, weight=st.floats(0, 1e9))
CONDITIONS = st.sampled_from(sorted(VALUES)).flatmap(
    lambda column: st.builds(
        Condition,
        column=st.just(column),
        comparison=st.sampled_from(["=", "!=", "<", "<=", ">", ">="]),
        value=st.sampled_from(VALUES[column]),
    )
)


@st.composite
def galleries(draw: st.DrawFn) -> StoredGallery:
    n_concepts, size = draw(st.sampled_from([(1, 1), (1, 130), (2, 3), (2, 64), (3, 16), (4, 16), (5, 26), (8, 2)]))
    n, rng = draw(st.integers(1, 30)), np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    prototypes = rng.random((3, n_concepts, size)) < 0.5  # few sub-codes, so that many agree and many tie
    chosen = prototypes[rng.integers(0, 3, (n, n_concepts)), np.arange(n_concepts)]  # (n, M, size)
    code = chosen ^ (rng.random(chosen.shape) < draw(st.sampled_from([0.0, 0.05, 0.3])))
    rows = np.sort(rng.choice(4 * n, n, replace=False)) + draw(st.sampled_from([0, 10**12]))  # with gaps
    names = np.array([*NAMES, None], dtype=object)
    facts = [
        {
            "class": names[rng.integers(len(names))],
            "family": names[rng.integers(len(names) - 7, len(names))],
            "split": (None, "train", "test")[rng.integers(3)],
            "note": names[rng.integers(len(names))],
            "width": WIDTHS[rng.integers(3)],
            "n_eggs": EGGS[rng.integers(5)],
            "Weight": WEIGHTS[rng.integers(6)],
            "image_id": f"{row}.png",
        }
        for row in rows
    ]
    return StoredGallery(code.reshape(n, -1), n_concepts, tuple(rows.tolist()), tuple(facts))


@st.composite
def queries(draw: st.DrawFn, gallery: StoredGallery) -> Query:
    n_concepts, n_bits = gallery.n_concepts, gallery.code.shape[1]
    size = n_bits // n_concepts
    code = (gallery.code[draw(st.integers(0, len(gallery.code) - 1))] ^ draw(st.booleans())).tolist()  # near, or far
    rules = draw(st.lists(draw(st.sampled_from([RULES, FREE_RULES])), min_size=n_concepts, max_size=n_concepts))
    patterns = (
        st.just("") | st.text("01......", min_size=size, max_size=size) | st.just("".join("01"[b] for b in code[:size]))
    )
    return Query(
        code=tuple(code),
        rules=tuple(rules),
        rank=draw(st.sampled_from(["hamming", "none", "weighted"])),
        selection=Selection(
            tuple(draw(st.lists(st.sampled_from([*NAMES, "no such class"]), max_size=8)))
            if draw(st.booleans())
            else (),
            draw(st.sampled_from(["", "", "", *NAMES, "no such family"])),
            tuple(draw(st.lists(patterns, min_size=n_concepts, max_size=n_concepts))) if draw(st.booleans()) else (),
            tuple(draw(st.lists(CONDITIONS, max_size=2))) if draw(st.booleans()) else (),
        ),
        k=draw(st.integers(0, 12)),
        offset=draw(st.sampled_from([0, 0, 0, 1, 5, 100])),
        exclude_row=draw(st.none() | st.sampled_from(gallery.rows) | st.just(10**15)),
    )


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ChdbServer]:
    with ChdbServer(tmp_path_factory.mktemp("chdb")) as server:
        yield server


class Clusters:
    """One engine a length of code, since making tables takes far longer than filling them."""

    def __init__(self, server: ChdbServer) -> None:
        self.server, self.engines = server, dict[tuple[int, int], ClickHouseEngine]()

    def holding(self, gallery: StoredGallery) -> ClickHouseEngine:
        shape = (gallery.code.shape[1], gallery.n_concepts)
        name = "codes-{}-{}".format(*shape)
        is_new = shape not in self.engines
        url = self.server.new_database(name) if is_new else self.server.url(name)
        client = ClickHouseClient(ClickHouseAddress.from_url(url))
        gallery.to_clickhouse(client, is_new=is_new)
        client.close()
        if is_new:
            self.engines[shape] = open_clickhouse(url)
        self.engines[shape].forget()
        return self.engines[shape]


@pytest.fixture(scope="module")
def clusters(server: ChdbServer) -> Clusters:
    return Clusters(server)


def in_memory(gallery: StoredGallery, query: Query) -> Matches:
    """Search positions in memory, where somebody else has selected rows, and name the rows."""
    found = index_of(gallery).search(placed(gallery, query), selected(gallery, query))
    return replace(found, rows=np.array(gallery.rows)[found.rows])


def facets_in_memory(gallery: StoredGallery, engine: DuckDBEngine, query: Query) -> Facets:
    """Count positions in memory, by the values that an engine reads."""
    index = FacetIndex(index_of(gallery), *engine.grouped())
    asked = placed(gallery, query)
    counts = [index.facets(asked, lambda part: selected(gallery, replace(query, selection=part))) for _ in range(2)]
    assert counts[0] == counts[1]  # the second one is remembered
    return counts[0]


def index_of(gallery: StoredGallery) -> CodeIndex:
    return CodeIndex(pack_words(gallery.code), gallery.code.shape[1], gallery.n_concepts)


def placed(gallery: StoredGallery, query: Query) -> Query:
    """The query with a position where it leaves out a row."""
    is_there = query.exclude_row in gallery.rows
    place = int(np.searchsorted(np.array(gallery.rows), query.exclude_row)) if is_there else None
    return replace(query, exclude_row=place)


def selected(gallery: StoredGallery, query: Query) -> np.ndarray:
    """Positions of the searched part, found by a naive loop."""
    rows = np.array(gallery.rows)
    alone = replace(query, rules=(ConceptRule(),) * len(query.rules), rank="none", k=len(rows), offset=0)
    found = naive_search(gallery, replace(alone, exclude_row=None))[0]
    return np.searchsorted(rows, [row for _, row, _, _ in found]).astype(np.int64)


@settings(deadline=None, max_examples=60)
@given(st.data())
def test_duckdb_and_memory_find_what_a_naive_loop_over_bits_finds(data: st.DataObject) -> None:
    gallery = data.draw(galleries())
    with TemporaryDirectory() as folder:
        engine = DuckDBEngine(gallery.to_duckdb(Path(folder) / "gallery.duckdb"))
        for query in data.draw(st.lists(queries(gallery), min_size=1, max_size=5)):
            expected = naive_search(gallery, query)
            assert_same(engine.search(query), expected, query)
            assert_same(in_memory(gallery, query), expected, query)
            facets = naive_facets(gallery, query)
            assert engine.facets(query) == facets, query
            assert facets_in_memory(gallery, engine, query) == facets, query
        engine.close()


@needs_chdb
@settings(deadline=None, max_examples=60)
@given(data=st.data())
def test_clickhouse_finds_what_a_naive_loop_over_bits_finds(clusters: Clusters, data: st.DataObject) -> None:
    gallery = data.draw(galleries())
    engine = clusters.holding(gallery)
    for query in data.draw(st.lists(queries(gallery), min_size=1, max_size=5)):
        assert_same(engine.search(query), naive_search(gallery, query), query)
        assert engine.facets(query) == naive_facets(gallery, query), query


def stored(n: int = 40) -> StoredGallery:
    rng = np.random.default_rng(n)
    prototypes = rng.random((2, 4, 16)) < 0.5
    code = prototypes[rng.integers(0, 2, (n, 4)), np.arange(4)] ^ (rng.random((n, 4, 16)) < 0.05)
    facts = [
        {"class": (*NAMES, None)[i % 11], "family": ("finch", None)[i % 2], "split": None, "note": None, "width": i}
        | {"n_eggs": i, "Weight": 0.5, "image_id": f"{2 * i}.png"}
        for i in range(n)
    ]
    return StoredGallery(code.reshape(n, 64), 4, tuple(range(0, 2 * n, 2)), tuple(facts))


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[DuckDBEngine]:
    engine = DuckDBEngine(stored().to_duckdb(tmp_path / "gallery.duckdb"))
    yield engine
    engine.close()


def near(gallery: StoredGallery, **changes: object) -> Query:
    rules = (ConceptRule("within", 3), ConceptRule(), ConceptRule(), ConceptRule(weight=0.3))
    return Query(tuple(gallery.code[0].tolist()), rules, **changes)  # type: ignore[arg-type]


@pytest.mark.parametrize("order", [*permutations((0.1, 0.7, 1.1, 1e-3))])
def test_weighted_distances_are_added_in_the_order_of_concepts(engine: DuckDBEngine, order: tuple[float, ...]) -> None:
    gallery = stored()
    rules = tuple(ConceptRule(weight=weight) for weight in order)
    query = Query(tuple(gallery.code[0].tolist()), rules, "weighted", k=40)
    assert_same(engine.search(query), naive_search(gallery, query), query)


def test_distances_beyond_a_byte_are_counted(tmp_path: Path) -> None:
    code = np.zeros((3, 256), dtype=bool)
    code[1, :130], code[2] = True, True
    gallery = replace(stored(3), code=code, n_concepts=2)
    engine = DuckDBEngine(gallery.to_duckdb(tmp_path / "long.duckdb"))
    for rules in ((ConceptRule(), ConceptRule()), (ConceptRule("within", 128), ConceptRule("differ", 1))):
        query = Query((False,) * 256, rules)
        assert_same(engine.search(query), naive_search(gallery, query), query)
    engine.close()


def test_images_are_looked_up_in_the_order_asked_for(engine: DuckDBEngine) -> None:
    gallery, rows = stored(), [30, 4, 5, 78]  # 5 is no row
    found = engine.images(np.array(rows))
    assert [one.row for one in found] == [30, 4, 78]
    assert [one.image_id for one in found] == ["30.png", "4.png", "78.png"]
    assert [one.class_name for one in found] == [gallery.facts[row // 2]["class"] for row in (30, 4, 78)]
    assert [one.width for one in found] == [15, 2, 39]
    np.testing.assert_array_equal(engine.code_logits(rows), gallery.logits()[[15, 2, 39]])
    assert engine.code_logits([1]).shape == (0, 64)
    assert (engine.row_of("30.png"), engine.row_of("5.png")) == (30, None)


def test_facets_count_the_matching_images_of_every_class_and_family(engine: DuckDBEngine) -> None:
    gallery = stored()
    for query in (near(gallery), near(gallery, selection=Selection(NAMES[:5], "finch"), exclude_row=0)):
        facets = engine.facets(query)
        assert facets == naive_facets(gallery, query)
        assert len(facets.classes) > 5 and facets.families  # their own filters do not count against them
        assert list(facets.classes) == sorted(facets.classes)


def test_another_filter_by_value_takes_no_scan(engine: DuckDBEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    gallery, texts = stored(), []
    fetch = engine.fetch
    engine.facets(near(gallery))
    monkeypatch.setattr(engine, "fetch", lambda text, bound=None: texts.append(text) or fetch(text, bound))
    for selection in (Selection(NAMES[:5]), Selection(family="finch"), Selection(NAMES[1:2], "finch")):
        query = near(gallery, selection=selection)
        assert engine.facets(query) == naive_facets(gallery, query)
    assert not texts
    query = near(gallery, selection=Selection(NAMES[:5]), exclude_row=0)
    assert engine.facets(query) == naive_facets(gallery, query)
    assert all('"row" = 0' in text for text in texts)  # only the image in hand is looked at


def test_the_next_page_is_not_counted_again(engine: DuckDBEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    gallery, texts = stored(), []
    fetch = engine.fetch
    monkeypatch.setattr(engine, "fetch", lambda text, bound=None: texts.append(text) or fetch(text, bound))
    query = near(gallery, selection=Selection(family="finch"), k=3)
    pages = [query, replace(query, offset=3), replace(query, rank="weighted"), replace(query, k=5, offset=1)]
    for page in pages:
        assert_same(engine.search(page), naive_search(gallery, page), page)
    assert sum("#matching" in text for text in texts) == 1
    assert len(texts) == 1 + len(pages)

    wider, far = (ConceptRule("within", 9), *query.rules[1:]), tuple(not bit for bit in query.code)
    for other in (replace(query, exclude_row=0), replace(query, rules=wider), replace(query, code=far)):
        assert_same(engine.search(other), naive_search(gallery, other), other)
    assert sum("#matching" in text for text in texts) == 4


def test_one_scan_gives_all_counts(engine: DuckDBEngine) -> None:
    statement = count_statement(near(stored(), selection=Selection(family="finch"), exclude_row=4), engine.layout)
    assert statement.text.count("FROM images") == 1
    assert engine.fetch(statement.text, statement.texts)["#filtered"].tolist() == [19]


def test_threads_search_one_file_at_once(engine: DuckDBEngine) -> None:
    gallery = stored()
    queries = [near(gallery, k=5, offset=offset, exclude_row=offset) for offset in range(12)] * 4
    with ThreadPoolExecutor(8) as pool:
        for query, matches in zip(queries, pool.map(engine.search, queries), strict=True):
            assert_same(matches, naive_search(gallery, query), query)


def test_a_file_that_is_missing_or_none_is_refused_in_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "text.duckdb").write_text("not a database, but long enough to have a header " * 200)
    with duckdb.connect(str(tmp_path / "foreign.duckdb")) as database:
        database.execute("CREATE TABLE images (x INTEGER)")
    for name in ("missing", "text", "foreign"):
        with pytest.raises(GalleryError, match=rf"The gallery .*{name}\.duckdb does not answer \(.*\); check the file"):
            DuckDBEngine(tmp_path / f"{name}.duckdb")


def test_a_file_that_another_process_writes_to_is_refused_until_it_is_done(tmp_path: Path) -> None:
    path = stored().to_duckdb(tmp_path / "gallery.duckdb")
    with subprocess.Popen(
        [sys.executable, "-c", WRITER, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as writer:
        assert writer.stdout is not None
        writer.stdout.readline()
        with pytest.raises(GalleryError, match="is being changed by another process"):
            DuckDBEngine(path)
        writer.communicate(b"\n")
    engine = DuckDBEngine(path)
    engine.close()
    assert_same(engine.search(near(stored())), naive_search(stored(), near(stored())), near(stored()))
    engine.close()


WRITER = "import duckdb, sys; c = duckdb.connect(sys.argv[1]); print('open', flush=True); input(); c.close()"


def test_a_statement_that_fails_leaves_nothing_broken(engine: DuckDBEngine) -> None:
    with pytest.raises(GalleryError, match="does not answer"):
        engine.fetch("SELECT nonsense FROM nowhere")
    assert_same(engine.search(near(stored())), naive_search(stored(), near(stored())), near(stored()))


def test_nothing_can_be_written_or_read_elsewhere(engine: DuckDBEngine, tmp_path: Path) -> None:
    for text in (
        "DELETE FROM images",
        f"COPY images TO '{tmp_path}/out.csv'",
        "SELECT * FROM read_text('/etc/hostname')",
    ):
        with pytest.raises(GalleryError):
            engine.fetch(text)
    assert engine.fetch("SELECT count(*) AS n FROM images")["n"].tolist() == [40]
