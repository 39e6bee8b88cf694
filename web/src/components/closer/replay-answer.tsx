// What a replay saw: latencies beside the closed form's, their distribution, and what went on over time.
import type { ComponentChildren } from "preact";
import type {
  LatencyTargets,
  Percentiles,
  ServingLayout,
  SimulatedPools,
  SimulationReport,
} from "../../../pkg/rackrate";
import { charts } from "../../charts/lazy";
import type { SeriesDot, SeriesRow } from "../../charts/series";
import * as show from "../../format";
import { fill, strings } from "../../strings";
import { replay as words } from "../../strings/replay";
import { cut } from "../cut-serving";
import { Facts } from "../rich";
import { type Column, Table } from "../table";
import { Warnings } from "../warnings";

const { bench, columns } = strings;
const told = words.facts;

interface AnswerProps {
  report: SimulationReport;
  slo: LatencyTargets | undefined;
}

export const ReplayAnswer = ({ report, slo }: AnswerProps) => {
  const { pools } = report;
  const closed = closedForm(report);
  const sustained =
    report.utilisation === null ? "" : fill(words.ofSustained, { share: show.percent(report.utilisation) });
  return (
    <>
      {report.saturated && <p class="late">{words.saturated}</p>}
      <dl class="figures">
        <Latency
          name={words.firstP95}
          seconds={report.ttft.p95_seconds}
          beside={closed?.ttft_p95_seconds}
          target={slo?.ttft_p95_seconds}
        />
        <Latency
          name={words.nextP95}
          seconds={report.tpot?.p95_seconds}
          beside={report.tpot ? closed?.tpot_p95_seconds : undefined}
          target={slo?.tpot_p95_seconds}
        />
        <Figure name={words.answered} value={show.digits(report.requests_per_second)}>
          {sustained || fill(words.outputOf, { tokens: show.digits(report.output_tokens_per_second) })}
        </Figure>
        <Figure name={words.inFlight} value={show.digits(report.concurrency)}>
          {fill(words.kvUsed, { share: show.percent(report.kv_used_share) })}
        </Figure>
      </dl>
      <Table
        name="replay-percentiles"
        caption={words.percentiles}
        columns={PERCENTILES}
        rows={rows(report)}
        rowKey={(row) => row.name}
      />
      {pools && <Ways of={pools} />}
      <Distributions report={report} slo={slo} />
      <OverTime report={report} />
      <div class="pair">
        <Facts
          of={[
            [columns.gpus, `${show.count(report.gpus)} ${report.gpu}`],
            ...poolsOf(report),
            [bench.engine, report.engine],
            [told.busy, show.percent(report.busy_share)],
            [told.batch, show.digits(report.decode_batch)],
            [told.perIteration, show.digits(report.tokens_per_iteration)],
          ]}
        />
        <Facts
          of={[
            [told.requests, show.count(report.requests)],
            [
              told.lengths,
              fill(told.lengthsOf, {
                input: show.digits(report.mean_input_tokens),
                output: show.digits(report.mean_output_tokens),
              }),
            ],
            [told.waitedForCache, show.percent(report.waited_for_cache_share)],
            [told.waitedForSequences, show.percent(report.waited_for_sequences_share)],
            [told.seed, show.count(report.seed)],
            [told.events, show.count(report.events)],
          ]}
        />
      </div>
      <p class="help">{words.noWait}</p>
      <Warnings of={report.warnings} root="replay" />
    </>
  );
};

const Figure = ({ name, value, children }: { name: string; value: string; children: ComponentChildren }) => (
  <div>
    <dt>{name}</dt>
    <dd>
      <span class="value">{value}</span>
      <span class="detail">{children}</span>
    </dd>
  </div>
);

/** Past saturation the closed form's figures are those of another rate. */
const closedForm = ({ beside }: SimulationReport) =>
  beside === null || beside.saturated ? undefined : beside;

interface LatencyProps {
  name: string;
  seconds: number | undefined;
  beside: number | undefined;
  target: number | undefined;
}

/** Beside the closed form's, and against the plan's target. */
const Latency = ({ name, seconds, beside, target }: LatencyProps) => (
  <div>
    <dt>{name}</dt>
    <dd>
      <span class="value">{show.seconds(seconds)}</span>
      {beside !== undefined && (
        <span class="detail">{fill(words.closedForm, { value: show.seconds(beside) })}</span>
      )}
      {target !== undefined && seconds !== undefined && (
        <span class={seconds > target ? "detail missed" : "detail"}>
          {fill(seconds > target ? words.missed : words.met, { time: show.seconds(target) })}
        </span>
      )}
    </dd>
  </div>
);

interface Row {
  name: string;
  of: Percentiles;
}

/** The closed form's below what was simulated. */
const rows = ({ ttft, tpot, end_to_end, beside }: SimulationReport): Row[] =>
  (
    [
      ["ttft", ttft],
      ["ttftBeside", beside?.latencies?.ttft],
      ["tpot", tpot],
      ["tpotBeside", tpot && beside?.latencies?.tpot],
      ["end", end_to_end],
    ] as const
  ).flatMap(([key, of]) => (of ? [{ name: words.rows[key], of }] : []));

type Percentile = keyof typeof bench.percentile;
const NAMES = Object.entries(bench.percentile) as [Percentile, string][];

const PERCENTILES: Column<Row>[] = [
  { key: "latency", label: words.latency, names: true, value: (row) => row.name },
  ...([...NAMES, ["mean", bench.mean]] as [Percentile | "mean", string][]).map(
    ([key, label]): Column<Row> => ({
      key: `${key}_seconds`,
      label,
      numeric: true,
      value: (row) => row.of[`${key}_seconds`],
      show: (row) => show.seconds(row.of[`${key}_seconds`]),
    }),
  ),
];

const poolsOf = ({ pools, replicas, layout }: SimulationReport): (readonly [string, string])[] =>
  pools === null
    ? [[columns.replicas, `${show.count(replicas)} × ${cut(layout)}`]]
    : [
        [
          bench.prefillPool,
          pool(pools.prefill_gpus, pools.prefill_replicas, pools.prefill_layout, pools.prefill_busy_share),
        ],
        [bench.decodePool, pool(pools.decode_gpus, pools.decode_replicas, layout, pools.decode_busy_share)],
      ];

const pool = (gpus: number, replicas: number, layout: ServingLayout, busy: number): string =>
  `${fill(bench.pool, { gpus: show.gpus(gpus), replicas: show.count(replicas), cut: cut(layout) })}, ${fill(words.busy, { share: show.percent(busy) })}`;

/** What a first token waits for where prompts are read on GPUs of their own. */
const Ways = ({ of }: { of: SimulatedPools }) => (
  <Table
    name="replay-pools"
    caption={words.ways}
    columns={PERCENTILES}
    rows={(["prefill", "transfer", "place"] as const).flatMap((key): Row[] => {
      const seen = of[key];
      return seen === null ? [] : [{ name: words.way[key], of: seen }];
    })}
    rowKey={(row) => row.name}
  />
);

/** Shares of requests, as the percentiles' names have them. */
const SHARES: Record<Percentile, number> = { p50: 0.5, p90: 0.9, p95: 0.95, p99: 0.99 };

/** Above a distribution and left of it is room; the last two would stand on each other there. */
const SIDES: Record<Percentile, SeriesDot["side"]> = { p50: "left", p90: "left", p95: "right", p99: "above" };

const Distributions = ({ report, slo }: AnswerProps) => {
  const { distribution } = report;
  const told = closedForm(report);
  const all = [
    ["ttft", distribution.ttft_seconds, told?.latencies?.ttft, told?.ttft_p95_seconds, slo?.ttft_p95_seconds],
    ["tpot", distribution.tpot_seconds, told?.latencies?.tpot, told?.tpot_p95_seconds, slo?.tpot_p95_seconds],
  ] as const;
  const { value: drawn } = charts;
  if (drawn === undefined) return null;
  return (
    <div class="pair">
      {all.map(
        ([key, seconds, closed, p95, target]) =>
          seconds.length > 0 && (
            <drawn.Series
              key={key}
              name={`replay-${key}`}
              title={words.distribution[key]}
              x={{
                key: `${key}_seconds`,
                label: words.distribution[key],
                write: show.seconds,
                tick: show.secondsBriefly,
              }}
              y={{ key: "share", label: words.requests, write: show.percent, tick: show.percentBriefly }}
              lines={[{ key: "share", label: words.simulated, tone: "replay-main", filled: true }]}
              rows={reaching(
                distribution.share.map((share, i) => ({ x: seconds[i] ?? 0, values: [share] })),
                Math.max(target ?? 0, closed?.p99_seconds ?? p95 ?? 0),
              )}
              dots={{ label: words.beside, tone: "closed", of: dots(closed, p95) }}
              rule={
                target === undefined
                  ? undefined
                  : { at: target, label: fill(words.target, { time: show.seconds(target) }) }
              }
            />
          ),
      )}
    </div>
  );
};

/** All requests are answered by any later time too. */
const reaching = (rows: SeriesRow[], to: number): SeriesRow[] =>
  to > (rows.at(-1)?.x ?? to) ? [...rows, { x: to, values: [1] }] : rows;

/** All that the closed form says of the distribution; of pools apart only the 95th percentile. */
const dots = (closed: Percentiles | undefined, p95: number | undefined): SeriesDot[] =>
  closed
    ? NAMES.map(([name, label]) => dot(name, label, closed))
    : p95 === undefined
      ? []
      : [{ x: p95, y: SHARES.p95, words: bench.percentile.p95, side: SIDES.p95 }];

const dot = (name: Percentile, words: string, of: Percentiles): SeriesDot => ({
  x: of[`${name}_seconds`],
  y: SHARES[name],
  words,
  side: SIDES[name],
});

const OverTime = ({ report: { timeline } }: { report: SimulationReport }) => {
  const { value: drawn } = charts;
  const times = timeline.time_seconds;
  if (drawn === undefined || times.length < 2) return null;
  const x = timeAxis(times.at(-1) ?? 0);
  const waits = timeline.waiting.some((requests) => requests > 0);
  return (
    <div class="pair">
      <drawn.Series
        name="replay-queue"
        title={words.overTime}
        x={x}
        y={{ key: "requests", label: words.countLabel, write: show.count, tick: show.few }}
        lines={[
          { key: "in_flight", label: words.inFlightLine, tone: "replay-main fine", filled: true },
          ...(waits ? [{ key: "waiting", label: words.waiting, tone: "replay-late fine" }] : []),
        ]}
        rows={times.map((time, i) => ({
          x: time,
          values: [timeline.in_flight[i] ?? 0, ...(waits ? [timeline.waiting[i] ?? 0] : [])],
        }))}
      />
      <drawn.Series
        name="replay-kv"
        title={words.kvOverTime}
        x={x}
        y={{ key: "kv_used_share", label: words.kvLabel, write: show.percent, tick: show.percentBriefly }}
        lines={[{ key: "kv", label: words.kv, tone: "replay-main fine", filled: true }]}
        rows={times.map((time, i) => ({ x: time, values: [timeline.kv_used_share[i] ?? 0] }))}
      />
    </div>
  );
};

/** Time in the unit that gives round ticks. */
const timeAxis = (last: number) => {
  const [unit, size] =
    last >= 7200 ? (["h", 3600] as const) : last >= 180 ? (["min", 60] as const) : (["s", 1] as const);
  const step = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1e3].map((n) => n * size).find((n) => last / n <= 8);
  const fine = step ?? last / 4;
  // Shorter than eight seconds: tenths.
  const width = last < 4 ? 10 ** Math.floor(Math.log10(last || 1)) / 2 : fine;
  return {
    key: "time_seconds",
    label: fill(words.time, { unit: words.units[unit] }),
    write: show.seconds,
    tick: (at: number) => show.few(at / size),
    ticks: Array.from({ length: Math.floor(last / width + 1e-9) + 1 }, (_, i) => i * width),
  };
};
