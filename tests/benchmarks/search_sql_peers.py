"""The statements of a gallery's pages on DuckDB and ClickHouse, for search to be measured against."""

import tempfile
from importlib.util import find_spec
from pathlib import Path

import duckdb
import numpy as np

from concepthash.codes import pack_words
from concepthash.gallery.sql import MACROS, duckdb_text, page_statement
from concepthash.gallery.sql_layout import Layout

from .search_peers import Contender, Question
from .synthetic_codes import SyntheticCodes

__all__ = ["SQL_PEERS", "class_name"]


def class_name(label: int) -> str:
    """Name of a class, four characters."""
    return f"{label:04d}"


def table_columns(codes: SyntheticCodes, n_bits: int, n_concepts: int) -> dict[str, np.ndarray]:
    """Columns of the table ``images`` that a page is selected from, but for the class."""
    masks = pack_words(np.repeat(np.eye(n_concepts, dtype=bool), n_bits // n_concepts, axis=1))[:, 0].view(np.uint64)
    size = n_bits // n_concepts
    columns = {"row": np.arange(len(codes.words)), "code0": codes.words[:, 0]}
    for concept, mask in enumerate(masks):
        values = (columns["code0"].view(np.uint64) & mask) >> np.uint64(concept * size)
        reversed_bits = sum(
            (values >> np.uint64(bit) & np.uint64(1)) << np.uint64(size - 1 - bit) for bit in range(size)
        )
        columns[f"sub{concept}"] = reversed_bits.astype(np.int64)  # its first bit is the most significant
    return columns


class DuckDB:
    """The very statement of a page, on a table in memory with columns as in a gallery's file."""

    def __init__(self, codes: SyntheticCodes, n_bits: int, n_concepts: int) -> None:
        self._layout = Layout(n_bits, n_concepts, {"class": "TEXT"})
        self._connection = duckdb.connect()
        columns = table_columns(codes, n_bits, n_concepts) | {"label": codes.labels}
        names = ", ".join(columns)
        self._connection.register("columns", columns)
        self._connection.execute(
            f"CREATE TABLE images AS SELECT {names}, format('{{:04d}}', label) AS class FROM columns"
        )
        self._connection.unregister("columns")
        for macro in MACROS:
            self._connection.execute(f"CREATE TEMP MACRO {macro}")

    def answer(self, question: Question) -> list[int]:
        page = page_statement(question.query, self._layout)
        return self._connection.execute(duckdb_text(page.text), page.texts).fetchnumpy()["row"].tolist()


class ChDB:
    """The same statement on ClickHouse in this process: a MergeTree table in order of rows, without projections."""

    def __init__(self, codes: SyntheticCodes, n_bits: int, n_concepts: int) -> None:
        from chdb.session import Session

        self._layout = Layout(n_bits, n_concepts, {"class": "TEXT"})
        self._folder = tempfile.TemporaryDirectory()
        self._session = Session(f"{self._folder.name}/db")
        columns = table_columns(codes, n_bits, n_concepts) | {"label": codes.labels}
        table = np.rec.fromarrays(list(columns.values()), names=list(columns))
        file = Path(self._folder.name) / "columns"
        table.tofile(file)
        types = ", ".join(f"{name} Int64" for name in columns)
        self._session.query("CREATE DATABASE d")
        self._session.query("USE d")
        self._session.query(
            f"CREATE TABLE images ({types}, class LowCardinality(String)) ENGINE = MergeTree ORDER BY row"
        )
        self._session.query(
            f"INSERT INTO images SELECT *, leftPad(toString(label), 4, '0') FROM file('{file}', RowBinary, '{types}')"
        )
        file.unlink()

    def answer(self, question: Question) -> list[int]:
        page = page_statement(question.query, self._layout)
        text = page.text
        for name, value in page.texts.items():  # names of classes from `class_name`, digits only
            text = text.replace(f"{{{name}:String}}", f"'{value}'")
        lines = self._session.query(text, "CSV").bytes().splitlines()
        return [int(line.split(b",")[0]) for line in lines]


SQL_PEERS: dict[str, type[Contender]] = {"duckdb": DuckDB} | ({"chdb": ChDB} if find_spec("chdb") else {})
