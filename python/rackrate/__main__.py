"""`python -m rackrate`: plans, validations and the catalogue in a terminal."""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, get_args

from rackrate import RackrateError, __version__, _api, _files, _help, _known, _overlay, _sections, _terminal, _types
from rackrate._prices import command as prices_command

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Sequence

EXAMPLES = r"""examples:
  python -m rackrate plan azure-trains-oci-serves
  python -m rackrate plan serve-70b --set serving.traffic.requests_per_second=200
  python -m rackrate plan my-scenario.json --json > plan.json
  python -m rackrate search-layouts --set model=llama-3.1-70b --set gpu=H100-SXM --set gpus=256 \
      --set global_batch=1024 --set sequence_length=8192
  python -m rackrate simulate my-service.json --trace my-requests.csv
  python -m rackrate validate training my-measurements.csv --by gpu
  python -m rackrate catalog shapes
  python -m rackrate catalog prices --csv > my-prices.csv
  python -m rackrate plan serve-70b --overlay prices=my-prices.csv
  python -m rackrate prices refresh --output todays-prices.json

files of your own in these examples:
  my-scenario.json     what to train and to serve: the fields that `plan --help` lists, as JSON, such as
                       {"serving": {"model": "llama-3.3-70b", ...}}; "scenario" in what `plan serve-70b --json` prints
                       is a whole one
  my-service.json      fields that `simulate --help` lists, as JSON: {"model": "llama-3.1-8b", "gpus": 1, ...};
                       every estimate takes such a file in place of --set, or beside it
  my-requests.csv      requests as your service logged them: columns arrival_seconds, input_tokens, output_tokens
  my-measurements.csv  what you measured, a row each: the columns that `validate --help` lists
  my-prices.csv        the catalogue's table as the command before writes it, with your own rows

exit status: 0 answered, 1 the input was refused, 2 wrong usage, 130 interrupted; of `prices refresh` also 3 (see there)
"""

MEASUREMENTS = """what is predicted for each row of your CSV file stands beside what you measured,
with the errors over all rows

columns that a table needs (empty cells where a row does not say; an error names a column that is missing):
  training:    id, model, task, seq_len, gpu, gpus, precision, tp, pp, micro_batch, global_batch, step_time_s
  inference:   id, model, gpu, n_gpus, w_prec, isl, osl, load; and what was measured: out_tok_s, total_tok_s,
               tpot_mean_ms or ttft_mean_ms
  collectives: id, nodes, gpus_per_node, collective, message_bytes; where it ran: shape, or gpu and nic; and what was
               measured: time_us, algbw_GBps or busbw_GBps

examples:
  python -m rackrate validate training my-measurements.csv --by gpu
"""

PLAN_EXAMPLES = r"""
python -m rackrate plan serve-70b --set serving.traffic.requests_per_second=200
python -m rackrate plan azure-trains-oci-serves --set training.deadline_days=60 \
    --set 'training.shapes=["Standard_ND96isr_H200_v5", "BM.GPU.H200.8"]'
python -m rackrate plan --set training.model=llama-3.1-8b --set training.tokens=1T --set training.sequence_length=8192 \
    --set training.global_batch_tokens=4M --set training.deadline_days=30
"""


class Estimate(NamedTuple):
    """An estimator behind a plan: what it does, the request that it takes, how it is asked."""

    about: str
    request: str
    examples: str


# By the names that they have in Python.
ESTIMATES = {
    "training_step": Estimate(
        "price one training step: a model, GPUs, a layout",
        "TrainingStepRequest",
        r"""
python -m rackrate training-step --set model=llama-3.1-8b --set shape=BM.GPU.H100.8 --set gpus=64 \
    --set sequence_length=8192 --set layout.tp=2 --set layout.global_batch=128
""",
    ),
    "search_layouts": Estimate(
        "find the layouts of a training step",
        "LayoutSearchRequest",
        r"""
python -m rackrate search-layouts --set model=llama-3.1-70b --set gpu=H100-SXM --set gpus=256 \
    --set global_batch=1024 --set sequence_length=8192 --set best=5
""",
    ),
    "serving_point": Estimate(
        "price one operating point of a replica",
        "ServingPointRequest",
        r"""
python -m rackrate serving-point --set model=llama-3.3-70b --set gpu=H200 --set gpus=4 --set layout.tp=4 \
    --set precision=fp8 --set input_tokens=1024 --set output_tokens=256 --set request_rate=2
""",
    ),
    "search_serving": Estimate(
        "find the operating points of a shape that meet latency targets",
        "ServingSearchRequest",
        r"""
python -m rackrate search-serving --set model=llama-3.3-70b --set shape=BM.GPU.H200.8 --set input_tokens=1024 \
    --set output_tokens=256 --set slo.ttft_p95_seconds=1 --set slo.tpot_p95_seconds=0.03
""",
    ),
    "simulate": Estimate(
        "simulate requests on serving engines",
        "SimulationRequest",
        r"""
python -m rackrate simulate --set model=llama-3.1-8b --set gpu=H200 --set gpus=1 --set layout.tp=1 \
    --set request_rate=4 --set input.mean_tokens=1000 --set output.mean_tokens=200 --set seed=1
""",
    ),
    "collective": Estimate(
        "time a collective operation",
        "CollectiveRequest",
        r"""
python -m rackrate collective --set op=all_reduce --set bytes=1e9 --set shape=BM.GPU.H100.8 --set nodes=16
""",
    ),
}
REFUSED = 1
INTERRUPTED = 130
KINDS = get_args(_types.ValidationKind)
TABLES = [field.name for field in dataclasses.fields(_types.Catalog)]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; give the exit status."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")  # a terminal without Unicode still gets its table
    options = parser().parse_args(arguments)
    run: Callable[[argparse.Namespace], None] = options.run
    try:
        run(options)
        sys.stdout.flush()
    except BrokenPipeError:
        # The reader has seen enough (`… | head`); nothing is left to say, and Python shall not try at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except KeyboardInterrupt:
        print("rackrate: interrupted", file=sys.stderr)
        return INTERRUPTED
    except RackrateError as error:
        hint = f"\nhint: {error.hint}" if error.hint and error.hint not in error.message else ""
        print(f"rackrate: {error.message}{hint}", file=sys.stderr)
        return REFUSED
    except OSError as error:
        print(f"rackrate: {error.filename or 'input'}: {error.strerror or error}", file=sys.stderr)
        return REFUSED
    return int(options.status)


def parser() -> argparse.ArgumentParser:
    """Describe the commands."""
    top = _help.Parser(
        prog="rackrate",
        description="Where to train a large model and where to serve it: GPUs, interconnect and cost on Azure and OCI.",
        epilog=EXAMPLES,
    )
    top.set_defaults(status=0)
    top.add_argument("--version", action="version", version=f"rackrate {__version__}")
    commands = top.add_subparsers(required=True, metavar="COMMAND")

    def command(
        name: str,
        run: Callable[[argparse.Namespace], None],
        about: str,
        *,
        overlay: bool = False,
        csv: bool = False,
        request: str = "",
        examples: str = "",
    ) -> argparse.ArgumentParser:
        added = commands.add_parser(name, help=about, description=about)
        added.request, added.examples = request, examples
        form = added.add_mutually_exclusive_group()
        form.add_argument("--json", action="store_true", help="print the whole answer as JSON")
        if csv:
            form.add_argument("--csv", action="store_true", help="print the table as the CSV that --overlay takes back")
        if overlay:
            added.add_argument(
                "--overlay",
                metavar="FILE",
                action="append",
                default=[],
                help="your own data over the catalogue's: a JSON file of tables, or TABLE=FILE.csv; may be repeated",
            )
        added.set_defaults(run=run)
        return added

    plan = command("plan", run_plan, "answer a scenario", overlay=True, request="Scenario", examples=PLAN_EXAMPLES)
    plan.add_argument("scenario", nargs="?", help="name of a built-in scenario, or a JSON file; --set may give it all")
    plan.add_argument(
        "--set",
        metavar="FIELD=VALUE",
        action="append",
        default=[],
        help="change a field, such as training.deadline_days=60 (VALUE is JSON, or text); may be repeated",
    )
    for name, (about, request, examples) in ESTIMATES.items():
        estimate = command(
            name.replace("_", "-"), run_estimate, about, overlay=True, request=request, examples=examples
        )
        estimate.set_defaults(estimate=name)
        estimate.add_argument(
            "request", nargs="*", metavar="FILE", help="JSON files of the fields listed below, one laid over the other"
        )
        estimate.add_argument(
            "--set",
            metavar="FIELD=VALUE",
            action="append",
            default=[],
            help="give a field, such as gpus=64 or layout.tp=8 (VALUE is JSON, or text); may be repeated",
        )
        if name == "simulate":
            columns = "arrival_seconds (or none), input_tokens, output_tokens"
            estimate.add_argument("--trace", metavar="FILE", help=f"CSV file of logged requests: columns {columns}")
    command("scenarios", run_scenarios, "list the built-in scenarios")
    validate = command("validate", run_validate, "put predictions beside a table of measurements", overlay=True)
    validate.add_argument("kind", choices=KINDS, help="what the table is about")
    validate.epilog = MEASUREMENTS
    validate.add_argument("file", help="your CSV file of measurements, with a header line")
    validate.add_argument("--by", metavar="COLUMN", help="also give the errors of each value of this column")
    catalog = command("catalog", run_catalog, "list what is known, with sources", overlay=True, csv=True)
    catalog.add_argument("table", choices=TABLES, help="which table")
    prices_command.add(commands, run_refresh)
    return top


def run_plan(options: argparse.Namespace) -> None:
    """Answer a scenario."""
    if options.scenario is None and not options.set:
        message = "give the name of a built-in scenario (`rackrate scenarios` lists them), a file, or fields by --set"
        raise RackrateError("missing_field", "", message)
    scenario = options.scenario
    if scenario is not None and Path(scenario).is_file():
        scenario = Path(scenario)
    changes: dict[str, Any] = {}
    for change in options.set:
        changes = _files.merged(changes, changed(change))
    laid = _overlay.joined([changes.pop("overlay", None), overlay(options)])
    answer = _api.plan(scenario, overlay=laid, **changes)  # type: ignore[arg-type]  # judged by the core
    show(answer, answer._sections(), as_json=options.json)


def changed(change: str) -> dict[str, Any]:
    """Read `a.b=value` as nested dicts."""
    path, equals, text = change.partition("=")
    if not equals or not path:
        message = f"--set {change}: FIELD=VALUE expected, such as training.deadline_days=60"
        raise RackrateError("malformed", "--set", message)
    try:
        value = json.loads(text)
    except json.JSONDecodeError:
        value = text
    for name in reversed(path.split(".")):
        value = {name: value}
    return dict(value)


def overlay(options: argparse.Namespace) -> Any:
    """Read the files of `--overlay`, one behind the other."""
    return _overlay.joined(_overlay.read(named_file(given)) for given in options.overlay)


def named_file(given: str) -> Any:
    """Read `prices=mine.csv` as a table's file; anything else is a file of tables."""
    name, equals, path = given.partition("=")
    return {name: Path(path)} if equals and name.isidentifier() else Path(given)


def run_estimate(options: argparse.Namespace) -> None:
    """Ask one of the estimators behind a plan."""
    request: dict[str, Any] = {}
    for path in options.request:
        request = _files.merged(request, request_file(path, options.estimate))
    for change in options.set:
        request = _files.merged(request, changed(change))
    laid = _overlay.joined([request.pop("overlay", None), overlay(options)])
    if getattr(options, "trace", None) is not None:
        request["trace"] = Path(options.trace)
    answer = getattr(_api, options.estimate)(**request, overlay=laid)
    show(answer, answer._sections(), as_json=options.json)


def request_file(path: str, estimate: str) -> dict[str, Any]:
    """Read a file of a request's fields; of a word that names no file, say how it is given."""
    if not Path(path).exists() and not _files.is_path(path):
        hint = _help.meant(path, ESTIMATES[estimate].request)
        message = f'no file is named "{path}"; fields are given by name: {hint}'
        raise RackrateError("malformed", "", message, hint)
    return _files.read_json(path, "")


def run_scenarios(options: argparse.Namespace) -> None:
    """List the built-in scenarios."""
    answer = _known.scenarios()
    show(answer, [_sections.Section(one.name, (one.description,)) for one in answer], as_json=options.json)


def run_validate(options: argparse.Namespace) -> None:
    """Put predictions beside a table of measurements."""
    answer = _known.validate(options.kind, options.file, by=options.by, overlay=overlay(options))
    show(answer, answer._sections(), as_json=options.json)


def run_catalog(options: argparse.Namespace) -> None:
    """List one table of the catalogue."""
    laid = overlay(options)
    if options.csv:
        # A file's bytes: what a terminal cannot show must not change them.
        sys.stdout.buffer.write(_known.table(options.table, overlay=laid).csv.encode())
        return
    answer = getattr(_known.catalog(overlay=laid), options.table)
    show(answer, [_sections.Section("", (), _sections.of_records(answer.records()))], as_json=options.json)


def run_refresh(options: argparse.Namespace) -> None:
    """Read today's prices into an overlay."""
    outcome = prices_command.run(options)
    # Before it is shown: whoever leaves early gets the status all the same.
    options.status = outcome.status
    show(outcome, outcome.sections(), as_json=options.json)


def show(answer: Any, sections: list[_sections.Section], *, as_json: bool) -> None:
    """Print an answer as JSON, or as text as wide as the terminal."""
    if as_json:
        print(json.dumps(answer.to_dict(), indent=2, ensure_ascii=False, allow_nan=False))
    else:
        print(_terminal.text(sections, shutil.get_terminal_size((120, 24)).columns))


if __name__ == "__main__":
    sys.exit(main())
