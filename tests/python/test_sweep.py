"""Sweeps: NumPy arrays whose cells are the single calls' numbers, and refusals that are named."""

from __future__ import annotations

import inspect
import itertools
import json
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rackrate as rr
from conftest import POINT, STEP
from rackrate._types import REQUEST_FIELDS

BASE: dict[str, Any] = {name: value for name, value in STEP.items() if name not in {"gpus", "layout"}}
BASE["layout"] = {"global_batch": 128, "recompute": "selective"}
AXES: dict[str, Any] = {"gpus": [16, 64, 128], "layout.tp": [1, 2, 3, 4]}
OUTPUTS = ["step_seconds", "memory.total_gib", "gpus"]


@pytest.fixture
def grid() -> rr.Sweep:
    return rr.sweep("training_step", BASE, axes=AXES, outputs=OUTPUTS)


def test_every_cell_is_the_single_call(grid: rr.Sweep) -> None:
    assert grid.shape == (3, 4)
    for (row, gpus), (column, tp) in itertools.product(enumerate(AXES["gpus"]), enumerate(AXES["layout.tp"])):
        if tp == 3:
            with pytest.raises(rr.RackrateError) as caught:
                rr.training_step(**{**BASE, "gpus": gpus, "layout": {**BASE["layout"], "tp": tp}})
            refusal = next(one for one in grid.refused if one.index.tolist() == [row, column])
            assert refusal.error.to_dict() == caught.value.to_dict()
            assert all(np.isnan(array[row, column]) for array in grid.values.values())
        else:
            step = rr.training_step(**{**BASE, "gpus": gpus, "layout": {**BASE["layout"], "tp": tp}})
            assert grid.values["step_seconds"][row, column] == step.step_seconds
            assert grid.values["memory.total_gib"][row, column] == step.memory.total_gib
    assert len(grid.refused) == 3


def test_arrays_are_frozen_numbers(grid: rr.Sweep) -> None:
    for name in OUTPUTS:
        array = grid.values[name]
        assert array.shape == grid.shape
        assert array.dtype == np.float64
        with pytest.raises(ValueError, match="read-only"):
            array[0, 0] = 1
    with pytest.raises(AttributeError):
        grid.axes = {}  # type: ignore[misc]


def test_other_calls_and_ways_to_write_values() -> None:
    base = {name: value for name, value in POINT.items() if name != "concurrency"}
    served = rr.sweep("serving_point", base, axes={"concurrency": np.array([1, 4, 16])}, outputs=["tpot_seconds"])
    assert served.axes == {"concurrency": (1, 4, 16)}
    alone = [rr.serving_point(**base, concurrency=n).tpot_seconds for n in (1, 4, 16)]
    assert served.values["tpot_seconds"].tolist() == alone
    asked = {"op": "all_reduce", "bytes": 1e9, "shape": "BM.GPU.H100.8"}
    sent = rr.sweep("collective", asked, axes={"nodes": range(1, 4)}, outputs=["busbw"])
    assert sent.values["busbw"].tolist() == [rr.collective(**asked, nodes=n).busbw for n in (1, 2, 3)]
    assert not sent.refused


def test_the_table_is_long(grid: rr.Sweep) -> None:
    frame = grid.to_pandas()
    assert list(frame.columns) == ["gpus", "layout.tp", "step_seconds", "memory.total_gib", "answer.gpus", "refused"]
    assert len(frame) == 12
    refused = frame[frame["layout.tp"] == 3]
    assert refused["step_seconds"].isna().all()
    assert refused["refused"].str.startswith("layout.tp: 3").all()
    kept = frame[frame["layout.tp"] != 3]
    assert (kept["gpus"] == kept["answer.gpus"]).all()
    assert kept["refused"].isna().all()
    assert grid.to_polars().height == grid.to_arrow().num_rows == 12


def test_an_answer_like_the_others(grid: rr.Sweep) -> None:
    again = rr.sweep("training_step", BASE, axes=AXES, outputs=OUTPUTS)
    assert grid == again == pickle.loads(pickle.dumps(grid))
    assert hash(grid) == hash(again)
    assert grid != rr.sweep("training_step", BASE, axes=AXES, outputs=OUTPUTS[:2])
    assert repr(grid) == "<Sweep 3 gpus × 4 layout.tp: step_seconds, memory.total_gib, gpus, 3 refused>"
    assert "layout.tp: 3" in grid._repr_html_()
    told = json.loads(json.dumps(grid.to_dict(), allow_nan=False))
    assert told["shape"] == [3, 4]
    assert told["outputs"][0]["values"].count(None) == 3


def test_every_field_of_the_request_is_a_parameter() -> None:
    assert tuple(inspect.signature(rr.sweep).parameters) == REQUEST_FIELDS["SweepRequest"]


@pytest.mark.parametrize(
    ("change", "code", "field", "hint"),
    [
        ({"call": "training_stop"}, "unknown_name", "call", "training_step"),
        ({"axes": {}}, "missing_field", "axes", None),
        ({"axes": {"gpus": []}}, "missing_field", "axes[0].values", None),
        ({"axes": [1]}, "wrong_type", "axes", None),
        ({"axes": {"gpus": {1, 2}}}, "wrong_type", "axes[0].values", None),
        ({"axes": {"gpus": [64], "layout.tpp": [1]}}, "unknown_field", "axes[1].layout.tpp", "tp"),
        ({"axes": {"gpus": range(1001), "layout.tp": range(1000)}}, "out_of_range", "axes", "1000000"),
        ({"outputs": "step_seconds"}, "wrong_type", "outputs", None),
        ({"outputs": ["step_second"]}, "unknown_name", "outputs[0]", "step_seconds"),
        ({"outputs": ["memory.fits"]}, "unknown_name", "outputs[0]", None),
        ({"base": {**BASE, "gpu": "H100-SXN"}}, "unknown_name", "base.gpu", "H100-SXM"),
        ({"base": 3}, "wrong_type", "base", None),
        ({"outputz": ["mfu"]}, "unknown_field", "outputz", "outputs"),
    ],
)
def test_what_is_no_grid_is_refused(change: dict[str, Any], code: str, field: str, hint: str | None) -> None:
    asked: dict[str, Any] = {"call": "training_step", "base": BASE, "axes": AXES, "outputs": OUTPUTS, **change}
    with pytest.raises(rr.RackrateError) as caught:
        rr.sweep(**asked)
    assert (caught.value.code, caught.value.field) == (code, field)
    assert hint is None or caught.value.hint == hint


def test_a_missing_keyword_is_named() -> None:
    with pytest.raises(rr.RackrateError) as caught:
        rr.sweep("training_step", BASE, axes=AXES)  # type: ignore[call-arg]
    assert (caught.value.code, caught.value.field) == ("missing_field", "outputs")


def test_a_configuration_file_is_a_model(tmp_path: Path) -> None:
    config = {"model_type": "llama", "hidden_size": 4096, "intermediate_size": 14336, "num_attention_heads": 32}
    config |= {"num_hidden_layers": 32, "num_key_value_heads": 8, "vocab_size": 128256, "hidden_act": "silu"}
    path = tmp_path / "config.json"
    path.write_text(json.dumps({**config, "max_position_embeddings": 131072, "tie_word_embeddings": False}))
    as_base = rr.sweep("training_step", {**BASE, "model": path}, axes=AXES, outputs=["mfu"])
    as_axis = rr.sweep("training_step", BASE, axes={"model": [str(path)], **AXES}, outputs=["mfu"])
    assert np.array_equal(as_base.values["mfu"], as_axis.values["mfu"][0], equal_nan=True)
