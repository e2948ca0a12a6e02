"""Small galleries in databases, and what a naive loop finds in them."""

import operator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from concepthash.gallery import NewImage, Provenance, Query
from concepthash.gallery.clickhouse_client import ClickHouseClient
from concepthash.gallery.clickhouse_tables import create_statements, image_types
from concepthash.gallery.database import connect, create, image_columns, insert
from concepthash.gallery.facets import Facets
from concepthash.gallery.matches import Matches
from concepthash.gallery.metadata import MetadataColumn, Value
from concepthash.gallery.rows import image_rows

METADATA = (MetadataColumn("note", "TEXT"), MetadataColumn("n_eggs", "BIGINT"), MetadataColumn("Weight", "DOUBLE"))
Found = tuple[list[tuple], int, int, int]
COMPARE = {
    "=": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


@dataclass(frozen=True, eq=False)
class StoredGallery:
    """Codes (n, K) bool, the images' row ids, and for each a dictionary of class, family, split, width and metadata."""

    code: np.ndarray
    n_concepts: int
    rows: tuple[int, ...]
    facts: tuple[dict[str, Value], ...]

    @property
    def provenance(self) -> Provenance:
        n_bits = self.code.shape[1]
        return Provenance("f" * 64, "fake", n_bits, self.n_concepts, "squash-8x8", "/photos", "d", metadata=METADATA)

    def images(self) -> list[NewImage]:
        own = [column.name for column in METADATA]
        return [
            NewImage(
                image_id=f"{row}.png",
                path=f"photos/{row}.png",
                class_name=fact["class"],  # type: ignore[arg-type]
                label=-1,
                family=fact["family"],  # type: ignore[arg-type]
                width=fact["width"],  # type: ignore[arg-type]
                height=8,
                split=fact["split"],  # type: ignore[arg-type]
                thumbnail=None,
                metadata={name: fact[name] for name in own},
            )
            for row, fact in zip(self.rows, self.facts, strict=True)
        ]

    def logits(self) -> np.ndarray:
        return np.where(self.code, 0.5, -0.25).astype(np.float32)

    def centers(self) -> np.ndarray:
        return np.full((len(self.rows), self.n_concepts, 2), 0.5, dtype=np.float32)

    def table(self) -> list[list[object]]:
        """Rows of the table ``images``, with ids of their own."""
        rows = image_rows(0, self.images(), self.logits(), self.centers(), self.provenance)
        return [[row, *values[1:]] for row, values in zip(self.rows, rows, strict=True)]

    def to_duckdb(self, path: Path) -> Path:
        create(path, self.provenance)
        with connect(path) as database:
            insert(database, "images", list(image_columns(self.provenance)), self.table())
        return path

    def to_clickhouse(self, client: ClickHouseClient, *, is_new: bool = True) -> None:
        """Make the tables, or empty them; then fill them by two inserts, so that there are two parts."""
        if is_new:
            for statement in create_statements(self.provenance, client.address):
                client.command(statement)
            facts = {**self.provenance.facts, "complete": "true", "created": "2026-01-01T00:00:00+00:00"}
            client.insert("provenance", {"key": "String", "value": "String"}, [*map(list, facts.items())])
        else:
            client.command("TRUNCATE TABLE images")
        table, types = self.table(), image_types(self.provenance)
        client.insert("images", types, table[::2])
        client.insert("images", types, table[1::2])


def naive_search(gallery: StoredGallery, query: Query) -> Found:
    """Rows as (score, row, distance, distances per concept), then the counts, bit by bit."""
    found, n_filtered, n_agreeing = [], 0, 0
    for bits, row, facts in zip(gallery.code.tolist(), gallery.rows, gallery.facts, strict=True):
        if row == query.exclude_row:
            continue
        near = _distances(bits, query)
        agrees = all(_holds(rule, d) for rule, d in zip(query.rules, near, strict=True))
        n_agreeing += agrees
        if not _is_selected(bits, facts, query):
            continue
        n_filtered += 1
        score = 0.0
        for rule, d in zip(query.rules, near, strict=True):
            score += {"weighted": rule.weight, "hamming": 1.0, "none": 0.0}[query.rank] * d
        if agrees:
            found.append((score, row, sum(near), near))
    return sorted(found), len(found), n_filtered, n_agreeing


def naive_facets(gallery: StoredGallery, query: Query) -> Facets:
    """Each column's values counted by a search of its own, without the filters on that column."""
    facts = dict(zip(gallery.rows, gallery.facts, strict=True))
    values = {name: {fact[name] for fact in gallery.facts} - {None} for name in ("split", "note", "n_eggs")}
    counts = {}
    for column in ("class", "family", *(name for name, found in values.items() if 1 < len(found) <= 24)):
        selection = query.selection
        others = tuple(c for c in selection.conditions if (c.column, c.comparison) != (column, "="))
        own = {"class": {"classes": ()}, "family": {"family": ""}}.get(column, {})
        asked = replace(query, selection=replace(selection, conditions=others, **own))
        found = [facts[row][column] for _, row, _, _ in naive_search(gallery, asked)[0]]
        counts[column] = {value: found.count(value) for value in found if value is not None}
    return Facets(counts.pop("class"), counts.pop("family"), counts)


def assert_same(matches: Matches, expected: Found, query: Query) -> None:
    page = expected[0][query.offset : query.offset + query.k]
    assert matches.rows.tolist() == [row for _, row, _, _ in page]
    assert matches.score.tolist() == [score for score, _, _, _ in page]  # equal to the last bit
    assert matches.distance.tolist() == [distance for _, _, distance, _ in page]
    assert matches.concept_distances.tolist() == [near for _, _, _, near in page]
    assert matches.concept_distances.shape == (len(page), len(query.rules))
    assert (matches.n_matching, matches.n_filtered, matches.n_agreeing) == expected[1:]
    assert (matches.rows.dtype, matches.score.dtype, matches.distance.dtype) == (np.int64, np.float64, np.int64)


def _distances(bits: list[bool], query: Query) -> list[int]:
    size = len(query.code) // len(query.rules)
    differs = [bit != wanted for bit, wanted in zip(bits, query.code, strict=True)]
    return [sum(differs[m * size : (m + 1) * size]) for m in range(len(query.rules))]


def _holds(rule: object, distance: int) -> bool:
    return {
        "exact": distance == 0,
        "within": distance <= rule.radius,  # type: ignore[attr-defined]
        "differ": distance > rule.radius,  # type: ignore[attr-defined]
        "ignore": True,
    }[rule.agree]  # type: ignore[attr-defined]


def _is_selected(bits: list[bool], facts: dict[str, Value], query: Query) -> bool:
    chosen, size = query.selection, len(bits) // len(query.rules)
    if chosen.classes and facts["class"] not in chosen.classes:
        return False
    if chosen.family and facts["family"] != chosen.family:
        return False
    wanted = "".join(pattern or "." * size for pattern in chosen.patterns)
    if any(bit != "." and (bit == "1") != bits[j] for j, bit in enumerate(wanted)):
        return False
    for condition in chosen.conditions:
        value = facts[condition.column]
        if value is None or value != value or not COMPARE[condition.comparison](value, condition.value):
            return False
    return True
