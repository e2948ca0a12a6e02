"""Galleries on a ClickHouse server: the real client against chDB, the same engine, behind its HTTP interface."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from clickhouse_rig import PASSWORD, QUOTED_PASSWORD, ChdbServer, needs_chdb
from stored_galleries import StoredGallery, assert_same, naive_search
from stored_images import PROVENANCE, centers, image, logits

from concepthash.codes import subcode_values
from concepthash.errors import DataError, GalleryError
from concepthash.gallery import ConceptRule, NewImage, Query, Selection, Skipped
from concepthash.gallery.clickhouse import ClickHouseEngine, open_clickhouse
from concepthash.gallery.clickhouse_batches import GalleryTables
from concepthash.gallery.clickhouse_client import ClickHouseAddress, ClickHouseClient
from concepthash.gallery.clickhouse_tables import create_statements, drop_statements
from concepthash.gallery.clickhouse_writer import ClickHouseWriter
from concepthash.gallery.large_gallery import LargeGallery
from concepthash.gallery.metadata import MetadataColumn
from concepthash.gallery.selection import Condition
from concepthash.gallery.sql import page_statement
from concepthash.gallery.thumbnail_source import ThumbnailSource
from concepthash.gallery.thumbnail_store import ThumbnailStore

pytestmark = needs_chdb
NAMES = (
    "o'hara",
    'a "b"',
    "c\\",
    "\\'); DROP TABLE images; --",
    "{t0:String}",
    "{x:Int64}",
    "$1",
    "?",
    "%(a)s",
    "🐦\n\t",
)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ChdbServer]:
    with ChdbServer(tmp_path_factory.mktemp("chdb") / "data") as server:
        yield server


def gallery_of(n: int) -> StoredGallery:
    rng = np.random.default_rng(n)
    facts = [
        {
            "class": (*NAMES, None)[row % 11],
            "family": ("finch", None)[row % 2],
            "split": "train",
            "width": row,
            "note": None,
            "n_eggs": row,
            "Weight": row / 3,
        }
        for row in range(n)
    ]
    prototypes = rng.random((2, 4, 16)) < 0.5  # few sub-codes, so that many agree and many tie
    chosen = prototypes[rng.integers(0, 2, (n, 4)), np.arange(4)] ^ (rng.random((n, 4, 16)) < 0.05)  # (n, M, K/M)
    return StoredGallery(chosen.reshape(n, 64), 4, tuple(range(n)), tuple(facts))


def with_thumbnails(images: list[NewImage]) -> list[NewImage]:
    return [replace(image, thumbnail=f"webp of {image.image_id}".encode()) for image in images]


def append(writer: ClickHouseWriter, gallery: StoredGallery, rows: slice, *skipped: Skipped) -> None:
    images = with_thumbnails(gallery.images())[rows]
    writer.append(images, gallery.logits()[rows], gallery.centers()[rows], skipped)


def written(url: str, gallery: StoredGallery, folder: Path) -> ClickHouseEngine:
    with ClickHouseWriter(url, gallery.provenance, thumbnails=str(folder)) as writer:
        for start in range(0, len(gallery.rows), 16):
            append(writer, gallery, slice(start, start + 16))
        writer.finish()
    return open_clickhouse(url)


def some_queries(gallery: StoredGallery) -> list[Query]:
    code = tuple(gallery.code[3].tolist())
    near, far, free = ConceptRule("within", 2), ConceptRule("differ", 5, 0.3), ConceptRule(weight=0.1)
    return [
        Query(code, (free,) * 4),
        Query(code, (near, free, free, far), "weighted", k=5, offset=2),
        Query(code, (ConceptRule("exact"), free, free, free), exclude_row=3),
        Query(code, (free, near, far, free), "none", Selection(NAMES[:4], "finch"), k=7),
        Query(code, (near, free, far, free), "weighted", Selection(conditions=(Condition("width", "<", 30),))),
    ]


def assert_finds_all(engine: ClickHouseEngine, gallery: StoredGallery) -> None:
    for query in some_queries(gallery):
        assert_same(engine.search(query), naive_search(gallery, query), query)


def test_what_is_written_is_found_again(server: ChdbServer, tmp_path: Path) -> None:
    gallery, url = gallery_of(50), server.new_database("written")
    with ClickHouseWriter(url, gallery.provenance, thumbnails=str(tmp_path / "thumbs")) as writer:
        append(writer, gallery, slice(0, 20), Skipped("bad.png", "it is torn", 7, 8), Skipped("b2.png", "no pixels"))
        append(writer, gallery, slice(20, 20), Skipped("b3.png", "no pixels"))
        append(writer, gallery, slice(20, 50))
        assert (writer.n_images, writer.n_skipped) == (50, 3)
        writer.finish()

    engine = open_clickhouse(url)

    assert_finds_all(engine, gallery)
    rows = [41, 3, 1000, 10]
    images = engine.images(rows)
    assert [one.row for one in images] == [41, 3, 10]
    assert [one.image_id for one in images] == ["41.png", "3.png", "10.png"]
    assert [one.class_name for one in images] == [gallery.facts[row]["class"] for row in (41, 3, 10)]
    np.testing.assert_array_equal(engine.code_logits(rows), gallery.logits()[[41, 3, 10]])
    assert (engine.row_of("17.png"), engine.row_of("x' OR 1=1 --")) == (17, None)
    assert ThumbnailStore(engine.provenance["thumbnail_folder"]).read(17) == b"webp of 17.png"
    skipped = engine.fetch("SELECT number, path, reason, file_bytes FROM skipped ORDER BY number")
    assert skipped["number"].tolist() == [0, 1, 2]
    assert skipped["path"].tolist() == ["bad.png", "b2.png", "b3.png"]
    assert skipped["file_bytes"].tolist() == [7, None, None]
    stored = engine.fetch('SELECT n_eggs, "Weight", note, attention FROM images WHERE "row" = 7')
    assert (stored["n_eggs"][0], stored["Weight"][0], stored["note"][0]) == (7, 7 / 3, None)
    assert list(stored["attention"][0]) == [0.5] * 8


def test_facets_count_matching_images_by_class_and_family(server: ChdbServer, tmp_path: Path) -> None:
    gallery = gallery_of(50)
    engine = written(server.new_database("facets"), gallery, tmp_path)
    query = some_queries(gallery)[1]
    matching = [row for _, row, _, _ in naive_search(gallery, query)[0]]
    assert matching

    facets = engine.facets(query)

    for kind, counts in (("class", facets.classes), ("family", facets.families)):
        names = [gallery.facts[row][kind] for row in matching if gallery.facts[row][kind] is not None]
        assert counts == {name: names.count(name) for name in sorted(names)}


def test_the_user_may_name_columns_as_the_program_might(server: ChdbServer, tmp_path: Path) -> None:
    url, names = server.new_database("names"), ("n", "n0", "n1", "n2", "lowest", "placed", "folder", "counted")
    made = replace(PROVENANCE, metadata=tuple(MetadataColumn(name, "BIGINT") for name in names))
    with ClickHouseWriter(url, made, thumbnails=str(tmp_path)) as writer:
        images = [image(row, metadata=dict.fromkeys(names, row % 2)) for row in range(4)]
        writer.append(images, logits(4), centers(4))
        writer.finish()
    large = LargeGallery(open_clickhouse(url), tmp_path, ThumbnailSource(str(tmp_path)), 10**6)
    assert large.facet_values == dict.fromkeys(names[:3], (0, 1)) and len(large.sample) == 4


@pytest.mark.parametrize("cluster", ["", "?cluster=one"])
def test_a_sample_is_spread_over_all_rows_whatever_their_numbers(
    server: ChdbServer, cluster: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("concepthash.gallery.large_gallery.SAMPLE", 10)
    url, gallery = server.new_database(f"sample{len(cluster)}") + cluster, gallery_of(30)
    rows = tuple(range(1, 91, 3))  # of which no number is a multiple of three
    replace(gallery, rows=rows).to_clickhouse(ClickHouseClient(ClickHouseAddress.from_url(url)))
    large = LargeGallery(open_clickhouse(url), tmp_path, ThumbnailSource(str(tmp_path)), 10**6)
    assert large.sample.rows.tolist() == list(rows[::3])


def test_odd_class_names_are_found_and_change_nothing(server: ChdbServer, tmp_path: Path) -> None:
    gallery = gallery_of(33)
    engine = written(server.new_database("odd"), gallery, tmp_path)
    for number, name in enumerate(NAMES):
        query = Query((False,) * 64, (ConceptRule(),) * 4, "none", Selection((name,)))
        assert engine.search(query).rows.tolist() == [number, number + 11, number + 22]
    long = tuple(f"{number} {'x' * 100}" for number in range(2000))  # more than fits an address
    assert engine.search(replace(query, selection=Selection((*long, NAMES[1])))).n_matching == 3
    assert engine.search(replace(query, selection=Selection())).n_filtered == 33


def test_rows_in_two_databases_behind_one_table_are_found_as_in_one(server: ChdbServer) -> None:
    gallery = gallery_of(60)
    parts = [replace(gallery, code=gallery.code[at], rows=gallery.rows[at], facts=gallery.facts[at]) for at in HALVES]
    for name, part in zip(("shard_a", "shard_b"), parts, strict=True):
        part.to_clickhouse(ClickHouseClient(ClickHouseAddress.from_url(server.new_database(name))))
    url = server.new_database("both")
    client = ClickHouseClient(ClickHouseAddress.from_url(url))
    client.command("CREATE TABLE provenance ENGINE = MergeTree ORDER BY key AS SELECT * FROM shard_a.provenance")
    client.command("CREATE TABLE images AS shard_a.images ENGINE = Merge(REGEXP('^shard_[ab]$'), '^images$')")

    engine = open_clickhouse(url)

    assert all(0 < len(part.rows) < 60 for part in parts)
    assert_finds_all(engine, gallery)
    assert sum(engine.facets(some_queries(gallery)[0]).families.values()) == 30


HALVES = (slice(0, None, 2), slice(1, None, 2))


def test_a_distributed_table_gives_the_same_rows(server: ChdbServer, tmp_path: Path) -> None:
    gallery, url = gallery_of(50), server.new_database("spread") + "?cluster=one"
    engine = written(url, gallery, tmp_path)
    kinds = engine.fetch("SELECT name, engine FROM system.tables WHERE database = 'spread'")
    assert dict(zip(kinds["name"], kinds["engine"], strict=True))["images"] == "Distributed"
    assert engine.fetch("SELECT count(*) AS n FROM images_local")["n"].tolist() == [50]
    assert_finds_all(engine, gallery)


def test_every_statement_that_makes_or_drops_a_table_goes_to_the_whole_cluster() -> None:
    address = ClickHouseAddress.from_url("clickhouse://host/base?cluster=birds")
    statements = [*create_statements(gallery_of(2).provenance, address), *drop_statements(address)]
    assert len(statements) == 16
    assert all("ON CLUSTER `birds`" in statement for statement in statements)


@pytest.mark.parametrize("rule", [ConceptRule("exact"), ConceptRule("within", 1)], ids=["exact", "within"])
def test_a_sub_code_is_looked_up_in_the_copy_ordered_by_it(server: ChdbServer, rule: ConceptRule) -> None:
    gallery, url = gallery_of(2), server.new_database(f"copies_{rule.agree}")
    client = ClickHouseClient(ClickHouseAddress.from_url(url))
    gallery.to_clickhouse(client)
    value = "bitAnd(n.number * 7919, 65535)"  # of sub-code 2: bits 32 to 47 of the code, the first one on top
    turned = f"arraySum(i -> bitShiftLeft(bitAnd(bitShiftRight({value}, i), 1), 15 - i), range(16))"
    code = f"bitOr(bitAnd(code0, {~(0xFFFF << 32)}), bitShiftLeft(toInt64({turned}), 32))"
    client.command(
        f'INSERT INTO images SELECT i.* REPLACE (100 + n.number AS "row", {value} AS sub2, {code} AS code0) '
        "FROM (SELECT * FROM images LIMIT 1) AS i CROSS JOIN numbers(150000) AS n"
    )
    engine = open_clickhouse(url)
    query = Query(tuple(gallery.code[0].tolist()), (ConceptRule(), ConceptRule(), rule, ConceptRule()))
    text = page_statement(query, engine.layout).text

    plan = "\n".join(client.fetch(f"EXPLAIN {text}")["explain"])

    assert "ReadFromMergeTree (by_sub2)" in plan
    own = int(subcode_values(gallery.code[:1], 4)[0, 2])
    near = f"SELECT count(*) AS n FROM images WHERE bitCount(bitXor(sub2, {own})) <= {rule.radius}"
    assert engine.search(query).n_matching == client.fetch(near)["n"][0] > 2


def test_searches_at_once_do_not_disturb_one_another(server: ChdbServer, tmp_path: Path) -> None:
    gallery = gallery_of(50)
    engine = written(server.new_database("threads"), gallery, tmp_path)
    queries = some_queries(gallery) * 6
    with ThreadPoolExecutor(8) as pool:
        for query, matches in zip(queries, pool.map(engine.search, queries), strict=True):
            assert_same(matches, naive_search(gallery, query), query)


def test_an_interrupted_writer_is_resumed_behind_its_last_whole_batch(
    server: ChdbServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gallery, url, broken = gallery_of(50), server.new_database("resumed"), Skipped("bad.png", "torn")
    writer = ClickHouseWriter(url, gallery.provenance, thumbnails=str(tmp_path))
    append(writer, gallery, slice(0, 20), broken)
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(GalleryTables, "sign", interrupt)  # the rows are there, the signature is not
        append(writer, gallery, slice(20, 40), broken, broken)
    with pytest.raises(GalleryError, match="run the same command again"):
        append(writer, gallery, slice(20, 40))
    with pytest.raises(GalleryError, match="unfinished"):
        open_clickhouse(url)

    with ClickHouseWriter(url, gallery.provenance, thumbnails=str(tmp_path)) as writer:
        assert (writer.n_images, writer.n_skipped) == (20, 1)
        append(writer, gallery, slice(20, 33), broken)  # batches of another size than before
        append(writer, gallery, slice(33, 50))
        writer.finish()

    engine = open_clickhouse(url)
    assert engine.fetch("SELECT count(*) AS n FROM skipped")["n"][0] == 2
    assert_finds_all(engine, gallery)


def interrupt(*_: object) -> None:
    raise KeyboardInterrupt


def test_a_killed_writer_leaves_every_row_once(server: ChdbServer, tmp_path: Path) -> None:
    gallery, url = gallery_of(N_KILLED), server.new_database("killed")
    command = [sys.executable, __file__, url, str(tmp_path / "thumbs")]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    rng, n_kills = np.random.default_rng(), 0
    while True:
        with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            n_batches = rng.integers(1, 6)
            while n_batches and process.stdout.readline():
                n_batches -= 1
            if n_batches:  # it ended by itself
                break
            time.sleep(rng.random() * 0.05)
            process.kill()
            n_kills += 1
    assert process.returncode == 0
    assert n_kills >= 3

    engine = open_clickhouse(url)

    assert engine.fetch('SELECT "row" FROM images ORDER BY "row"')["row"].tolist() == list(range(N_KILLED))
    assert_finds_all(engine, gallery)
    pictures = ThumbnailStore(engine.provenance["thumbnail_folder"])
    assert [pictures.read(row) for row in gallery.rows] == [b"webp of %d.png" % row for row in gallery.rows]


N_KILLED = 180


def write_slowly(url: str, folder: str) -> None:
    """Go on with a gallery until it is finished, a line for each batch that was acknowledged."""
    gallery = gallery_of(N_KILLED)
    with ClickHouseWriter(url, gallery.provenance, thumbnails=folder) as writer:
        for start in range(writer.n_images, N_KILLED, 9):
            append(writer, gallery, slice(start, start + 9))
            print(writer.n_images, flush=True)
        writer.finish()


def test_a_second_writer_takes_over_and_the_first_one_is_refused(server: ChdbServer, tmp_path: Path) -> None:
    gallery, url = gallery_of(50), server.new_database("taken")
    first = ClickHouseWriter(url, gallery.provenance, thumbnails=str(tmp_path))
    append(first, gallery, slice(0, 10))
    second = ClickHouseWriter(url, gallery.provenance, thumbnails=str(tmp_path))
    with pytest.raises(GalleryError, match="Another process writes"):
        append(first, gallery, slice(10, 20))
    append(second, gallery, slice(10, 50))
    second.finish()
    assert_finds_all(open_clickhouse(url), gallery)


def test_rows_that_are_there_twice_are_not_called_complete(server: ChdbServer, tmp_path: Path) -> None:
    gallery, url = gallery_of(5), server.new_database("twice")
    with ClickHouseWriter(url, gallery.provenance, thumbnails=str(tmp_path)) as writer:
        append(writer, gallery, slice(0, 5))
        ClickHouseClient(ClickHouseAddress.from_url(url)).command("INSERT INTO images SELECT * FROM images LIMIT 1")
        with pytest.raises(GalleryError, match="6 rows, 5 of them different"):
            writer.finish()


def test_a_gallery_begun_otherwise_is_gone_on_with_only_by_overwriting(server: ChdbServer, tmp_path: Path) -> None:
    gallery, url = gallery_of(20), server.new_database("other")
    other = replace(gallery.provenance, transform="squash-9x9")
    with ClickHouseWriter(url, other, thumbnails=str(tmp_path)) as writer:
        append(writer, gallery, slice(0, 10))
    with pytest.raises(GalleryError, match=r"begun with another transform \(squash-9x9, now squash-8x8\)"):
        ClickHouseWriter(url, gallery.provenance, thumbnails=str(tmp_path))
    with ClickHouseWriter(url, gallery.provenance, thumbnails=str(tmp_path), overwrite=True) as writer:
        assert writer.n_images == 0
        append(writer, gallery, slice(0, 20))
        writer.finish()
    with pytest.raises(GalleryError, match="already a gallery"):
        ClickHouseWriter(url, gallery.provenance, thumbnails=str(tmp_path))
    assert open_clickhouse(url).search(some_queries(gallery)[0]).n_matching == 20


def test_without_an_image_there_is_no_gallery(server: ChdbServer, tmp_path: Path) -> None:
    gallery, url = gallery_of(1), server.new_database("empty")
    with ClickHouseWriter(url, gallery.provenance, thumbnails=str(tmp_path)) as writer:
        append(writer, gallery, slice(0, 0), Skipped("bad.png", "torn"))
        with pytest.raises(DataError, match="out of 1"):
            writer.finish()
    with pytest.raises(GalleryError, match="There is no gallery"):
        open_clickhouse(url)


def test_tables_of_something_else_stay_as_they_are(server: ChdbServer, tmp_path: Path) -> None:
    url = server.new_database("foreign")
    client = ClickHouseClient(ClickHouseAddress.from_url(url))
    client.command("CREATE TABLE images (x Int64) ENGINE = MergeTree ORDER BY x")
    with pytest.raises(GalleryError, match=r"holds tables of something else \(images\)"):
        ClickHouseWriter(url, gallery_of(1).provenance, thumbnails=str(tmp_path), overwrite=True)
    assert client.fetch("SELECT count(*) AS n FROM images")["n"].tolist() == [0]


def test_a_gallery_answers_again_when_its_server_is_back(tmp_path: Path) -> None:
    gallery = gallery_of(50)
    with ChdbServer(tmp_path / "data") as server:
        engine = written(server.new_database("down"), gallery, tmp_path / "thumbs")
        writer = ClickHouseWriter(server.new_database("cut"), gallery.provenance, thumbnails=str(tmp_path / "cut"))
        append(writer, gallery, slice(0, 10))

        server.kill()
        for ask in (lambda: engine.search(some_queries(gallery)[0]), lambda: append(writer, gallery, slice(10, 20))):
            for _ in range(2):
                with pytest.raises(GalleryError, match="does not answer") as caught:
                    ask()
                assert PASSWORD not in str(caught.value)

        server.start()
        assert_finds_all(engine, gallery)
        append(writer, gallery, slice(10, 50))
        writer.finish()
        assert_finds_all(open_clickhouse(server.url("cut")), gallery)


@pytest.mark.parametrize(
    ("url", "sentence"),
    [
        ("clickhouse://u:secret@host:8123", "The address of the gallery is none"),
        ("clickhouse://u:secret@host:port/base", "The address of the gallery is none"),
        ("clickhouse://u:secret@host:99999/base", "The address of the gallery is none"),
        ("clickhouse://u:secret@/base", "The address of the gallery is none"),
        ("http://u:secret@host/base", "The address of the gallery is none"),
        ("clickhouse://u:secret@host/base?cluster=a'b", "The address of the gallery is none"),
        ("clickhouse://u:secret@host/base?custer=a", "The address of the gallery is none"),
        ("clickhouse://u:secret@host/ba`se", "The address of the gallery is none"),
        ("clickhouse://u:secret@127.0.0.1:9/base", "does not answer"),
        ("clickhouses://u:secret@127.0.0.1:9/base", "does not answer"),
        ("clickhouse://u:secret@no-such-host.invalid/base", "does not answer"),
    ],
)
def test_an_address_that_leads_nowhere_is_refused_in_one_sentence(url: str, sentence: str) -> None:
    with pytest.raises(GalleryError, match=sentence) as caught:
        open_clickhouse(url)
    assert "secret" not in str(caught.value)


def test_a_server_that_refuses_or_holds_no_gallery_is_named(server: ChdbServer) -> None:
    url = server.new_database("nothing")
    with pytest.raises(GalleryError, match=r"There is no gallery at clickhouse://127\.0\.0\.1:\d+/nothing;"):
        open_clickhouse(url)
    with pytest.raises(GalleryError, match="There is no gallery"):
        open_clickhouse(server.url("no-such-database"))
    with pytest.raises(GalleryError, match="refuses the user 'tester'") as caught:
        open_clickhouse(url.replace(QUOTED_PASSWORD, "wr%40ng"))
    assert "wr@ng" not in str(caught.value)
    assert "secret" not in repr(ClickHouseAddress.from_url("clickhouse://u:secret@host/base"))


def test_an_error_without_text_is_named_by_its_kind() -> None:
    client = ClickHouseClient(ClickHouseAddress.from_url("clickhouse://u:secret@host/base"))
    assert "does not answer (TimeoutError)" in client._sentence(TimeoutError())


def test_without_the_driver_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "clickhouse_connect.driver.exceptions", None)
    with pytest.raises(GalleryError, match="pip install clickhouse-connect"):
        open_clickhouse("clickhouse://host/base")


def test_thumbnails_lie_in_a_folder_or_wherever_fsspec_reaches(tmp_path: Path) -> None:
    for place in (str(tmp_path / "new" / "folder"), "memory://bucket/thumbs"):
        store = ThumbnailStore(place)
        store.write({300: b"one"})
        store.write({300: b"two"})
        assert store.read(300) == b"two"
        with pytest.raises(GalleryError, match="cannot be read"):
            store.read(301)
    assert (tmp_path / "new" / "folder" / "thumbnails" / "2c" / "300.webp").read_bytes() == b"two"
    with pytest.raises(GalleryError, match="cannot be written"):
        ThumbnailStore("nonsense://bucket").write({1: b""})


if __name__ == "__main__":
    write_slowly(*sys.argv[1:])
