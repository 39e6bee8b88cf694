// Ways to train, ranked; one of them picked.
import type { Plan, Term, TrainingOption, TrainingPlan } from "../../pkg/rackrate";
import { charts } from "../charts/lazy";
import { short } from "../currency";
import * as show from "../format";
import { pick, picked } from "../state";
import { fill, strings } from "../strings";
import { chosenTraining } from "./headline";
import { endOf, inUsd, moneyColumn, totalOf } from "./money";
import { costParts, stepParts } from "./parts";
import { Refused } from "./refused";
import { Cloud, Shape } from "./rich";
import { Below, type Column, Table } from "./table";
import { TrainingDetail } from "./training-detail";

const columns = strings.columns;
const words = strings.training;

export const Training = ({ plan, training }: { plan: Plan; training: TrainingPlan }) => {
  const { options } = training;
  const current = options.find((option) => option.shape === picked.value.training) ?? chosenTraining(plan);
  const term = plan.scenario.pricing?.term ?? "payg";
  const priced = options.filter((option) => option.cost !== null);
  const sought = training.tokens_basis !== "given";
  const bars = options.map((option) => ({
    key: option.shape,
    label: titleOf(option),
    end: show.seconds(option.step.step_seconds),
    parts: stepParts(option.step.parts),
    current: option === current,
    dim: !option.meets_deadline,
  }));
  return (
    <section class="card" aria-labelledby="ways-to-train">
      <h2 id="ways-to-train">{words.title}</h2>
      <p class="facts-line">
        {fill(sought ? words.factsSought : words.facts, {
          tokens: show.compactly(training.tokens),
          basis: strings.tokensBases[training.tokens_basis],
          steps: show.count(training.steps),
          batch: show.count(training.global_batch),
          flop: show.flop(training.model_flop),
        })}
      </p>
      {options.length > 0 && (
        <Table
          name="training"
          caption={words.caption}
          captioned={false}
          columns={table(
            term,
            (shape) => {
              pick("training", shape);
            },
            current?.shape,
            options.some((option) => !option.meets_deadline),
            options.some((option) => option.tokens_interval !== null),
          )}
          rows={options}
          rowKey={(row) => `${row.provider} ${row.shape}`}
          current={(row) => row === current}
          rowClass={(row) => (row.meets_deadline ? "" : "dim")}
        />
      )}
      {charts.value && options.length > 0 && (
        <div class="pair">
          {priced.length > 0 && (
            <charts.value.Bars
              name="training-cost"
              title={inUsd(words.chartCost)}
              bars={priced.map((option) => ({
                key: option.shape,
                label: titleOf(option),
                end: endOf(option.cost),
                parts: option.cost ? costParts(option.cost, option.provider) : [],
                current: option === current,
                dim: !option.meets_deadline,
              }))}
              write={show.usdShort}
              tick={show.usdBriefly}
              unit={{ key: "usd", label: columns.usd }}
            />
          )}
          <charts.value.Bars
            name="training-step"
            title={words.chartStep}
            bars={bars}
            write={show.seconds}
            tick={show.secondsBriefly}
            unit={{ key: "seconds", label: columns.seconds }}
            legend
          />
        </div>
      )}
      {current && <TrainingDetail plan={plan} option={current} among={options} />}
      <Refused
        name="training-refused"
        caption={words.refused}
        refused={training.refused}
        open={options.length === 0}
      />
    </section>
  );
};

const titleOf = (option: TrainingOption) =>
  `${option.provider ? `${strings.clouds[option.provider]} ` : ""}${option.shape}`;

const table = (
  term: Term,
  pick: (shape: string) => void,
  current: string | undefined,
  late: boolean,
  sought: boolean,
): Column<TrainingOption>[] => {
  const price = (row: TrainingOption) => row.terms.find((one) => one.term === term)?.usd_per_gpu_hour ?? null;
  return [
    {
      key: "shape",
      label: columns.shape,
      names: true,
      value: (row) => row.shape,
      show: (row) => (
        <button
          type="button"
          class="pick"
          aria-label={row.shape}
          aria-pressed={row.shape === current}
          onClick={() => pick(row.shape)}
        >
          <Shape of={row.shape} />
        </button>
      ),
    },
    {
      key: "cloud",
      label: columns.cloud,
      value: (row) => row.provider,
      show: (row) => <Cloud of={row.provider} />,
    },
    ...(sought ? [TOKENS] : []),
    moneyColumn(
      "cost",
      columns.cost,
      (row) => totalOf(row.cost),
      (of) => <strong>{short(of)}</strong>,
    ),
    {
      key: "days",
      label: columns.days,
      numeric: true,
      value: (row) => row.days,
      show: (row) => (
        <Below of={show.range(row.days_interval.low, row.days_interval.high, show.days)}>
          {show.days(row.days)}
        </Below>
      ),
    },
    {
      key: "gpus",
      label: columns.gpus,
      numeric: true,
      value: (row) => row.gpus,
      show: (row) => <Below of={row.step.gpu}>{show.count(row.gpus)}</Below>,
    },
    { key: "gpu", label: columns.gpu, exported: true, value: (row) => row.step.gpu },
    {
      key: "usd_per_gpu_hour",
      label: columns.perGpuHour,
      numeric: true,
      value: price,
      show: (row) => show.usd(price(row)),
    },
    {
      key: "mfu",
      label: columns.mfu,
      numeric: true,
      value: (row) => row.step.mfu,
      show: (row) => show.percent(row.step.mfu),
    },
    {
      key: "goodput",
      label: columns.goodput,
      numeric: true,
      value: (row) => row.goodput,
      show: (row) => show.percent(row.goodput),
    },
    {
      key: "exposed_share",
      label: columns.exposed,
      numeric: true,
      value: (row) => row.step.exposed_share,
      show: (row) => show.percent(row.step.exposed_share),
    },
    ...(late ? [DEADLINE] : []),
  ];
};

/** Of interest only where they are sought: each option has its own. */
const TOKENS: Column<TrainingOption> = {
  key: "tokens",
  label: columns.tokens,
  numeric: true,
  value: (row) => row.tokens,
  show: (row) => (
    <Below
      of={
        row.tokens_interval && show.range(row.tokens_interval.low, row.tokens_interval.high, show.compactly)
      }
    >
      <strong>{show.compactly(row.tokens)}</strong>
    </Below>
  ),
};

/** Of interest only where some option misses it. */
const DEADLINE: Column<TrainingOption> = {
  key: "meets_deadline",
  label: columns.deadline,
  value: (row) => row.meets_deadline,
  show: (row) => (row.meets_deadline ? columns.keeps : columns.misses),
};
