"""How answers look in a notebook: one line, an HTML table, a chart. Nothing here computes an answer."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, Any, Final, TypeGuard

from rackrate import _summary
from rackrate._sections import Column, Section, Table
from rackrate._words import figure, label_of, unit_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rackrate._answer import Answer, Rows
    from rackrate._types import Plan

# Shown first in one line, where the answer has them.
FIRST: Final = (
    "name",
    "saturated",
    "shape",
    "gpu",
    "gpus",
    "step_seconds",
    "tokens_per_second_per_gpu",
    "mfu",
    "ttft_seconds",
    "tpot_seconds",
    "output_tokens_per_second",
    "total_usd",
)
SHOWN: Final = 6
LONGEST_TABLE: Final = 60
UNBROKEN: Final = 50


def line(answer: Answer) -> str:
    """Give an answer as one line: its first figures, and an ellipsis where it has more."""
    row = {name: value for name, value in answer._flat().items() if value is not None and value != ""}
    # Told where it is so: latencies past saturation are not what a user would see.
    if row.get("saturated") is False:
        del row["saturated"]
    names: list[str] = [name for name in FIRST if name in row]
    names += [name for name in row if name not in names and "." not in name]
    told = [f"{name}={short(row[name])}" for name in names[:SHOWN]]
    told += [f"{name}={value!r}" for name, value in answer._items() if is_list(value)]
    more = " …" if len(row) > SHOWN else ""
    return f"<{type(answer).__name__} {' '.join(told)}{more}>"


def plan_line(plan: Plan) -> str:
    """Give a plan as one line: its decision."""
    told = " | ".join(line.rstrip(".") for line in _summary.headline(plan))
    return f"<Plan {short(plan.scenario.name)}: {told or 'nothing asked'}>"


def is_list(value: object) -> TypeGuard[Rows[Any]]:
    """Whether the value is a list of records."""
    return isinstance(value, tuple) and hasattr(value, "records")


def short(value: Any) -> str:
    """Write a value in one line; cut-off text ends in an ellipsis."""
    if isinstance(value, float):
        return figure(value).replace(",", "_")
    if isinstance(value, int):
        return str(value)
    words = repr(value)
    return words if len(words) <= 60 else words[:59] + "…"  # noqa: PLR2004 (a line of a notebook takes two)


STYLE: Final = "border-collapse:collapse;font-variant-numeric:tabular-nums"
CELL: Final = "padding:0.15em 0.7em;border-bottom:1px solid rgba(128,128,128,0.35)"


def html(sections: Iterable[Section]) -> str:
    """Give sections as HTML in the colours of their surroundings."""
    out = []
    for section in sections:
        title = f"<p><strong>{escape(section.title)}</strong></p>" if section.title else ""
        lines = "".join(f"<p>{escape(words)}</p>" for words in section.lines)
        out.append(title + lines + (html_table(section.table) if section.table else ""))
    return f"<div>{''.join(out)}</div>"


def html_table(table: Table) -> str:
    """Give a table as HTML; a long one says how many rows it leaves out."""
    head = "".join(
        f'<th scope="col" style="{CELL};{side(column.number)}">{escape(column.title)}'
        + (f" <small>{escape(column.unit)}</small></th>" if column.unit else "</th>")
        for column in table.columns
    )
    body = "".join(html_row(row, table, marked=at == table.marked) for at, row in enumerate(table.rows[:LONGEST_TABLE]))
    rest = len(table.rows) - LONGEST_TABLE
    note = f"<p>… and {rest:,} more rows; to_pandas() has them all</p>" if rest > 0 else ""
    whole = f'<table style="{STYLE}"><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>'
    return f'<div style="overflow-x:auto">{whole}</div>{note}'


def html_row(row: tuple[str, ...], table: Table, *, marked: bool) -> str:
    """Give one row; the one that the scenario leads to is bold."""
    weight = ";font-weight:bold" if marked else ""
    cells = [
        f'<td style="{CELL};{side(column.number)}{line_break(cell)}{weight}">{escape(cell)}</td>'
        for cell, column in zip(row, table.columns, strict=True)
    ]
    return f"<tr>{''.join(cells)}</tr>"


def side(number: bool) -> str:  # noqa: FBT001 (a word for a flag)
    """Give the side that cells are set to."""
    return "text-align:right" if number else "text-align:left"


def line_break(cell: str) -> str:
    """Keep a short cell on one line, and a long one from a column too narrow to read."""
    return ";white-space:nowrap" if len(cell) <= UNBROKEN else ";min-width:24em"


def fields(answer: Answer) -> list[Section]:
    """Give the fields of an answer as a table of name, value, unit; then each list of records as a table."""
    columns = (
        Column("field", number=False),
        Column("value"),
        Column("unit", number=False),
    )
    rows = tuple((label_of(name), figure(value), unit_of(name)) for name, value in answer._flat().items())
    sections = [Section(type(answer).__name__, (), Table(columns, rows))]
    for name, value in answer._items():
        if is_list(value) and value:
            sections.append(Section(label_of(name), (), _summary.table_of(value)))
    return sections


def chart(plan: Plan) -> dict[str, Any] | None:
    """Give a Vega-Lite chart of what each option costs, or none where no option has a price."""
    code = _summary.code_of(plan)
    bars = [
        {"job": job, "option": f"{_summary.where(option)} × {option.gpus:,}", "cost": _summary.total_of(option.cost)}
        for job, part in (("training", plan.training), ("serving, a month", plan.serving))
        if part is not None
        for option in part.options
        if option.cost is not None
    ]
    if not bars:
        return None
    return {
        "$schema": "https://vega.github.io/schema/vega-lite/v5.json",
        "description": f"Cost of each option of {plan.scenario.name}, {code}",
        "data": {"values": bars},
        "mark": {"type": "bar", "tooltip": True},
        "encoding": {
            "y": {"field": "option", "type": "nominal", "sort": "x", "title": None, "axis": {"labelLimit": 0}},
            "x": {"field": "cost", "type": "quantitative", "title": code, "axis": {"format": "~s"}},
            "row": {"field": "job", "type": "nominal", "title": None, "sort": ["training", "serving, a month"]},
        },
        "resolve": {"scale": {"x": "independent", "y": "independent"}},
        "background": "transparent",
    }
