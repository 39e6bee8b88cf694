"""What a person wants to read of a refresh."""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import TYPE_CHECKING, Final, get_args

from rackrate._prices.changes import Change, Status
from rackrate._sections import Column, Section, Table
from rackrate._summary import CLOUDS

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from rackrate._prices.quotes import Delivery
    from rackrate._prices.refresh import Outcome

STATUSES: Final[tuple[Status, ...]] = get_args(Status)

TITLES: Final = {
    "changed": "Changed",
    "held": "Held back: implausible",
    "added": "Added",
    "own": "Your own rows, kept",
    "gone": "No longer listed",
}

GONE: Final = "An overlay cannot take a row out of the catalogue: plans go on with it, and with its date."

# As many faults are shown of a provider; --json has all.
FAULTS: Final = 20


def counts(changes: Iterable[Change]) -> dict[str, int]:
    """Count changes by what became of them."""
    counted = Counter(change.status for change in changes)
    return {status: counted[status] for status in STATUSES}


def sections(outcome: Outcome) -> list[Section]:
    """Give the outcome as sections: what came, what moved, what stands now."""
    told = [Section("Prices", tuple(summary(one, outcome.changes) for one in outcome.deliveries))]
    by_status: dict[str, list[Change]] = defaultdict(list)
    for change in outcome.changes:
        by_status[change.status].append(change)
    for status, title in TITLES.items():
        if found := by_status[status]:
            table = groups(found) if status in {"added", "gone"} else rows(found)
            told.append(Section(title, (GONE,) if status == "gone" else (), table))
    told += [
        Section(f"{CLOUDS[delivery.provider]}: what went wrong or was passed over", lines)
        for delivery in outcome.deliveries
        if (lines := problems(delivery))
    ]
    return [*told, Section("", (verdict(outcome),))]


def summary(delivery: Delivery, changes: Iterable[Change]) -> str:
    """Say in a line what became of a provider's prices."""
    counted = counts(change for change in changes if change.provider == delivery.provider)
    words = {"gone": "no longer listed", "held": "held back", "own": "your own"}
    told = ", ".join(f"{number} {words.get(status, status)}" for status, number in counted.items() if number)
    return f"{CLOUDS[delivery.provider]}: {told or 'nothing'}"


def problems(delivery: Delivery) -> tuple[str, ...]:
    """List what a person should look at: failures, faults, what was passed over."""
    lines = [f"failed: {failure}" for failure in delivery.failures]
    lines += [f"fault: {fault}" for fault in delivery.faults[:FAULTS]]
    if len(delivery.faults) > FAULTS:
        lines.append(f"and {len(delivery.faults) - FAULTS} more faults; --json has them all")
    lines += [f"passed over: {number} × {reason}" for reason, number in sorted(delivery.skipped.items())]
    return (*lines, *delivery.notes)


def verdict(outcome: Outcome) -> str:
    """Say what stands now."""
    path = outcome.asked.output
    if outcome.status == 1:
        return f"Nothing could be read: {path} is as it was."
    done = f"{path} is written" if outcome.written else f"{path} is as it was (--dry-run)"
    return f"{done}." if outcome.status == 0 else f"{done}; what is missing above keeps its old rows (exit status 3)."


def rows(changes: Sequence[Change]) -> Table:
    """Give changes row by row."""
    columns = (
        Column("what", number=False, weight=9),
        Column("where", number=False, weight=8),
        Column("term", number=False, weight=8),
        Column("old", "USD", weight=9),
        Column("new", "USD", weight=9),
        Column("change", "%", weight=7),
        Column("per", number=False, weight=6),
        Column("why", number=False, weight=1),
    )
    return Table(columns, tuple(row(change) for change in changes))


def row(change: Change) -> tuple[str, ...]:
    """Give one change."""
    what, where, term = named(change)
    share = "–" if change.share is None else f"{100 * change.share:+.1f}"
    return (what, where, term, money(change.old), money(change.new), share, change.unit, change.why)


def groups(changes: Sequence[Change]) -> Table:
    """Give rows that came or went by shape and term, for there may be hundreds."""
    columns = (
        Column("what", number=False, weight=9),
        Column("term", number=False, weight=8),
        Column("rows", weight=8),
        Column("from", "USD", weight=7),
        Column("to", "USD", weight=7),
        Column("per", number=False, weight=6),
        Column("where", number=False, weight=1),
    )
    found: dict[tuple[str, str, str], list[Change]] = defaultdict(list)
    for change in changes:
        what, _, term = named(change)
        found[what, term, change.unit].append(change)
    told = []
    for (what, term, unit), some in found.items():
        usd = [change.old if change.new is None else change.new for change in some]
        known = [figure for figure in usd if figure is not None]
        where = ", ".join(named(change)[1] for change in some)
        told.append((what, term, str(len(some)), money(min(known)), money(max(known)), unit, where))
    return Table(columns, tuple(told))


def named(change: Change) -> tuple[str, str, str]:
    """Give what a row is about: its name, its place, its term."""
    table, *cells = change.key
    if table == "prices":
        return str(cells[0]), str(cells[1]), str(cells[2])
    if table == "storage":
        return str(cells[0]), "–", "–"
    return f"{cells[1]}: {cells[2]}", str(cells[3] or "–"), "–"


def money(usd: float | None) -> str:
    """Write a price with the digits that it was quoted with, as far as they matter."""
    return "–" if usd is None else f"{usd:,.6g}"
