"""Statements: one text for both databases, numbers by construction, texts only bound, and columns that exist."""

import re
from functools import partial
from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from concepthash.errors import GalleryError, QueryError
from concepthash.gallery import ConceptRule, Query, Selection
from concepthash.gallery.predicates import ball
from concepthash.gallery.selection import Condition
from concepthash.gallery.sql import (
    Statement,
    count_statement,
    duckdb_text,
    facet_statement,
    page_statement,
    rows_of_selection,
    rows_statement,
)
from concepthash.gallery.sql_layout import Layout

LAYOUT = Layout(64, 4, {"class": "TEXT", "note": "TEXT", "width": "BIGINT", "weight": "DOUBLE"})
CODE = (True,) * 64
FREE = (ConceptRule(),) * 4
BUILDERS = (page_statement, count_statement, partial(facet_statement, columns=("class", "width")), rows_of_selection)


def page(rules: tuple[ConceptRule, ...] = FREE, layout: Layout = LAYOUT, **changes: object) -> Statement:
    return page_statement(Query((True,) * layout.n_bits, rules, **changes), layout)  # type: ignore[arg-type]


def first(rule: ConceptRule) -> tuple[ConceptRule, ...]:
    return (rule, *FREE[1:])


@given(st.text(min_size=1), st.text(min_size=1), st.text())
def test_no_text_of_a_visitor_is_ever_in_a_statement(name: str, family: str, value: str) -> None:
    chosen = Selection((name, "x"), family, (), (Condition("note", "<", value),))
    plain = Selection(("a", "b"), "c", (), (Condition("note", "<", "d"),))
    for build in BUILDERS:
        statement = build(Query(CODE, first(ConceptRule("within", 3)), selection=chosen), LAYOUT)
        other = build(Query(CODE, first(ConceptRule("within", 3)), selection=plain), LAYOUT)
        assert set(statement.texts.values()) == {name, "x", family, value}
        if name != "x":
            assert statement.text == other.text


def test_duckdb_reads_the_same_text_but_for_the_marks_of_bound_texts() -> None:
    statement = page(first(ConceptRule("within", 2)), selection=Selection(("a", "b"), "c"))
    assert len(statement.texts) == 3
    assert re.sub(r"\$(t\d)\b", r"{\1:String}", duckdb_text(statement.text)) == statement.text
    assert duckdb_text(statement.text).count("$t") == 3


def test_a_statement_without_texts_goes_to_both_as_it_is() -> None:
    rules = (ConceptRule("within", 2), ConceptRule("differ", 1), ConceptRule("exact"), ConceptRule(weight=0.1))
    for rank in ("hamming", "weighted", "none"):
        text = page(rules, rank=rank, exclude_row=3).text
        assert duckdb_text(text) == text


@pytest.mark.parametrize(
    ("rule", "where"),
    [
        (ConceptRule("ignore"), None),
        (ConceptRule("within", 16), None),
        (ConceptRule("differ", 16), "1 = 0"),
        (ConceptRule("exact"), "sub0 = 65535"),
        (ConceptRule("within", 0), "sub0 = 65535"),
        (ConceptRule("within", 3), "bitCount(bitAnd(bitXor(code0, toInt64(-1)), toInt64(65535))) <= 3"),
        (ConceptRule("differ", 3), "bitCount(bitAnd(bitXor(code0, toInt64(-1)), toInt64(65535))) >= 4"),
    ],
    ids=str,
)
def test_each_rule_is_written_in_its_shortest_form(rule: ConceptRule, where: str | None) -> None:
    text = page(first(rule)).text
    assert (f" WHERE {where} ORDER" in text) if where else ("WHERE" not in text)


def test_a_small_radius_names_the_sub_codes_within_as_a_hint() -> None:
    text = page(first(ConceptRule("within", 2))).text
    found = re.search(r"<= 2 AND indexHint\(sub0 IN \((.*?)\)\)", text)
    assert found
    assert sorted(map(int, found[1].split(", "))) == sorted(map(int, ball(np.ones(16, dtype=bool), 2)))


def test_a_ball_holds_exactly_the_sub_codes_within_its_radius() -> None:
    for bits, radius in product(product([False, True], repeat=4), range(5)):
        center = int("".join("01"[bit] for bit in bits), 2)
        assert ball(np.array(bits), radius) == [v for v in range(16) if (v ^ center).bit_count() <= radius]


def test_sub_codes_too_long_for_a_column_are_compared_by_words() -> None:
    text = page((ConceptRule("exact"), ConceptRule()), Layout(128, 2, {})).text
    assert "sub" not in text
    assert "bitAnd(code0, toInt64(-1)) = toInt64(-1)" in text


def test_weights_are_written_as_doubles_of_the_same_bits() -> None:
    for weight in (0.1, 1 / 3, 5e-324, 1.7976931348623157e308, 1.0, 123456789.0, 1e22, 1e-7):
        text = page((ConceptRule(weight=weight), *(ConceptRule(weight=0.0),) * 3), rank="weighted").text
        written = re.search(r"SELECT \"row\", (\S+) \* ", text)
        assert written and float(written[1]) == weight and "e" in written[1]


@pytest.mark.parametrize(
    ("condition", "where"),
    [
        (Condition("width", "<", 2.5), '"width" <= toInt64(2)'),
        (Condition("width", ">=", 2.5), '"width" > toInt64(2)'),
        (Condition("width", ">", -2.5), '"width" > toInt64(-3)'),
        (Condition("width", "=", 2.5), "1 = 0"),
        (Condition("width", "!=", 2.5), '"width" IS NOT NULL'),
        (Condition("width", "<", 10**30), '"width" IS NOT NULL'),
        (Condition("width", ">=", 10**30), "1 = 0"),
        (Condition("width", ">", -(10**30)), '"width" IS NOT NULL'),
        (Condition("width", "<=", 1e300), '"width" IS NOT NULL'),
        (Condition("width", "=", True), '"width" = toInt64(1)'),
        (Condition("weight", ">", 1), '("weight" > 1.0e0 AND NOT isNaN("weight"))'),
    ],
    ids=str,
)
def test_numbers_are_compared_as_python_compares_them(condition: Condition, where: str) -> None:
    assert f" WHERE {where} ORDER" in page(selection=Selection(conditions=(condition,))).text


@pytest.mark.parametrize(
    ("condition", "sentence"),
    [
        (Condition("height", "=", 1), "no column 'height' that can be compared; choose one of note, width, weight"),
        (Condition("class", "=", "wren"), "no column 'class' that can be compared"),
        (Condition('width" OR 1=1 --', "=", 1), "no column"),
        (Condition("code0", "=", 1), "no column"),
        (Condition("width", "=", "7"), "holds numbers, and '7' is a text"),
        (Condition("note", "=", 7), "holds text, and 7 is a number"),
    ],
    ids=str,
)
def test_a_condition_that_has_no_meaning_is_refused(condition: Condition, sentence: str) -> None:
    for build in BUILDERS:
        with pytest.raises(QueryError, match=re.escape(sentence)):
            build(Query(CODE, FREE, selection=Selection(conditions=(condition,))), LAYOUT)


@pytest.mark.parametrize(
    ("value", "sentence"),
    [
        (float("nan"), "Nothing compares with nan; give a finite number for the column weight"),
        (float("inf"), "Nothing compares with inf"),
        (-float("inf"), "Nothing compares with -inf"),
        (2**1024, "Nothing compares with a number of more than 308 digits"),
        (-(10**5000), "Nothing compares with a number of more than 308 digits"),
        ("half \ud83d", "holds half a character"),
    ],
    ids=["nan", "inf", "-inf", "large", "very large", "half"],
)
def test_a_value_that_nothing_compares_with_is_refused_whatever_is_asked(value: float | str, sentence: str) -> None:
    with pytest.raises(QueryError, match=re.escape(sentence)):
        Condition("weight", "<", value)


@pytest.mark.parametrize("name", ['a"b', "a\\b", "{t0:String}", "a#b", "a\nb", "a`b"])
def test_a_column_whose_name_could_end_its_quotes_is_refused(name: str) -> None:
    with pytest.raises(QueryError, match="no column"):
        page(layout=Layout(64, 4, {name: "BIGINT"}), selection=Selection(conditions=(Condition(name, "=", 1),)))


@pytest.mark.parametrize(
    ("query", "sentence"),
    [
        (Query((True,) * 32, FREE), "has 32 bits and 4 concepts, but the gallery has 64 bits and 4"),
        (Query(CODE, FREE[:2]), "has 64 bits and 2 concepts"),
        (Query(CODE, FREE, selection=Selection(patterns=("1", "", "", ""))), "patterns have 1, 0, 0, 0 bits"),
        (Query(CODE, FREE, selection=Selection(patterns=("1" * 16,))), "patterns have 16 bits"),
    ],
    ids=["bits", "concepts", "short pattern", "few patterns"],
)
def test_a_question_for_another_gallery_is_refused(query: Query, sentence: str) -> None:
    for build in BUILDERS:
        with pytest.raises(QueryError, match=sentence):
            build(query, LAYOUT)


def test_numbers_that_are_none_never_reach_a_statement() -> None:
    with pytest.raises((TypeError, ValueError)):
        page(exclude_row="1; DROP TABLE images")
    with pytest.raises(ValueError, match="invalid literal"):
        rows_statement(("row",), ["1) OR (1 = 1"])  # type: ignore[list-item]
    with pytest.raises(QueryError, match="No rows"):
        rows_statement(("row",), [])


def test_a_gallery_that_does_not_say_how_long_its_codes_are_is_refused() -> None:
    for facts in ({}, {"n_bits": "64"}, {"n_bits": "many", "n_concepts": "4"}):
        with pytest.raises(GalleryError, match="does not say how long its codes are"):
            Layout.of(facts, {})


def test_columns_of_codes_are_for_no_condition() -> None:
    columns = dict.fromkeys(("row", "label", "code0", "code1", "sub0", "sub3", "width", "code7"), "BIGINT")
    layout = Layout.of({"n_bits": "128", "n_concepts": "4"}, columns)  # type: ignore[arg-type]
    assert list(layout.columns) == ["width", "code7"]


def test_a_text_that_cannot_be_sent_is_refused() -> None:
    with pytest.raises(QueryError, match="half a character"):
        page(selection=Selection(("wren", "\udcff")))
