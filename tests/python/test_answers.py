"""Answers: attributes at every level, frozen, and ways out to dicts, frames and notebooks."""

from __future__ import annotations

import copy
import dataclasses
import json
import pickle
from collections.abc import Callable
from html.parser import HTMLParser
from typing import Any

import numpy as np
import pytest
import rackrate as rr
from conftest import POINT, SEARCH, SERVE, SIMULATE, STEP


def test_the_promised_names_of_a_training_step(step: rr.types.TrainingStep) -> None:
    assert step.step_seconds > 0
    assert step.tokens_per_second_per_gpu > 0
    assert step.model_tflops_per_gpu > 0
    assert 0 < step.mfu <= step.hfu < 1
    memory = dataclasses.asdict(step.memory)
    sizes = [
        memory[f"{part}_gib"] for part in ("weights", "gradients", "optimizer", "activations", "logits", "workspace")
    ]
    assert step.memory.total_gib == pytest.approx(sum(sizes))
    parts = [seconds for _, seconds in step.parts._items()]
    assert step.step_seconds == pytest.approx(sum(parts))
    assert step.layout.dp == 32


def test_the_promised_names_of_a_serving_point(point: rr.types.ServingPoint) -> None:
    assert point.ttft_seconds > 0
    assert point.tpot_seconds > 0
    assert point.output_tokens_per_second > 0
    assert point.memory.fits


def test_the_promised_names_of_a_collective() -> None:
    answer = rr.collective("all_reduce", 2**30, gpu="H100-SXM", nodes=4, gpus_per_node=8)
    assert answer.seconds > 0
    assert answer.algbw == pytest.approx(2**30 / answer.seconds / 1e9)
    assert answer.busbw == pytest.approx(answer.algbw * 2 * 31 / 32)
    assert answer.algorithm


def test_the_main_job(plan: rr.types.Plan) -> None:
    assert plan.training is not None
    assert plan.serving is not None
    clouds = {option.provider for option in plan.training.options}
    assert clouds == {"azure", "oci"}
    assert {option.provider for option in plan.serving.options} == {"azure", "oci"}
    chosen = [split for split in plan.splits if split.chosen]
    assert [(split.train_on, split.serve_on) for split in chosen] == [("azure", "oci")]
    totals = [split.total_usd for split in plan.splits]
    assert totals == sorted(totals)
    priced = [option.cost.total_usd for option in plan.training.options if option.cost]
    assert priced == sorted(priced)
    assert plan.warnings
    assert plan.sources


ASKED: dict[str, Callable[[], Any]] = {
    "plan": lambda: rr.plan("serve-70b"),
    "training_step": lambda: rr.training_step(**STEP),
    "search_layouts": lambda: rr.search_layouts(**SEARCH),
    "serving_point": lambda: rr.serving_point(**POINT),
    "search_serving": lambda: rr.search_serving(**SERVE),
    "simulate": lambda: rr.simulate(**SIMULATE),
    "simulate_pools": lambda: rr.simulate(
        **{**SIMULATE, "gpus": 2}, disaggregated={"prefill_layout": {"tp": 1}, "prefill_gpus": 1}
    ),
    "pools": lambda: rr.serving_point(
        **{**POINT, "gpus": 8}, disaggregated={"prefill_layout": {"tp": 4}, "prefill_gpus": 4}
    ),
    "collective": lambda: rr.collective("all_gather", 1e6, gpu="H100-SXM", nodes=1, gpus_per_node=8),
    "catalog": rr.catalog,
}

ANSWERS = pytest.mark.parametrize("ask", ASKED.values(), ids=ASKED.keys())


@ANSWERS
def test_every_answer_leaves_by_every_door(ask: Callable[[], Any]) -> None:
    answer = ask()
    assert json.loads(json.dumps(answer.to_dict(), allow_nan=False)) == answer.to_dict()
    records = answer.records()
    for frame in (answer.to_pandas(), answer.to_polars()):
        assert frame.shape == (len(records), len(records[0]))
    table = answer.to_arrow()
    assert (table.num_rows, table.num_columns) == (len(records), len(records[0]))
    assert list(answer.to_pandas().columns) == table.column_names


@ANSWERS
def test_every_answer_is_frozen_hashable_and_travels(ask: Callable[[], Any]) -> None:
    answer = ask()
    again = ask()
    field = dataclasses.fields(answer)[0].name
    with pytest.raises(dataclasses.FrozenInstanceError):
        setattr(answer, field, None)
    with pytest.raises((AttributeError, TypeError)):
        answer.new_attribute = 1
    assert answer == again
    assert hash(answer) == hash(again)
    assert len({answer, again}) == 1
    for other in (pickle.loads(pickle.dumps(answer)), copy.deepcopy(answer)):
        assert other == answer
        assert type(other) is type(answer)
    assert answer != object()


@ANSWERS
def test_every_answer_is_one_honest_line(ask: Callable[[], Any]) -> None:
    answer = ask()
    line = repr(answer)
    assert "\n" not in line
    assert line.startswith(f"<{type(answer).__name__}")
    assert len(line) < 500


class Cells(HTMLParser):
    """Reads back the tables of a piece of HTML and holds that every tag is closed in order."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tables = 0
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag not in {"script", "link", "style", "img"}
        styles = [value or "" for name, value in attrs if name == "style"]
        assert not any("background" in style or ";color:" in style for style in styles), "colours are the notebook's"
        self.open.append(tag)
        self.tables += tag == "table"

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data + " "


@ANSWERS
def test_every_answer_is_a_table_in_a_notebook(ask: Callable[[], Any]) -> None:
    answer = ask()
    cells = Cells()
    cells.feed(answer._repr_html_())
    assert not cells.open
    assert cells.tables >= 1
    bundle = answer._repr_mimebundle_()
    assert bundle["text/html"] == answer._repr_html_()
    assert bundle["text/plain"] == repr(answer)


def test_names_are_escaped_in_a_notebook() -> None:
    answer = rr.plan("serve-70b", name="<script>alert(1)</script>", description="a & b")
    assert "<script>" not in answer._repr_html_()
    assert "&lt;script&gt;" in answer._repr_html_()


def test_a_plan_brings_its_chart(plan: rr.types.Plan) -> None:
    import altair as alt

    spec = plan._repr_mimebundle_()["application/vnd.vegalite.v5+json"]
    shown = {bar["cost"] for bar in spec["data"]["values"]}
    assert plan.training is not None
    assert {option.cost.total_usd for option in plan.training.options if option.cost} <= shown
    alt.Chart.from_dict(spec)  # validates against Vega-Lite's schema


def test_money_is_shown_in_the_currency_asked_for(plan: rr.types.Plan) -> None:
    pricing = {"currency": {"code": "EUR", "per_usd": 0.5}}
    euro = rr.plan("azure-trains-oci-serves", pricing=pricing)
    split = euro.splits[0]
    assert split.total_in_currency == split.total_usd * 0.5
    assert plan.splits[0].total_in_currency is None
    text = euro._repr_html_()
    assert text.count("1 USD = 0.5 EUR") == 1
    assert "EUR/month" in text
    assert "total in EUR" in text
    assert "EUR" not in plan._repr_html_()
    assert "USD/month" in plan._repr_html_()
    spec = euro._repr_mimebundle_()["application/vnd.vegalite.v5+json"]
    assert spec["encoding"]["x"]["title"] == "EUR"


def shown(answer: Any) -> str:
    cells = Cells()
    cells.feed(answer._repr_html_())
    return " ".join(cells.text.split())


def test_units_stand_beside_numbers(step: rr.types.TrainingStep) -> None:
    words = {word.strip("():,") for word in shown(step).split()}
    assert {"s", "GiB", "TFLOP/s/GPU"} <= words


def test_a_step_is_told_in_its_own_words(step: rr.types.TrainingStep) -> None:
    text = shown(step)
    assert f"A training step on {step.gpus} × {step.gpu}" in text
    assert f"MFU {step.mfu * 100:.1f} %" in text
    assert f"bound by {step.bound_by}" in text
    assert all(f" {line.dimension} " in text for line in step.traffic)


def test_a_search_is_a_table_of_layouts_and_its_front() -> None:
    search = rr.search_layouts(**SEARCH)
    text = shown(search)
    assert f"{search.considered:,} layouts looked at, {search.fitting:,} fit" in text
    assert "Time against memory" in text
    assert len(search.best) > 1
    assert search.best._repr_html_().count("<tr>") == len(search.best) + 1
    # A front is cut where its layouts are far slower than the fastest, and says so.
    slow = [point for point in search.front if point.step_seconds > 1.25 * search.front[0].step_seconds]
    assert slow
    assert f"{len(slow):,} take more than 1.25 times the fastest" in text


def test_a_point_says_what_it_sustains_and_its_pools(point: rr.types.ServingPoint) -> None:
    text = shown(point)
    assert f"bound by {point.bound_by}" in text
    assert "that it sustains" in text
    assert "Pools" not in text
    pools = ASKED["pools"]()
    assert "KV cache sent" in shown(pools)
    search = rr.search_serving(**SERVE)
    assert "Throughput against interactivity" in shown(search)
    assert search.frontier._repr_html_().count("<tr>") == len(search.frontier) + 1


def test_a_simulation_shows_percentiles() -> None:
    report = rr.simulate(**SIMULATE)
    text = shown(report)
    assert all(name in text for name in ("p50", "p99", "first token", "each further token", "last token"))
    assert f"{report.requests:,} requests of" in text


def test_a_simulation_shows_the_closed_form_and_its_pools() -> None:
    together = rr.simulate(**SIMULATE, prefix_cache={"hit_rate": 0.5})
    assert together.beside is not None
    assert together.beside.latencies is not None
    assert "first token, closed form" in shown(together)
    assert "Pools apart" not in shown(together)
    apart = rr.simulate(**{**SIMULATE, "gpus": 2}, disaggregated={"prefill_layout": {"tp": 1}, "prefill_gpus": 1})
    assert apart.pools is not None
    assert apart.pools.decode_gpus == 1
    assert all(name in shown(apart) for name in ("Pools apart", "KV cache sent", "place to decode"))
    drafted = rr.simulate(
        **SIMULATE, speculation={"draft_tokens": 2, "acceptance": 0.8, "draft": "llama-3.1-8b"}, seed=5
    )
    assert drafted.seed == 5
    assert drafted.tokens_per_iteration == pytest.approx(1 + 0.8 + 0.64, rel=0.03)
    assert "tokens an iteration" in shown(drafted)


def test_arrays_of_equal_length_are_a_frame() -> None:
    report = rr.simulate(**SIMULATE, list_requests=True)
    frame = report.distribution.to_pandas()
    assert frame.shape == (101, 4)
    assert frame.ttft_seconds[95] == report.ttft.p95_seconds
    assert report.request_list is not None
    assert len(report.request_list.records()) == report.requests
    assert set(report.timeline.to_pandas().columns) >= {"time_seconds", "in_flight", "kv_used_share"}
    prompts = rr.simulate(**{**SIMULATE, "phase": "prefill"})
    assert len(prompts.distribution.tpot_seconds) == 0
    assert list(prompts.distribution.to_pandas().columns) == ["share", "ttft_seconds", "end_to_end_seconds"]


def test_an_explained_step_shows_its_operations(step: rr.types.TrainingStep) -> None:
    assert not step.operations
    told = rr.training_step(**{**STEP, "explain": True})
    assert sum(one.seconds for one in told.operations) == pytest.approx(step.step_seconds)
    longest = max(told.operations, key=lambda one: one.seconds)
    assert (longest.part, longest.bound) == ("compute", "compute")
    cells = Cells()
    cells.feed(told._repr_html_())
    text = cells.text
    assert "Operations" in text
    assert "Operations" not in step._repr_html_()
    assert all(one.name in text for one in told.operations)
    # The longest first.
    table = text[text.index("Operations") :]
    names = sorted({one.name for one in told.operations}, key=lambda name: table.index(f" {name} "))
    assert names[0] == longest.name


def test_lists_are_tables_of_their_own(plan: rr.types.Plan) -> None:
    assert plan.training is not None
    options = plan.training.options
    frame = options.to_pandas()
    assert list(frame["shape"]) == [option.shape for option in options]
    assert frame["step.memory.total_gib"].iloc[0] == options[0].step.memory.total_gib
    assert options.to_polars().height == options.to_arrow().num_rows == len(options)
    assert options.to_dict()[0] == options[0].to_dict()
    assert "TrainingOption" in repr(options)
    assert "<table" in options._repr_html_()


def test_a_plan_is_a_table_of_all_options(plan: rr.types.Plan) -> None:
    assert plan.training is not None
    assert plan.serving is not None
    frame = plan.to_pandas()
    assert list(frame["job"]) == ["training"] * len(plan.training.options) + ["serving"] * len(plan.serving.options)


def test_lists_of_numbers_are_frozen_arrays() -> None:
    from rackrate._answer import numbers

    array = numbers([1.0, 2.0], np.float64)
    assert array.dtype == np.float64
    with pytest.raises(ValueError, match="read-only"):
        array[0] = 2.0
