"""Laws that hold whatever the numbers are; the core's own property tests hold more of them."""

from __future__ import annotations

from typing import Any

import rackrate as rr
from conftest import POINT, STEP
from hypothesis import given, settings
from hypothesis import strategies as st
from rackrate import _core

FEW = settings(max_examples=25, deadline=None)

scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20)
anything = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=4),
    max_leaves=20,
)


def names(value: Any) -> set[str]:
    if isinstance(value, dict):
        return set(value) | {name for item in value.values() for name in names(item)}
    return set()


KNOWN = sorted({name for one in rr.scenarios() for name in names(one.to_dict())} | names(STEP) | names(POINT))
nearly = st.recursive(
    scalars | st.sampled_from(["azure", "oci", "llama-3.1-8b", "H100-SXM", "bf16", "BM.GPU.H100.8", "payg"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KNOWN), inner, max_size=8),
    max_leaves=40,
)


@settings(max_examples=300, deadline=None)
@given(request=anything | nearly, call=st.sampled_from(["plan", "training_step", "serving_point", "collective"]))
def test_whatever_is_asked_is_answered_or_refused(request: Any, call: str) -> None:
    try:
        getattr(_core, call)(request)
    except rr.RackrateError as error:
        assert error.code
        assert error.message


@FEW
@given(field=st.sampled_from(sorted(set(STEP) - {"model"})), value=anything)
def test_one_wild_field_is_answered_or_refused(field: str, value: Any) -> None:
    try:
        step = _core.training_step({**STEP, field: value})
    except rr.RackrateError:
        return
    assert step["step_seconds"] > 0


@FEW
@given(price=st.floats(0.5, 50), factor=st.floats(1.1, 10))
def test_compute_cost_is_linear_in_the_price(price: float, factor: float) -> None:
    def compute(usd: float) -> float:
        plan = rr.plan("llama3-405b-as-published", training={"usd_per_gpu_hour": usd})
        assert plan.training is not None
        option = plan.training.options[0]
        assert option.cost is not None
        return sum(line.usd for line in option.cost.lines if line.item in {"compute", "spare_compute"})

    assert abs(compute(price * factor) / compute(price) / factor - 1) < 1e-9


@FEW
@given(tp=st.sampled_from([1, 2, 4]), sequence=st.sampled_from([2048, 4096, 8192]))
def test_weights_fall_with_sharding(tp: int, sequence: int) -> None:
    def memory(ways: int) -> float:
        layout = {**STEP["layout"], "tp": ways, "dp": 64 // ways}
        return rr.training_step(**{**STEP, "layout": layout, "sequence_length": sequence}).memory.weights_gib

    assert memory(2 * tp) < memory(tp)


@FEW
@given(concurrency=st.integers(1, 64))
def test_more_requests_in_flight_never_shorten_a_token(concurrency: int) -> None:
    fewer = rr.serving_point(**{**POINT, "concurrency": concurrency})
    more = rr.serving_point(**{**POINT, "concurrency": 2 * concurrency})
    assert more.tpot_seconds >= fewer.tpot_seconds * (1 - 1e-12)


@FEW
@given(size=st.floats(8, 1e11), op=st.sampled_from(["all_reduce", "all_gather", "reduce_scatter", "all_to_all"]))
def test_a_larger_message_never_arrives_sooner(size: float, op: str) -> None:
    def seconds(message: float) -> float:
        return rr.collective(op, message, gpu="H100-SXM", nodes=2, gpus_per_node=8).seconds  # type: ignore[arg-type]

    assert seconds(2 * size) >= seconds(size)


def test_an_answer_asked_again_is_the_same() -> None:
    for scenario in rr.scenarios():
        plan = rr.plan(scenario)
        assert rr.plan(plan.scenario) == plan
