"""Files that a request may name: scenarios, Hugging Face configurations, tables of measurements."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rackrate._errors import RackrateError


def is_path(given: object) -> bool:
    """Whether `given` names a file rather than a preset: a path object, or text that ends in ``.json``."""
    return isinstance(given, os.PathLike) or (isinstance(given, str) and given.endswith(".json"))


def read_text(path: str | os.PathLike[str], field: str) -> str:
    """Read a text file; text that is not UTF-8 is refused, a missing file is Python's own OSError."""
    try:
        return Path(path).read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise malformed(field, path, f"not a text file in UTF-8 ({error.reason} at byte {error.start})") from error


def read_json(path: str | os.PathLike[str], field: str) -> dict[str, Any]:
    """Read a JSON file that holds one object."""
    content = parse_json(path, field)
    if not isinstance(content, dict):
        raise malformed(field, path, "not a JSON object with named fields")
    return content


def read_rows(path: str | os.PathLike[str], field: str) -> list[Any]:
    """Read a JSON file that holds the rows of a table."""
    content = parse_json(path, field)
    if not isinstance(content, list):
        raise malformed(field, path, "not a JSON list of rows")
    return content


def parse_json(path: str | os.PathLike[str], field: str) -> Any:
    """Read a JSON file; a repeated key is refused, for one of the two would be ignored."""

    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        fields = dict(pairs)
        if len(fields) < len(pairs):
            names = [name for name, _ in pairs]
            twice = next(name for name in names if names.count(name) > 1)
            raise malformed(field, path, f'"{twice}" is given twice')
        return fields

    try:
        return json.loads(read_text(path, field), object_pairs_hook=once)
    except json.JSONDecodeError as error:
        raise malformed(field, path, f"not JSON: {error.msg}, line {error.lineno} column {error.colno}") from error
    except RecursionError as error:
        raise malformed(field, path, "nested too deeply") from error


def malformed(field: str, path: str | os.PathLike[str], message: str) -> RackrateError:
    """Make the error for a file that is not what it claims."""
    message = f"{os.fspath(path)} is {message}" if message.startswith("not ") else f"{os.fspath(path)}: {message}"
    return RackrateError("malformed", field, f"{field}: {message}" if field else message)


def model(given: object) -> object:
    """Give a model as the core takes it: a name or an architecture as it is, a configuration's path as its content."""
    if not is_path(given):
        return given
    path = Path(given)  # type: ignore[arg-type]  # is_path said so
    return read_json(path / "config.json" if path.is_dir() else path, "model")


def drafted(speculation: object) -> object:
    """Give a speculation as the core takes it: its draft may be a configuration's path, as any model."""
    if not isinstance(speculation, Mapping) or not is_path(speculation.get("draft")):
        return speculation
    return {**speculation, "draft": model(speculation["draft"])}


def trace(given: object) -> dict[str, object]:
    """Give a trace as the core takes it: a file or text as CSV, a frame or dict as its columns."""
    if given is None:
        return {}
    if isinstance(given, os.PathLike) or (isinstance(given, str) and "\n" not in given):
        return {"trace_csv": read_text(given, "trace")}
    if isinstance(given, str):
        return {"trace_csv": given}
    names = getattr(given, "columns", None)
    if names is None:
        return {"trace": given}
    # Frames of pandas and polars; a column gives its numbers as a list.
    frame: Any = given
    return {"trace": {str(name): list(frame[name]) for name in names}}


def merged(base: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """Lay changes over a scenario, field by field at every level."""
    result = dict(base)
    for name, change in changes.items():
        below = result.get(name)
        both = isinstance(below, Mapping) and isinstance(change, Mapping)
        result[name] = merged(below, change) if both else change  # type: ignore[arg-type]
    return result
