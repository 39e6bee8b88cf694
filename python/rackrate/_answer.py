"""What all answers share: attributes at every level, and ways out to dicts, frames and notebooks."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, TypeVar, cast

import numpy as np
import numpy.typing as npt

from rackrate import _render, _summary

if TYPE_CHECKING:
    import pandas as pd
    import polars as pl
    import pyarrow as pa

    from rackrate._sections import Section
    from rackrate._types import Plan

Number = TypeVar("Number", np.float64, np.int64)


def numbers(given: Sequence[float], kind: type[Number]) -> npt.NDArray[Number]:
    """Read a list of numbers as an array that cannot be written to: answers are frozen."""
    array = np.asarray(given, dtype=kind)
    array.setflags(write=False)
    return array


# The list of records that an answer mainly is, where it is one.
MAIN_LIST: Final = {"LayoutSearch": "best", "ServingSearch": "frontier", "ValidationReport": "rows", "Cost": "lines"}


class Answer:
    """An answer of the core: frozen, with named fields, equal to another that says the same."""

    __slots__ = ()

    def to_dict(self) -> dict[str, Any]:
        """Give the answer as dicts, lists, numbers and text, as JSON would hold it."""
        return {name: plain(value) for name, value in self._items()}

    def records(self) -> list[dict[str, Any]]:
        """Give the answer as rows of a table: one, or one for each option where it is a list of options.

        Arrays of equal length (``report.timeline``, ``report.distribution``) have a row for each of their places.

        Nested fields get dotted names (``memory.total_gib``); lists of records within stay out, each is a table of
        its own (``step.traffic.to_pandas()``).
        """
        name = MAIN_LIST.get(type(self).__name__)
        if name is not None:
            return even([record._flat() for record in getattr(self, name)])
        if type(self).__name__ == "Plan":
            jobs = ((job, getattr(self, job)) for job in ("training", "serving"))
            return even([{"job": job, **option._flat()} for job, part in jobs if part for option in part.options])
        if type(self).__name__ == "Catalog":
            return even([{"table": name, **row._flat()} for name, table in self._items() for row in table])
        return self._series() or [self._flat()]

    def to_pandas(self) -> pd.DataFrame:
        """Give the records as a pandas frame (extra ``pandas``)."""
        return to_pandas(self.records())

    def to_polars(self) -> pl.DataFrame:
        """Give the records as a polars frame (extra ``polars``)."""
        return to_polars(self.records())

    def to_arrow(self) -> pa.Table:
        """Give the records as an Arrow table (extra ``arrow``)."""
        return to_arrow(self.records())

    def _items(self) -> Iterator[tuple[str, Any]]:
        for field in dataclasses.fields(self):  # type: ignore[arg-type]  # every subclass is a dataclass
            yield field.name, getattr(self, field.name)

    def _series(self) -> list[dict[str, Any]]:
        """Give a row for each place of an answer that is arrays of equal length (or empty) alone; none of any other."""
        items = dict(self._items())
        if not all(isinstance(value, np.ndarray) for value in items.values()):
            return []
        columns = {name: value for name, value in items.items() if len(value) > 0}
        if len({len(value) for value in columns.values()}) != 1:
            return []
        return [dict(zip(columns, row, strict=True)) for row in zip(*map(plain, columns.values()), strict=True)]

    def _flat(self) -> dict[str, Any]:
        row: dict[str, Any] = {}
        for name, value in self._items():
            if isinstance(value, Answer):
                row.update({f"{name}.{inner}": item for inner, item in value._flat().items()})
            elif not isinstance(value, Rows):
                row[name] = plain(value)
        return row

    def _sections(self) -> list[Section]:
        told = _summary.SECTIONS.get(type(self).__name__, _render.fields)
        return told(self)

    def __repr__(self) -> str:
        if type(self).__name__ == "Plan":
            return _render.plan_line(cast("Plan", self))
        return _render.line(self)

    def _repr_html_(self) -> str:
        return _render.html(self._sections())

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> dict[str, Any]:  # noqa: ARG002 (Jupyter's)
        bundle: dict[str, Any] = {"text/plain": repr(self), "text/html": self._repr_html_()}
        chart = _render.chart(cast("Plan", self)) if type(self).__name__ == "Plan" else None
        return bundle if chart is None else {**bundle, "application/vnd.vegalite.v5+json": chart}

    def __eq__(self, other: object) -> bool:
        if type(other) is not type(self):
            return NotImplemented
        return bool(frozen(self) == frozen(other))

    def __hash__(self) -> int:
        return hash((type(self).__name__, frozen(self)))


Record = TypeVar("Record", bound=Answer)


class Rows(tuple[Record, ...]):
    """Records of one kind: a tuple that is also a table."""

    __slots__ = ()

    def records(self) -> list[dict[str, Any]]:
        """Give one row for each record; nested fields get dotted names, lists of records within stay out."""
        return even([record._flat() for record in self])

    def to_dict(self) -> list[dict[str, Any]]:
        """Give the records as dicts."""
        return [record.to_dict() for record in self]

    def to_pandas(self) -> pd.DataFrame:
        """Give the records as a pandas frame (extra ``pandas``)."""
        return to_pandas(self.records())

    def to_polars(self) -> pl.DataFrame:
        """Give the records as a polars frame (extra ``polars``)."""
        return to_polars(self.records())

    def to_arrow(self) -> pa.Table:
        """Give the records as an Arrow table (extra ``arrow``)."""
        return to_arrow(self.records())

    def __repr__(self) -> str:
        kinds = sorted({type(record).__name__ for record in self})
        return f"<{len(self)} × {' or '.join(kinds)}>" if self else "<no rows>"

    def _repr_html_(self) -> str:
        return _render.html_table(_summary.table_of(self))


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
        return tuple(frozen(item) for _, item in value._items())
    if isinstance(value, np.ndarray):
        return tuple(value.tolist())
    if isinstance(value, (tuple, list)):
        return tuple(frozen(item) for item in value)
    if isinstance(value, Mapping):
        return tuple((key, frozen(item)) for key, item in value.items())
    return value


def even(records: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Give every record all the columns; what a record lacks is None."""
    names = dict.fromkeys(name for record in records for name in record)
    # Where some records have a nested answer and others None, its fields are the columns.
    nested = {name.rpartition(".")[0] for name in names}
    return [{name: record.get(name) for name in names if name not in nested} for record in records]


def to_pandas(records: list[dict[str, Any]]) -> pd.DataFrame:
    """Make a pandas frame of records."""
    import pandas as pd  # noqa: PLC0415 (an extra: imported where it is asked for)

    return pd.DataFrame(records)


def to_polars(records: list[dict[str, Any]]) -> pl.DataFrame:
    """Make a polars frame of records."""
    import polars as pl  # noqa: PLC0415 (as above)

    return pl.DataFrame(records, infer_schema_length=None)


def to_arrow(records: list[dict[str, Any]]) -> pa.Table:
    """Make an Arrow table of records."""
    import pyarrow as pa  # noqa: PLC0415 (as above)

    return pa.Table.from_pylist(records)
