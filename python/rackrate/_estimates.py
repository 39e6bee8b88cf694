"""What a person wants to read of one estimate: a step, a point, a search, a simulation, a collective."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from rackrate._sections import Column, Section, Table, layout_words, parts
from rackrate._words import amount, figure, percent, size

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from rackrate import _types
    from rackrate._types import (
        CollectiveAnswer,
        CollectivePoint,
        DimensionTraffic,
        FrontierPoint,
        Interval,
        LayoutPoint,
        LayoutSearch,
        Percentiles,
        ServingOperation,
        ServingPoint,
        ServingPools,
        ServingSearch,
        SimulationReport,
        StepOperation,
        TrainingStep,
    )


# A layout this many times slower than the fastest is not shown in a front.
SLOWEST: Final = 1.25


def of_training_step(step: TrainingStep) -> list[Section]:
    """Summarise a step: how fast, how sure, what its time, memory and traffic consist of."""
    lines = (
        f"{layout_words(step.layout)} · {step.layout.global_batch:,} sequences a step",
        f"{amount(step.step_seconds)} s a step ({between(step.interval)}): {parts(step.parts, '_seconds', 's')}",
        (
            f"{amount(step.tokens_per_second)} tokens/s · {amount(step.tokens_per_second_per_gpu)} tokens/s/GPU · "
            f"{amount(step.model_tflops_per_gpu)} TFLOP/s/GPU · MFU {percent(step.mfu)} % · HFU {percent(step.hfu)} %"
        ),
        *step_lines(step),
        f"interval from {step.interval.basis}",
    )
    head = Section(f"A training step on {step.gpus:,} × {step.gpu}", lines)
    return [head, *of_traffic(step), *of_operations(step.operations), *of_warnings(step.warnings)]


def step_lines(step: TrainingStep) -> tuple[str, ...]:
    """Say what fills the memory and what bounds the step."""
    memory = step.memory
    host = f", {amount(memory.host_gib)} GiB on the host" if memory.host_gib else ""
    fits = "" if memory.total_gib <= memory.available_gib else ": does not fit"
    return (
        (
            f"memory of the fullest GPU, {amount(memory.total_gib)} of {amount(memory.available_gib)} GiB{fits}: "
            f"{parts(memory, '_gib', 'GiB', leave=('total', 'available', 'host'))}{host}"
        ),
        f"bound by {step.bound_by}; communication is waited for in {percent(step.exposed_share)} % of the step",
    )


def of_traffic(step: TrainingStep) -> list[Section]:
    """Show what each parallel dimension sends and waits for; nothing where nothing is sent."""
    return [Section("What the links carry", (), traffic_table(step.traffic))] if step.traffic else []


def traffic_table(traffic: Sequence[DimensionTraffic]) -> Table:
    """Make a table of what parallel dimensions send and wait for."""
    columns = (
        Column("dimension", number=False, weight=10),
        Column("collective", number=False, weight=8),
        Column("algorithm", number=False, weight=3),
        Column("ranks", weight=7),
        Column("message", "MB", weight=5),
        Column("scale-up", "GB/step/GPU", weight=8),
        Column("fabric", "GB/step/GPU", weight=8),
        Column("busbw", "GB/s", weight=9),
        Column("time", "s", weight=6),
        Column("exposed", "s", weight=9),
    )
    rows = tuple(
        (
            line.dimension,
            line.op.replace("_", "-"),
            line.algorithm.replace("_", " "),
            figure(line.ranks),
            amount(line.message_bytes / 1e6),
            amount(line.scale_up_bytes / 1e9),
            amount(line.fabric_bytes / 1e9),
            amount(line.busbw_gb_per_s),
            amount(line.seconds),
            amount(line.exposed_seconds),
        )
        for line in traffic
    )
    return Table(columns, rows)


def of_layouts(search: LayoutSearch) -> list[Section]:
    """Summarise a search of layouts: the best ones, then the front of time against memory."""
    looked = f"{search.considered:,} layouts looked at, {search.fitting:,} fit"
    sections = [Section("The best layouts", (looked,), steps_table(search.best) if search.best else None)]
    if search.nearest:
        sections.append(Section("Nothing fits; the nearest", (), steps_table([search.nearest])))
    near = [point for point in search.front if point.step_seconds <= SLOWEST * search.front[0].step_seconds]
    if near:
        beaten = f"{len(search.front):,} layouts are beaten by no other in both step time and memory"
        rest = (
            f"; {len(search.front) - len(near):,} take more than {SLOWEST:g} times the fastest"
            if near[-1] is not search.front[-1]
            else ""
        )
        sections.append(Section("Time against memory", (beaten + rest,), front_table(near)))
    return sections


def steps_table(steps: Sequence[TrainingStep]) -> Table:
    """Make a table of steps, in their order."""
    columns = (
        Column("layout", number=False, weight=10),
        Column("GPUs", weight=3),
        Column("step", "s", weight=10),
        Column("from", "s", weight=4),
        Column("to", "s", weight=4),
        Column("MFU", "%", weight=9),
        Column("tokens/s/GPU", weight=6),
        Column("memory", "GiB", weight=8),
        Column("bubble", "%", weight=5),
        Column("exposed", "%", weight=5),
        Column("bound by", number=False, weight=7),
    )
    rows = tuple(
        (
            layout_words(step.layout),
            figure(step.gpus),
            amount(step.step_seconds),
            amount(step.interval.low),
            amount(step.interval.high),
            percent(step.mfu),
            amount(step.tokens_per_second_per_gpu),
            amount(step.memory.total_gib),
            percent(step.parts.bubble_seconds / step.step_seconds),
            percent(step.exposed_share),
            step.bound_by,
        )
        for step in steps
    )
    return Table(columns, rows)


def front_table(front: Sequence[LayoutPoint]) -> Table:
    """Make a table of the layouts that no other beats in both time and memory."""
    columns = (
        Column("layout", number=False, weight=10),
        Column("step", "s", weight=9),
        Column("memory", "GiB", weight=8),
        Column("bound by", number=False, weight=7),
    )
    rows = tuple(
        (layout_words(point.layout), amount(point.step_seconds), amount(point.memory_gib), point.bound_by)
        for point in front
    )
    return Table(columns, rows)


def of_serving_point(point: ServingPoint) -> list[Section]:
    """Summarise an operating point: latencies, throughput, what its iterations and its memory consist of."""
    full = " · saturated: latencies are those at the sustainable rate, without the queue" if point.saturated else ""
    lines = (
        f"{replica_words(point)} · {replicas_words(point.replicas)} · {point.precision} · {point.engine}",
        (
            f"{amount(point.requests_per_second)} requests/s of {amount(point.sustainable_request_rate)} that it "
            f"sustains · {amount(point.concurrency)} in flight · {amount(point.decode_batch)} in decode{full}"
        ),
        (
            f"{amount(point.output_tokens_per_second)} tokens/s · {amount(point.output_tokens_per_second_per_gpu)} "
            f"tokens/s/GPU · with prompts {amount(point.total_tokens_per_second_per_gpu)} tokens/s/GPU"
        ),
        *serving_lines(point),
        (f"mean time per further token: {between(point.tpot_interval, 1e3, 'ms')}, from {point.tpot_interval.basis}"),
    )
    head = Section(f"Serving on {point.gpus:,} × {point.gpu}", lines, latencies(point))
    return [head, *of_pools(point.pools), *of_operations(point.operations), *of_warnings(point.warnings)]


def serving_lines(point: ServingPoint) -> tuple[str, ...]:
    """Say what an iteration and a GPU's memory consist of, and what bounds them."""
    kv = f"{amount(point.memory.kv_used_gib)} of {amount(point.memory.kv_capacity_gib)} GiB KV cache"
    weights = f"{amount(point.memory.weights_gib)} GiB weights, {amount(point.memory.workspace_gib)} GiB workspace"
    return (
        f"decode iteration: {parts(point.decode, '_seconds', 'ms', leave=('total',), scale=1e3)}",
        f"prefill of one prompt: {parts(point.prefill, '_seconds', 'ms', leave=('total',), scale=1e3)}",
        f"memory of a GPU: {weights}, {kv}",
        f"bound by {point.bound_by}",
    )


def latencies(point: ServingPoint) -> Table:
    """Make a table of a point's latencies: all percentiles where they are known, else mean and 95th."""
    if point.percentiles:
        given = (("first token", point.percentiles.ttft), ("each further token", point.percentiles.tpot))
        return percentiles_table(given)
    columns = (
        Column("time to", number=False, weight=10),
        Column("mean", "ms", weight=9),
        Column("p95", "ms", weight=10),
    )
    rows = (
        ("first token", amount(point.ttft_seconds * 1e3), amount(point.ttft_p95_seconds * 1e3)),
        ("each further token", amount(point.tpot_seconds * 1e3), amount(point.tpot_p95_seconds * 1e3)),
    )
    return Table(columns, rows)


def percentiles_table(given: Sequence[tuple[str, Percentiles | None]]) -> Table:
    """Make a table of named distributions."""
    columns = (
        Column("time to", number=False, weight=10),
        Column("mean", "ms", weight=6),
        Column("p50", "ms", weight=9),
        Column("p90", "ms", weight=5),
        Column("p95", "ms", weight=10),
        Column("p99", "ms", weight=7),
    )
    rows = tuple(
        (
            name,
            *(
                amount(seconds * 1e3)
                for seconds in (
                    some.mean_seconds,
                    some.p50_seconds,
                    some.p90_seconds,
                    some.p95_seconds,
                    some.p99_seconds,
                )
            ),
        )
        for name, some in given
        if some
    )
    return Table(columns, rows)


def replica_words(point: ServingPoint) -> str:
    """Write how a replica is cut: with GPUs of their own for prompts, both pools of it."""
    decode = layout_words(point.layout)
    return f"{decode}, prompts {layout_words(point.pools.prefill_layout)}" if point.pools else decode


def of_pools(pools: ServingPools | None) -> list[Section]:
    """Say how pools for prompts and answers share the work; nothing where one replica does both."""
    if pools is None:
        return []
    ratio = pools.balanced_prefill_gpus_per_decode_gpu
    balance = "" if ratio is None else f"; {amount(ratio)} GPUs for prompts to each of these would keep both as busy"
    lines = (
        (
            f"prompts: {counted(pools.prefill_gpus, 'GPU')} in {replicas_words(pools.prefill_replicas)} "
            f"({layout_words(pools.prefill_layout)}), {percent(pools.prefill_utilisation)} % busy"
        ),
        (
            f"answers: {counted(pools.decode_gpus, 'GPU')} in {replicas_words(pools.decode_replicas)}, "
            f"{percent(pools.decode_utilisation)} % of their rate{balance}"
        ),
        (
            f"KV cache sent: {amount(pools.transfer_bytes / 1e9)} GB a request in "
            f"{amount(pools.transfer_seconds * 1e3)} ms, {amount(pools.transfer_exposed_seconds * 1e3)} ms waited for; "
            f"links {percent(pools.transfer_utilisation)} % busy"
        ),
    )
    return [Section("Pools", lines)]


def of_serving_search(search: ServingSearch) -> list[Section]:
    """Summarise a search of operating points: the best one, then the frontier."""
    looked = f"{search.considered:,} layouts, precisions and modes looked at"
    sections = []
    if search.best:
        sections += of_serving_point(search.best)
    elif search.nearest:
        sections += [Section("Nothing meets the targets; the nearest"), *of_serving_point(search.nearest)]
    if search.frontier:
        sections.append(Section("Throughput against interactivity", (looked,), frontier_table(search.frontier)))
    return sections


def frontier_table(frontier: Sequence[FrontierPoint]) -> Table:
    """Make a table of the points that no other beats in both what a user sees and what a GPU gives."""
    columns = (
        Column("layout", number=False, weight=10),
        Column("precision", number=False, weight=6),
        Column("GPUs", weight=8),
        Column("for prompts", weight=6),
        Column("in flight", weight=6),
        Column("user sees", "tokens/s", weight=10),
        Column("GPU gives", "tokens/s", weight=10),
        Column("first token", "ms", weight=8),
    )
    rows = tuple(
        (
            layout_words(point.layout),
            point.precision,
            figure(point.gpus),
            figure(point.prefill_gpus) if point.prefill_gpus else "",
            amount(point.concurrency),
            amount(point.tokens_per_second_per_user),
            amount(point.output_tokens_per_second_per_gpu),
            amount(point.ttft_seconds * 1e3),
        )
        for point in frontier
    )
    return Table(columns, rows)


def of_simulation(report: SimulationReport) -> list[Section]:
    """Summarise a simulation: the distribution of latencies, throughput, how busy the engines were."""
    used = "" if report.utilisation is None else f" · {percent(report.utilisation)} % of what they sustain"
    full = " · saturated: the queue grows as long as it runs" if report.saturated else ""
    lines = (
        f"{layout_words(report.layout)} · {replicas_words(report.replicas)} · {report.engine}",
        (
            f"{report.requests:,} requests of {amount(report.mean_input_tokens)} + {amount(report.mean_output_tokens)} "
            f"tokens in {amount(report.window_seconds)} s ({report.events:,} events)"
        ),
        (
            f"{amount(report.requests_per_second)} requests/s · {amount(report.output_tokens_per_second)} tokens/s · "
            f"{amount(report.output_tokens_per_second_per_gpu)} tokens/s/GPU{used}{full}"
        ),
        (
            f"on average {amount(report.concurrency)} in flight, {amount(report.decode_batch)} in decode; KV cache "
            f"{percent(report.kv_used_share)} % full; engines busy {percent(report.busy_share)} % of the time"
        ),
        *waited(report),
    )
    closed = report.beside.latencies if report.beside else None
    table = percentiles_table(
        (
            ("first token", report.ttft),
            ("first token, closed form", closed.ttft if closed else None),
            ("each further token", report.tpot),
            ("further token, closed form", closed.tpot if closed and report.tpot else None),
            ("last token", report.end_to_end),
        )
    )
    head = Section(f"Simulated on {report.gpus:,} × {report.gpu}", lines, table)
    return [head, *of_simulated_pools(report), *of_warnings(report.warnings)]


def waited(report: SimulationReport) -> tuple[str, ...]:
    """Say what requests waited for and what drafts gave, where they did."""
    told = []
    if report.waited_for_cache_share > 0:
        told.append(f"{percent(report.waited_for_cache_share)} % waited for KV cache")
    if report.waited_for_sequences_share > 0:
        told.append(f"{percent(report.waited_for_sequences_share)} % waited for a place among the sequences")
    if report.tokens_per_iteration is not None and report.tokens_per_iteration > 1:
        told.append(f"{amount(report.tokens_per_iteration)} tokens an iteration")
    return (" · ".join(told),) if told else ()


def of_simulated_pools(report: SimulationReport) -> list[Section]:
    """Say what each pool did, and what a first token waited for; nothing where prompts are read on the same GPUs."""
    pools = report.pools
    if pools is None:
        return []
    lines = (
        (
            f"{counted(pools.prefill_gpus, 'GPU')} for prompts ({replicas_words(pools.prefill_replicas)}, "
            f"{layout_words(pools.prefill_layout)}), busy {percent(pools.prefill_busy_share)} % of the time"
        ),
        (
            f"{counted(pools.decode_gpus, 'GPU')} for answers ({replicas_words(pools.decode_replicas)}), busy "
            f"{percent(pools.decode_busy_share)} % of the time"
        ),
    )
    waits = (("prompt read", pools.prefill), ("KV cache sent", pools.transfer), ("place to decode", pools.place))
    return [Section("Pools apart: what a first token waits for", lines, percentiles_table(waits))]


def of_collective(answer: CollectiveAnswer) -> list[Section]:
    """Summarise a collective: its time and bandwidth, what moves it, what was assumed, the same by message size."""
    placed = (
        f"{amount(answer.compact_seconds * 1e3)} ms with all nodes next to each other, "
        f"{amount(answer.scattered_seconds * 1e3)} ms with the nodes anywhere"
    )
    lines = (
        (
            f"{amount(answer.seconds * 1e3)} ms · algbw {amount(answer.algbw)} GB/s · busbw {amount(answer.busbw)} GB/s"
            f" · {answer.algorithm.replace('_', ' ')}"
        ),
        (
            f"a GPU sends {amount(answer.scale_up_bytes / 1e9)} GB over the scale-up link, "
            f"{amount(answer.scale_out_bytes / 1e9)} GB into the fabric"
        ),
        *(() if answer.compact_seconds == answer.scattered_seconds else (placed,)),
        *answer.assumed,
    )
    name = answer.op.replace("_", "-")
    head = Section(f"{name} of {amount(answer.bytes / 1e6)} MB over {counted(answer.ranks, 'GPU')}", lines)
    return [head, Section("By message size", (), curve_table(answer.curve)), *of_warnings(answer.warnings)]


def curve_table(curve: Sequence[CollectivePoint]) -> Table:
    """Make a table of a collective by message size."""
    columns = (
        Column("message", weight=10),
        Column("time", "ms", weight=8),
        Column("busbw", "GB/s", weight=9),
        Column("algorithm", number=False, weight=6),
    )
    rows = tuple(
        (
            size(point.bytes),
            amount(point.seconds * 1e3),
            amount(point.busbw),
            point.algorithm.replace("_", " "),
        )
        for point in curve
    )
    return Table(columns, rows)


def of_warnings(warnings: Sequence[_types.Warning]) -> list[Section]:
    """Repeat an estimate's warnings, each once."""
    told = tuple(dict.fromkeys(f"{warning.about}: {warning.message}" for warning in warnings))
    return [Section("Warnings", told)] if told else []


def replicas_words(replicas: int) -> str:
    """Count replicas."""
    return counted(replicas, "replica")


def counted(number: int, what: str) -> str:
    """Count something whose plural ends in s."""
    return f"1 {what}" if number == 1 else f"{number:,} {what}s"


def between(interval: Interval, scale: float = 1, unit: str = "s") -> str:
    """Say an interval with its share of cases."""
    return (
        f"{amount(interval.low * scale)} to {amount(interval.high * scale)} {unit} in "
        f"{interval.coverage * 100:.0f} % of cases"
    )


def of_operations(operations: Sequence[StepOperation | ServingOperation]) -> list[Section]:
    """Show the operations behind an explained time; nothing where none were asked for."""
    return [Section("Operations", (), operations_table(operations))] if operations else []


def operations_table(operations: Sequence[StepOperation | ServingOperation]) -> Table:
    """Make a table of operations, the longest first."""
    first = dict(operations[0]._items())
    # Of a step: in which layers and when; of an operating point: in which iteration.
    places = [name for name in ("iteration", "stack", "phase", "part") if name in first]
    numbers = [
        ("seconds", Column("time", "s", weight=10), amount),
        ("hidden_seconds", Column("beside others", "s", weight=4), amount),
        ("flop", Column("FLOP", weight=5), "{:.3g}".format),
        ("flop_share", Column("of peak", "%", weight=8), percent),
        ("memory_bytes", Column("memory", "B", weight=5), "{:.3g}".format),
        ("scale_up_bytes", Column("scale-up", "B", weight=3), "{:.3g}".format),
        ("fabric_bytes", Column("fabric", "B", weight=3), "{:.3g}".format),
        ("bandwidth_share", Column("of bandwidth", "%", weight=7), percent),
    ]
    numbers = [number for number in numbers if number[0] in first]
    columns = (
        Column("operation", number=False, weight=10),
        *(Column(name, number=False, weight=6) for name in places),
        Column("runs", weight=6),
        *(column for _, column, _ in numbers),
        Column("bound by", number=False, weight=9),
    )

    def row(operation: StepOperation | ServingOperation) -> tuple[str, ...]:
        said = dict(operation._items())
        return (
            operation.name,
            *(said[name].replace("_", " ") for name in places),
            amount(operation.count),
            *(write(said[name]) if said[name] else "" for name, _, write in numbers),
            operation.bound.replace("_", " "),
        )

    longest = sorted(operations, key=lambda operation: -operation.seconds)
    return Table(columns, tuple(row(operation) for operation in longest))


# How each kind of estimate is told, and how a list of such records is.
SECTIONS: Final[dict[str, Callable[[Any], list[Section]]]] = {
    "TrainingStep": of_training_step,
    "LayoutSearch": of_layouts,
    "ServingPoint": of_serving_point,
    "ServingSearch": of_serving_search,
    "SimulationReport": of_simulation,
    "CollectiveAnswer": of_collective,
}
TABLES: Final[dict[str, Callable[[Sequence[Any]], Table]]] = {
    "TrainingStep": steps_table,
    "DimensionTraffic": traffic_table,
    "LayoutPoint": front_table,
    "FrontierPoint": frontier_table,
    "StepOperation": operations_table,
    "ServingOperation": operations_table,
    "CollectivePoint": curve_table,
}
