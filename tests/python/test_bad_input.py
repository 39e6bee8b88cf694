"""Bad input: an error with the field's path, its value, what is allowed and the nearest match; never a crash."""

from __future__ import annotations

import collections
import copy
import dataclasses
import decimal
import pickle
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rackrate as rr
from conftest import POINT, SEARCH, SERVE, STEP
from rackrate import _core

SCENARIO: dict[str, Any] = next(one.to_dict() for one in rr.scenarios() if one.name == "azure-trains-oci-serves")


def changed(base: dict[str, Any], path: str, value: Any) -> dict[str, Any]:
    """Give a copy of `base` with the field at `path` set."""
    copied = copy.deepcopy(base)
    holder = copied
    *way, last = path.split(".")
    for name in way:
        holder = holder[name]
    holder[last] = value
    return copied


def refused(call: Callable[[dict[str, Any]], Any], request: dict[str, Any]) -> rr.RackrateError:
    with pytest.raises(rr.RackrateError) as caught:
        call(request)
    error = caught.value
    assert str(error) == error.message
    assert "\n" not in error.message
    assert error.code in {
        "unknown_name",
        "unknown_field",
        "missing_field",
        "wrong_type",
        "out_of_range",
        "indivisible",
        "conflict",
        "unsupported",
        "malformed",
    }
    return error


CALLS: dict[str, tuple[Callable[[Any], Any], dict[str, Any]]] = {
    "plan": (_core.plan, SCENARIO),
    "training_step": (_core.training_step, STEP),
    "search_layouts": (_core.search_layouts, SEARCH),
    "serving_point": (_core.serving_point, POINT),
    "search_serving": (_core.search_serving, SERVE),
    "collective": (
        _core.collective,
        {"op": "all_reduce", "bytes": 1e6, "gpu": "H100-SXM", "nodes": 1, "gpus_per_node": 8},
    ),
}

KINDS = [
    # call, field, value, code, path, hint
    ("plan", "trainin", {}, "unknown_field", "trainin", "training"),
    ("plan", "training.deadline_dayz", 9, "unknown_field", "training.deadline_dayz", "deadline_days"),
    ("plan", "training.model", "lama-3.1-405b", "unknown_name", "training.model", "llama-3.1-405b"),
    ("plan", "training.cloud", "azur", "unknown_name", "training.cloud", "azure"),
    ("plan", "training.tokens", float("nan"), "wrong_type", "training.tokens", None),
    ("plan", "training.tokens", -1.0, "out_of_range", "training.tokens", None),
    ("plan", "training.tokens", float("inf"), "wrong_type", "training.tokens", None),
    ("plan", "training.sequence_length", 8192.5, "wrong_type", "training.sequence_length", None),
    ("plan", "training.sequence_length", "long", "wrong_type", "training.sequence_length", None),
    ("plan", "training.sequence_length", [8192], "wrong_type", "training.sequence_length", None),
    ("plan", "serving.traffic", 7, "wrong_type", "serving.traffic", None),
    ("plan", "serving.slo.ttft_p95_seconds", -1, "out_of_range", "serving.slo.ttft_p95_seconds", None),
    ("plan", "pricing.term", "pay-go", "unknown_name", "pricing.term", "payg"),
    ("training_step", "gpu", "H100-SXN", "unknown_name", "gpu", "H100-SXM"),
    ("training_step", "shape", "BM.GPU.H100.8", "conflict", None, None),
    ("training_step", "layout.tp", 3, None, "layout.tp", None),
    ("training_step", "layout.tpp", 8, "unknown_field", "layout.tpp", "tp"),
    ("training_step", "layout.recompute", "sometimes", "unknown_name", "layout.recompute", None),
    ("training_step", "layout.micro_batch", 0, None, "layout.micro_batch", None),
    ("training_step", "gpus", 1e300, "out_of_range", "gpus", None),
    ("training_step", "gpus", -8, "out_of_range", "gpus", None),
    ("training_step", "precision", "bf17", "unknown_name", "precision", "bf16"),
    ("training_step", "colour", "red", "unknown_field", "colour", None),
    ("search_layouts", "gpus", 0, None, "gpus", None),
    ("serving_point", "concurrency", float("nan"), "wrong_type", "concurrency", None),
    ("serving_point", "request_rate", 3.0, "conflict", None, None),
    ("serving_point", "layout.tp", 0, None, "layout.tp", None),
    ("search_serving", "slo.tpot_p95_seconds", 0, "out_of_range", "slo.tpot_p95_seconds", None),
    ("collective", "op", "all_reduced", "unknown_name", "op", "all_reduce"),
    ("collective", "bytes", -1, "out_of_range", "bytes", None),
]


@pytest.mark.parametrize(("call", "field", "value", "code", "path", "hint"), KINDS)
def test_the_field_is_named(
    call: str, field: str, value: Any, code: str | None, path: str | None, hint: str | None
) -> None:
    ask, request = CALLS[call]
    ask(request)  # good as it is, so that the change alone is refused
    error = refused(ask, changed(request, field, value))
    if code is not None:
        assert error.code == code
    if path is not None:
        assert error.field == path
        assert path in error.message
    if hint is not None:
        assert error.hint == hint


@pytest.mark.parametrize(
    ("call", "field"),
    [
        ("plan", "training.tokens"),
        ("plan", "serving.traffic"),
        ("training_step", "gpus"),
        ("training_step", "layout"),
        ("serving_point", "input_tokens"),
        ("search_serving", "slo"),
        ("collective", "op"),
    ],
)
def test_a_missing_field_is_named(call: str, field: str) -> None:
    ask, request = CALLS[call]
    without = copy.deepcopy(request)
    holder = without
    *way, last = field.split(".")
    for name in way:
        holder = holder[name]
    del holder[last]
    error = refused(ask, without)
    assert (error.code, error.field) == ("missing_field", field)


@dataclasses.dataclass
class Foreign:
    tp: int = 8


LOOP: list[Any] = []
LOOP.append(LOOP)


@pytest.mark.parametrize(
    "value",
    [
        object(),
        {1, 2},
        b"bytes",
        1j,
        Foreign(),
        decimal.Decimal(8),
        np.datetime64("2026-01-01"),
        np.longdouble(8),
        len,
        {1: 2},
        {"a": {2: 3}},
        LOOP,
        "\ud800",
        10**400,
        -(10**400),
        np.array([1j]),
        range(3),
        iter([1]),
    ],
    ids=lambda value: type(value).__name__,
)
def test_foreign_objects_are_refused_with_their_path(value: Any) -> None:
    error = refused(_core.plan, changed(SCENARIO, "training.tokens", value))
    assert error.code == "wrong_type"
    assert error.field.startswith("training.tokens")


@pytest.mark.parametrize("value", [None, 7, "text", [], [1], True, 3.5, {}])
def test_a_request_that_is_no_scenario(value: Any) -> None:
    refused(_core.plan, value)


@pytest.mark.parametrize("gpus", [np.int64(64), np.uint8(64), np.float32(64), np.array(64), "64", 64.0])
def test_numbers_of_every_kind_are_read(gpus: Any) -> None:
    assert rr.training_step(**{**STEP, "gpus": gpus}) == rr.training_step(**STEP)


def test_mappings_of_every_kind_are_read(step: rr.types.TrainingStep) -> None:
    for layout in (
        types.MappingProxyType(STEP["layout"]),
        collections.ChainMap(STEP["layout"]),
        collections.OrderedDict(STEP["layout"]),
        step.layout,
    ):
        assert rr.training_step(**{**STEP, "layout": layout}) == step


def test_numpy_truth_is_truth() -> None:
    architecture = {
        "name": "tiny",
        "layers": 2,
        "hidden": 256,
        "heads": 4,
        "kv_heads": 4,
        "head_dim": 64,
        "ffn": 1024,
        "gated": np.True_,
        "vocab": 1000,
    }
    layout = {"global_batch": 8, "dp": 8}
    ask = {"gpu": "H100-SXM", "gpus": 8, "layout": layout, "sequence_length": 512}
    step = rr.training_step(model=architecture, **ask)
    assert step == rr.training_step(model={**architecture, "gated": True}, **ask)


def test_errors_raised_by_an_object_pass_through() -> None:
    class Bad(collections.UserDict):  # type: ignore[type-arg]
        def items(self) -> Any:
            raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        _core.plan(Bad())


def test_an_error_travels() -> None:
    error = refused(_core.plan, changed(SCENARIO, "training.model", "lama-3.1-405b"))
    again = pickle.loads(pickle.dumps(error))
    assert again.to_dict() == error.to_dict()
    assert isinstance(error, ValueError)


class TestFiles:
    def test_not_json(self, tmp_path: Path) -> None:
        path = tmp_path / "broken.json"
        path.write_text('{"name": ')
        error = refused(rr.plan, path)  # type: ignore[arg-type]
        assert error.code == "malformed"
        assert "line 1" in error.message

    def test_not_text(self, tmp_path: Path) -> None:
        path = tmp_path / "picture.json"
        path.write_bytes(b"\x89PNG\xff\xfe")
        assert refused(rr.plan, path).code == "malformed"  # type: ignore[arg-type]

    def test_not_an_object(self, tmp_path: Path) -> None:
        path = tmp_path / "list.json"
        path.write_text("[1]")
        assert refused(rr.plan, path).code == "malformed"  # type: ignore[arg-type]

    def test_a_key_given_twice(self, tmp_path: Path) -> None:
        path = tmp_path / "twice.json"
        path.write_text('{"name": "a", "name": "b"}')
        assert "twice" in refused(rr.plan, path).message  # type: ignore[arg-type]

    def test_not_a_number(self, tmp_path: Path) -> None:
        path = tmp_path / "nan.json"
        path.write_text('{"name": "a", "training": {"model": "llama-3.1-8b", "sequence_length": 8192, "tokens": NaN}}')
        assert refused(rr.plan, path).field == "training.tokens"  # type: ignore[arg-type]

    def test_nested_without_end(self, tmp_path: Path) -> None:
        path = tmp_path / "deep.json"
        path.write_text('{"a":' * 100_000 + "1" + "}" * 100_000)
        refused(rr.plan, path)  # type: ignore[arg-type]

    def test_missing(self, tmp_path: Path) -> None:
        with pytest.raises(FileNotFoundError):
            rr.plan(tmp_path / "absent.json")

    def test_a_configuration_that_is_none(self, tmp_path: Path) -> None:
        path = tmp_path / "config.json"
        path.write_text('{"hello": "world"}')
        error = refused(lambda request: rr.training_step(**request), {**STEP, "model": path})
        assert error.field.startswith("model")

    def test_an_unknown_scenario(self) -> None:
        error = refused(rr.plan, "serve-80b")  # type: ignore[arg-type]
        assert (error.code, error.hint) == ("unknown_name", "serve-70b")
