"""One's own data over the catalogue's: files, rows and frames become the overlay that the core reads and judges."""

from __future__ import annotations

import csv
import datetime as dt
import io
import math
import os
import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from rackrate import _files, _render, _sections
from rackrate._answer import Answer, to_arrow, to_pandas, to_polars
from rackrate._errors import RackrateError

if TYPE_CHECKING:
    import pandas as pd
    import polars as pl
    import pyarrow as pa


@dataclass(frozen=True, slots=True, repr=False)
class Table:
    """One table of the catalogue in the columns that an overlay takes: change it and lay it over again.

    Attributes:
        name: Its name, such as ``prices``.
        csv: Its text: a header line, then a row each; empty cells are absent.
    """

    name: str
    csv: str

    def records(self) -> list[dict[str, Any]]:
        """Give the rows as dicts: numbers where the whole column holds nothing else, None where it is empty."""
        rows = list(csv.DictReader(io.StringIO(self.csv)))
        columns = {name: typed(name, [row[name] for row in rows]) for name in (rows[0] if rows else ())}
        return [dict(zip(columns, cells, strict=True)) for cells in zip(*columns.values(), strict=True)]

    def to_pandas(self) -> pd.DataFrame:
        """Give the table as a pandas frame (extra ``pandas``)."""
        return to_pandas(self.records())

    def to_polars(self) -> pl.DataFrame:
        """Give the table as a polars frame (extra ``polars``)."""
        return to_polars(self.records())

    def to_arrow(self) -> pa.Table:
        """Give the table as an Arrow table (extra ``arrow``)."""
        return to_arrow(self.records())

    def __repr__(self) -> str:
        rows = self.records()
        return f"<Table {self.name}: {len(rows)} rows of {', '.join(rows[0]) if rows else 'nothing'}>"

    def _repr_html_(self) -> str:
        return _render.html_table(_sections.of_records(self.records()))


# What every row says of itself in words; a year among them is no number.
WORDS: Final = {"source", "as_of", "confidence", "note"}
NUMBER: Final = re.compile(r"-?\d+(\.\d+)?([eE][+-]?\d+)?")


def typed(name: str, column: Sequence[str]) -> list[Any]:
    """Read a column's cells as numbers if all of them are."""
    if name in WORDS or not all(NUMBER.fullmatch(cell) for cell in column if cell):
        return [cell or None for cell in column]
    whole = all(cell.removeprefix("-").isdecimal() for cell in column if cell)
    return [(int(cell) if whole else float(cell)) if cell else None for cell in column]


TableLike: TypeAlias = (
    "str | os.PathLike[str] | Sequence[Mapping[str, Any] | str] | Table | pd.DataFrame | pl.DataFrame | pa.Table"
)
"""Rows of one table: CSV text, a list of dicts, a frame, or the path of a ``.csv`` or ``.json`` file."""

OverlayLike: TypeAlias = "str | os.PathLike[str] | Mapping[str, TableLike | None] | Answer"
"""Tables by name, such as ``{"prices": "mine.csv"}``, or the path of a JSON file that holds them."""


def read(given: object) -> object:
    """Give an overlay as the core takes it; what cannot be one is left for the core to refuse."""
    if isinstance(given, Answer):
        return given.to_dict()
    if isinstance(given, (str, os.PathLike)):
        if Path(given).suffix.lower() == ".csv":
            message = f'overlay: a CSV file is one table: say which, overlay={{"prices": "{os.fspath(given)}"}}'
            raise RackrateError("wrong_type", "overlay", message)
        return _files.read_json(given, "overlay") if _files.is_path(given) else given
    if isinstance(given, Mapping):
        return {name: table(item, f"overlay.{name}") for name, item in given.items()}
    return given


def table(given: object, field: str) -> object:
    """Give one table as the core takes it: CSV text or a list of rows."""
    if isinstance(given, Table):
        return given.csv
    if isinstance(given, os.PathLike) or (isinstance(given, str) and is_file(given)):
        is_json = Path(given).suffix.lower() == ".json"
        return _files.read_rows(given, field) if is_json else _files.read_text(given, field)
    frame = columns_and_rows(given)
    return given if frame is None else records(*frame, field)


def is_file(text: str) -> bool:
    """Whether text names a file rather than being the table: one line that ends as files of tables do."""
    return "\n" not in text and text.lower().endswith((".csv", ".json"))


def joined(overlays: Iterable[object]) -> object:
    """Put overlays one behind the other; the core refuses a key that two of them have."""
    result: object = None
    for overlay in overlays:
        if result is None or overlay is None:
            result = overlay if result is None else result
        elif isinstance(result, Mapping) and isinstance(overlay, Mapping):
            names = dict.fromkeys([*result, *overlay])
            result = {name: behind(result.get(name), overlay.get(name)) for name in names}
        else:
            return overlay if isinstance(result, Mapping) else result  # refused by the core, in its words
    return result


def behind(first: object, second: object) -> object:
    """Put the rows of one table behind those of another: a list may hold rows and CSV texts."""
    if first is None or second is None:
        return second if first is None else first
    parts = [part if isinstance(part, (list, tuple)) else [part] for part in (first, second)]
    return [item for part in parts for item in part]


def columns_and_rows(given: object) -> tuple[list[Any], Iterable[Sequence[Any]]] | None:
    """Take a frame apart; None for what is none. A library that made one is imported already."""

    def is_a(module: str, name: str) -> bool:
        kind = getattr(sys.modules.get(module), name, None)
        return kind is not None and isinstance(given, kind)

    frame: Any = given
    if is_a("pandas", "DataFrame"):
        named = [level for level in frame.index.names if level is not None]
        index = [frame.index.get_level_values(level) for level in named]
        columns = [frame.iloc[:, at].tolist() for at in range(frame.shape[1])]
        return [*named, *frame.columns], zip(*index, *columns, strict=True)
    if is_a("polars", "DataFrame"):
        return list(frame.columns), frame.iter_rows()
    if is_a("pyarrow", "Table"):
        return list(frame.column_names), zip(*(column.to_pylist() for column in frame.columns), strict=True)
    return None


def records(columns: list[Any], rows: Iterable[Sequence[Any]], field: str) -> list[dict[Any, Any]]:
    """Give a frame's rows as dicts, refusing a column of which one of two would be lost."""
    twice = next((name for at, name in enumerate(columns) if name in columns[:at]), None)
    if twice is not None:
        raise RackrateError("malformed", f"{field}.{twice}", f"{field}.{twice}: the column stands twice")
    return [dict(zip(columns, map(cell, row), strict=True)) for row in rows]


def cell(value: Any) -> Any:
    """Give a frame's cell as JSON would hold it: what frames hold for an empty one is None, a day is its text."""
    if isinstance(value, (str, int)):
        return value
    if type(value).__name__ in {"NAType", "NaTType"} or (isinstance(value, float) and math.isnan(value)):
        return None
    if isinstance(value, Decimal):
        return float(value)
    if isinstance(value, dt.datetime) and value.time() == dt.time():
        value = value.date()
    if isinstance(value, dt.date):
        return value.isoformat()
    return value
