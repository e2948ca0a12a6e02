"""Statements for a gallery in a database, the same text for DuckDB and ClickHouse.

DuckDB gets ClickHouse's names of functions by `MACROS`. Numbers stand in the text, typed by construction. Texts never
do: they are bound by name, and a placeholder is written as ClickHouse reads it, ``{t0:String}``. DuckDB writes the same
thing ``$t0``, so `duckdb_text` rewrites the placeholders, and nothing else, before a statement goes there.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from ..errors import QueryError
from .predicates import Predicates
from .query import Query
from .sql_conditions import quoted
from .sql_layout import Layout, Texts

__all__ = [
    "MACROS",
    "Statement",
    "columns_statement",
    "count_statement",
    "duckdb_text",
    "facet_statement",
    "page_statement",
    "rows_of_selection",
    "rows_statement",
    "values_statement",
]

MACROS = (
    "toInt64(x) AS x::BIGINT",
    "bitXor(a, b) AS xor(a, b)",
    "bitAnd(a, b) AS (a & b)",
    "bitCount(x) AS bit_count(x)",
    "indexHint(x) AS true",  # to ClickHouse a hint which rows to read; DuckDB would only take longer with it
)
_PLACEHOLDER = re.compile(r"\{(t\d+):String\}")
_IMAGES = "FROM images"


@dataclass(frozen=True)
class Statement:
    """A SELECT and the texts bound in it."""

    text: str
    texts: dict[str, str]


def duckdb_text(text: str) -> str:
    """Write the placeholders as DuckDB reads them.

    Examples
    --------
    >>> duckdb_text('"class" IN ({t0:String}, {t1:String})')
    '"class" IN ($t0, $t1)'
    """
    return _PLACEHOLDER.sub(r"$\1", text)


def page_statement(query: Query, layout: Layout) -> Statement:
    """Select the rows of one page, best first, with ``#score`` and the words of their codes."""
    texts = Texts()
    parts = Predicates(query, layout, texts)
    score = parts.score()
    words = ", ".join(f"code{word}" for word in range(layout.masks.shape[1]))
    where = _where(parts.rules(), parts.selection(), _not_excluded(query))
    order = '"#score", "row"' if score else '"row"'  # a constant there would be the number of a column
    page = f"LIMIT {int(query.k)} OFFSET {int(query.offset)}"
    text = f'SELECT "row", {score or "0"} AS "#score", {words} {_IMAGES}{where} ORDER BY {order} {page}'
    return Statement(text, texts.values)


def count_statement(query: Query, layout: Layout) -> Statement:
    """Count matching, filtered and agreeing rows, reading the table once at most."""
    texts = Texts()
    parts = Predicates(query, layout, texts)
    rules, selection, others = parts.rules(), parts.selection(), _not_excluded(query)
    if rules and selection:
        kinds = {"matching": f"{rules} AND {selection}", "filtered": selection, "agreeing": rules}
        counts = (f'coalesce(countIf({condition}), 0) AS "#{name}"' for name, condition in kinds.items())
        return Statement(f"SELECT {', '.join(counts)} {_IMAGES}{_where(others)}", texts.values)
    every = f"(SELECT count(*) {_IMAGES})"
    if query.exclude_row is not None:
        every += f' - (SELECT count(*) {_IMAGES} WHERE "row" = {int(query.exclude_row)})'
    if not (rules or selection):
        return Statement(f'SELECT {every} AS "#matching", {every} AS "#filtered", {every} AS "#agreeing"', {})
    some = f'(SELECT count(*) AS "#some" {_IMAGES}{_where(rules or selection, others)}) AS counted'
    filtered, agreeing = (every, '"#some"') if rules else ('"#some"', every)
    text = f'SELECT "#some" AS "#matching", {filtered} AS "#filtered", {agreeing} AS "#agreeing" FROM {some}'  # noqa: S608
    return Statement(text, texts.values)


def facet_statement(query: Query, layout: Layout, columns: Iterable[str], row: int | None = None) -> Statement:
    """Count matching rows, or only whether one row matches, by all columns together, in one scan."""
    texts = Texts()
    parts = Predicates(query, layout, texts)
    only = "" if row is None else f'"row" = {int(row)}'
    names = ", ".join(quoted(column, layout.columns) for column in columns)
    where = _where(parts.rules(), parts.selection(), _not_excluded(query), only)
    return Statement(f'SELECT {names}, count(*) AS "#images" {_IMAGES}{where} GROUP BY {names}', texts.values)


def values_statement(layout: Layout, columns: Iterable[str]) -> Statement:
    """Count the different values of each column; no column can have the name of a count."""
    counts = (f'count(DISTINCT {quoted(column, layout.columns)}) AS "#n{i}"' for i, column in enumerate(columns))
    return Statement(f"SELECT {', '.join(counts)} {_IMAGES}", {})


def columns_statement(columns: str, rows: range) -> Statement:
    """Select columns, written as SQL by the program, of the rows of a range, in order of rows."""
    between = f'"row" BETWEEN {int(rows.start)} AND {int(rows.stop) - 1}'
    return Statement(f'SELECT {columns} {_IMAGES} WHERE {between} ORDER BY "row"', {})


def rows_statement(columns: Iterable[str], rows: Iterable[int]) -> Statement:
    """Select columns of some rows, in any order; columns come from the program, never from outside."""
    wanted = ", ".join(str(int(row)) for row in rows)
    if not wanted:
        raise QueryError("No rows are asked for; name one at least.")
    names = ", ".join(f'"{column}"' for column in columns)
    return Statement(f'SELECT {names} {_IMAGES} WHERE "row" IN ({wanted})', {})


def rows_of_selection(query: Query, layout: Layout) -> Statement:
    """Select all rows of the searched part, whatever the rules, in order of rows."""
    texts = Texts()
    where = _where(Predicates(query, layout, texts).selection(), _not_excluded(query))
    return Statement(f'SELECT "row" {_IMAGES}{where} ORDER BY "row"', texts.values)


def _not_excluded(query: Query) -> str:
    return "" if query.exclude_row is None else f'"row" <> {int(query.exclude_row)}'


def _where(*conditions: str) -> str:
    conditions = tuple(condition for condition in conditions if condition)
    return f" WHERE {' AND '.join(conditions)}" if conditions else ""
