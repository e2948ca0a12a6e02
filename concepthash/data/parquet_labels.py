"""Names of the classes of a table from the Hub: in the Parquet metadata, ``dataset_infos.json`` or ``README.md``."""

import glob
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import yaml  # comes with timm

from ..errors import DataError

__all__ = ["class_label_names"]


def class_label_names(
    connection: duckdb.DuckDBPyConnection, root: Path, files: list[Path], column: str
) -> tuple[str, ...]:
    """Give the names of the classes that a column's numbers stand for.

    Parameters
    ----------
    connection
        Any; it need not be open on a database.
    root
        The folder of the data set.
    files
        Its Parquet files; the first is asked.
    column
        Of labels.

    Returns
    -------
    tuple of str
        By number; empty where nothing tells.

    Raises
    ------
    DataError
        If what should tell is malformed.
    """
    for features in (*_of_metadata(connection, files[0]), *_of_infos(root), *_of_card(root)):
        names = _names_of(features, column)
        if names:
            return names
    return ()


def _of_metadata(connection: duckdb.DuckDBPyConnection, file: Path) -> Iterator[Any]:
    query = "SELECT key, value FROM parquet_kv_metadata(?)"
    try:
        found = connection.execute(query, [glob.escape(str(file))]).fetchall()
    except duckdb.Error as error:
        raise DataError(f"{file.name} cannot be read as a Parquet file; download it again.") from error
    for key, value in found:
        if bytes(key) == b"huggingface":
            yield _at(_parsed(value, f"The metadata of {file.name}"), "info", "features")


def _of_infos(root: Path) -> Iterator[Any]:
    file = root / "dataset_infos.json"
    if file.is_file():
        infos = _parsed(file.read_bytes(), file.name)
        yield from (_at(info, "features") for info in infos.values())


def _of_card(root: Path) -> Iterator[Any]:
    """Features in the head of README.md, between its first two lines of ``---``."""
    file = root / "README.md"
    text = file.read_text(encoding="utf-8", errors="replace").lstrip("\ufeff") if file.is_file() else ""
    if not text.startswith("---"):
        return
    try:
        head = yaml.safe_load(text[3:].partition("\n---")[0])
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise DataError("The head of README.md cannot be read as YAML; correct it or remove the file.") from error
    infos = _at(head, "dataset_info")
    for info in infos if isinstance(infos, list) else [infos]:
        yield _at(info, "features")


def _parsed(content: bytes, what: str) -> dict[str, Any]:
    try:
        parsed = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise DataError(f"{what} cannot be read as JSON; download it again.") from error
    if not isinstance(parsed, dict):
        raise DataError(f"{what} must be a JSON object; download it again.")
    return parsed


def _at(tree: Any, *keys: str) -> Any:
    for key in keys:
        tree = tree.get(key) if isinstance(tree, dict) else None
    return tree


def _names_of(features: Any, column: str) -> tuple[str, ...]:
    """Names by number: ``{column: {"names": [...]}}`` in JSON, a list of ``{name, dtype}`` in the head of a card."""
    if isinstance(features, list):
        found = [feature for feature in features if _at(feature, "name") == column]
        names = _at(found[0], "dtype", "class_label", "names") if found else None
    else:
        names = _at(features, column, "names")
    if isinstance(names, dict):
        by_number = {str(number): name for number, name in names.items()}
        names = [by_number.get(str(number)) for number in range(len(by_number))]
    if names is None:
        return ()
    if not isinstance(names, list) or None in names or not names:
        raise DataError(f"The names of the classes of {column} must be numbered 0, 1, 2 and so on; correct them.")
    return tuple(map(str, names))
