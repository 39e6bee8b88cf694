// Ways to serve, ranked; one of them in detail.
import type { Plan, ServingOption, ServingPlan, ServingPoint, Term } from "../../pkg/rackrate";
import { charts } from "../charts/lazy";
import { type Amount, amount, short } from "../currency";
import * as show from "../format";
import { pick, picked, replayed, tried } from "../state";
import { fill, strings } from "../strings";
import { cut } from "./cut-serving";
import { Fleet } from "./fleet";
import { Fold } from "./fold";
import { chosenServing } from "./headline";
import { Links } from "./interconnect";
import { endOf, inUsd, moneyColumn, Paid, totalOf } from "./money";
import { costParts, iterationParts } from "./parts";
import { memories, Pools } from "./pools";
import { Refused } from "./refused";
import { Cloud, Facts, Shape } from "./rich";
import { Below, type Column, Table } from "./table";
import { Warnings } from "./warnings";

const columns = strings.columns;
const words = strings.serving;
const detail = strings.detail;

export const Serving = ({ plan, serving }: { plan: Plan; serving: ServingPlan }) => {
  const { options } = serving;
  const current = options.find((option) => option.shape === picked.value.serving) ?? chosenServing(plan);
  const term = plan.scenario.pricing?.term ?? "payg";
  const priced = options.filter((option) => option.cost !== null);
  const bars = options.map((option) => ({
    key: option.shape,
    label: titleOf(option),
    end: show.seconds(option.point.decode.total_seconds),
    parts: iterationParts(option.point.decode),
    current: option === current,
  }));
  const drawn = options.filter((option) => option.frontier.length > 1);
  return (
    <section class="card" aria-labelledby="ways-to-serve">
      <h2 id="ways-to-serve">{words.title}</h2>
      <p class="facts-line">
        {fill(words.facts, {
          mean: show.digits(serving.mean_requests_per_second),
          peak: show.digits(serving.peak_requests_per_second),
        })}
      </p>
      {options.length > 0 && (
        <Table
          name="serving"
          caption={words.caption}
          captioned={false}
          columns={table(
            term,
            (shape) => {
              pick("serving", shape);
            },
            current?.shape,
          )}
          rows={options}
          rowKey={(row) => `${row.provider} ${row.shape}`}
          current={(row) => row === current}
        />
      )}
      {charts.value && options.length > 0 && (
        <div class="pair">
          {priced.length > 0 && (
            <charts.value.Bars
              name="serving-cost"
              title={inUsd(words.chartCost)}
              bars={priced.map((option) => ({
                key: option.shape,
                label: titleOf(option),
                end: endOf(option.cost),
                parts: option.cost ? costParts(option.cost, option.provider) : [],
                current: option === current,
              }))}
              write={show.usdShort}
              tick={show.usdBriefly}
              unit={{ key: "usd_per_month", label: columns.usd }}
            />
          )}
          <charts.value.Bars
            name="serving-iteration"
            title={words.chartIteration}
            bars={bars}
            write={show.seconds}
            tick={show.secondsBriefly}
            unit={{ key: "seconds", label: columns.seconds }}
            legend
          />
        </div>
      )}
      {charts.value && drawn.length > 0 && (
        <charts.value.Lines
          name="serving-frontier"
          title={words.frontier}
          x={{ key: "tokens_per_second_per_user", label: words.frontierX }}
          y={{ key: "output_tokens_per_second_per_gpu", label: words.frontierY }}
          lines={drawn.map((option) => ({
            key: option.shape,
            label: titleOf(option),
            tone: option.provider ?? "none",
            current: option === current,
            dots: option.frontier.map((point) => ({
              x: point.tokens_per_second_per_user,
              y: point.output_tokens_per_second_per_gpu,
              note: `${cut(point.layout)}; ${columns.concurrency}: ${show.digits(point.concurrency)}`,
            })),
          }))}
          others={words.frontierOthers}
        />
      )}
      {current && <Detail plan={plan} option={current} among={options} />}
      <Refused
        name="serving-refused"
        caption={words.refused}
        refused={serving.refused}
        open={options.length === 0}
      />
    </section>
  );
};

/** How a replica is cut; where prompts are read apart, both pools of it. */
const replica = ({ layout, pools }: ServingPoint): string =>
  pools ? fill(words.withPrompts, { decode: cut(layout), prefill: cut(pools.prefill_layout) }) : cut(layout);

const titleOf = (option: ServingOption) =>
  `${option.provider ? `${strings.clouds[option.provider]} ` : ""}${option.shape}`;

const table = (
  term: Term,
  pick: (shape: string) => void,
  current: string | undefined,
): Column<ServingOption>[] => {
  const price = (row: ServingOption) => row.terms.find((one) => one.term === term)?.usd_per_gpu_hour ?? null;
  const number = (
    key: string,
    label: string,
    value: (row: ServingOption) => number | null,
    write: (value: number | null) => string,
  ): Column<ServingOption> => ({ key, label, numeric: true, value, show: (row) => write(value(row)) });
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
    moneyColumn(
      "cost_per_month",
      columns.costMonth,
      (row) => totalOf(row.cost),
      (of) => <strong>{short(of)}</strong>,
    ),
    moneyColumn("per_million_input_tokens", columns.perMillionIn, INPUT),
    moneyColumn("per_million_output_tokens", columns.perMillionOut, OUTPUT),
    {
      key: "gpus",
      label: columns.gpus,
      numeric: true,
      value: (row) => row.gpus,
      show: (row) => <Below of={row.point.gpu}>{show.count(row.gpus)}</Below>,
    },
    { key: "gpu", label: columns.gpu, exported: true, value: (row) => row.point.gpu },
    number("usd_per_gpu_hour", columns.perGpuHour, price, show.usd),
    number("ttft_p95_seconds", columns.ttft, (row) => row.point.ttft_p95_seconds, show.seconds),
    number("tpot_p95_seconds", columns.tpot, (row) => row.point.tpot_p95_seconds, show.seconds),
    {
      key: "replica",
      label: columns.replicaCut,
      value: (row) => replica(row.point),
      show: ({ point: { layout, pools } }) => (
        <Below of={pools && fill(words.promptsBy, { prefill: cut(pools.prefill_layout) })}>
          {cut(layout)}
        </Below>
      ),
    },
    number(
      "output_tokens_per_second_per_gpu",
      columns.output,
      (row) => row.point.output_tokens_per_second_per_gpu,
      show.digits,
    ),
    moneyColumn("per_thousand_requests", columns.perThousand, REQUESTS),
  ];
};

const INPUT = (row: ServingOption): Amount =>
  amount(row.usd_per_million_input_tokens, row.per_million_input_tokens_in_currency);
const OUTPUT = (row: ServingOption): Amount =>
  amount(row.usd_per_million_output_tokens, row.per_million_output_tokens_in_currency);
const REQUESTS = (row: ServingOption): Amount =>
  amount(row.usd_per_thousand_requests, row.per_thousand_requests_in_currency);

interface DetailProps {
  plan: Plan;
  option: ServingOption;
  /** All options, best first. */
  among: readonly ServingOption[];
}

const Detail = ({ plan, option, among }: DetailProps) => {
  const { point } = option;
  const { memory } = point;
  const times = [
    { key: "decode", label: detail.decode, of: point.decode },
    { key: "prefill", label: detail.prefill, of: point.prefill },
  ].map(({ key, label, of }) => ({
    key,
    label,
    end: show.seconds(of.total_seconds),
    parts: iterationParts(of),
  }));
  return (
    <section class="detail-of" aria-labelledby="serving-detail">
      <h3 id="serving-detail">
        {option.provider && <Cloud of={option.provider} />} {fill(words.detail, { shape: option.shape })}
      </h3>
      <div class="pair">
        <Facts
          of={[
            [columns.gpus, `${show.count(option.gpus)} ${point.gpu}`],
            [columns.replicaCut, replica(point)],
            [strings.bench.engine, point.engine],
            [detail.boundBy, point.bound_by],
            [
              detail.replicaRate,
              fill(detail.replicaRateOf, {
                rate: show.digits(option.fleet.requests_per_second_per_replica),
                most: show.digits(point.sustainable_request_rate),
              }),
            ],
            [detail.kvCapacity, fill(detail.tokens, { count: show.compact(memory.kv_capacity_tokens) })],
            [detail.batch, show.digits(point.decode_batch)],
          ]}
        />
        <Facts
          of={[
            [detail.meanTtft, show.seconds(point.ttft_seconds)],
            [columns.ttft, show.seconds(point.ttft_p95_seconds)],
            [detail.meanTpot, show.seconds(point.tpot_seconds)],
            [columns.tpot, show.seconds(point.tpot_p95_seconds)],
            [columns.output, show.digits(point.output_tokens_per_second_per_gpu)],
            [detail.concurrency, show.digits(point.concurrency)],
            [strings.bench.kvUsed, show.percent(memory.kv_used_share)],
          ]}
        />
      </div>
      {point.pools && <Pools of={point.pools} layout={point.layout} />}
      {charts.value && (
        <div class="pair">
          <charts.value.Bars
            name="serving-memory"
            title={detail.memoryServing}
            bars={memories(point)}
            write={show.digits}
            tick={show.few}
            unit={{ key: "gib", label: columns.gib }}
            legend
          />
          <charts.value.Bars
            name="serving-times"
            title={`${detail.decode}, ${detail.prefill.toLowerCase()}`}
            bars={times}
            write={show.seconds}
            tick={show.secondsBriefly}
            unit={{ key: "seconds", label: columns.seconds }}
            legend
          />
        </div>
      )}
      <div class="closer">
        <Fold title={strings.operations.pointTitle}>
          {({ PointOperations }) => <PointOperations plan={plan} option={option} />}
        </Fold>
        <Fold title={strings.modes.title}>{({ Modes }) => <Modes plan={plan} option={option} />}</Fold>
        <Fold title={strings.bench.title} open={tried.peek().length > 0}>
          {({ Bench }) => <Bench plan={plan} option={option} />}
        </Fold>
        <Fold title={strings.replayTitle} open={replayed.peek().length > 0}>
          {({ Replay }) => <Replay plan={plan} option={option} />}
        </Fold>
      </div>
      <Fleet key={option.shape} plan={plan} option={option} />
      <Links
        name="serving"
        option={option}
        among={among}
        facts={[[detail.exposed, show.percent(option.interconnect.exposed_share)]]}
      />
      <Paid name="serving" of={option} what={detail.costServing} atTerms={detail.termsServing} />
      <Warnings of={[...option.warnings, ...point.warnings]} root="point" />
    </section>
  );
};
