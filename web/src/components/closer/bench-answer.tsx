// A point that was tried, each figure beside that of the option it began from.
import type { ComponentChildren } from "preact";
import type { Percentiles, ServingPoint } from "../../../pkg/rackrate";
import { charts } from "../../charts/lazy";
import * as show from "../../format";
import { fill, strings } from "../../strings";
import { cut } from "../cut-serving";
import { iterationParts } from "../parts";
import { memories, Pools } from "../pools";
import { Facts } from "../rich";
import { type Column, Table } from "../table";
import { Warnings } from "../warnings";
import { OperationsOf } from "./operations";

const { columns, detail } = strings;
const words = strings.bench;

export const BenchAnswer = ({ point, beside }: { point: ServingPoint; beside: ServingPoint }) => (
  <>
    {point.saturated && <p class="late">{words.saturated}</p>}
    {!point.memory.fits && <p class="late">{words.doesNotFit}</p>}
    <dl class="figures">
      <Figure
        name={detail.meanTtft}
        value={show.seconds(point.ttft_seconds)}
        beside={show.seconds(beside.ttft_seconds)}
      >
        {fill(words.p95, { time: show.seconds(point.ttft_p95_seconds) })}
      </Figure>
      <Figure
        name={detail.meanTpot}
        value={show.seconds(point.tpot_seconds)}
        beside={show.seconds(beside.tpot_seconds)}
      >
        {fill(words.p95AndLikely, {
          time: show.seconds(point.tpot_p95_seconds),
          range: show.range(point.tpot_interval.low, point.tpot_interval.high, show.seconds),
        })}
      </Figure>
      <Figure
        name={columns.output}
        value={show.digits(point.output_tokens_per_second_per_gpu)}
        beside={show.digits(beside.output_tokens_per_second_per_gpu)}
      >
        {fill(words.withPrompts, { tokens: show.digits(point.total_tokens_per_second_per_gpu) })}
      </Figure>
      <Figure
        name={words.rate}
        value={show.digits(point.requests_per_second)}
        beside={show.digits(beside.requests_per_second)}
      >
        {fill(words.sustains, { count: show.digits(point.sustainable_request_rate) })}
      </Figure>
    </dl>
    <div class="pair">
      <Facts
        of={[
          [columns.gpus, `${show.count(point.gpus)} ${point.gpu}`],
          [columns.replicas, `${show.count(point.replicas)} × ${cut(point.layout)}`],
          [words.engine, point.engine],
          [detail.boundBy, point.bound_by],
        ]}
      />
      <Facts
        of={[
          [detail.batch, show.digits(point.decode_batch)],
          [words.inFlight, show.digits(point.concurrency)],
          [words.perIteration, show.digits(point.tokens_per_iteration)],
          [detail.kvCapacity, fill(detail.tokens, { count: show.compact(point.memory.kv_capacity_tokens) })],
          [words.kvUsed, show.percent(point.memory.kv_used_share)],
        ]}
      />
    </div>
    {point.percentiles && (
      <Table
        name="bench-percentiles"
        caption={words.percentiles}
        columns={PERCENTILES}
        rows={[
          { name: words.firstToken, of: point.percentiles.ttft },
          { name: words.nextToken, of: point.percentiles.tpot },
        ]}
        rowKey={(row) => row.name}
      />
    )}
    {point.pools && <Pools of={point.pools} layout={point.layout} />}
    {charts.value && (
      <charts.value.Bars
        name="bench-times"
        title={`${detail.decode}, ${detail.prefill.toLowerCase()}`}
        bars={(["decode", "prefill"] as const).map((key) => ({
          key,
          label: detail[key],
          end: show.seconds(point[key].total_seconds),
          parts: iterationParts(point[key]),
        }))}
        write={show.seconds}
        tick={show.secondsBriefly}
        unit={{ key: "seconds", label: columns.seconds }}
        legend
      />
    )}
    {charts.value && (
      <charts.value.Bars
        name="bench-memory"
        title={detail.memoryServing}
        bars={memories(point)}
        write={show.digits}
        tick={show.few}
        unit={{ key: "gib", label: columns.gib }}
        legend
      />
    )}
    <details>
      <summary>{strings.operations.title}</summary>
      <OperationsOf point={point} name="bench" />
    </details>
    <Warnings of={point.warnings} root="point" />
  </>
);

interface FigureProps {
  name: string;
  value: string;
  /** The same of the option: told where it is another. */
  beside: string;
  children: ComponentChildren;
}

const Figure = ({ name, value, beside, children }: FigureProps) => (
  <div>
    <dt>{name}</dt>
    <dd>
      <span class="value">{value}</span>
      <span class="detail">{children}</span>
      {beside !== value && <span class="detail">{fill(words.inThePlan, { value: beside })}</span>}
    </dd>
  </div>
);

interface Spread {
  name: string;
  of: Percentiles;
}

const PERCENTILES: Column<Spread>[] = [
  { key: "latency", label: words.latency, names: true, value: (row) => row.name },
  ...(Object.entries({ mean: words.mean, ...words.percentile }) as [Percentile, string][]).map(
    ([key, label]): Column<Spread> => ({
      key: `${key}_seconds`,
      label,
      numeric: true,
      value: (row) => row.of[`${key}_seconds`],
      show: (row) => show.seconds(row.of[`${key}_seconds`]),
    }),
  ),
];
type Percentile = "mean" | keyof typeof words.percentile;
