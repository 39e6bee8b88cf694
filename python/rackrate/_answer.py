"""What all answers share: attributes at every level, and ways out to dicts, frames and notebooks."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
import numpy.typing as npt

from rackrate import _render

if TYPE_CHECKING:
    import pandas as pd
    import polars as pl
    import pyarrow as pa

Number = TypeVar("Number", np.float64, np.int64)


def numbers(given: Sequence[float], kind: type[Number]) -> npt.NDArray[Number]:
    """Read a list of numbers as an array that cannot be written to: answers are frozen."""
    array = np.asarray(given, dtype=kind)
    array.setflags(write=False)
    return array


class Answer:
    """An answer of the core: frozen, with named fields, equal to another that says the same."""

    __slots__ = ()

    def to_dict(self) -> dict[str, Any]:
        """Give the answer as dicts, lists, numbers and text, as JSON would hold it."""
        return {name: plain(value) for name, value in self.fields()}

    def fields(self) -> Iterator[tuple[str, Any]]:
        """Iterate over the names and values of the fields, in order."""
        for field in dataclasses.fields(self):  # type: ignore[arg-type]  # every subclass is a dataclass
            yield field.name, getattr(self, field.name)

    def rows(self) -> list[dict[str, Any]]:
        """Give the answer as rows of a table, one of this answer unless it is itself a list of options.

        Nested fields get dotted names (``memory.total_gib``); lists of records within stay out, each is a table of
        its own (``step.traffic.to_pandas()``).
        """
        return _render.rows(self)

    def to_pandas(self) -> pd.DataFrame:
        """Give the rows as a pandas frame (extra ``pandas``)."""
        return frame(self.rows(), "pandas")

    def to_polars(self) -> pl.DataFrame:
        """Give the rows as a polars frame (extra ``polars``)."""
        return frame(self.rows(), "polars")

    def to_arrow(self) -> pa.Table:
        """Give the rows as an Arrow table (extra ``arrow``)."""
        return frame(self.rows(), "arrow")

    def __repr__(self) -> str:
        return _render.line(self)

    def _repr_html_(self) -> str:
        return _render.html(self)

    def __eq__(self, other: object) -> bool:
        if type(other) is not type(self):
            return NotImplemented
        return frozen(self) == frozen(other)

    def __hash__(self) -> int:
        return hash((type(self).__name__, frozen(self)))


Record = TypeVar("Record", bound=Answer)


class Rows(tuple[Record, ...]):
    """Records of one kind: a tuple that is also a table."""

    __slots__ = ()

    def rows(self) -> list[dict[str, Any]]:
        """Give one row for each record; nested fields get dotted names, lists of records within stay out."""
        return [_render.flat(record) for record in self]

    def to_dict(self) -> list[dict[str, Any]]:
        """Give the records as dicts."""
        return [record.to_dict() for record in self]

    def to_pandas(self) -> pd.DataFrame:
        """Give the records as a pandas frame (extra ``pandas``)."""
        return frame(self.rows(), "pandas")

    def to_polars(self) -> pl.DataFrame:
        """Give the records as a polars frame (extra ``polars``)."""
        return frame(self.rows(), "polars")

    def to_arrow(self) -> pa.Table:
        """Give the records as an Arrow table (extra ``arrow``)."""
        return frame(self.rows(), "arrow")

    def __repr__(self) -> str:
        kinds = sorted({type(record).__name__ for record in self})
        return f"<{len(self)} × {' or '.join(kinds)}>" if self else "<no rows>"

    def _repr_html_(self) -> str:
        return _render.html_table(self.rows())


def plain(value: Any) -> Any:
    """Unfold a field's value into dicts, lists, numbers and text."""
    if isinstance(value, Answer):
        return value.to_dict()
    if isinstance(value, np.ndarray):
        return value.tolist()
    if isinstance(value, (tuple, list)):
        return [plain(item) for item in value]
    if isinstance(value, Mapping):
        return {key: plain(item) for key, item in value.items()}
    return value


def frozen(value: Any) -> Any:
    """Fold a value into nested tuples, which compare and hash."""
    if isinstance(value, Answer):
        return tuple(frozen(item) for _, item in value.fields())
    if isinstance(value, np.ndarray):
        return tuple(value.tolist())
    if isinstance(value, (tuple, list)):
        return tuple(frozen(item) for item in value)
    if isinstance(value, Mapping):
        return tuple((key, frozen(item)) for key, item in value.items())
    return value


def frame(rows: list[dict[str, Any]], library: str) -> Any:
    """Make a frame of `library` from rows; a column that a row lacks is empty there."""
    names = list(dict.fromkeys(name for row in rows for name in row))
    full = [{name: row.get(name) for name in names} for row in rows]
    if library == "pandas":
        import pandas as pd  # noqa: PLC0415 (an extra: only where it is asked for)

        return pd.DataFrame(full, columns=names)
    if library == "polars":
        import polars as pl  # noqa: PLC0415

        return pl.DataFrame(full, schema=None if full else names, infer_schema_length=None)
    import pyarrow as pa  # noqa: PLC0415

    return pa.Table.from_pylist(full) if full else pa.table({name: [] for name in names})
