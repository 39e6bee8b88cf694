"""Predictions beside measurements: the promised form, from the package and from the command line."""

from __future__ import annotations

import csv
import json
import math
import statistics
import subprocess
import sys
from pathlib import Path

import pytest
import rackrate as rr

SERVED = """\
id,model,gpu,n_gpus,w_prec,a_prec,kv_prec,tp,pp,ep,isl,osl,load,concurrency,out_tok_s,tpot_mean_ms,ttft_mean_ms
one,Llama-3.1-8B,H100 SXM 80GB,1,fp8,fp8,fp8,1,1,1,1000,200,closed_loop,16,1900,7.5,60
two,Llama-3.1-8B,H100 SXM 80GB,1,fp8,fp8,fp8,1,1,1,1000,200,closed_loop,64,4500,11,120
three,no-such-model,H100 SXM 80GB,1,fp8,fp8,fp8,1,1,1,1000,200,closed_loop,64,4500,11,120
"""

QUANTITIES = {
    "training": {"step_seconds", "peak_memory_gib", "fits"},
    "inference": {"output_tokens_per_second", "input_tokens_per_second", "tpot_seconds", "ttft_seconds"},
    "collectives": {"seconds"},
}


@pytest.fixture
def tables(root: Path, tmp_path: Path) -> dict[str, Path]:
    served = tmp_path / "inference.csv"
    served.write_text(SERVED)
    measured = root / "tests" / "measured"
    return {
        "training": measured / "training.csv",
        "inference": served,
        "collectives": measured / "collectives.csv",
    }


@pytest.mark.parametrize("kind", ["training", "inference", "collectives"])
def test_the_promised_form(kind: str, tables: dict[str, Path]) -> None:
    report = rr.validate(kind, tables[kind])  # type: ignore[arg-type]
    answer = report.to_dict()
    assert set(answer) == {"rows", "summary"}
    with tables[kind].open(newline="", encoding="utf-8") as lines:
        ids = [line["id"] for line in csv.DictReader(lines)]
    assert {row["id"] for row in answer["rows"]} == set(ids)
    assert {row["quantity"] for row in answer["rows"]} <= QUANTITIES[kind]
    for row in answer["rows"]:
        assert list(row) == ["id", "quantity", "measured", "predicted", "refused"]
        assert row["refused"] or row["predicted"] is not None, row
    assert any(row["predicted"] for row in answer["rows"])
    command = [sys.executable, "-P", "-m", "rackrate", "validate", kind, tables[kind], "--json"]
    told = subprocess.run(command, capture_output=True, text=True, check=True)
    assert json.loads(told.stdout) == answer


def test_the_statistics_are_those_of_the_rows(tables: dict[str, Path]) -> None:
    report = rr.validate("inference", tables["inference"])
    for summary in report.summary.quantities:
        errors = [
            abs(row.predicted / row.measured - 1)
            for row in report.rows
            if row.quantity == summary.quantity and row.predicted is not None and row.measured
        ]
        assert summary.answered == len(errors)
        if errors:
            assert summary.mean_absolute_relative_error == pytest.approx(statistics.mean(errors))
    assert any(row.id == "three" and "no-such-model" in (row.refused or "") for row in report.rows)


def test_groups(tables: dict[str, Path]) -> None:
    report = rr.validate("training", tables["training"], by="gpu")
    assert report.summary.groups
    whole = {one.quantity: one.rows for one in report.summary.quantities}
    parts = dict.fromkeys(whole, 0)
    for one in report.summary.groups:
        parts[one.quantity] += one.rows
    assert parts == whole
    command = [sys.executable, "-P", "-m", "rackrate", "validate", "training", tables["training"], "--by", "gpu"]
    told = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "Errors by group" in told.stdout
    frame = report.to_pandas()
    assert len(frame) == len(report.rows)


def test_the_first_bar(tables: dict[str, Path]) -> None:
    """Step times of published runs lie within 25 % at the median; what ran is said to fit in 95 % of rows."""
    report = rr.validate("training", tables["training"])
    summary = {one.quantity: one for one in report.summary.quantities}
    assert (summary["step_seconds"].median_absolute_relative_error or math.inf) < 0.25
    fits = [row.predicted for row in report.rows if row.quantity == "fits" and row.predicted is not None]
    assert fits.count(1.0) / len(fits) >= 0.95


@pytest.mark.parametrize(
    "text",
    [
        "",
        "not a table",
        "id,model\na,b\n",
        "\x00\x01",
        "id,id\n",
    ],
)
def test_a_file_that_is_no_such_table(text: str, tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    path.write_text(text)
    for kind in ("training", "inference", "collectives"):
        with pytest.raises(rr.RackrateError):
            rr.validate(kind, path)  # type: ignore[arg-type]


def test_other_refusals(tables: dict[str, Path], tmp_path: Path) -> None:
    with pytest.raises(rr.RackrateError) as caught:
        rr.validate("trainin", tables["training"])  # type: ignore[arg-type]
    assert (caught.value.code, caught.value.hint) == ("unknown_name", "training")
    with pytest.raises(rr.RackrateError, match="gpuu"):
        rr.validate("training", tables["training"], by="gpuu")
    picture = tmp_path / "picture.csv"
    picture.write_bytes(b"\x89PNG\xff")
    with pytest.raises(rr.RackrateError, match="UTF-8"):
        rr.validate("training", picture)
    with pytest.raises(FileNotFoundError):
        rr.validate("training", tmp_path / "absent.csv")
