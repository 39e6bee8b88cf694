"""Ways to ask: by name, file, dict and keyword; models by name, architecture and Hugging Face configuration."""

from __future__ import annotations

import datetime as dt
import inspect
import json
from pathlib import Path
from typing import Any

import pytest
import rackrate as rr
from conftest import STEP
from rackrate._types import REQUEST_FIELDS

# Meta's published configuration of Llama 3.1 8B, the keys that describe its architecture.
CONFIG: dict[str, Any] = {
    "architectures": ["LlamaForCausalLM"],
    "model_type": "llama",
    "hidden_act": "silu",
    "hidden_size": 4096,
    "intermediate_size": 14336,
    "max_position_embeddings": 131072,
    "num_attention_heads": 32,
    "num_hidden_layers": 32,
    "num_key_value_heads": 8,
    "tie_word_embeddings": False,
    "vocab_size": 128256,
}


@pytest.mark.parametrize(
    ("call", "request_type"),
    [
        ("training_step", "TrainingStepRequest"),
        ("search_layouts", "LayoutSearchRequest"),
        ("serving_point", "ServingPointRequest"),
        ("search_serving", "ServingSearchRequest"),
        ("collective", "CollectiveRequest"),
    ],
)
def test_every_field_of_a_request_is_a_keyword(call: str, request_type: str) -> None:
    parameters = inspect.signature(getattr(rr, call)).parameters
    assert set(parameters) == set(REQUEST_FIELDS[request_type])
    positional = [name for name, one in parameters.items() if one.kind is not inspect.Parameter.KEYWORD_ONLY]
    assert positional == (["op", "bytes"] if call == "collective" else [])


def test_every_call_is_documented() -> None:
    for name in rr.__all__:
        thing = getattr(rr, name)
        assert name == "__version__" or thing.__doc__, name
        if inspect.isfunction(thing):
            for parameter in inspect.signature(thing).parameters:
                assert f"{parameter}:" in (thing.__doc__ or ""), f"{name}: {parameter}"


def test_a_scenario_by_name_file_dict_and_answer(tmp_path: Path) -> None:
    by_name = rr.plan("serve-70b")
    scenario = by_name.scenario
    path = tmp_path / "mine.json"
    path.write_text(json.dumps(scenario.to_dict()))
    assert rr.plan(path) == rr.plan(str(path)) == rr.plan(scenario) == rr.plan(scenario.to_dict()) == by_name


def test_every_built_in_scenario_is_answered() -> None:
    names = [scenario.name for scenario in rr.scenarios()]
    assert names == [
        "azure-trains-oci-serves",
        "llama3-405b-as-published",
        "deepseek-v3-as-published",
        "serve-70b",
        "serve-100m-users",
        "fine-tune-8b",
        "compute-optimal-70b",
        "budget-2m-8b",
    ]
    for name in names:
        answer = rr.plan(name)
        assert (answer.training and answer.training.options) or (answer.serving and answer.serving.options), name


def test_one_change_leaves_the_rest() -> None:
    base = rr.plan("serve-70b")
    changed = rr.plan("serve-70b", serving={"traffic": {"requests_per_second": 100}})
    assert base.serving is not None
    assert changed.serving is not None
    assert changed.serving.mean_requests_per_second == 2 * base.serving.mean_requests_per_second
    assert changed.scenario.serving.slo == base.scenario.serving.slo  # type: ignore[union-attr]


def test_a_scenario_by_keyword() -> None:
    fields = rr.plan("serve-70b").scenario.to_dict()
    assert rr.plan(**fields) == rr.plan("serve-70b")


def test_a_scenario_without_a_name_is_called_so() -> None:
    fields = rr.plan("serve-70b").scenario.to_dict()
    plan = rr.plan(serving=fields["serving"])
    assert plan.scenario.name == "unnamed"
    assert plan.serving == rr.plan(**{**fields, "name": "mine", "today": None}).serving


def test_a_date_is_a_day() -> None:
    assert rr.plan("serve-70b", today=dt.date(2026, 11, 23)) == rr.plan("serve-70b", today="2026-11-23")


def test_a_model_by_configuration(tmp_path: Path) -> None:
    named = rr.training_step(**STEP)
    path = tmp_path / "config.json"
    path.write_text(json.dumps(CONFIG))
    for model in (CONFIG, path, str(path), tmp_path):
        step = rr.training_step(**{**STEP, "model": model})
        assert step.step_seconds == named.step_seconds
        assert step.memory == named.memory


def test_a_misspelt_or_missing_keyword_is_refused_by_the_core() -> None:
    with pytest.raises(rr.RackrateError) as caught:
        rr.training_step(**STEP, sequence_lenght=8192)
    assert (caught.value.code, caught.value.hint) == ("unknown_field", "sequence_length")
    with pytest.raises(rr.RackrateError) as caught:
        rr.collective("all_reduce")  # type: ignore[call-arg]
    assert (caught.value.code, caught.value.field) == ("missing_field", "bytes")
