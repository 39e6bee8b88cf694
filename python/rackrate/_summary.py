"""What a person wants to read of an answer, as sections of lines and tables; printed by `_terminal` and `_render`."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any, Final

from rackrate import _estimates
from rackrate._estimates import (
    counted,
    of_warnings,
    replica_words,
    replicas_words,
    serving_lines,
    step_lines,
    traffic_table,
)
from rackrate._sections import Column, Section, Table, layout_words, of_records, parts
from rackrate._words import amount, figure, money, percent

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from rackrate._types import (
        CommitmentSplit,
        Cost,
        Plan,
        Refusal,
        ServingOption,
        ServingPlan,
        Split,
        TrainingOption,
        TrainingPlan,
        ValidationReport,
        ValidationSummary,
    )

# Reasons that are told of shapes that cannot.
REASONS: Final = 4

# What is said of tokens that the scenario does not give.
BASES: Final = {
    "given": "",
    "compute_optimal": " by the compute-optimal rule",
    "most_for_budget": ", the most that the budget pays for",
    "most_in_time": ", the most that there is time for",
}

CLOUDS: Final = {"azure": "Azure", "oci": "OCI", None: "–"}


def of_plan(plan: Plan) -> list[Section]:
    """Summarise a plan: headline, ranked options, what the chosen ones are made of, splits, warnings."""
    about = (plan.scenario.description,) if plan.scenario.description else ()
    code = code_of(plan)
    sections = [Section(plan.scenario.name, (*about, *headline(plan), *rate(plan)))]
    if plan.training:
        sections += of_training(plan.training, code)
    if plan.serving:
        sections += of_serving(plan.serving, code)
    if plan.splits:
        sections.append(of_splits(plan.splits, code))
    return sections + of_warnings(plan.warnings)


def code_of(plan: Plan) -> str:
    """Give the code of the currency that the plan's totals are shown in."""
    return plan.scenario.pricing.currency.code


def rate(plan: Plan) -> tuple[str, ...]:
    """Say at what rate totals are shown in another currency than that of the price lists."""
    currency = plan.scenario.pricing.currency
    if currency.code == "USD":
        return ()
    return (f"1 USD = {currency.per_usd:g} {currency.code}, as given; unit prices and lines stay in USD.",)


def shown(usd: float | None, converted: float | None) -> str:
    """Write an amount in the plan's currency: as the core converted it, or in USD where that is the currency."""
    return money(usd if converted is None else converted)


def total(cost: Cost) -> str:
    """Write what a cost sums up to, in the plan's currency."""
    return money(total_of(cost))


def total_of(cost: Cost) -> float:
    """Give what a cost sums up to, in the plan's currency."""
    return cost.total_usd if cost.total_in_currency is None else cost.total_in_currency


def headline(plan: Plan) -> tuple[str, ...]:
    """Say the decision in a few lines."""
    lines = []
    code = code_of(plan)
    training = chosen_of(plan.training)
    if plan.training and training:
        cost = f" · {total(training.cost)} {code}" if training.cost else " · no price known"
        late = "" if training.meets_deadline else " · misses the deadline"
        tokens = "" if plan.training.tokens_basis == "given" else f" · {amount(training.tokens / 1e9)} billion tokens"
        lines.append(
            f"Train on {where(training)}: {counted(training.gpus, 'GPU')}{tokens} · {amount(training.days)} days "
            f"({amount(training.days_interval.low)} to {amount(training.days_interval.high)}){cost}{late}"
        )
    elif plan.training:
        lines.append("Train: nothing fits; see the shapes that were refused.")
    serving = chosen_of(plan.serving)
    if serving:
        cost = f" · {total(serving.cost)} {code} a month" if serving.cost else " · no price known"
        lines.append(
            f"Serve on {where(serving)}: {counted(serving.gpus, 'GPU')} in "
            f"{replicas_words(serving.replicas + serving.spare_replicas)}"
            f" · p95 TTFT {amount(serving.point.ttft_p95_seconds)} s"
            f" · p95 TPOT {amount(serving.point.tpot_p95_seconds * 1e3)} ms{cost}"
        )
    elif plan.serving:
        lines.append("Serve: nothing meets the targets; see the shapes that were refused.")
    split = next((split for split in plan.splits if split.chosen), None)
    if split and plan.training and plan.serving:
        months = plan.scenario.serving.months if plan.scenario.serving else 0
        lines.append(
            f"Together {shown(split.total_usd, split.total_in_currency)} {code} with {months:g} months of service"
            f" and {shown(split.transfer_usd, split.transfer_in_currency)} {code}"
            f" to move {amount(split.transfer_gb)} GB of weights."
        )
    return tuple(lines)


def chosen_of(plan: TrainingPlan | ServingPlan | None) -> Any:
    """Give the option that the scenario leads to, if there is one."""
    if plan is None:
        return None
    at = marked_in(plan)
    return None if at is None else plan.options[at]


def where(option: TrainingOption | ServingOption) -> str:
    """Name the cloud and the shape."""
    return f"{CLOUDS[option.provider]} {option.shape}" if option.provider else option.shape


def marked_in(plan: TrainingPlan | ServingPlan) -> int | None:
    """Give the row of the option that the scenario leads to."""
    shapes = [option.shape for option in plan.options]
    return shapes.index(plan.chosen) if plan.chosen in shapes else None


def of_training(training: TrainingPlan, code: str) -> list[Section]:
    """Summarise the ways to train, and the step and the cost of the one that is chosen."""
    steps = (
        f"{amount(training.tokens / 1e9)} billion tokens{BASES[training.tokens_basis]}: {training.steps:,.0f} steps of "
        f"{training.global_batch:,} sequences, {training.model_flop:.3g} model FLOP"
    )
    sections = [
        Section(
            "Training", (steps,), training_table(training.options, code, marked_in(training), sought=sought(training))
        )
    ]
    sections += refused(training.refused)
    option = chosen_of(training)
    if option:
        step = option.step
        time = f"time: {parts(step.parts, '_seconds', 's')}"
        traffic = traffic_table(step.traffic) if step.traffic else None
        sections.append(Section(f"A training step on {where(option)}", (time, *step_lines(step)), traffic))
        sections.append(of_run(option))
        sections += of_cost("Cost of training", option.cost, code)
    return sections


def training_table(
    options: Sequence[TrainingOption], code: str, marked: int | None = None, *, sought: bool = True
) -> Table:
    """Make a table of the ways to train; with the tokens of each where they are what is sought."""
    columns = (
        Column("cloud", number=False, weight=9),
        Column("shape", number=False, weight=10),
        Column("GPUs", weight=10),
        Column("nodes", weight=3),
        Column("layout", number=False, weight=6),
        Column("step", "s", weight=7),
        Column("MFU", "%", weight=8),
        Column("tokens/s/GPU", weight=4),
        Column("memory", "GiB", weight=5),
        Column("exposed", "%", weight=2),
        Column("goodput", "%", weight=4),
        *((Column("tokens", "billion", weight=10),) if sought else ()),
        Column("days", weight=10),
        Column("cost", code, weight=10),
        Column("in time", number=False, weight=1),
    )
    rows = tuple(
        (
            CLOUDS[option.provider],
            option.shape,
            figure(option.gpus),
            figure(option.nodes + option.spare_nodes),
            layout_words(option.step.layout),
            amount(option.step.step_seconds),
            percent(option.step.mfu),
            amount(option.step.tokens_per_second_per_gpu),
            f"{amount(option.step.memory.total_gib)} of {amount(option.step.memory.available_gib)}",
            percent(option.step.exposed_share),
            percent(option.goodput),
            *((amount(option.tokens / 1e9),) if sought else ()),
            amount(option.days),
            cost_cell(option.cost),
            figure(option.meets_deadline),
        )
        for option in options
    )
    return Table(columns, rows, marked)


def sought(training: TrainingPlan) -> bool:
    """Whether tokens are the answer, each option's its own."""
    return training.tokens_basis in {"most_for_budget", "most_in_time"}


def of_run(option: TrainingOption) -> Section:
    """Say where the wall clock of a run goes, and how sure its days are."""
    losses = option.losses
    wait = losses.checkpoint_stall_seconds
    lines = (
        (
            f"goodput {percent(option.goodput)} % ({percent(option.goodput_interval.low)} to "
            f"{percent(option.goodput_interval.high)}); lost: {parts(losses, '_share', '%', scale=100)}"
        ),
        (
            f"an interruption every {amount(losses.mean_hours_between_interruptions)} hours, "
            f"{losses.gpu_hours_per_interruption:,.0f} GPU-hours"
        ),
        (
            f"a checkpoint of {amount(losses.checkpoint_gb)} GB every {amount(losses.checkpoint_interval_seconds)} s, "
            f"written in {amount(losses.checkpoint_seconds)} s, waited for {amount(wait)} s"
        ),
        f"days {amount(option.days_interval.low)} to {amount(option.days_interval.high)}: {option.days_interval.basis}",
    )
    return Section(f"The run on {where(option)}", lines)


def of_serving(serving: ServingPlan, code: str) -> list[Section]:
    """Summarise the ways to serve, and the replica and the cost of the one that is chosen."""
    load = (
        f"{amount(serving.peak_requests_per_second)} requests/s at the peak, "
        f"{amount(serving.mean_requests_per_second)} on average"
    )
    sections = [Section("Serving", (load,), serving_table(serving.options, code, marked_in(serving)))]
    sections += refused(serving.refused)
    option = chosen_of(serving)
    if option:
        lines = (f"{counted(option.point.gpus, 'GPU')}: {replica_words(option.point)}", *serving_lines(option.point))
        sections.append(Section(f"A replica on {where(option)}", lines))
        sections.append(of_fleet(option, code))
        sections += of_cost("Cost of a month of serving", option.cost, code)
    return sections


def serving_table(options: Sequence[ServingOption], code: str, marked: int | None = None) -> Table:
    """Make a table of the ways to serve."""
    columns = (
        Column("cloud", number=False, weight=9),
        Column("shape", number=False, weight=10),
        Column("GPUs", weight=10),
        Column("replicas × GPUs", weight=8),
        Column("layout", number=False, weight=6),
        Column("p95 TTFT", "s", weight=7),
        Column("p95 TPOT", "ms", weight=8),
        Column("tokens/s/GPU", weight=6),
        Column("KV used", "%", weight=2),
        Column("cost", f"{code}/month", weight=10),
        Column("input", f"{code}/M tokens", weight=4),
        Column("output", f"{code}/M tokens", weight=5),
    )
    rows = tuple(
        (
            CLOUDS[option.provider],
            option.shape,
            figure(option.gpus),
            f"({option.replicas:,} + {option.spare_replicas:,}) × {option.fleet.replica_gpus:,}",
            layout_words(option.point.layout),
            amount(option.point.ttft_p95_seconds),
            amount(option.point.tpot_p95_seconds * 1e3),
            amount(option.point.output_tokens_per_second_per_gpu),
            percent(option.point.memory.kv_used_share),
            cost_cell(option.cost),
            per_token(option.usd_per_million_input_tokens, option.per_million_input_tokens_in_currency),
            per_token(option.usd_per_million_output_tokens, option.per_million_output_tokens_in_currency),
        )
        for option in options
    )
    return Table(columns, rows, marked)


def of_fleet(option: ServingOption, code: str) -> Section:
    """Show where the fleet stands, what of it is idle, and the ways to pay for it by the hour."""
    fleet = option.fleet
    regions = "1 region" if fleet.regions == 1 else f"{fleet.regions:,} regions"
    racks = "" if fleet.racks is None else f" · {fleet.racks:,} racks, {amount(fleet.racks_filled or 0)} filled"
    idle = f"{percent(fleet.idle_gpu_hours / fleet.paid_gpu_hours)} % of the GPU-hours paid for are idle"
    cost = "" if fleet.idle_usd is None else f", {money(fleet.idle_usd)} USD a month"
    per_user = shown(fleet.usd_per_user_month, fleet.per_user_month_in_currency)
    lines = (
        f"{regions} of {replicas_words(fleet.replicas_per_region)} · {counted(option.nodes, 'node')}{racks}",
        f"at the peak the needed replicas work at {percent(fleet.peak_utilisation)} % of their rate within the targets",
        idle + cost,
        *(() if fleet.usd_per_user_month is None else (f"{per_user} {code} for a user and month",)),
    )
    return Section("The fleet", lines, commitments_table(fleet.splits, code) if fleet.splits else None)


def commitments_table(splits: Sequence[CommitmentSplit], code: str) -> Table:
    """Make a table of the ways to pay for a fleet by the hour; the cheapest is marked."""
    columns = (
        Column("commitment", number=False, weight=10),
        Column("region", number=False, weight=4),
        Column("break-even", "%", weight=6),
        Column("committed", "replicas", weight=8),
        Column("on demand", "replicas", weight=8),
        Column("paid", "GPU-hours", weight=6),
        Column("idle", "USD/month", weight=7),
        Column("cost", f"{code}/month", weight=10),
        Column("", number=False, weight=5),
    )
    rows = tuple(
        (
            "all on demand" if split.term is None else split.term.replace("_", " "),
            split.region,
            "–" if split.break_even_utilisation is None else percent(split.break_even_utilisation),
            figure(split.committed_replicas),
            figure(split.on_demand_replicas),
            amount(split.paid_gpu_hours),
            money(split.idle_usd),
            shown(split.usd, split.in_currency),
            "longer than the service" if split.outlasts_service else "",
        )
        for split in splits
    )
    return Table(columns, rows, next((at for at, split in enumerate(splits) if split.cheapest), None))


def of_cost(title: str, cost: Cost | None, code: str) -> list[Section]:
    """Show a cost line by line, each with its source."""
    if cost is None:
        return []
    columns = (
        Column("item", number=False, weight=8),
        Column("of", number=False, weight=6),
        Column("quantity", weight=7),
        Column("unit", number=False, weight=7),
        Column("price", "USD/unit", weight=7),
        Column("cost", "USD", weight=10),
        Column("price from", number=False, weight=2),
        Column("as of", number=False, weight=3),
        Column("confidence", number=False, weight=1),
    )
    rows = tuple(
        (
            line.item.replace("_", " "),
            line.what,
            amount(line.quantity),
            line.unit,
            amount(line.unit_usd),
            money(line.usd),
            line.source.source,
            line.source.as_of,
            line.source.confidence,
        )
        for line in cost.lines
    )
    sums = [("total", "", "", "", "", money(cost.total_usd), "", "", "")]
    if cost.total_in_currency is not None:
        sums.append((f"total in {code}", "", "", "", "", money(cost.total_in_currency), "", "", ""))
    return [Section(title, (), Table(columns, (*rows, *sums)))]


def of_splits(splits: Sequence[Split], code: str) -> Section:
    """Show the ways to split the work over the clouds."""
    columns = (
        Column("train on", number=False, weight=10),
        Column("training shape", number=False, weight=4),
        Column("serve on", number=False, weight=10),
        Column("serving shape", number=False, weight=3),
        Column("training", code, weight=8),
        Column("serving", f"{code}/month", weight=8),
        Column("transfer", code, weight=7),
        Column("moved", "GB", weight=2),
        Column("takes", "h", weight=2),
        Column("total", code, weight=10),
    )
    rows = tuple(
        (
            CLOUDS[split.train_on],
            split.training_shape or "–",
            CLOUDS[split.serve_on],
            split.serving_shape or "–",
            shown(split.training_usd, split.training_in_currency),
            shown(split.serving_usd_per_month, split.serving_per_month_in_currency),
            shown(split.transfer_usd, split.transfer_in_currency),
            amount(split.transfer_gb),
            amount(split.transfer_hours),
            shown(split.total_usd, split.total_in_currency),
        )
        for split in splits
    )
    marked = next((at for at, split in enumerate(splits) if split.chosen), None)
    return Section("Ways to split the work", (), Table(columns, rows, marked))


def refused(refusals: Sequence[Refusal]) -> list[Section]:
    """Say which shapes cannot: those with the same reason together, the commonest reasons first."""
    reasons: dict[str, list[str]] = {}
    for refusal in refusals:
        reasons.setdefault(refusal.reason, []).append(refusal.shape)
    commonest = sorted(reasons.items(), key=lambda entry: -len(entry[1]))[:REASONS]
    lines = [f"{', '.join(shapes)}: {reason}" for reason, shapes in commonest]
    rest = len(refusals) - sum(len(shapes) for _, shapes in commonest)
    if rest:
        lines.append(f"… and {rest} more shapes (the whole answer says why each)")
    return [Section("Cannot", tuple(lines))] if lines else []


def of_validation(report: ValidationReport) -> list[Section]:
    """Show the error statistics of a validation, and why rows were not answered."""
    quantities = [{"quantity": row.quantity, **statistics(row)} for row in report.summary.quantities]
    sections = [Section("Errors", (), of_records(quantities))]
    groups = [{"quantity": row.quantity, "group": row.group, **statistics(row)} for row in report.summary.groups]
    if groups:
        sections.append(Section("Errors by group", (), of_records(groups)))
    reasons = Counter(row.refused for row in report.rows if row.refused)
    lines = tuple(f"{count:,} × {reason}" for reason, count in reasons.most_common(10))
    rest = len(reasons) - len(lines)
    if rest > 0:
        lines += (f"… and {rest} other reasons (--json has every row)",)
    return [*sections, Section("Not answered", lines)] if lines else sections


def statistics(row: ValidationSummary) -> dict[str, Any]:
    """Give the statistics of one summary, shares as percent."""
    return {
        "rows": row.rows,
        "answered": row.answered,
        "median error %": percent(row.median_absolute_relative_error),
        "p90 error %": percent(row.p90_absolute_relative_error),
        "mean error %": percent(row.mean_absolute_relative_error),
        "bias %": percent(row.median_relative_error),
        "refused": row.refused,
        "left out": row.left_out,
    }


def cost_cell(cost: Cost | None) -> str:
    """Write a cost, or that none is known."""
    return total(cost) if cost else "no price"


def per_token(usd: float | None, converted: float | None) -> str:
    """Write a price of tokens in the plan's currency."""
    return amount(usd if converted is None else converted)


def currency_of(options: Sequence[TrainingOption | ServingOption]) -> str:
    """Name the currency that the costs of options stand in."""
    return currency(option.cost.total_in_currency for option in options if option.cost)


def currency(converted: Iterable[float | None]) -> str:
    """Name the currency of amounts that are converted or not."""
    return "USD" if all(amount is None for amount in converted) else "own currency"


# How each kind of answer is told, and how a list of such records is: anything else by its fields.
SECTIONS: Final[dict[str, Callable[[Any], list[Section]]]] = {
    "Plan": of_plan,
    "ValidationReport": of_validation,
    **_estimates.SECTIONS,
}
TABLES: Final[dict[str, Callable[[Sequence[Any]], Table]]] = {
    "TrainingOption": lambda options: training_table(options, currency_of(options)),
    "CommitmentSplit": lambda splits: commitments_table(splits, currency(split.in_currency for split in splits)),
    "ServingOption": lambda options: serving_table(options, currency_of(options)),
    **_estimates.TABLES,
}


def table_of(records: Sequence[Any]) -> Table:
    """Make a table of a list of records: in the columns of their kind, or in all of their fields."""
    kind = type(records[0]).__name__ if records else ""
    return TABLES[kind](records) if kind in TABLES else of_records(records.records())  # type: ignore[attr-defined]
