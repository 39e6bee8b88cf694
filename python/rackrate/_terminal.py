"""Sections as text for a terminal of any width."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from rackrate._sections import Section, Table

NARROWEST: Final = 40
GAP: Final = "  "


def text(sections: Iterable[Section], width: int) -> str:
    """Write sections below each other, no line longer than `width` where words allow."""
    width = max(width, NARROWEST)
    blocks = []
    for section in sections:
        lines = textwrap.wrap(section.title, width)
        lines += ["─" * max(len(line) for line in lines)] if lines else []
        for line in section.lines:
            lines += textwrap.wrap(line, width, subsequent_indent="  ", break_long_words=False) or [""]
        if section.table:
            lines += table(section.table, width)
        blocks.append("\n".join(lines))
    return "\n\n".join(blocks)


def table(given: Table, width: int) -> list[str]:
    """Write a table; columns of low weight are left out, and named, where the width does not take them."""
    if not given.rows:
        return ["(none)"]
    heads = [f"{column.title} {column.unit}".strip() for column in given.columns]
    widths = [max(len(head), *(len(row[at]) for row in given.rows)) for at, head in enumerate(heads)]
    kept = fitting(given, widths, width - len(GAP))
    lines = [GAP + line([heads[at] for at in kept], given, kept, widths)]
    for number, row in enumerate(given.rows):
        mark = "▸ " if number == given.marked else GAP
        lines.append(mark + line([row[at] for at in kept], given, kept, widths))
    if len(kept) < len(heads):
        out = ", ".join(heads[at] for at in range(len(heads)) if at not in kept)
        note = f"(no room for: {out}; widen the terminal or use --json)"
        lines += textwrap.wrap(note, width, initial_indent=GAP, subsequent_indent=GAP)
    return [entry.rstrip() for entry in lines]


def fitting(given: Table, widths: Sequence[int], room: int) -> list[int]:
    """Give the columns that fit, in their order; the heaviest always stays."""
    kept = list(range(len(widths)))
    while len(kept) > 1 and sum(widths[at] for at in kept) + len(GAP) * (len(kept) - 1) > room:
        # Of equal weights the later column goes first.
        kept.remove(min(kept, key=lambda at: (given.columns[at].weight, -at)))
    return kept


def line(cells: Sequence[str], given: Table, kept: Sequence[int], widths: Sequence[int]) -> str:
    """Write one line of cells, numbers to the right."""
    padded = [
        cell.rjust(widths[at]) if given.columns[at].number else cell.ljust(widths[at])
        for at, cell in zip(kept, cells, strict=True)
    ]
    return GAP.join(padded)
