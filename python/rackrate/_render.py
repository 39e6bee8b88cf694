"""How answers look: one line, a table in a notebook, a table in a terminal. Nothing here computes an answer."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rackrate._answer import Answer

# A field's name ends in its unit; what is printed after the number.
UNITS = {
    "usd_per_million_input_tokens": "USD/M tokens",
    "usd_per_million_output_tokens": "USD/M tokens",
    "usd_per_thousand_requests": "USD/1000 requests",
    "usd_per_gpu_hour": "USD/GPU-hour",
    "usd_per_month": "USD/month",
    "tokens_per_second_per_gpu": "tokens/s/GPU",
    "tokens_per_second_per_user": "tokens/s/user",
    "tokens_per_second": "tokens/s",
    "requests_per_second": "requests/s",
    "request_rate": "requests/s",
    "tflops_per_gpu": "TFLOP/s/GPU",
    "gbit_per_s_per_gpu": "Gb/s/GPU",
    "gbit_per_s": "Gb/s",
    "gb_per_s_per_gpu": "GB/s/GPU",
    "gb_per_s_per_node": "GB/s/node",
    "gb_per_s": "GB/s",
    "tb_per_s": "TB/s",
    "gpu_hours": "GPU-hours",
    "tflops": "TFLOP/s",
    "seconds": "s",
    "hours": "h",
    "days": "days",
    "watts": "W",
    "bytes": "B",
    "usd": "USD",
    "gib": "GiB",
    "mib": "MiB",
    "gb": "GB",
    "tb": "TB",
}

# The table that an answer mainly is, where it is one.
TABLES = {"LayoutSearch": "best", "ServingSearch": "frontier", "Validation": "rows_", "Cost": "lines"}

# Shown first in one line, where the answer has them.
FIRST = (
    "name",
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
SHOWN = 6


def unit_of(name: str) -> str:
    """Give the unit that a field's name ends in; empty for none."""
    last = name.rsplit(".", 1)[-1]
    return next((unit for ending, unit in UNITS.items() if last == ending or last.endswith("_" + ending)), "")


def label_of(name: str) -> str:
    """Give a field's name as words without its unit."""
    words = name.replace(".", " ").replace("_", " ")
    for ending in UNITS:
        spaced = ending.replace("_", " ")
        if words.endswith(" " + spaced):
            return words.removesuffix(" " + spaced)
    return words


def figure(value: Any) -> str:
    """Format a value: numbers with four significant digits and grouped thousands."""
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        size = abs(value)
        if value == 0 or 1e-3 <= size < 1e15:  # noqa: PLR2004 (outside, powers of ten read better)
            return f"{value:,.0f}" if size >= 1000 else f"{value:.4g}"  # noqa: PLR2004
        return f"{value:.3e}"
    return str(value)


def is_record(value: Any) -> bool:
    """Whether the value has fields of its own."""
    return hasattr(value, "fields") and hasattr(value, "to_dict")


def is_list_of_records(value: Any) -> bool:
    """Whether the value is a table of its own."""
    return isinstance(value, tuple) and hasattr(value, "to_pandas")


def flat(answer: Answer) -> dict[str, Any]:
    """Give the scalar fields of an answer and of the records in it, under dotted names."""
    row: dict[str, Any] = {}
    for name, value in answer.fields():
        if is_record(value):
            row.update({f"{name}.{inner}": item for inner, item in flat(value).items()})
        elif not is_list_of_records(value):
            row[name] = list(value) if isinstance(value, tuple) else value
    return row


def rows(answer: Answer) -> list[dict[str, Any]]:
    """Give an answer as rows: of the table that it mainly is, or one."""
    if type(answer).__name__ == "Plan":
        return [
            {"job": job, **flat(option)}
            for job in ("training", "serving")
            for option in getattr(getattr(answer, job), "options", ())
        ]
    table = TABLES.get(type(answer).__name__)
    return getattr(answer, table).rows() if table else [flat(answer)]


def line(answer: Answer) -> str:
    """Give an answer as one line: its first figures, and an ellipsis where it has more."""
    row = {name: value for name, value in flat(answer).items() if value is not None}
    names = [name for name in FIRST if name in row]
    names += [name for name in row if name not in names and "." not in name]
    told = [
        f"{name}={figure(row[name]) if isinstance(row[name], float) else repr(row[name])}" for name in names
    ]
    lists = [f"{name}={value!r}" for name, value in answer.fields() if is_list_of_records(value)]
    more = " …" if len(told) > SHOWN or len(row) > len(names) else ""
    return f"<{type(answer).__name__} {' '.join([*told[:SHOWN], *lists])}{more}>"


TABLE_STYLE = "border-collapse:collapse;font-variant-numeric:tabular-nums"
CELL_STYLE = "padding:0.15em 0.7em;border-bottom:1px solid color-mix(in srgb, currentColor 20%, transparent)"


def html_table(table: list[dict[str, Any]], limit: int = 40) -> str:
    """Give rows as an HTML table in the colours of its surroundings."""
    names = list(dict.fromkeys(name for row in table for name in row))
    head = "".join(
        f'<th scope="col" style="{CELL_STYLE};text-align:left">{escape(label_of(name))}'
        + (f" <small>{escape(unit_of(name))}</small>" if unit_of(name) else "")
        + "</th>"
        for name in names
    )
    body = "".join(
        "<tr>" + "".join(html_cell(row.get(name)) for name in names) + "</tr>" for row in table[:limit]
    )
    rest = f"<p>… and {len(table) - limit:,} more rows</p>" if len(table) > limit else ""
    return f'<table style="{TABLE_STYLE}"><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>{rest}'


def html_cell(value: Any) -> str:
    """Give one cell: numbers to the right."""
    side = "right" if isinstance(value, (int, float)) and not isinstance(value, bool) else "left"
    return f'<td style="{CELL_STYLE};text-align:{side}">{escape(figure(value))}</td>'


def html(answer: Answer) -> str:
    """Give an answer as HTML: its table where it is one, else its fields with their units."""
    if type(answer).__name__ in {*TABLES, "Plan"}:
        return html_table(rows(answer))
    body = "".join(
        f'<tr><th scope="row" style="{CELL_STYLE};text-align:left;font-weight:normal">{escape(label_of(name))}</th>'
        f'{html_cell(value)}<td style="{CELL_STYLE};text-align:left">{escape(unit_of(name))}</td></tr>'
        for name, value in flat(answer).items()
    )
    title = escape(type(answer).__name__)
    return f'<table style="{TABLE_STYLE}"><caption style="text-align:left">{title}</caption>{body}</table>'
