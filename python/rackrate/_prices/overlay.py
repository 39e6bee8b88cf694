"""The output file: an overlay, read, merged, checked by the core, written whole or not at all."""

from __future__ import annotations

import contextlib
import csv
import errno
import io
import json
import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rackrate import _core, _files
from rackrate._prices.quotes import KEYS, Key, Row, is_ours, key_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from rackrate._prices.changes import Change
    from rackrate._prices.quotes import Quote

Tables = dict[str, Any]


def read(path: Path) -> Tables:
    """Read the tables of an overlay; a file that is not there yet has none.

    Raises:
        RackrateError: The file is no overlay.
        OSError: The file cannot be read.
    """
    if not path.exists():
        return {}
    tables = _files.read_json(path, "--output")
    validated(tables)
    return {name: rows_of(content) if name in KEYS else content for name, content in tables.items()}


def rows_of(table: str | list[Row] | None) -> list[Row]:
    """Give a table as rows, which may also be written as CSV text."""
    if isinstance(table, str):
        reader = csv.DictReader(io.StringIO(table.removeprefix("\ufeff")), skipinitialspace=True)
        return [{name.strip(): cell.strip() for name, cell in row.items() if cell.strip()} for row in reader]
    return list(table or [])


def validated(tables: Tables) -> Tables:
    """Let the core read the tables as it reads any overlay.

    Raises:
        RackrateError: With the path of the cell that the core refuses.
    """
    _core.catalog(tables)
    return tables


def keyed(tables: Tables, canonical: Callable[[str], str]) -> dict[Key, Row]:
    """Give the rows that a refresh may meet, by their keys; shapes by their canonical names."""
    rows: dict[Key, Row] = {}
    for table in KEYS:
        for row in tables.get(table, []):
            named = {**row, "shape": canonical(str(row["shape"]))} if table == "prices" else row
            rows[key_of(table, named)] = row
    return rows


def merged(
    tables: Tables, quotes: Iterable[Quote], changes: Iterable[Change], canonical: Callable[[str], str]
) -> Tables:
    """Lay the quotes over the tables: what is held back or a person's own stays, what is gone goes if it was ours."""
    rows = keyed(tables, canonical)
    status = {change.key: change.status for change in changes}
    for key, row in list(rows.items()):
        if status.get(key) == "gone" and is_ours(row):
            del rows[key]
    for quote in quotes:
        if status[quote.key] in {"added", "changed", "unchanged"}:
            rows[quote.key] = quote.row
    out = dict(tables)
    for table in KEYS:
        some = [(key, row) for key, row in rows.items() if key[0] == table]
        if some or table in tables:
            # A person's rows first, in their order; then ours, sorted, so that two files are easily compared.
            own = [row for _, row in some if not is_ours(row)]
            ours = [(key, row) for key, row in some if is_ours(row)]
            out[table] = own + [row for _, row in sorted(ours, key=lambda pair: [str(cell) for cell in pair[0]])]
    return out


def spellings(shapes: Iterable[Any]) -> Callable[[str], str]:
    """Give a function that turns any spelling of a shape into its canonical name, as the core reads it."""

    def folded(name: str) -> str:
        return name.lower().translate({ord(sign): None for sign in " -_"})

    names: Mapping[str, str] = {folded(word): one.name for one in shapes for word in (one.name, *one.aliases)}
    return lambda name: names.get(folded(name), name)


def check_writable(path: Path) -> None:
    """Try whether the file can be written, before anything is asked of anyone.

    Raises:
        OSError: It cannot.
    """
    real = path.resolve()
    if real.is_dir():
        raise IsADirectoryError(errno.EISDIR, "is a folder; a file expected", str(path))
    try:
        with tempfile.NamedTemporaryFile(dir=real.parent, prefix=f".{real.name}."):
            pass
        if real.exists():
            with real.open("r+b"):
                pass
    except OSError as error:
        # It is about the file that was asked for, not about the one that was tried in its stead.
        raise OSError(error.errno, error.strerror, str(path)) from error


def write(path: Path, tables: Tables) -> None:
    """Write the tables: the old file stays whole until the new one is.

    Raises:
        OSError: The file cannot be written; the old one stands as it was.
    """
    path = path.resolve()  # a link stays a link: what it leads to is replaced
    text = json.dumps(tables, indent=1, ensure_ascii=False, allow_nan=False) + "\n"
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "w", encoding="utf-8", newline="\n") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        Path(name).chmod(mode_for(path))
        Path(name).replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            Path(name).unlink()
        raise
    sync_folder(path.parent)


def mode_for(path: Path) -> int:
    """Give the permissions that the file has, or that a new one gets."""
    if path.exists():
        return path.stat().st_mode & 0o7777
    mask = os.umask(0)
    os.umask(mask)
    return 0o666 & ~mask


def sync_folder(folder: Path) -> None:
    """See that the new name is on disk too, where the system can."""
    if os.name != "posix":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
