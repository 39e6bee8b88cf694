"""What the clouds quote and what we know: rows of an overlay, told apart by their keys."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Literal

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Mapping

    from rackrate import types

Row = dict[str, Any]
Key = tuple[Any, ...]
Kind = Literal["shapes", "storage", "transfers"]
KINDS: Final[tuple[Kind, ...]] = ("shapes", "storage", "transfers")
Provider = Literal["azure", "oci"]
PROVIDERS: Final[tuple[Provider, ...]] = ("azure", "oci")

# The columns of an overlay's tables that make a row what it is; the first element of a key is the table.
KEYS: Final[Mapping[str, tuple[str, ...]]] = {
    "prices": ("shape", "region", "term"),
    "storage": ("name",),
    "transfers": ("provider", "kind", "origin", "destination", "tier_from_gb"),
}

# How the source of a row written here begins: by it a later refresh knows its own rows from a person's.
SOURCES: Final[Mapping[Provider, str]] = {"azure": "Azure Retail Prices API", "oci": "Oracle price list API"}


@dataclass(frozen=True)
class Quote:
    """One figure as its provider quotes it.

    Attributes:
        key: Table and key of the row.
        column: Column that holds the figure.
        row: The whole row, in the columns of the overlay.
    """

    key: Key
    column: str
    row: Row

    @property
    def usd(self) -> float:
        """The figure, in the unit that `unit_of` tells."""
        return float(self.row[self.column])


@dataclass
class Delivery:
    """What came of one provider.

    Attributes:
        provider: Which.
        quotes: The figures.
        covered: Scopes (see `scope_of`) that were answered whole: what we know of them and was not quoted is gone.
        doubtful: Keys that the answer contradicts itself about: nothing is known of them.
        failures: Queries that did not come, in words; what they were about keeps its old rows.
        faults: Items that contradict what is documented, in words.
        skipped: What was passed over for a reason, with its number.
        notes: What a person should know and no fault.
    """

    provider: Provider
    quotes: list[Quote] = field(default_factory=list)
    covered: set[Key] = field(default_factory=set)
    doubtful: set[Key] = field(default_factory=set)
    failures: list[str] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    skipped: Counter[str] = field(default_factory=Counter)
    notes: list[str] = field(default_factory=list)


def key_of(table: str, row: Mapping[str, Any]) -> Key:
    """Give the key of a row; a number that was written as text is the same number."""
    return (table, *(number_or_text(row.get(column)) for column in KEYS[table]))


def quote_of(table: str, column: str, row: Row) -> Quote:
    """Make a quote of a row."""
    return Quote(key_of(table, row), column, row)


def number_or_text(cell: object) -> object:
    """Give a cell as a number if it reads as one; an empty one is none."""
    if isinstance(cell, bool) or cell is None or cell == "":
        return None if cell is None or cell == "" else cell
    try:
        return float(str(cell))
    except ValueError:
        return str(cell)


def scope_of(key: Key) -> Key:
    """Give what a query covers as a whole: of a price its shape and term, in all regions; of others the row."""
    return (key[0], key[1], key[3]) if key[0] == "prices" else key


def flat(record: Mapping[str, Any]) -> Row:
    """Give a row of the catalogue in the columns of an overlay: its source stands in four columns, not nested."""
    row = {name: cell for name, cell in record.items() if name != "source"}
    return {**row, **record["source"]}


def known(catalog: types.Catalog) -> dict[Key, Row]:
    """Give the rows of the catalogue that a refresh may replace."""
    rows: dict[Key, Row] = {}
    for table in KEYS:
        for record in getattr(catalog, table).to_dict():
            row = flat(record)
            rows[key_of(table, row)] = row
    return rows


def stamped(row: Row, provider: Provider, base: str, day: dt.date, note: str) -> Row:
    """Give a row with its source: the list that was asked, the day, and what a reader should know."""
    filled = {name: cell for name, cell in row.items() if cell is not None and cell != ""}
    return {
        **filled,
        "source": f"{SOURCES[provider]} ({base})",
        "as_of": day.isoformat(),
        "confidence": "list",
        "note": note,
    }


def is_ours(row: Mapping[str, Any]) -> bool:
    """Whether a refresh wrote the row."""
    return any(str(row.get("source", "")).startswith(words) for words in SOURCES.values())
