"""`python -m rackrate` in a process of its own, as a person runs it."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import rackrate as rr


def run(*arguments: str, columns: int = 120, **variables: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "COLUMNS": str(columns), "PYTHONIOENCODING": "utf-8", **variables}
    return subprocess.run(
        [sys.executable, "-P", "-m", "rackrate", *arguments],
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=False,
        env=environment,
        timeout=120,
    )


def test_the_main_job_as_a_table(plan: rr.types.Plan) -> None:
    done = run("plan", "azure-trains-oci-serves")
    assert (done.returncode, done.stderr) == (0, "")
    assert plan.training is not None
    assert plan.serving is not None
    for option in plan.training.options:
        assert option.shape in done.stdout
    for title in ("Training", "Serving", "Cost of training", "Ways to split the work", "Warnings"):
        assert f"\n{title}\n" in done.stdout
    assert "▸" in done.stdout


@pytest.mark.parametrize("columns", [40, 60, 80, 120, 200])
def test_tables_keep_within_the_terminal(columns: int) -> None:
    done = run("plan", "azure-trains-oci-serves", columns=columns)
    assert done.returncode == 0
    too_long = [line for line in done.stdout.splitlines() if len(line) > columns]
    # A single word or a shape's name may be longer than a narrow terminal; a table never.
    assert not [line for line in too_long if len(line.split()) > 2], too_long[:3]


def test_engine_settings_are_listed_and_given_by_name() -> None:
    told = run("serving-point", "--help").stdout
    for field, flag in [
        ("chunk_tokens", "--max-num-batched-tokens"),
        ("max_sequences", "--max-running-requests"),
        ("memory_share", "free_gpu_memory_fraction"),
        ("decode_graphs", "--enforce-eager"),
    ]:
        assert f"\n  engine.{field}" in told
        assert flag in told
    asked = ["model=llama-3.1-8b", "gpu=H200", "gpus=1", "layout.tp=1", "input_tokens=1000", "output_tokens=100"]
    asked += ["concurrency=8", "engine.family=sglang", "engine.max_sequences=4"]
    done = run("serving-point", *(word for field in asked for word in ("--set", field)), "--json")
    assert json.loads(done.stdout)["engine"] == "sglang of 2026: at most 4 sequences"


def test_json_is_the_answer(plan: rr.types.Plan) -> None:
    done = run("plan", "azure-trains-oci-serves", "--json")
    assert json.loads(done.stdout) == plan.to_dict()


def test_a_file_and_a_change(tmp_path: Path) -> None:
    path = tmp_path / "mine.scenario"
    path.write_text(json.dumps(rr.plan("serve-70b").scenario.to_dict()))
    done = run("plan", str(path), "--set", "serving.traffic.requests_per_second=100", "--set", "name=mine", "--json")
    answer = json.loads(done.stdout)
    assert answer["scenario"]["name"] == "mine"
    assert answer["serving"]["mean_requests_per_second"] == 100


ESTIMATES = {
    "training-step": (
        ["model=llama-3.1-8b", "gpu=H100-SXM", "gpus=8", "layout.global_batch=8", "sequence_length=8192"],
        "MFU",
    ),
    "search-layouts": (
        ["model=llama-3.1-8b", "gpu=H100-SXM", "gpus=8", "global_batch=8", "sequence_length=8192"],
        "The best layouts",
    ),
    "serving-point": (
        [
            "model=llama-3.1-8b",
            "gpu=H200",
            "gpus=1",
            "input_tokens=999",
            "output_tokens=99",
            "concurrency=4",
            "layout={}",
        ],
        "each further token",
    ),
    "search-serving": (
        [
            "model=llama-3.1-8b",
            "gpu=H200",
            "input_tokens=999",
            "output_tokens=99",
            "slo.ttft_p95_seconds=1",
            "slo.tpot_p95_seconds=1",
        ],
        "Throughput against interactivity",
    ),
    "simulate": (
        [
            "model=llama-3.1-8b",
            "gpu=H200",
            "gpus=1",
            "layout={}",
            "burst=true",
            "requests=9",
            "input.mean_tokens=99",
            "output.mean_tokens=9",
        ],
        "Simulated on",
    ),
    "collective": (["op=all_reduce", "bytes=1e9", "gpu=H100-SXM", "nodes=2"], "busbw"),
}


@pytest.mark.parametrize("estimate", ESTIMATES)
def test_an_estimate_is_asked_field_by_field(estimate: str, tmp_path: Path) -> None:
    fields, title = ESTIMATES[estimate]
    sets = [word for field in fields for word in ("--set", field)]
    done = run(estimate, *sets)
    assert (done.returncode, done.stderr) == (0, "")
    assert title in done.stdout
    assert not [line for line in done.stdout.splitlines() if len(line) > 120]
    # A file of fields, and one field of it changed.
    whole = json.loads(run(estimate, *sets, "--json").stdout)
    request = tmp_path / "request.json"
    first, *rest = fields
    request.write_text(json.dumps({"model" if first.startswith("model") else "op": first.partition("=")[2]}))
    again = run(estimate, str(request), *(word for field in rest for word in ("--set", field)), "--json")
    assert json.loads(again.stdout) == whole
    refused = run(estimate, "--set", "gpus=0", "--set", "no_such_field=1")
    assert refused.returncode == 1
    assert refused.stderr.startswith("rackrate: ")


@pytest.mark.parametrize("estimate", ESTIMATES)
def test_help_tells_the_fields_that_the_core_needs(estimate: str) -> None:
    done = run(estimate, "--help", columns=100)
    assert (done.returncode, done.stderr) == (0, "")
    described = done.stdout.partition("examples:")[0]
    assert not [line for line in described.splitlines() if len(line) > 100]
    needed, _, other = described.partition("needed fields")[2].partition("other fields")
    fields = dict(field.split("=", 1) for field in ESTIMATES[estimate][0])
    assert all(f"\n  {name.partition('.')[0]}" in needed + other for name in fields)
    listed = [line.split()[0] for line in needed.splitlines() if line.startswith("  ") and line[2] != " "]
    assert listed
    for name in listed:
        rest = (f"{field}={value}" for field, value in fields.items() if not f"{field}.".startswith(f"{name}."))
        refused = run(estimate, *(word for field in rest for word in ("--set", field)))
        assert refused.returncode == 1, name
        assert refused.stderr.startswith(f"rackrate: {name.partition('.')[0]}"), refused.stderr
        assert ": missing; " in refused.stderr


@pytest.mark.parametrize("command", ["plan", *ESTIMATES])
def test_the_examples_of_help_run(command: str) -> None:
    text = run(command, "--help").stdout.partition("examples:\n")[2].replace("\\\n", "")
    examples = [shlex.split(line) for line in text.splitlines()]
    assert examples
    for _, *words in examples:
        assert words[:3] == ["-m", "rackrate", command]
        done = run(*words[2:])
        assert (done.returncode, done.stderr) == (0, "")


def test_a_word_that_names_no_file_is_told_as_a_field() -> None:
    for estimate, word, meant in [
        ("collective", "all_reduce", "--set op=all_reduce"),
        ("collective", "all-gather", "--set op=all_gather"),
        ("collective", "bytes=1e9", "--set bytes=1e9"),
        ("training-step", "llama-3.1-8b", "--set model=llama-3.1-8b"),
        ("search-serving", "BM.GPU.H200.8", "--set shape=BM.GPU.H200.8"),
        ("simulate", "whatever", "--set FIELD=VALUE"),
    ]:
        done = run(estimate, word)
        assert done.returncode == 1
        assert done.stderr == f'rackrate: no file is named "{word}"; fields are given by name: {meant}\n'


def test_a_collective_tells_what_was_assumed_only_where_it_was() -> None:
    asked = ("collective", "--set", "op=all_reduce", "--set", "bytes=1e9", "--set", "nodes=2")
    answer = rr.collective("all_reduce", 1e9, shape="BM.GPU.H100.8", nodes=2)
    told = run(*asked, "--set", "shape=BM.GPU.H100.8").stdout
    assert told.startswith(f"all-reduce of 1,000 MB over {answer.ranks} GPUs\n")
    assert f"busbw {answer.busbw:.3g} GB/s" in told
    assert "16 GiB" in told
    assert "assumed" not in told
    assert "taken" not in told
    assert "H100-SXM is taken to be joined" in run(*asked, "--set", "gpu=H100-SXM").stdout


def test_a_plan_of_fields_alone() -> None:
    fields = ["model=llama-3.1-8b", "tokens=1T", "sequence_length=8192", "global_batch=512", "deadline_days=30"]
    done = run("plan", *(word for field in fields for word in ("--set", f"training.{field}")), "--json")
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout)["scenario"]["name"] == "unnamed"
    done = run("plan")
    assert done.returncode == 1
    assert "rackrate scenarios" in done.stderr


def test_scenarios_are_listed() -> None:
    done = run("scenarios")
    assert done.returncode == 0
    assert all(one.name in done.stdout for one in rr.scenarios())
    assert [one["name"] for one in json.loads(run("scenarios", "--json").stdout)] == [
        one.name for one in rr.scenarios()
    ]


@pytest.mark.parametrize("table", ["gpus", "shapes", "fabrics", "prices", "models"])
def test_the_catalogue_is_listed(table: str) -> None:
    done = run("catalog", table, columns=160)
    assert (done.returncode, done.stderr) == (0, "")
    rows = json.loads(run("catalog", table, "--json").stdout)
    assert rows == rr.catalog().to_dict()[table]
    assert len(done.stdout.splitlines()) >= len(rows)


def test_refused_input_is_status_1_and_one_message() -> None:
    done = run("plan", "serve-80b")
    assert done.returncode == 1
    assert done.stdout == ""
    assert "serve-70b" in done.stderr
    assert "Traceback" not in done.stderr
    done = run("plan", "serve-70b", "--set", "serving.precission=fp8")
    assert done.returncode == 1
    assert "serving.precission" in done.stderr
    for arguments in (["plan", "absent.json"], ["validate", "training", "absent.csv"], ["plan", "x", "--set", "="]):
        done = run(*arguments)
        assert done.returncode == 1
        assert done.stderr.startswith("rackrate: ")
        assert "Traceback" not in done.stderr


@pytest.mark.parametrize("arguments", [[], ["plan", "--jsn", "serve-70b"], ["plam", "x"], ["validate", "x", "y"]])
def test_wrong_usage_is_status_2(arguments: list[str]) -> None:
    done = run(*arguments)
    assert done.returncode == 2
    assert "usage:" in done.stderr


def test_version_and_help() -> None:
    assert run("--version").stdout.strip() == f"rackrate {rr.__version__}"
    assert "python -m rackrate plan azure-trains-oci-serves" in run("--help").stdout


def test_help_says_what_the_files_of_its_examples_are() -> None:
    top = run("--help").stdout
    for line in top.splitlines():
        if line.startswith("  python -m rackrate"):
            for word in line.split():
                name = word.rpartition("=")[2]
                if name.startswith("my-") and not line.endswith(f"> {name}"):
                    assert f"\n  {name} " in top, name


@pytest.mark.parametrize("kind", ["training", "inference", "collectives"])
def test_help_names_the_columns_that_a_table_of_measurements_needs(kind: str, tmp_path: Path) -> None:
    (told,) = [line for line in run("validate", "--help").stdout.splitlines() if line.startswith(f"  {kind}:")]
    columns = told.partition(":")[2].partition(";")[0].replace(" ", "").split(",")
    path = tmp_path / "measured.csv"
    path.write_text(",".join(columns) + "\n")
    assert run("validate", kind, str(path)).returncode == 0
    for absent in columns:
        path.write_text(",".join(column for column in columns if column != absent) + "\n")
        done = run("validate", kind, str(path))
        assert done.returncode == 1
        assert absent in done.stderr


def test_a_terminal_without_unicode_still_reads() -> None:
    done = run("plan", "serve-70b", PYTHONIOENCODING="ascii", LC_ALL="C")
    assert done.returncode == 0


def test_a_reader_that_leaves_early_is_no_failure() -> None:
    command = f'"{sys.executable}" -P -m rackrate plan azure-trains-oci-serves | head -n 1'
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=False)
    assert done.stderr == ""
