"""The calls, with the names and parameters that every face shares. Each hands its arguments to the core as they are."""

from __future__ import annotations

import datetime as dt
import functools
import inspect
import os
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

from rackrate import _core, _files, _overlay
from rackrate._answer import Answer, Rows
from rackrate._errors import RackrateError
from rackrate._overlay import OverlayLike, Table
from rackrate._sweep import Sweep
from rackrate._types import (
    Catalog,
    CollectiveAnswer,
    CollectiveOp,
    Disaggregated,
    Engine,
    LatencyTargets,
    Layout,
    LayoutSearch,
    LoadKind,
    NetworkConditions,
    PipelineSchedule,
    Plan,
    Precision,
    PrefixCache,
    RequestRouting,
    Scenario,
    ServingLayout,
    ServingMode,
    ServingPoint,
    ServingSearch,
    SimulationPhase,
    SimulationReport,
    Software,
    Speculation,
    SweepCall,
    Task,
    TrainingStep,
    ValidationKind,
    ValidationReport,
)

if TYPE_CHECKING:
    import numpy.typing as npt

Asked = ParamSpec("Asked")
Told = TypeVar("Told")

Model = str | os.PathLike[str] | Mapping[str, Any] | Answer
"""A preset's name, an architecture as a dict, or the path or content of a Hugging Face ``config.json``."""


def given(**arguments: object) -> dict[str, object]:
    """Keep the arguments that were given: the core fills in the rest."""
    return opened({name: value for name, value in arguments.items() if value is not None})


def opened(request: Mapping[str, object]) -> dict[str, object]:
    """Put the content of files and frames in their place."""
    readers = {"model": _files.model, "overlay": _overlay.read, "speculation": _files.drafted}
    return {name: readers[name](value) if name in readers else value for name, value in request.items()}


def refusing(core: Callable[[object], object]) -> Callable[[Callable[Asked, Told]], Callable[Asked, Told]]:
    """Let the core refuse a call whose keywords are misspelt or missing: it knows the nearest, and says so."""

    def decorate(function: Callable[Asked, Told]) -> Callable[Asked, Told]:
        parameters = inspect.signature(function).parameters
        names = list(parameters)
        needed = {name for name, one in parameters.items() if one.default is inspect.Parameter.empty}

        @functools.wraps(function)
        def call(*args: Asked.args, **kwargs: Asked.kwargs) -> Told:
            named = {*names[: len(args)], *kwargs}
            if not needed <= named <= parameters.keys():
                core(given(**dict(zip(names, args, strict=False)), **kwargs))
            return function(*args, **kwargs)

        return call

    return decorate


def plan(
    scenario: str | os.PathLike[str] | Mapping[str, Any] | Scenario | None = None,
    *,
    overlay: OverlayLike | None = None,
    **changes: object,
) -> Plan:
    """Decide where to train and where to serve: GPUs, layouts, times, costs, over all allowed clouds, ranked.

    Args:
        scenario: A built-in scenario's name (see `scenarios`), the path of a scenario's JSON file, or the scenario as
            a dict. May be left out when every field is given by name.
        overlay: Your own data laid over the catalogue's, as `catalog` takes it. Its rows stand behind those of the
            scenario's own overlay, if it has one.
        **changes: Fields laid over the scenario, at every level: ``plan("serve-70b", serving={"precision": "bf16"})``.

    Raises:
        RackrateError: A field is unknown, missing, of the wrong type, out of range or in conflict with another.
        OSError: The file cannot be read.
    """
    return Plan._read(_core.plan(question(scenario, overlay, changes)))


def question(scenario: object, overlay: object, changes: Mapping[str, object]) -> object:
    """Give the scenario to ask about, as dicts. It is data: only `overlay` may name files and hold frames."""
    if _files.is_path(scenario):
        scenario = _files.read_json(scenario, "")  # type: ignore[arg-type]  # is_path said so
    elif isinstance(scenario, str):
        scenario = _core.scenario(scenario)
    elif isinstance(scenario, Answer):
        scenario = scenario.to_dict()
    if changes or overlay is not None or scenario is None:
        if scenario is not None and not isinstance(scenario, Mapping):
            return scenario  # refused by the core, in its words
        today = changes.get("today")
        if isinstance(today, dt.date):
            changes = {**changes, "today": today.isoformat()}
        scenario = _files.merged(scenario or {}, changes)
    if overlay is not None and isinstance(scenario, Mapping):
        scenario = {**scenario, "overlay": _overlay.joined([scenario.get("overlay"), _overlay.read(overlay)])}
    return scenario


@refusing(_core.training_step)
def training_step(
    *,
    model: Model,
    shape: str | None = None,
    gpu: str | None = None,
    gpus: int,
    layout: Layout | Mapping[str, Any],
    sequence_length: int,
    precision: Precision = "bf16",
    task: Task = "pretrain",
    software: Software | Mapping[str, Any] | None = None,
    network: NetworkConditions | Mapping[str, Any] | None = None,
    explain: bool | None = None,
    overlay: OverlayLike | None = None,
) -> TrainingStep:
    """Estimate one explicit training layout: time of a step with its parts, throughput, MFU, memory with its parts.

    Args:
        model: A preset's name, an architecture, or a Hugging Face configuration (path or dict).
        shape: Shape to run on, such as ``Standard_ND96isr_H100_v5``; either this or `gpu`.
        gpu: GPU to run on, in its usual nodes and fabric.
        gpus: GPUs of the job.
        layout: How the job is cut: ``dict(tp=, pp=, vp=, dp=, cp=, ep=, micro_batch=, global_batch=, recompute=,
            zero=)``.
        sequence_length: Tokens in a sequence.
        precision: Number format of the matrix products.
        task: What is trained.
        software: What the training software does about kernels and launches, such as ``dict(captured=True)``.
        network: Placement, routing and oversubscription that the job meets, such as ``dict(placement="scattered")``;
            what the fabric's row says if not given.
        explain: Whether the answer lists the operations behind its parts, ``operations``.
        overlay: Your own data laid over the catalogue's, as `catalog` takes it.

    Raises:
        RackrateError: A field is unknown, out of range, or the layout does not divide.
    """
    request = given(
        model=model,
        shape=shape,
        gpu=gpu,
        gpus=gpus,
        layout=layout,
        sequence_length=sequence_length,
        precision=precision,
        task=task,
        software=software,
        network=network,
        explain=explain,
        overlay=overlay,
    )
    return TrainingStep._read(_core.training_step(request))


@refusing(_core.search_layouts)
def search_layouts(
    *,
    model: Model,
    shape: str | None = None,
    gpu: str | None = None,
    gpus: int,
    global_batch: int,
    sequence_length: int,
    precision: Precision = "bf16",
    task: Task = "pretrain",
    software: Software | Mapping[str, Any] | None = None,
    best: int | None = None,
    network: NetworkConditions | Mapping[str, Any] | None = None,
    schedules: Sequence[PipelineSchedule] | None = None,
    overlay: OverlayLike | None = None,
) -> LayoutSearch:
    """Search the best training layouts for this many GPUs, fastest first.

    Args:
        model: A preset's name, an architecture, or a Hugging Face configuration (path or dict).
        shape: Shape to run on; either this or `gpu`.
        gpu: GPU to run on, in its usual nodes and fabric.
        gpus: GPUs of the job.
        global_batch: Sequences in an optimiser step.
        sequence_length: Tokens in a sequence.
        precision: Number format of the matrix products.
        task: What is trained.
        software: What the training software does about kernels and launches, such as ``dict(captured=True)``.
        best: How many of the best layouts to return.
        network: Placement, routing and oversubscription that the job meets, such as ``dict(placement="scattered")``;
            what the fabric's row says if not given.
        schedules: Pipeline schedules to look at; ``one_forward_one_backward`` if not given.
        overlay: Your own data laid over the catalogue's, as `catalog` takes it.

    Raises:
        RackrateError: A field is unknown or out of range.
    """
    request = given(
        model=model,
        shape=shape,
        gpu=gpu,
        gpus=gpus,
        global_batch=global_batch,
        sequence_length=sequence_length,
        precision=precision,
        task=task,
        software=software,
        best=best,
        network=network,
        schedules=schedules,
        overlay=overlay,
    )
    return LayoutSearch._read(_core.search_layouts(request))


@refusing(_core.serving_point)
def serving_point(
    *,
    model: Model,
    shape: str | None = None,
    gpu: str | None = None,
    gpus: int,
    layout: ServingLayout | Mapping[str, Any],
    input_tokens: float,
    output_tokens: float,
    load: LoadKind | None = None,
    concurrency: float | None = None,
    request_rate: float | None = None,
    requests: float | None = None,
    input_spread: float | None = None,
    output_spread: float | None = None,
    engine: Engine | Mapping[str, Any] | None = None,
    precision: Precision = "bf16",
    kv_precision: Precision | None = None,
    prefix_cache: PrefixCache | Mapping[str, Any] | None = None,
    speculation: Speculation | Mapping[str, Any] | None = None,
    disaggregated: Disaggregated | Mapping[str, Any] | None = None,
    explain: bool | None = None,
    overlay: OverlayLike | None = None,
) -> ServingPoint:
    """Estimate one explicit operating point: TTFT, TPOT, throughput, use of the KV cache.

    Args:
        model: A preset's name, an architecture, or a Hugging Face configuration (path or dict).
        shape: Shape to run on; either this or `gpu`.
        gpu: GPU to run on, in its usual nodes and fabric.
        gpus: GPUs in all: a multiple of a replica's; with `disaggregated` those of both pools.
        layout: How a replica is cut: ``dict(tp=, pp=, ep=, dp=, redundant_experts=)``; with `disaggregated` one that
            decodes.
        input_tokens: Mean tokens of a prompt.
        output_tokens: Mean tokens of an answer.
        load: How requests come: ``closed_loop``, ``poisson``, ``offline``, ``burst``, ``static_batch``,
            ``prefill_only`` or ``decode_only``; without it `concurrency` means a closed loop and `request_rate`
            random arrivals.
        concurrency: Requests in flight over all GPUs, or in the batch.
        request_rate: Requests per second over all GPUs, arriving at random.
        requests: Requests of a run that ends, over all GPUs.
        input_spread: Squared coefficient of variation of the prompts' lengths: 0 for equal lengths. With random
            arrivals it or `output_spread` asks for the distribution of the latencies (`percentiles`).
        output_spread: The same of the answers' lengths.
        engine: The serving engine: ``dict(family="vllm", year=2025)``; a common one of 2026 if not given.
        precision: Number format of weights and matrix products.
        kv_precision: Number format of the KV cache.
        prefix_cache: Prompt tokens found in the cache: ``dict(hit_rate=, shared_tokens=)``.
        speculation: Speculative decoding: ``dict(draft_tokens=, acceptance=, draft=)``, where `draft` is ``"mtp"`` for
            the model's own prediction layers or a model as `model` takes it.
        disaggregated: Prompts read on GPUs of their own, of `gpus` in all: ``dict(prefill_layout=, prefill_gpus=,
            transfer=)``.
        explain: Tell the operations of a decode iteration and of a prompt's prefill.
        overlay: Your own data laid over the catalogue's, as `catalog` takes it.

    Raises:
        RackrateError: A field is unknown, out of range, or the layout does not divide.
    """
    request = given(
        model=model,
        shape=shape,
        gpu=gpu,
        gpus=gpus,
        layout=layout,
        input_tokens=input_tokens,
        output_tokens=output_tokens,
        load=load,
        concurrency=concurrency,
        request_rate=request_rate,
        requests=requests,
        input_spread=input_spread,
        output_spread=output_spread,
        engine=engine,
        precision=precision,
        kv_precision=kv_precision,
        prefix_cache=prefix_cache,
        speculation=speculation,
        disaggregated=disaggregated,
        explain=explain,
        overlay=overlay,
    )
    return ServingPoint._read(_core.serving_point(request))


@refusing(_core.simulate)
def simulate(
    *,
    model: Model,
    shape: str | None = None,
    gpu: str | None = None,
    gpus: int,
    layout: ServingLayout | Mapping[str, Any],
    input: Mapping[str, Any] | None = None,  # noqa: A002 (the promised name; nothing here reads from a terminal)
    output: Mapping[str, Any] | None = None,
    trace: object = None,
    trace_speed: float | None = None,
    request_rate: float | None = None,
    concurrency: int | None = None,
    burst: bool | None = None,
    phase: SimulationPhase | None = None,
    routing: RequestRouting | None = None,
    requests: int | None = None,
    warmup_requests: int | None = None,
    seed: int | None = None,
    list_requests: bool | None = None,
    engine: Engine | Mapping[str, Any] | None = None,
    precision: Precision = "bf16",
    kv_precision: Precision | None = None,
    prefix_cache: PrefixCache | Mapping[str, Any] | None = None,
    speculation: Speculation | Mapping[str, Any] | None = None,
    disaggregated: Disaggregated | Mapping[str, Any] | None = None,
    overlay: OverlayLike | None = None,
) -> SimulationReport:
    """Simulate requests on serving engines, iteration by iteration: latencies, throughput, queues over time.

    Args:
        model: A preset's name, an architecture, or a Hugging Face configuration (path or dict).
        shape: Shape to run on; either this or `gpu`.
        gpu: GPU to run on, in its usual nodes and fabric.
        gpus: GPUs in all: a multiple of a replica's.
        layout: How a replica is cut: ``dict(tp=, pp=, ep=, dp=, redundant_experts=)``.
        input: Lengths of the prompts: ``dict(mean_tokens=, family="lognormal", coefficient_of_variation=)``, or with
            `spread` as the square of that.
        output: Lengths of the answers, the same.
        trace: Requests of a trace: the path of a CSV file or its text, or a frame or dict with the columns
            ``input_tokens``, ``output_tokens`` and, to be replayed, ``arrival_seconds``.
        trace_speed: How many times faster than logged a trace is replayed.
        request_rate: Requests per second over all GPUs, arriving at random.
        concurrency: Requests in flight over all GPUs, each replaced when it ends.
        burst: All requests come at once.
        phase: ``both``, ``prefill`` or ``decode``.
        routing: ``least_loaded``, ``round_robin`` or ``random``.
        requests: Requests that are measured.
        warmup_requests: Requests before those.
        seed: Seed of the random numbers: the same gives the same answer everywhere.
        list_requests: Whether the answer lists every measured request.
        engine: The serving engine: ``dict(family=, year=)``.
        precision: Number format of weights and matrix products.
        kv_precision: Number format of the KV cache.
        prefix_cache: Prompt tokens found in the cache: ``dict(hit_rate=, shared_tokens=)``.
        speculation: Speculative decoding: ``dict(draft_tokens=, acceptance=, draft=)``, as `serving_point` takes it;
            what is accepted is drawn step by step.
        disaggregated: Prompts read on GPUs of their own, of `gpus` in all: ``dict(prefill_layout=, prefill_gpus=,
            transfer=)``.
        overlay: Your own data laid over the catalogue's, as `catalog` takes it.

    Raises:
        RackrateError: A field is unknown, out of range or in conflict with another.
        OSError: The trace cannot be read.
    """
    request = given(
        model=model,
        shape=shape,
        gpu=gpu,
        gpus=gpus,
        layout=layout,
        input=input,
        output=output,
        trace_speed=trace_speed,
        request_rate=request_rate,
        concurrency=concurrency,
        burst=burst,
        phase=phase,
        routing=routing,
        requests=requests,
        warmup_requests=warmup_requests,
        seed=seed,
        list_requests=list_requests,
        engine=engine,
        precision=precision,
        kv_precision=kv_precision,
        prefix_cache=prefix_cache,
        speculation=speculation,
        disaggregated=disaggregated,
        overlay=overlay,
        **_files.trace(trace),
    )
    return SimulationReport._read(_core.simulate(request))


@refusing(_core.search_serving)
def search_serving(
    *,
    model: Model,
    shape: str | None = None,
    gpu: str | None = None,
    input_tokens: float,
    output_tokens: float,
    slo: LatencyTargets | Mapping[str, Any],
    precision: Precision | None = None,
    kv_precision: Precision | None = None,
    prefix_cache: PrefixCache | Mapping[str, Any] | None = None,
    speculation: Speculation | Mapping[str, Any] | None = None,
    engine: Engine | Mapping[str, Any] | None = None,
    input_spread: float | None = None,
    output_spread: float | None = None,
    mode: ServingMode | None = None,
    max_replica_gpus: int | None = None,
    overlay: OverlayLike | None = None,
) -> ServingSearch:
    """Search the cheapest way to serve within latency targets, and the frontier of throughput and interactivity.

    Args:
        model: A preset's name, an architecture, or a Hugging Face configuration (path or dict).
        shape: Shape to run on; either this or `gpu`.
        gpu: GPU to run on, in its usual nodes and fabric.
        input_tokens: Mean tokens of a prompt.
        output_tokens: Mean tokens of an answer.
        slo: Latency targets: ``dict(ttft_p95_seconds=, tpot_p95_seconds=)``.
        precision: Number format of weights and matrix products; all float formats of 16, 8 and 4 bits that the GPU has
            if not given.
        kv_precision: Number format of the KV cache.
        prefix_cache: Prompt tokens found in the cache, as `serving_point` takes it.
        speculation: Speculative decoding, as `serving_point` takes it.
        engine: The serving engine: ``dict(family="vllm", year=2025)``; a common one of 2026 if not given.
        input_spread: Squared coefficient of variation of the prompts' lengths: with it or `output_spread` the targets
            are kept by the distribution of the latencies.
        output_spread: The same of the answers' lengths.
        mode: ``"aggregated"`` or ``"disaggregated"``; both are looked at if not given.
        max_replica_gpus: Largest replica to look at, or pools that work together, GPUs; 144 or two scale-up domains if
            not given.
        overlay: Your own data laid over the catalogue's, as `catalog` takes it.

    Raises:
        RackrateError: A field is unknown or out of range.
    """
    request = given(
        model=model,
        shape=shape,
        gpu=gpu,
        input_tokens=input_tokens,
        output_tokens=output_tokens,
        slo=slo,
        precision=precision,
        kv_precision=kv_precision,
        prefix_cache=prefix_cache,
        speculation=speculation,
        engine=engine,
        input_spread=input_spread,
        output_spread=output_spread,
        mode=mode,
        max_replica_gpus=max_replica_gpus,
        overlay=overlay,
    )
    return ServingSearch._read(_core.search_serving(request))


@refusing(_core.collective)
def collective(
    op: CollectiveOp,
    bytes: float,  # noqa: A002 (the promised name; nothing here needs the type)
    *,
    shape: str | None = None,
    gpu: str | None = None,
    fabric: str | None = None,
    nodes: int,
    gpus_per_node: int | None = None,
    conditions: Mapping[str, Any] | None = None,
    engine_kernels: bool | None = None,
    experts: Mapping[str, Any] | None = None,
    overlay: OverlayLike | None = None,
) -> CollectiveAnswer:
    """Estimate one collective: its time, its bandwidth as nccl-tests counts it, the algorithm that the library takes.

    Args:
        op: The operation, such as ``all_reduce``.
        bytes: Message size, bytes, as nccl-tests counts it.
        shape: Shape to run on; either this or `gpu`.
        gpu: GPU to run on, on the fabric of a published system with it or on `fabric`.
        fabric: A fabric by its name in the catalogue; not with `shape`, which has its own.
        nodes: Nodes that take part.
        gpus_per_node: GPUs of each node that take part; all of the shape's if not given, needed with `gpu`.
        conditions: Placement, routing, oversubscription and software, such as ``{"placement": "scattered"}``.
        engine_kernels: All-reduce by an inference engine's own kernels.
        experts: All-to-all as an expert-parallel exchange: `bytes_per_token`, `experts_per_token`, `kernel`.
        overlay: Your own data laid over the catalogue's, as `catalog` takes it.

    Raises:
        RackrateError: A field is unknown or out of range.
    """
    request = given(
        op=op,
        bytes=bytes,
        shape=shape,
        gpu=gpu,
        fabric=fabric,
        nodes=nodes,
        gpus_per_node=gpus_per_node,
        conditions=conditions,
        engine_kernels=engine_kernels,
        experts=experts,
        overlay=overlay,
    )
    return CollectiveAnswer._read(_core.collective(request))


def keywords_of_sweep(request: object) -> object:
    """Let the core judge a sweep's keywords alone: its axes are a dict here and a list there."""
    asked = dict(request) if isinstance(request, Mapping) else {}
    return _core.sweep({**asked, "axes": []} if "axes" in asked else asked)


@refusing(keywords_of_sweep)
def sweep(
    call: SweepCall,
    base: Mapping[str, Any],
    *,
    axes: Mapping[str, Sequence[Any] | npt.NDArray[Any]],
    outputs: Sequence[str],
    overlay: OverlayLike | None = None,
) -> Sweep:
    """Ask one call over a grid: each output is an array of the grid's shape, NaN where the call refuses.

    Args:
        call: The call: ``training_step``, ``serving_point`` or ``collective``.
        base: Its request as a dict; an axis replaces the field that it names, which may also be missing here.
        axes: Paths of the request's fields, such as ``gpus`` or ``layout.tp``, with the values they take; the last
            turns fastest. A grid has at most a million cells.
        outputs: Paths of numbers in the call's answer, such as ``step_seconds`` or ``memory.total_gib``.
        overlay: Your own data laid over the catalogue's, as `catalog` takes it. To compare overlays, leave it out
            and let an axis ``overlay`` take them.

    Raises:
        RackrateError: No such call, field or output; an empty axis; an error that every cell shares.
    """
    if not isinstance(axes, Mapping):
        message = f"axes: {type(axes).__name__} given, a dict of fields with their values expected"
        raise RackrateError("wrong_type", "axes", message)
    if isinstance(base, Mapping):
        base = opened(base)
    grid = [{"field": field, "values": listed(field, values)} for field, values in axes.items()]
    told = _core.sweep(given(call=call, base=base, axes=grid, outputs=outputs, overlay=overlay))
    return Sweep._read(axes, told)


def listed(field: str, values: object) -> object:
    """Give an axis's values as the core takes them: ranges as lists, files of models and overlays as their content."""
    if isinstance(values, range):
        return list(values)
    if isinstance(values, (list, tuple)):
        if field == "model":
            return [_files.model(value) for value in values]
        if field == "overlay":
            return [_overlay.read(value) for value in values]
        if field.startswith("overlay."):
            return [_overlay.table(value, field) for value in values]
    return values


def catalog(*, overlay: OverlayLike | None = None) -> Catalog:
    """Give everything known: GPUs, shapes, fabrics, prices and models, each row with source, date and confidence.

    Args:
        overlay: Your own data laid over it: a dict of tables such as ``{"prices": "mine.csv"}``, each the path of a CSV
            file or of a JSON file with a list of rows, CSV text, a list of dicts, a pandas, polars or Arrow frame (NaN
            and None are empty cells), or what `table` gave; or the path of a JSON file that holds tables by name. A row
            replaces the one with the same key, whole, or is added; the columns are those that `table` shows. A loop
            over many calls is quickest with text: frames are read anew by each.

    Raises:
        RackrateError: Something in the overlay, named by its cell: ``overlay.prices[3].usd_per_gpu_hour``.
        OSError: A file of the overlay cannot be read.
    """
    return Catalog._read(_core.catalog(_overlay.read(overlay)))


def table(name: str, *, overlay: OverlayLike | None = None) -> Table:
    """Give one table of the catalogue in the columns of an overlay: a template for one's own.

    ``core/data/README.md`` in the source explains the columns.

    Args:
        name: The table, such as ``prices``.
        overlay: Your own data laid over the catalogue's, as `catalog` takes it.

    Raises:
        RackrateError: No such table; something in the overlay.
        OSError: A file of the overlay cannot be read.
    """
    return Table(name, _core.table(name, _overlay.read(overlay)))


def validate(
    kind: ValidationKind,
    path: str | os.PathLike[str],
    *,
    by: str | None = None,
    overlay: OverlayLike | None = None,
) -> ValidationReport:
    """Put predictions beside a table of measurements, with error statistics.

    Args:
        kind: What the table is about: ``training``, ``inference`` or ``collectives``.
        path: A CSV file with a header line.
        by: A column whose values form groups with statistics of their own.
        overlay: Your own data laid over the catalogue's, as `catalog` takes it.

    Raises:
        RackrateError: The file is no such table: with line and column.
        OSError: The file cannot be read.
    """
    text = _files.read_text(path, "path")
    return ValidationReport._read(_core.validate(kind, text, by, _overlay.read(overlay)))


def scenarios() -> Rows[Scenario]:
    """List the built-in scenarios: questions that `plan` answers by name."""
    return Rows(Scenario._read(scenario) for scenario in _core.scenarios())
