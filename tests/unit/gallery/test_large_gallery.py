"""A large gallery answers as one that is read whole does, with its codes in memory or left to its database."""

import errno
import os
import shutil
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import pytest
from clickhouse_rig import ChdbServer, needs_chdb
from stored_images import PROVENANCE, centers, edit, image, logits

from concepthash.errors import GalleryError, QueryError
from concepthash.gallery import (
    ConceptRule,
    Gallery,
    GalleryWriter,
    Query,
    Selection,
    duckdb_engine,
    open_gallery,
    opening,
)
from concepthash.gallery.duckdb_engine import DuckDBEngine
from concepthash.gallery.fact_file import FactFile
from concepthash.gallery.large_gallery import LargeGallery
from concepthash.gallery.metadata import Kind, MetadataColumn
from concepthash.gallery.opening import open_any_gallery
from concepthash.gallery.selection import Condition

N = 60


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A gallery of 60 images, of which 5 were taken away again."""
    return small_gallery(tmp_path / "gallery", (0, 11, 12, 40, 59))


def small_gallery(out: Path, gone: tuple[int, ...]) -> Path:
    with GalleryWriter(out, PROVENANCE) as writer:
        unknown = {"class_name": None, "label": -1, "family": None}
        images = [image(i, split=("train", "test", None)[i % 3], **(unknown if i % 7 == 3 else {})) for i in range(N)]
        writer.append(images, np.round(logits(N)), centers(N))
        writer.finish()
    edit(out, f'DELETE FROM images WHERE "row" IN ({", ".join(map(str, (-1, *gone)))})')
    return out


@pytest.fixture(params=["codes in memory", "codes in the database"])
def large(
    folder: Path, tmp_path: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> LargeGallery:
    monkeypatch.setattr(opening, "_READ_WHOLE", 10)
    memory = 1_000_000 if request.param == "codes in memory" else 100
    gallery = open_any_gallery(str(folder), tmp_path / "cache", memory=memory)
    assert isinstance(gallery, LargeGallery)
    assert gallery.has_codes == (memory > 100)
    return gallery


def random_query(random: np.random.Generator, gallery: Gallery) -> Query:
    rules = tuple(
        ConceptRule(
            str(random.choice(["exact", "within", "differ", "ignore", "ignore"])),  # type: ignore[arg-type]
            int(random.integers(3)),
            float(random.choice([0.0, 0.1, 1.0])),
        )
        for _ in range(gallery.n_concepts)
    )
    conditions = [
        (),
        (Condition("split", "=", "train"), Condition("width", ">=", 60)),
        (Condition("height", "!=", 30),),
    ]
    selection = Selection(
        classes=("class 1",) if random.random() < 0.3 else (),
        family="finch" if random.random() < 0.3 else "",
        patterns=("1...", "", "") if random.random() < 0.3 else (),
        conditions=conditions[int(random.choice(3, p=[0.6, 0.3, 0.1]))],
    )
    code = tuple(bool(bit) for bit in random.random(gallery.n_bits) < 0.5)
    rank = str(random.choice(["hamming", "weighted", "none"]))
    excluded = int(random.integers(len(gallery))) if random.random() < 0.5 else None
    return Query(code, rules, rank, selection, int(random.integers(9)), int(random.integers(5)), excluded)  # type: ignore[arg-type]


def test_it_finds_what_a_gallery_that_is_read_whole_finds(folder: Path, large: LargeGallery) -> None:
    whole, random, n_found = open_gallery(folder), np.random.default_rng(0), 0
    assert len(large) == len(whole) == N - 5
    assert (large.class_names, large.family_names) == (whole.class_names, whole.family_names)
    assert large.facet_values == whole.facet_values == {"split": ("test", "train")}
    for _ in range(300):
        query = random_query(random, whole)
        excluded = None if query.exclude_row is None else int(whole.rows[query.exclude_row])
        expected = whole.search(query)
        found = large.search(Query(**(vars(query) | {"exclude_row": excluded})))
        assert found.rows.tolist() == whole.rows[expected.rows].tolist(), query
        for name in ("distance", "concept_distances", "score", "n_matching", "n_filtered", "n_agreeing"):
            assert np.array_equal(getattr(found, name), getattr(expected, name)), (name, query)
        assert large.facets(Query(**(vars(query) | {"exclude_row": excluded}))) == whole.facets(query), query
        n_found += len(found.rows)
    assert n_found > 300


def test_it_tells_of_images_what_a_gallery_that_is_read_whole_tells(folder: Path, large: LargeGallery) -> None:
    whole = open_gallery(folder)
    positions = np.array([50, 3, 17])
    rows = whole.rows[positions]
    told = [(one.image_id, one.class_name, one.family, one.size, one.thumbnail) for one in large.images(rows)]
    assert told == [
        (one.image_id, one.class_name, one.family, one.size, one.thumbnail) for one in whole.images(positions)
    ]
    assert large.images(rows)[0].row == rows[0]
    assert np.array_equal(large.code_logits_of(rows), whole.code_logits_of(positions))
    assert large.images(rows[:0]) == ()
    assert large.code_logits_of(rows[:0]).shape == (0, 12)
    assert large.row_of("a/13.png") == 13
    assert large.row_of("a/12.png") is None
    assert large.thumbnail_folders() == whole.thumbnail_folders()


def test_an_image_is_found_by_its_id_although_others_look_alike(
    large: LargeGallery, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(duckdb_engine, "_HASH", "(length({}) % 2)::UINTEGER")
    assert [large.row_of(f"a/{row}.png") for row in (9, 10, 58)] == [9, 10, 58]
    assert [large.row_of(name) for name in ("a/0.png", "a/59.png", "a/100.png", "", "'")] == [None] * 5


def test_much_memory_is_taken_to_read_the_file_and_little_is_kept(large: LargeGallery) -> None:
    if not isinstance(large.engine, DuckDBEngine) or not large.has_codes:
        pytest.skip("its database searches, too")
    engine = large.engine
    ask = "SELECT current_setting('memory_limit') AS limit, current_setting('threads') AS threads"

    def kept() -> tuple[str, int]:
        return engine._opened().execute(ask).fetchall()[0]

    assert kept() == ("976.5 KiB", 1)
    large.search(Query((False,) * 12, (ConceptRule(),) * 3, selection=Selection(("class 1",))))
    assert "GiB" in engine.fetch(ask)["limit"][0]
    assert kept() == ("976.5 KiB", 1)
    with pytest.raises(GalleryError):
        engine.fetch("SELECT nonsense")
    assert kept() == ("976.5 KiB", 1)


@pytest.mark.parametrize("room", ["room", "no room"])
def test_images_are_found_whether_or_not_there_is_room_to_copy_their_facts(
    room: str, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(opening, "_READ_WHOLE", 10)
    cache = tmp_path / "cache"
    if room == "no room":
        cache.write_text("no folder")
    large, whole = open_any_gallery(str(folder), cache), open_gallery(folder)
    assert isinstance(large, LargeGallery)
    assert [one.image_id for one in large.images(whole.rows)] == list(whole.image_ids)
    assert [one.row for one in large.images(np.array([12, 58, 60, 1]))] == [58, 1]  # the others are not there
    assert (large.row_of("a/58.png"), large.row_of("a/59.png")) == (58, None)
    np.testing.assert_array_equal(large.code_logits_of(np.array([58, 1])), whole.code_logits[[-1, 0]])
    assert isinstance(large.engine, DuckDBEngine)
    assert (large.engine._kept_facts() is None) == (room == "no room")
    assert room == "no room" or not list((cache / "codes").iterdir())  # nothing is left behind, whatever happens


def test_values_that_are_counted_are_read_as_hashes_unless_two_are_alike(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = DuckDBEngine(folder / "gallery.duckdb")

    def values() -> list[tuple[object, ...]]:
        groups, ids = engine.grouped()
        assert len(set(groups.values)) == len(groups.values) and ids.dtype == np.uint8
        return [groups.values[place] for place in ids]

    whole = open_gallery(folder)
    expected = [(one.class_name or None, one.family or None) for one in whole.images(np.arange(len(whole)))]
    assert [found[:2] for found in values()] == expected
    read, fetch = list[str](), engine.fetch

    def colliding(text: str, texts: Mapping[str, str] | None = None) -> dict[str, np.ndarray]:
        read.append(text)
        found = fetch(text, texts)
        return {name: column * 0 if name == "h" else column for name, column in found.items()}

    known = values()
    monkeypatch.setattr(engine, "fetch", colliding)
    assert values() == known
    assert "hash" in read[0] and not any("hash" in text for text in read[1:])


CODES = '"row", code0'


def codes_of(folder: Path, cache: Path, reads: list[str]) -> LargeGallery:
    """Open a gallery and ask it for all its codes; note how often the database is read for them."""
    gallery = open_any_gallery(str(folder), cache)
    assert isinstance(gallery, LargeGallery)
    parts = gallery.engine.parts
    with patch.object(gallery.engine, "parts", lambda columns: reads.append(columns) or parts(columns)):
        gallery.codes_of(np.array([1]))
    assert isinstance(gallery.engine, DuckDBEngine)
    gallery.engine.close()  # two in one process would share the little memory that each leaves to DuckDB
    return gallery


def is_mapped(gallery: LargeGallery) -> bool:
    words = gallery._index[0]._words
    return isinstance(words.base, np.memmap) or isinstance(getattr(words.base, "base", None), np.memmap)


@pytest.mark.parametrize("gone", [(), (0, 11, 12, 40, 59)], ids=["all rows", "some rows"])
def test_codes_are_mapped_from_a_file_that_is_made_once(
    gone: tuple[int, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(opening, "_READ_WHOLE", 10)
    folder, cache, reads = small_gallery(tmp_path / "gallery", gone), tmp_path / "cache", list[str]()
    first, second = codes_of(folder, cache, reads), codes_of(folder, cache, reads)
    assert reads.count(CODES) == 1 and is_mapped(first) and is_mapped(second)
    whole = open_gallery(folder)
    for gallery in (first, second):
        np.testing.assert_array_equal(gallery.codes_of(whole.rows), whole.code_logits > 0)
    assert len(list((cache / "codes").iterdir())) == 1 + bool(gone)
    edit(folder, 'DELETE FROM images WHERE "row" = 7')
    third = codes_of(folder, cache, reads)
    assert reads.count(CODES) == 2 and len(third) == len(whole) - 1
    assert len(list((cache / "codes").iterdir())) == 2  # those of the earlier state are gone
    assert third.search(Query((False,) * 12, (ConceptRule(),) * 3)).n_matching == len(whole) - 1


def test_codes_are_read_again_where_their_file_was_cut_and_kept_in_memory_where_there_is_no_room(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(opening, "_READ_WHOLE", 10)
    cache, reads = tmp_path / "cache", list[str]()
    expected = codes_of(folder, cache, reads).codes_of(np.arange(13, 40))
    (words,) = (cache / "codes").glob("*.words")
    words.write_bytes(words.read_bytes()[:-8])
    again = codes_of(folder, cache, reads)
    assert reads.count(CODES) == 2 and is_mapped(again)
    np.testing.assert_array_equal(again.codes_of(np.arange(13, 40)), expected)
    (tmp_path / "file").touch()
    held = codes_of(folder, tmp_path / "file", reads)
    assert reads.count(CODES) == 3 and not is_mapped(held)
    np.testing.assert_array_equal(held.codes_of(np.arange(13, 40)), expected)


def test_a_file_of_facts_gives_those_that_are_there_in_the_order_asked_for(tmp_path: Path) -> None:
    lines = ['["a"]', '["é\\n"]', '["c", null]', "[1]"]
    sizes = [len(line.encode()) for line in lines]
    parts = [
        {"row": np.array([1, 2]), "line": np.array(lines[:2]), "size": sizes[:2], "hash": [7, 9]},
        {"row": np.array([], dtype=int), "line": np.array([], dtype=str), "size": [], "hash": []},
        {"row": np.array([4, 70_000]), "line": np.array(lines[2:]), "size": sizes[2:], "hash": [7, 0]},
    ]
    file = FactFile(tmp_path / "new", [{name: np.asarray(column) for name, column in part.items()} for part in parts])
    assert list(file.facts([4, 0, 2, 3, 1, 70_000, 70_001, -1])) == [["c", None], ["é\n"], ["a"], [1]]
    assert [list(file.rows_of(number)) for number in (7, 9, 0, 5)] == [[1, 4], [2], [70_000], []]


def test_its_sample_is_spread_over_all_of_it(
    folder: Path, large: LargeGallery, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("concepthash.gallery.large_gallery.SAMPLE", 20)
    sample = large.sample
    assert sample.rows.tolist() == [row for row in range(N) if row not in (0, 11, 12, 40, 59)][::3]
    assert large.sample is sample
    assert sample.images(np.array([1]))[0].thumbnail == str(folder / "thumbnails" / "04" / "4.webp")


@pytest.mark.parametrize("kept", [0, 1])
def test_its_sample_has_its_size_where_every_other_row_is_gone(
    kept: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(opening, "_READ_WHOLE", 10)
    monkeypatch.setattr("concepthash.gallery.large_gallery.SAMPLE", 20)
    large = open_any_gallery(str(small_gallery(tmp_path / "gallery", tuple(range(1 - kept, N, 2)))), tmp_path / "cache")
    assert large.sample.rows.tolist() == list(range(kept, N, 4))


def test_an_original_that_is_out_of_reach_is_as_good_as_gone(
    folder: Path, large: LargeGallery, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, stat = open_gallery(folder), os.stat

    def refuse(path: Any, *more: Any, **options: Any) -> os.stat_result:
        if str(path).startswith("/nowhere"):
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return stat(path, *more, **options)

    monkeypatch.setattr(os, "stat", refuse)
    assert (whole.image_path(3), large.image_path(13)) == (None, None)


def test_a_row_that_is_gone_has_no_original(large: LargeGallery) -> None:
    assert large.image_path(12) is None


def test_a_gallery_that_was_made_anew_is_not_read_on(folder: Path, large: LargeGallery) -> None:
    assert isinstance(large.engine, DuckDBEngine)
    large.engine.close()
    assert large.row_of("a/13.png") == 13  # still the same one
    large.engine.close()
    shutil.rmtree(folder)
    small_gallery(folder, ())
    edit(folder, "UPDATE provenance SET value = 'later' WHERE key = 'created'")
    for _ in range(2):
        with pytest.raises(GalleryError, match="made anew while it was open; restart the app"):
            large.engine.fetch("SELECT 1")


@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM provenance WHERE key = 'created'",
        "DELETE FROM provenance WHERE key = 'fingerprint'",
        "UPDATE provenance SET value = '[]' WHERE key = 'metadata'",
    ],
)
def test_one_that_does_not_say_how_it_was_made_is_refused_in_a_sentence(
    statement: str, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(opening, "_READ_WHOLE", 10)
    edit(folder, statement)
    with pytest.raises(GalleryError, match="cannot be read, or is none"):
        open_any_gallery(str(folder), tmp_path / "cache")


@pytest.mark.parametrize("column", ["code_logits", "attention"])
def test_a_sample_with_lists_of_another_length_is_refused_in_a_sentence(
    column: str, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(opening, "_READ_WHOLE", 10)
    edit(folder, f'UPDATE images SET {column} = [0.5] WHERE "row" = 13')
    large = open_any_gallery(str(folder), tmp_path / "cache")
    with pytest.raises(GalleryError, match=r"cannot be read \(it holds a list of other than .*encode the images again"):
        _ = large.sample


def test_an_image_that_is_not_there_cannot_be_left_out(large: LargeGallery) -> None:
    query = Query((False,) * 12, (ConceptRule(),) * 3, exclude_row=12)
    if large.has_codes:
        with pytest.raises(QueryError, match="exclude_row"):
            large.search(query)
    else:
        assert large.search(query).n_matching == N - 5


@pytest.mark.parametrize(
    "column", ["color", "class", "family", "label", "row", "code0", "file_bytes", "file_modified", "encoded"]
)
def test_a_condition_on_a_column_that_is_not_there_or_not_compared_is_refused(
    column: str, folder: Path, large: LargeGallery
) -> None:
    whole = open_gallery(folder)
    for value in ("red", 1):
        chosen = Selection(conditions=(Condition(column, "=", value),))
        query = Query((False,) * 12, (ConceptRule(),) * 3, selection=chosen)
        for gallery in (large, whole):
            with pytest.raises(QueryError, match=f"no column '{column}'"):
                gallery.search(query)


def test_a_small_gallery_is_read_whole(folder: Path, tmp_path: Path) -> None:
    assert isinstance(open_any_gallery(str(folder), tmp_path), Gallery)


def test_a_gallery_that_is_none_is_refused_in_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(GalleryError, match="There is no gallery"):
        open_any_gallery(str(tmp_path / "nothing"), tmp_path)
    (tmp_path / "gallery.duckdb").write_bytes(b"no database" * 1000)
    with pytest.raises(GalleryError, match="cannot be read, or is none"):
        open_any_gallery(str(tmp_path), tmp_path)


@pytest.mark.parametrize("kind", ["TEXT", "BIGINT"])
def test_the_user_may_name_columns_as_the_program_might(
    kind: Kind, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(opening, "_READ_WHOLE", 0)
    names = ("line", "size", "hash", "h", "p", "place", "folder")
    made = replace(PROVENANCE, metadata=tuple(MetadataColumn(name, kind) for name in names))
    values = dict.fromkeys(names, "some text" if kind == "TEXT" else 7)
    with GalleryWriter(tmp_path / "gallery", made) as writer:
        writer.append([image(i, metadata=values) for i in range(5)], logits(5), centers(5))
        writer.finish()
    large = open_any_gallery(str(tmp_path / "gallery"), tmp_path / "cache")
    assert isinstance(large, LargeGallery)
    assert [one.image_id for one in large.images(np.array([3, 1]))] == ["a/3.png", "a/1.png"]
    assert large.row_of("a/4.png") == 4
    np.testing.assert_array_equal(large.code_logits_of(np.array([2])), logits(5)[[2]])
    query = Query((False,) * 12, (ConceptRule(),) * 3, exclude_row=0)
    assert large.search(query).n_matching == 4 and large.facets(query).classes == {"class 0": 2, "class 1": 2}


def test_rows_that_are_not_there_have_no_codes(large: LargeGallery) -> None:
    assert large.codes_of(np.array([13, 58])).shape == (2, 12)
    for row in (-1, 12, N, 10**9):
        with pytest.raises(QueryError, match="lacks 1 of the rows"):
            large.codes_of(np.array([13, row]))


@pytest.mark.parametrize("gone", [(), (0, 11)], ids=["all rows", "some rows"])
def test_rows_that_were_added_since_are_not_searched(
    gone: tuple[int, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(opening, "_READ_WHOLE", 10)
    large = open_any_gallery(str(small_gallery(tmp_path / "gallery", gone)), tmp_path / "cache")
    assert isinstance(large, LargeGallery)
    fetch = large.engine.fetch

    def with_new_rows(text: str, texts: Mapping[str, str] | None = None) -> dict[str, np.ndarray]:
        found = fetch(text, texts)
        return {"row": np.append(found["row"], [N, N + 7])} if text.startswith('SELECT "row" FROM') else found

    query = Query((False,) * 12, (ConceptRule(),) * 3, selection=Selection(conditions=(Condition("width", "<", 45),)))
    monkeypatch.setattr(large.engine, "fetch", with_new_rows)
    assert large.search(query).n_filtered == sum(row not in gone for row in range(5))


def test_half_a_character_is_no_image_and_does_not_close_the_gallery(large: LargeGallery) -> None:
    with patch.object(large.engine, "close") as close:
        assert large.row_of("a/\ud800.png") is None
    assert not close.called


@needs_chdb
def test_one_on_a_server_shows_copies_of_its_thumbnails(tmp_path: Path) -> None:
    from concepthash.gallery.clickhouse_writer import ClickHouseWriter

    with ChdbServer(tmp_path / "server") as server:
        url = server.new_database("birds")
        with ClickHouseWriter(url, PROVENANCE, thumbnails=str(tmp_path / "pictures")) as writer:
            writer.append([image(i) for i in range(N)], logits(N), centers(N))
            writer.finish()
        gallery = open_any_gallery(url, tmp_path)
        found = gallery.search(Query((True,) * 12, (ConceptRule(),) * 3, k=3))
        shown = gallery.images(found.rows)
        assert [Path(one.thumbnail).read_bytes() for one in shown] == [b"webp %d" % one.row for one in shown]
        (folder,) = gallery.thumbnail_folders()
        assert folder.parent.parent == tmp_path / "copies"
        shutil.rmtree(tmp_path / "pictures")
        assert not Path(gallery.images(np.array([N - 1]))[0].thumbnail).exists()  # a frame stays empty
        server.kill()
        assert gallery.search(Query((False,) * 12, (ConceptRule(),) * 3, k=3)).n_matching == N  # codes are in memory
        with pytest.raises(GalleryError, match=r"127\.0\.0\.1"):
            gallery.images(found.rows)
        server.start()
        assert gallery.images(found.rows) == shown


def test_codes_of_single_images_are_the_stored_ones(folder: Path, large: LargeGallery) -> None:
    whole = open_gallery(folder)
    places = np.array([3, 0, 54, 17])
    rows = np.array([large.row_of(whole.image_ids[place]) for place in places])
    np.testing.assert_array_equal(large.codes_of(rows), whole.codes_of(places))
    np.testing.assert_array_equal(whole.codes_of(places), whole.code_logits[places] > 0)
