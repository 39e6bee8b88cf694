"""What moved: each quote beside what was known before it, and what may be written of it."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Final, Literal

from rackrate._prices.quotes import KEYS, Delivery, Key, Provider, Quote, Row, is_ours, scope_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

# A price that moves by more than this factor is more likely a slip of unit than news.
PLAUSIBLE: Final = 3.0
# Below this share two figures are one, written with other digits.
SAME: Final = 1e-9

Status = Literal["added", "changed", "unchanged", "gone", "held", "own"]


@dataclass(frozen=True)
class Change:
    """One row, before and after.

    Attributes:
        status: ``added`` (nothing was known), ``changed``, ``unchanged``, ``gone`` (known, no longer listed), ``held``
            (an implausible jump, the old row stays), ``own`` (a person's row in the output file, it stays).
        provider: Whose.
        key: Table and key of the row.
        unit: What `old` and `new` are for: the column of a price, the unit of a tariff or a storage tier.
        old: What was known, USD.
        new: What is quoted, USD.
        why: In words, where there is something to say.
    """

    status: Status
    provider: Provider
    key: Key
    unit: str
    old: float | None
    new: float | None
    why: str = ""

    @property
    def share(self) -> float | None:
        """The change as a share of the old figure; none where it has no meaning."""
        return self.new / self.old - 1 if self.old and self.new is not None else None

    def to_dict(self) -> dict[str, Any]:
        """Give the change as JSON would hold it, its key by the names of its columns."""
        fields = asdict(self)
        table, *cells = fields.pop("key")
        named = dict(zip(KEYS[table], cells, strict=True))
        return {"table": table, **named, **fields, "share": self.share}


def changes(
    deliveries: Iterable[Delivery], catalogue: Mapping[Key, Row], file: Mapping[Key, Row], *, accept_jumps: bool
) -> list[Change]:
    """Put every quote beside what was known: the row of the output file, or else that of the catalogue."""
    told = []
    for delivery in deliveries:
        quoted = {quote.key for quote in delivery.quotes}
        for quote in delivery.quotes:
            mine = quote.key in file and not is_ours(file[quote.key])
            old = file.get(quote.key) or catalogue.get(quote.key)
            told.append(compared(delivery.provider, quote, old, mine=mine, accept_jumps=accept_jumps))
        for key, row in {**catalogue, **file}.items():
            silent = key not in quoted and key not in delivery.doubtful and scope_of(key) in delivery.covered
            if silent and row.get("provider", delivery.provider) == delivery.provider and (usd := figure(row)):
                told.append(gone(delivery.provider, key, *usd, mine=key in file and not is_ours(row)))
    return sorted(told, key=lambda change: [str(cell) for cell in change.key])


def compared(provider: Provider, quote: Quote, old: Row | None, *, mine: bool, accept_jumps: bool) -> Change:
    """Put a quote beside the row that was known."""
    unit = unit_of(quote.row, quote.column)
    before = number(old.get(quote.column)) if old else None

    def change(status: Status, why: str = "") -> Change:
        return Change(status, provider, quote.key, unit, before, quote.usd, why)

    if mine:
        return change("own", "a row of your own, which stays")
    if old is None or (before is None and figure(old) is None):
        return change("added")
    slip = implausible(before, quote.usd, unit_of(old, quote.column), unit)
    if slip and not accept_jumps:
        return change("held", f"{slip}: the old row stays; --accept-jumps takes the new one")
    if not slip and before is not None and abs(quote.usd - before) <= SAME * before:
        return change("unchanged")
    return change("changed", slip)


def implausible(old: float | None, new: float, old_unit: str, unit: str) -> str:
    """Say why a change is hard to believe; empty if it is not."""
    if old is None or old_unit != unit:
        return f"the old figure is per {old_unit}, the new one per {unit}" if old_unit != unit else "other columns"
    if old == 0 or not 1 / PLAUSIBLE <= new / old <= PLAUSIBLE:
        return f"{new / old:.3g} times the old figure" if old else "it was free"
    return ""


def gone(provider: Provider, key: Key, usd: float, unit: str, *, mine: bool) -> Change:
    """Tell of a row that is no longer listed."""
    return Change("gone", provider, key, unit, usd, None, "a row of your own, which stays" if mine else "")


def figure(row: Mapping[str, Any]) -> tuple[float, str] | None:
    """Give the figure of a row as its provider quotes it, and its unit; none where no price was found."""
    hourly = ("usd_per_node_hour", "usd_per_gpu_hour")
    for column in ("term_total_usd", *(hourly[::-1] if row.get("provider") == "oci" else hourly), "usd"):
        if (usd := number(row.get(column))) is not None:
            return usd, unit_of(row, column)
    return None


def unit_of(row: Mapping[str, Any], column: str) -> str:
    """Give what a figure is for: the column says it, or the row in its `usd_per`."""
    return str(row.get("usd_per") or "unit") if column == "usd" else column.removeprefix("usd_per_").replace("_", " ")


def number(cell: object) -> float | None:
    """Give a cell as a number, which a table may hold as text; an empty one is none."""
    return None if cell is None or cell == "" else float(str(cell))
