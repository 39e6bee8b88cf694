"""What `--help` of a command says below its options: the fields of its request, as the core tells them; examples."""

from __future__ import annotations

import argparse
import json
import re
import shutil
import textwrap
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from rackrate._words import unit_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rackrate._fields import Field

INDENT: Final = "  "
# The column in which meanings stand; a longer name gets a line of its own.
TEXT: Final = 34
# Tables and files, which have options of their own: `--overlay`, `--trace`.
CLOSED: Final = {"overlay", "trace", "trace_csv"}


class Entry(NamedTuple):
    """A field as `--set` names it.

    Attributes:
        path: Its path, such as ``layout.tp``.
        field: What the core says of it.
        within: The optional object that it stands in, whose other fields it may need; empty for none.
    """

    path: str
    field: Field
    within: str


class Parser(argparse.ArgumentParser):
    """A parser of a command that tells the fields of its request, and examples."""

    def __init__(self, **options: Any) -> None:
        own = {"formatter_class": argparse.RawDescriptionHelpFormatter, "allow_abbrev": False}
        super().__init__(**{**own, **options})
        self.request = ""
        self.examples = ""

    def format_help(self) -> str:
        """Give usage, options, fields and examples."""
        blocks = [super().format_help().rstrip()]
        if self.request:
            blocks += fields_text(self.request, shutil.get_terminal_size((120, 24)).columns - len(INDENT))
        if self.examples:
            blocks.append("\n".join(["examples:", *(INDENT + line for line in self.examples.strip().splitlines())]))
        return "\n\n".join(blocks) + "\n"


def entries(request: str) -> Iterator[Entry]:
    """Give the fields of a request, those of the objects within it in their place."""
    from rackrate._fields import FIELDS  # noqa: PLC0415 (only help and hints need the list)

    def below(record: str, path: str, within: str) -> Iterator[Entry]:
        for field in FIELDS[record]:
            here = f"{path}{field.name}"
            if field.name in CLOSED:
                continue
            yield Entry(here, field, within)
            if opens(field):
                yield from below(field.inner, f"{here}.", within if field.default is None else here)

    return below(request, "", "")


def opens(field: Field) -> bool:
    """Whether the fields of what stands in this one are told as fields of the request."""
    return bool(field.inner) and field.kind == "object"


def fields_text(request: str, width: int) -> list[str]:
    """Write the fields of a request: those that it needs, then the others with what stands for them."""
    is_needed = [(entry.field.default is None and not entry.within, entry) for entry in entries(request)]
    needed = [entry_text(entry, width) for so, entry in is_needed if so]
    other = [entry_text(entry, width) for so, entry in is_needed if not so]
    given = "(--set FIELD=VALUE, or in a file)"
    rest = "other fields" if needed else f"fields {given}"
    heads = (f"needed fields {given}:", f"{rest}; after = what is taken if not given:")
    return ["\n".join([head, *lines]) for head, lines in zip(heads, (needed, other), strict=True) if lines]


def entry_text(entry: Entry, width: int) -> str:
    """Write one field: name and default, kind and unit, meaning."""
    path, field, within = entry
    default = "" if field.default is None or opens(field) else default_text(field.default)
    kind = "fields of its own" if opens(field) else ", ".join(word for word in (field.kind, unit_of(path)) if word)
    need = f"needed with {within} · " if field.default is None and within else ""
    about = f"{kind} · {need}{field.about}{each(field)}"
    room = max(width - TEXT, TEXT)
    lines = textwrap.wrap(about, room, break_long_words=False, break_on_hyphens=False)
    name = f"{INDENT}{path}{default}"
    if len(name) + len(INDENT) > TEXT:
        return "\n".join([name, *(" " * TEXT + line for line in lines)])
    return "\n".join([name.ljust(TEXT) + lines[0], *(" " * TEXT + line for line in lines[1:])])


def default_text(default: str) -> str:
    """Write what is taken for a field that is not given: nothing where that says nothing."""
    value = json.loads(default)
    if value is None or value in ([], ""):
        return ""
    return f"={value}" if isinstance(value, str) else f"={default}"


def each(field: Field) -> str:
    """Name the fields of the objects in a list."""
    from rackrate._fields import FIELDS  # noqa: PLC0415 (as above)

    if not field.inner or opens(field):
        return ""
    return f" Each with {', '.join(inner.name for inner in FIELDS[field.inner])}."


def meant(word: str, request: str) -> str:
    """Give how a word that names no file is given as a field: the one that takes it, or any."""
    if re.fullmatch(r"[a-z_.]+=.*", word):
        return f"--set {word}"
    name = word.lower().replace("-", "_")
    for entry in entries(request):
        if name in re.split(r", | or ", entry.field.kind):
            return f"--set {entry.path}={name}"
    paths = {entry.path for entry in entries(request)}
    held = next((path for path, names in catalogued() if path in paths and word in names), None)
    return f"--set {held}={word}" if held else "--set FIELD=VALUE"


def catalogued() -> Iterator[tuple[str, set[str]]]:
    """Give the fields that take a name of the catalogue, with the names."""
    from rackrate import _known  # noqa: PLC0415 (only a hint needs it)

    catalog = _known.catalog()
    yield "model", {row.architecture.name for row in catalog.models}
    yield "shape", {row.name for row in catalog.shapes}
    yield "gpu", {row.name for row in catalog.gpus}
    yield "fabric", {row.name for row in catalog.fabrics}
