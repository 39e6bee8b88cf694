"""What is shown of an answer: sections of lines and tables, and the words that all of them share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from rackrate._words import amount, figure, label_of, unit_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rackrate._types import Layout, ServingLayout


@dataclass(frozen=True)
class Column:
    """A column of a table.

    Attributes:
        title: What stands in it.
        unit: Unit of its numbers; empty for none.
        number: Whether its cells are numbers, set to the right.
        weight: A narrow terminal leaves out columns of low weight first.
    """

    title: str
    unit: str = ""
    number: bool = True
    weight: int = 5


@dataclass(frozen=True)
class Table:
    """Cells as they are printed; `marked` is the row that the scenario leads to."""

    columns: tuple[Column, ...]
    rows: tuple[tuple[str, ...], ...]
    marked: int | None = None


@dataclass(frozen=True)
class Section:
    """A title, lines of text, a table."""

    title: str = ""
    lines: tuple[str, ...] = ()
    table: Table | None = None


def of_records(records: Sequence[dict[str, Any]]) -> Table:
    """Make a table of records; the first columns weigh most."""
    names = list(dict.fromkeys(name for record in records for name in record))
    numbers = {
        name: all(isinstance(record.get(name), (int, float, type(None))) for record in records) for name in names
    }
    columns = tuple(
        Column(label_of(name), unit_of(name), numbers[name], len(names) - at) for at, name in enumerate(names)
    )
    return Table(columns, tuple(tuple(figure(record.get(name)) for name in names) for record in records))


def parts(record: Any, ending: str, unit: str, leave: tuple[str, ...] = (), scale: float = 1) -> str:
    """Say what a sum consists of, largest first; `scale` turns the fields' unit into the one that is shown."""
    named = [(name.removesuffix(ending), value) for name, value in record._items() if name.endswith(ending)]
    shown = sorted(((value, name) for name, value in named if value and name not in leave), reverse=True)
    return " + ".join(f"{amount(value * scale)} {name.replace('_', ' ')}" for value, name in shown) + f" ({unit})"


USUAL_SCHEDULE: Final = "one_forward_one_backward"
WAYS: Final = ("tp", "pp", "vp", "cp", "ep", "dp")


def layout_words(layout: Layout | ServingLayout) -> str:
    """Write a layout as `tp8 pp16 dp128 mb1`, ways that are 1 left out."""
    given = dict(layout._items())
    words = [f"{way}{given[way]}" for way in WAYS if given.get(way) not in {None, 1}]
    if "micro_batch" in given:
        words.append(f"mb{given['micro_batch']}")
    if given.get("recompute", "none") != "none":
        words.append(f"{given['recompute']} recompute")
    if given.get("redundant_experts"):
        words.append(f"+{given['redundant_experts']} experts")
    if given.get("expert_tp"):
        words.append(f"etp{given['expert_tp']}")
    if given.get("schedule", USUAL_SCHEDULE) != USUAL_SCHEDULE and given.get("pp", 1) > 1:
        words.append(given["schedule"].replace("_", " "))
    if given.get("zero", 1) != 1:
        words.append(f"ZeRO-{given['zero']}")
    return " ".join(words) or "1 GPU"
