"""Conditions on columns of a gallery as SQL, with the meaning they have in Python."""

import math
from collections.abc import Mapping

from ..errors import QueryError
from .metadata import Kind
from .selection import Condition
from .sql_layout import Texts, float_sql, integer_sql

__all__ = ["condition_sql", "quoted"]

_INTEGERS = range(-(2**63), 2**63)
_UNSAFE = set('"`\\{}#')
_COMPARED = {"=": "=", "!=": "<>", "<": "<", "<=": "<=", ">": ">", ">=": ">="}


def condition_sql(condition: Condition, columns: Mapping[str, Kind], texts: Texts) -> str:
    """Compare a column with a value; a row without a value, or with one that is no number, never fits."""
    name, value, compared = quoted(condition.column, columns), condition.value, _COMPARED[condition.comparison]
    kind = columns[condition.column]
    if isinstance(value, str) != (kind == "TEXT"):
        raise QueryError(
            f"The column {condition.column} holds {'text' if kind == 'TEXT' else 'numbers'}, and {value!r} is "
            f"{'a text' if isinstance(value, str) else 'a number'}; compare it with its own kind."
        )
    if isinstance(value, str):
        return f"{name} {compared} {texts.bind(value)}"
    if kind == "BIGINT":
        return _compare_integers(name, compared, value)
    return f"({name} {compared} {float_sql(float(value))} AND NOT isNaN({name}))"


def _compare_integers(name: str, compared: str, value: int | float) -> str:
    """Write a comparison of whole numbers, also with a fraction or with a number no column can hold."""
    whole = math.floor(value)
    if value != whole:  # x < 2.5 is x <= 2, and x >= 2.5 is x > 2; no whole number equals it
        compared = {"<": "<=", ">=": ">"}.get(compared, compared)
    if whole in _INTEGERS and (value == whole or compared in ("<=", ">")):
        return f"{name} {compared} {integer_sql(whole)}"
    is_always = {"<>": True, "=": False}.get(compared, (value > 0) == (compared in ("<", "<=")))
    return f"{name} IS NOT NULL" if is_always else "1 = 0"


def quoted(column: str, columns: Mapping[str, Kind]) -> str:
    """Write the name of a column that the gallery has."""
    if column not in columns or set(column) & _UNSAFE or not column.isprintable():
        raise QueryError(
            f"The gallery has no column {column[:80]!r} that can be compared; choose one of {', '.join(columns)}."
        )
    return f'"{column}"'
