"""The decision and the estimators behind it, with names and parameters as on every face; handed on as they are."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rackrate import _core, _files, _overlay
from rackrate._answer import Answer
from rackrate._asking import Model, given, refusing
from rackrate._types import (
    CollectiveAnswer,
    CollectiveOp,
    Disaggregated,
    Engine,
    LatencyTargets,
    Layout,
    LayoutSearch,
    LoadKind,
    Lora,
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
    Task,
    TrainingStep,
)

if TYPE_CHECKING:
    import os

    from rackrate._overlay import OverlayLike


def plan(
    scenario: str | os.PathLike[str] | Mapping[str, Any] | Scenario | None = None,
    *,
    overlay: OverlayLike | None = None,
    **changes: object,
) -> Plan:
    """Decide where to train and where to serve: GPUs, layouts, times, costs, over all allowed clouds, ranked.

    Args:
        scenario: A built-in scenario's name (see `scenarios`), the path of a scenario's JSON file, or the scenario as
            a dict. May be left out where its fields are given by name: ``plan(serving={...})``; a scenario without a
            name is called ``unnamed``. `types.Scenario` tells the fields, as does `python -m rackrate plan --help`.
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
    lora: Lora | Mapping[str, Any] | None = None,
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
        lora: The adapters, where the task is ``lora``: ``dict(rank=, targets=)``; rank 16 beside all matrices if not
            given.
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
        lora=lora,
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
    lora: Lora | Mapping[str, Any] | None = None,
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
        lora: The adapters, where the task is ``lora``: ``dict(rank=, targets=)``; rank 16 beside all matrices if not
            given.
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
        lora=lora,
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
        engine: The serving engine: ``dict(family="vllm", year=2025)``; a common one of 2026 if not given. What its
            command line sets in place of its defaults: ``dict(family="vllm", chunk_tokens=, max_sequences=,
            memory_share=, decode_graphs=)``, for vLLM ``--max-num-batched-tokens``, ``--max-num-seqs``,
            ``--gpu-memory-utilization`` and, if false, ``--enforce-eager``; `Engine` names the others' flags.
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
        engine: The serving engine and its settings, as `serving_point` takes it.
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
        engine: The serving engine and its settings, as `serving_point` takes it; a common one of 2026 if not given.
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
