"""The cases that every face replays: the same request gives the same answer, to the last bit."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest
import rackrate as rr

CASES = sorted((Path(__file__).resolve().parents[1] / "cases").glob("*.json"))


def replay(case: dict[str, Any]) -> dict[str, Any]:
    """Ask the installed package what the case asks; give what JSON would hold."""
    try:
        answer = getattr(rr, case["call"])(**arguments(case))
    except rr.RackrateError as error:
        return {"error": error.to_dict()}
    return {"answer": answer.to_dict()}


def arguments(case: dict[str, Any]) -> dict[str, Any]:
    """Spell the request as the function's arguments."""
    request = case.get("request")
    if case["call"] == "plan":
        return {"scenario": request}
    return dict(request or {})


def same(given: Any, expected: Any) -> bool:
    """Whether two values are equal in kind and to the last bit: 1 is not 1.0, 0.0 is not -0.0."""
    return json.dumps(given, sort_keys=True) == json.dumps(expected, sort_keys=True)


def verdict(case: dict[str, Any]) -> str | None:
    """Give None where the case holds, else the first difference."""
    given = replay(case)
    expected = {key: case[key] for key in ("answer", "error") if key in case}
    assert len(expected) == 1, "a case has either an answer or an error"
    return None if same(given, expected) else difference(given, expected)


def difference(given: Any, expected: Any, path: str = "") -> str:
    """Name the first place where two values differ."""
    if isinstance(given, dict) and isinstance(expected, dict):
        if set(given) != set(expected):
            return f"{path or 'top'}: fields {sorted(given)} given, {sorted(expected)} expected"
        for key in expected:
            if not same(given[key], expected[key]):
                return difference(given[key], expected[key], f"{path}.{key}".lstrip("."))
    if isinstance(given, list) and isinstance(expected, list) and len(given) == len(expected):
        for at, (one, other) in enumerate(zip(given, expected, strict=True)):
            if not same(one, other):
                return difference(one, other, f"{path}[{at}]")
    return f"{path}: {given!r} given, {expected!r} expected"


def test_there_are_cases() -> None:
    calls = {json.loads(path.read_text())["call"] for path in CASES}
    assert {"plan", "training_step", "serving_point"} <= calls


@pytest.mark.parametrize("path", CASES, ids=lambda path: path.stem)
def test_case(path: Path) -> None:
    assert verdict(json.loads(path.read_text())) is None


def numbers(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Paths of all numbers in a value."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    found = [inner for key, item in items for inner in numbers(item, (*path, key))]
    return [path] if isinstance(value, float) and value else found


def test_a_corrupted_case_is_seen() -> None:
    """One bit of one number is enough: a replay that compares nothing would pass everything else here."""
    case = next(case for case in (json.loads(path.read_text()) for path in CASES) if "answer" in case)
    places = numbers(case["answer"])
    for place in (places[0], places[len(places) // 2], places[-1]):
        corrupted = copy.deepcopy(case)
        holder = corrupted["answer"]
        for key in place[:-1]:
            holder = holder[key]
        holder[place[-1]] = holder[place[-1]] * (1 + 2**-52)
        assert holder[place[-1]] != 0
        assert verdict(corrupted) is not None
    renamed = {**case, "answer": {**case["answer"], "extra": 1}}
    assert verdict(renamed) is not None
