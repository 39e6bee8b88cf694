"""One's own data over the catalogue: every form that it may come in, under every call, and what is wrong with it."""

from __future__ import annotations

import datetime as dt
import decimal
import inspect
import io
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import rackrate as rr
from conftest import POINT, SEARCH, SERVE, STEP

CSV = """shape,region,term,usd_per_gpu_hour,note
BM.GPU.H100.8,all-commercial,payg,2.75,"offer 17, signed"
Standard_ND96isr_H100_v5,eastus,payg,3.5,
"""
ROWS: list[dict[str, Any]] = [
    {
        "shape": "BM.GPU.H100.8",
        "region": "all-commercial",
        "term": "payg",
        "usd_per_gpu_hour": 2.75,
        "note": "offer 17, signed",
    },
    {"shape": "Standard_ND96isr_H100_v5", "region": "eastus", "term": "payg", "usd_per_gpu_hour": 3.5, "note": None},
]
HARDWARE: dict[str, Any] = json.loads(
    (Path(__file__).resolve().parents[1] / "cases" / "overlay-step-on-own-shape.json").read_text()
)["request"]["overlay"]
TABLES = [
    "gpus",
    "shapes",
    "fabrics",
    "prices",
    "regions",
    "storage",
    "transfers",
    "pairs",
    "limits",
    "energy",
    "reliability",
    "models",
]


def refused(overlay: Any) -> rr.RackrateError:
    with pytest.raises(rr.RackrateError) as caught:
        rr.catalog(overlay=overlay)
    return caught.value


def forms(folder: Path) -> dict[str, Any]:
    """The two prices in every form that an overlay's table may have."""
    (folder / "mine.csv").write_text(CSV)
    (folder / "MINE.CSV").write_text("\ufeff" + CSV.replace("\n", "\r\n"), encoding="utf-8")
    (folder / "mine.json").write_text(json.dumps(ROWS))
    (folder / "tables.json").write_text(json.dumps({"prices": ROWS}))
    frame = pd.read_csv(io.StringIO(CSV))
    price = [decimal.Decimal("2.75"), decimal.Decimal("3.5")]
    given = {
        "text": CSV,
        "rows": ROWS,
        "a tuple of texts and rows": (CSV.splitlines()[0] + "\n" + CSV.splitlines()[1], ROWS[1]),
        "numpy scalars": [{**row, "usd_per_gpu_hour": np.float32(row["usd_per_gpu_hour"])} for row in ROWS],
        "path": folder / "mine.csv",
        "name of a file": str(folder / "MINE.CSV"),
        "json path": folder / "mine.json",
        "name of a json file": str(folder / "mine.json"),
        "pandas": frame,
        "pandas with an index": frame.set_index(["shape", "region"]),
        "pandas nullable": frame.convert_dtypes(),
        "pandas categories": frame.astype({"shape": "category", "term": "category"}),
        "pandas decimals": frame.assign(usd_per_gpu_hour=price),
        "pandas filtered": pd.concat([frame.iloc[:0], frame, frame]).iloc[:2],
        "polars": pl.read_csv(io.StringIO(CSV)),
        "polars rows": pl.DataFrame(ROWS),
        "polars decimals": pl.DataFrame(ROWS).with_columns(pl.Series("usd_per_gpu_hour", price)),
        "arrow": pa.Table.from_pylist(ROWS),
        "table": rr.Table("prices", CSV),
    }
    overlays: dict[str, Any] = {form: {"prices": table} for form, table in given.items()}
    return {**overlays, "a file of tables": folder / "tables.json", "its name": str(folder / "tables.json")}


def test_every_form_is_the_same_overlay(tmp_path: Path) -> None:
    expected = rr.catalog(overlay={"prices": CSV})
    assert expected != rr.catalog()
    for form, overlay in forms(tmp_path).items():
        assert rr.catalog(overlay=overlay) == expected, form
    nothing: list[Any] = [None, {}, {"prices": None}, {"prices": []}, {"prices": pd.DataFrame()}]
    for overlay in nothing:
        assert rr.catalog(overlay=overlay) == rr.catalog()


def test_an_answer_s_overlay_is_an_overlay() -> None:
    plan = rr.plan("serve-70b", overlay={"prices": ROWS})
    assert plan.scenario.overlay is not None
    assert rr.catalog(overlay=plan.scenario.overlay) == rr.catalog(overlay={"prices": ROWS})
    assert rr.plan(plan.scenario) == plan


def test_every_call_finds_what_only_the_overlay_knows(tmp_path: Path) -> None:
    shape = "BM.GPU.X1.8"
    own = {**HARDWARE, "fabrics": tmp_path / "fabrics.csv"}
    (tmp_path / "fabrics.csv").write_text(HARDWARE["fabrics"])
    on = {"shape": shape, "overlay": own}
    without = {name: {key: value for key, value in one.items() if key != "gpu"} for name, one in asked().items()}
    assert rr.training_step(**without["step"], **on).step_seconds > 0
    assert rr.search_layouts(**without["search"], **on).best
    assert rr.serving_point(**without["point"], **on).tpot_p95_seconds > 0
    assert rr.search_serving(**without["serve"], **on).best is not None
    assert rr.collective("all_reduce", 1e9, nodes=4, **on).seconds > 0
    assert rr.sweep(
        "training_step", {**without["step"], "shape": shape}, axes={"gpus": [64]}, outputs=["mfu"], overlay=own
    )
    assert rr.sweep("training_step", {**without["step"], **on}, axes={"gpus": [64]}, outputs=["mfu"])
    assert rr.plan("serve-70b", serving={"shapes": [shape]}, overlay=own).serving is not None
    assert shape in {one.name for one in rr.catalog(overlay=own).shapes}
    assert shape in rr.table("shapes", overlay=own).csv
    measured = tmp_path / "measured.csv"
    measured.write_text(
        f"id,shape,nodes,gpus_per_node,collective,message_bytes,time_us\nm,{shape},4,8,all_reduce,1e9,4000\n"
    )
    assert rr.validate("collectives", measured, overlay=own).rows[0].predicted is not None
    assert rr.validate("collectives", measured).rows[0].predicted is None
    # Nothing stays behind.
    with pytest.raises(rr.RackrateError, match="no shape is named"):
        rr.training_step(**without["step"], shape=shape)


def asked() -> dict[str, dict[str, Any]]:
    return {"step": STEP, "search": SEARCH, "point": POINT, "serve": SERVE}


def test_every_call_that_answers_takes_an_overlay() -> None:
    for name in rr.__all__:
        call = getattr(rr, name)
        if inspect.isfunction(call) and name != "scenarios":
            assert inspect.signature(call).parameters["overlay"].default is None, name


def test_a_sweep_compares_overlays(tmp_path: Path) -> None:
    shapes = [{**HARDWARE["gpus"][0], "bf16_tflops": tflops} for tflops in (2000, 4000)]
    base = {**STEP, "gpu": "X1", "gpus": 8, "layout": {"tp": 2, "global_batch": 128}}
    (tmp_path / "fast.json").write_text(json.dumps({"gpus": [shapes[1]]}))
    whole = rr.sweep(
        "training_step",
        base,
        axes={"overlay": [{"gpus": pd.DataFrame(shapes[:1])}, tmp_path / "fast.json"]},
        outputs=["step_seconds"],
    )
    table = rr.sweep("training_step", base, axes={"overlay.gpus": [[one] for one in shapes]}, outputs=["step_seconds"])
    seconds = [rr.training_step(**base, overlay={"gpus": [one]}).step_seconds for one in shapes]
    for sweep in (whole, table):
        assert sweep.to_dict()["outputs"] == [{"name": "step_seconds", "values": seconds}]
    assert seconds[0] > seconds[1]


def test_a_price_of_one_s_own_is_what_the_plan_pays() -> None:
    only = {"shapes": ["BM.GPU.H100.8"]}
    listed, own = rr.plan("serve-70b", serving=only), rr.plan("serve-70b", serving=only, overlay={"prices": CSV})
    assert listed.serving is not None
    assert own.serving is not None
    (before,), (after,) = listed.serving.options, own.serving.options
    assert before.gpus == after.gpus
    priced = {line.unit_usd for line in after.cost.lines if line.item == "compute"}  # type: ignore[union-attr]
    assert priced <= {2.75, 22.0}
    assert priced
    assert any(figure.source.source == "given by the user" for figure in own.sources)


def test_a_scenario_s_own_rows_stay(tmp_path: Path) -> None:
    scenario = {**rr.plan("serve-70b").scenario.to_dict(), "overlay": {"prices": ROWS[:1], "models": None}}
    both = rr.plan(scenario, overlay={"prices": ROWS[1:]})
    assert rr.catalog(overlay=both.scenario.overlay) == rr.catalog(overlay={"prices": ROWS})
    with pytest.raises(rr.RackrateError, match="has the same key as prices"):
        rr.plan(scenario, overlay={"prices": CSV})
    # A scenario is data, from whoever: it names no files.
    path = tmp_path / "secret.csv"
    path.write_text(CSV)
    with pytest.raises(rr.RackrateError) as caught:
        rr.plan({**scenario, "overlay": {"prices": str(path)}})
    assert caught.value.code == "unknown_field"


@pytest.mark.parametrize("make", [list, pd.DataFrame, pl.DataFrame, pa.Table.from_pylist], ids=str)
def test_the_cell_at_fault_is_named(make: Any) -> None:
    def at(**cells: Any) -> tuple[str, str, str | None]:
        error = refused({"prices": make([ROWS[0], {**ROWS[1], **cells}])})
        return error.field, error.code, error.hint

    assert at(usd_per_gpu_hour=-1.0) == ("overlay.prices[1].usd_per_gpu_hour", "out_of_range", "0.000001")
    assert at(usd_per_gpu_hour=None) == ("overlay.prices[1].usd_per_node_hour", "missing_field", None)
    assert at(usd_per_gpu_hour=float("inf"))[:2] == ("overlay.prices[1].usd_per_gpu_hour", "wrong_type")
    assert at(term="pay") == ("overlay.prices[1].term", "unknown_name", "payg")
    assert at(term=None) == ("overlay.prices[1].term", "missing_field", None)
    assert at(shape="BM.GPU.H100.9") == ("overlay.prices[1].shape", "unknown_name", "BM.GPU.H100.8")
    assert at(**ROWS[0])[:2] == ("overlay.prices[1]", "malformed")


def test_what_is_no_table_is_refused(tmp_path: Path) -> None:
    twice = pd.DataFrame([[1, 2]], columns=["shape", "shape"])
    (tmp_path / "object.json").write_text('{"prices": []}')
    (tmp_path / "list.json").write_text("[]")
    (tmp_path / "broken.json").write_text("[")
    for overlay, field, code in [
        ({"price": []}, "overlay.price", "unknown_field"),
        ({"prices": 3}, "overlay.prices", "wrong_type"),
        ({"prices": {"shape": "x"}}, "overlay.prices", "wrong_type"),
        ({"prices": ""}, "overlay.prices", "missing_field"),
        ({"prices": [3]}, "overlay.prices[0]", "wrong_type"),
        ({"prices": [{"shape": object()}]}, "overlay.prices[0].shape", "wrong_type"),
        ({"prices": [{1: "x"}]}, "overlay.prices[0]", "wrong_type"),
        ({"prices": pd.DataFrame([[1]])}, "overlay.prices[0]", "wrong_type"),
        ({"prices": twice}, "overlay.prices.shape", "malformed"),
        (
            {"prices": pd.DataFrame(ROWS).rename(columns={"region": "regoin"})},
            "overlay.prices[0].regoin",
            "unknown_field",
        ),
        ({"prices": pl.LazyFrame(ROWS)}, "overlay.prices", "wrong_type"),
        ({"prices": "shape,regoin\nx,y"}, "overlay.prices.regoin", "unknown_field"),
        ({"prices": tmp_path / "object.json"}, "overlay.prices", "malformed"),
        ({"prices": tmp_path / "broken.json"}, "overlay.prices", "malformed"),
        (tmp_path / "list.json", "overlay", "malformed"),
        ("mine.csv", "overlay", "wrong_type"),
        ("prices", "overlay", "wrong_type"),
        ([ROWS], "overlay", "wrong_type"),
        (3, "overlay", "wrong_type"),
    ]:
        error = refused(overlay)
        assert (error.field, error.code) == (field, code), (overlay, error)
    for missing in (tmp_path / "none.json", {"prices": tmp_path / "none.csv"}, {"prices": "none.csv"}):
        with pytest.raises(FileNotFoundError):
            rr.catalog(overlay=missing)


def test_days_of_frames_are_dates() -> None:
    for day in ("2026-11-02", dt.date(2026, 11, 2), pd.Timestamp("2026-11-02")):
        frame = pd.DataFrame([{**ROWS[0], "as_of": day}, {**ROWS[1], "as_of": pd.NaT}])
        own = {price.source.as_of for price in rr.catalog(overlay={"prices": frame}).prices}
        assert {"2026-11-02", ""} <= own
    frame = pd.DataFrame([{**ROWS[0], "as_of": pd.Timestamp("2026-11-02 12:00")}])
    assert refused({"prices": frame}).field == "overlay.prices[0].as_of"


@pytest.mark.parametrize("name", TABLES)
def test_a_table_is_its_own_overlay(name: str, tmp_path: Path) -> None:
    table = rr.table(name)
    path = tmp_path / "edited.csv"
    path.write_text(table.csv)
    known = rr.catalog()
    for form in (table, path, table.records(), table.to_pandas(), table.to_polars(), table.to_arrow()):
        assert rr.catalog(overlay={name: form}) == known, type(form)
    assert len(table.records()) == len(getattr(known, name))
    assert name in repr(table)
    assert "<table" in table._repr_html_()


def test_tables_are_those_of_the_catalogue() -> None:
    assert [name for name, _ in rr.catalog()._items()] == TABLES
    with pytest.raises(rr.RackrateError) as caught:
        rr.table("price")
    assert (caught.value.field, caught.value.hint) == ("table", "prices")


def test_a_table_edited_in_pandas() -> None:
    frame = rr.table("prices").to_pandas()
    mine = frame[frame["shape"] == "BM.GPU.H100.8"].assign(
        usd_per_gpu_hour=1.5, usd_per_node_hour=None, term_total_usd=None, source="offer 17", confidence="user"
    )
    mine = mine[mine["term"] == "payg"]
    assert len(mine) > 0
    prices = [price for price in rr.catalog(overlay={"prices": mine}).prices if price.shape == "BM.GPU.H100.8"]
    assert {price.usd_per_gpu_hour for price in prices if price.term == "payg"} == {1.5}
    again = rr.table("prices", overlay={"prices": mine})
    assert rr.catalog(overlay={"prices": again}) == rr.catalog(overlay={"prices": mine})
    assert len(again.records()) == len(frame)


def rackrate(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-P", "-m", "rackrate", *arguments]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False, encoding="utf-8")


def test_the_command_line_lays_files_over(tmp_path: Path) -> None:
    def run(*arguments: str) -> Any:
        done = rackrate(*arguments, cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        return done.stdout

    printed = run("catalog", "prices", "--csv")
    assert printed == rr.table("prices").csv
    (tmp_path / "mine.csv").write_text(CSV)
    (tmp_path / "hardware.json").write_text(json.dumps(HARDWARE))
    files = ["--overlay", "hardware.json", "--overlay", "prices=mine.csv"]
    overlay = {**HARDWARE, "prices": CSV}
    assert run("catalog", "prices", "--csv", *files) == rr.table("prices", overlay=overlay).csv
    assert json.loads(run("catalog", "shapes", "--json", *files)) == rr.catalog(overlay=overlay).shapes.to_dict()
    plan = json.loads(run("plan", "serve-70b", "--set", 'serving.shapes=["BM.GPU.X1.8"]', "--json", *files))
    assert plan["scenario"]["overlay"]["prices"] == CSV
    assert plan == rr.plan("serve-70b", serving={"shapes": ["BM.GPU.X1.8"]}, overlay=overlay).to_dict()
    (tmp_path / "measured.csv").write_text(
        "id,shape,nodes,gpus_per_node,collective,message_bytes,time_us\nm,BM.GPU.X1.8,4,8,all_reduce,1e9,4000\n"
    )
    report = json.loads(run("validate", "collectives", "measured.csv", "--json", *files))
    assert report["rows"][0]["predicted"] > 0


@pytest.mark.parametrize(
    ("files", "status", "said"),
    [
        (["prices=mine.csv", "prices=mine.csv"], 1, "overlay.prices[1][0]: has the same key as prices[0][0]; keep one"),
        (["tables.json", "prices=mine.csv"], 1, "overlay.prices[2][0]: has the same key as prices[0]; keep one"),
        (["price=mine.csv"], 1, 'overlay.price: unknown field; did you mean "prices"?'),
        (["mine.csv"], 1, "say which"),
        (["none.json"], 1, "none.json: No such file"),
        (["shapes=mine.csv"], 1, "overlay.shapes.shape: unknown field"),
    ],
)
def test_the_command_line_says_what_is_wrong(tmp_path: Path, files: list[str], status: int, said: str) -> None:
    forms(tmp_path)
    options = [word for file in files for word in ("--overlay", file)]
    done = rackrate("catalog", "prices", *options, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (status, "")
    assert said in done.stderr


def test_csv_and_json_at_once_is_wrong_usage(tmp_path: Path) -> None:
    assert rackrate("catalog", "prices", "--csv", "--json", cwd=tmp_path).returncode == 2
