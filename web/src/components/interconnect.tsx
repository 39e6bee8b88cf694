// What the links do for an option: what they give, beside the best option of each cloud; what each parallel dimension
// sends over them and waits for; the bandwidth that they reach by the size of a message.
import type { DimensionLinks, DimensionTraffic, Interconnect, Provider } from "../../pkg/rackrate";
import type { Curve } from "../charts/curves";
import { charts } from "../charts/lazy";
import * as show from "../format";
import { fill, strings } from "../strings";
import { Cloud, Facts, PROVIDERS } from "./rich";
import { Below, type Column, Table } from "./table";

const columns = strings.columns;
const detail = strings.detail;

/** What training and serving options have in common. */
export interface Linked {
  provider: Provider | null;
  shape: string;
  gpus: number;
  interconnect: Interconnect;
}

interface LinksProps {
  /** Before the names of tables and files. */
  name: keyof typeof strings.links;
  option: Linked;
  /** All options, best first. */
  among: readonly Linked[];
  /** What it sends in all and waits for. */
  facts: readonly (readonly [string, string])[];
  /** What training knows of its traffic besides. */
  traffic?: readonly DimensionTraffic[];
}

export const Links = ({ name, option, among, facts, traffic = [] }: LinksProps) => {
  const beside = side(option, among);
  const words = strings.links[name];
  const { dimensions } = option.interconnect;
  const curves = beside.flatMap((one) => curveOf(one, one === option));
  const drawn = curves.some((curve) => curve.current);
  return (
    <div class="topic">
      <h4>{detail.interconnect}</h4>
      <Facts across of={facts} />
      <Table
        name={`${name}-links`}
        caption={words.given}
        columns={LINKS}
        rows={beside}
        rowKey={keyOf}
        current={(row) => row === option}
      />
      {dimensions.length > 0 ? (
        <Table
          name={`${name}-interconnect`}
          caption={words.sent}
          columns={sent(traffic)}
          rows={dimensions}
          rowKey={(row) => row.dimension}
        />
      ) : (
        <p>{detail.noTraffic}</p>
      )}
      {charts.value && drawn && (
        <charts.value.Curves
          name={`${name}-busbw`}
          title={words.curve}
          x={{ key: "bytes", label: detail.curveX, write: show.binaryBytes }}
          y={{ key: "busbw_gb_per_s", label: detail.curveY }}
          curves={curves}
        />
      )}
    </div>
  );
};

const keyOf = ({ provider, shape }: Linked) => `${provider} ${shape}`;

/** An option, and the best one of each cloud where that is another. */
const side = (option: Linked, among: readonly Linked[]): Linked[] => {
  const best = PROVIDERS.flatMap((cloud) => among.find((one) => one.provider === cloud) ?? []);
  return [option, ...best.filter((one) => one !== option)];
};

const kindOf = ({ kind }: Interconnect): string =>
  kind === null ? detail.noFabric : strings.fabricKinds[kind];

/** Its curve, where more than one GPU makes one. */
const curveOf = (one: Linked, current: boolean): Curve[] => {
  const { interconnect, provider, shape } = one;
  const { curve_bytes: bytes, curve_busbw_gb_per_s: busbw, curve_ranks: ranks } = interconnect;
  if (ranks < 2 || bytes.length === 0) return [];
  const option = provider === null ? shape : `${strings.clouds[provider]} ${shape}`;
  return [
    {
      key: keyOf(one),
      label: fill(detail.curveOf, { option, kind: kindOf(interconnect), gpus: show.gpus(ranks) }),
      tone: provider ?? "none",
      current,
      points: bytes.flatMap((size, i) => {
        const reached = busbw[i];
        return reached === undefined ? [] : [[size, reached] as const];
      }),
    },
  ];
};

const rate = (gb: number) => fill(detail.perSecondOf, { size: show.bytes(gb * 1e9) });
const number = <Row,>(
  key: string,
  label: string,
  value: (row: Row) => number | null,
  write: (value: number) => string,
): Column<Row> => ({
  key,
  label,
  numeric: true,
  value,
  show: (row) => {
    const known = value(row);
    return known === null ? strings.none : write(known);
  },
});

const LINKS: Column<Linked>[] = [
  { key: "shape", label: columns.shape, names: true, value: (row) => row.shape },
  {
    key: "cloud",
    label: columns.cloud,
    value: (row) => row.provider,
    show: (row) => <Cloud of={row.provider} />,
  },
  {
    key: "kind",
    label: columns.fabricKind,
    value: (row) => row.interconnect.kind,
    show: (row) => <Below of={row.interconnect.fabric}>{kindOf(row.interconnect)}</Below>,
  },
  { key: "fabric", label: columns.fabric, exported: true, value: (row) => row.interconnect.fabric },
  number("gpus", columns.gpus, (row) => row.gpus, show.count),
  number(
    "injection_gb_per_s_per_gpu",
    columns.injectionGpu,
    (row) => row.interconnect.injection_gb_per_s_per_gpu,
    rate,
  ),
  number(
    "injection_gb_per_s_per_node",
    columns.injectionNode,
    (row) => row.interconnect.injection_gb_per_s_per_node,
    rate,
  ),
  number("bisection_gb_per_s", columns.bisection, (row) => row.interconnect.bisection_gb_per_s, rate),
  {
    key: "scale_up_gb_per_s_per_gpu",
    label: columns.scaleUpGpu,
    numeric: true,
    value: (row) => row.interconnect.scale_up_gb_per_s_per_gpu,
    show: ({ interconnect: { scale_up_gb_per_s_per_gpu: gb, scale_up_domain: domain } }) => (
      <Below of={fill(detail.domain, { gpus: show.gpus(domain) })}>{rate(gb)}</Below>
    ),
  },
  {
    key: "scale_up_domain",
    label: columns.domain,
    exported: true,
    value: (row) => row.interconnect.scale_up_domain,
  },
  number("exposed_share", columns.waitedShare, (row) => row.interconnect.exposed_share, show.percent),
];

/** What a dimension sends and waits for; with what only training tells, where there is any. */
const sent = (traffic: readonly DimensionTraffic[]): Column<DimensionLinks>[] => {
  const of = new Map(traffic.map((one) => [one.dimension, one]));
  const more = (row: DimensionLinks) => of.get(row.dimension);
  const told = traffic.length > 0;
  const only = (...some: Column<DimensionLinks>[]) => (told ? some : []);
  return [
    {
      key: "dimension",
      label: columns.dimension,
      names: true,
      value: (row) => row.dimension,
      show: (row) => strings.dimensions[row.dimension],
    },
    {
      key: "links",
      label: columns.links,
      value: (row) => row.links,
      show: (row) => strings.linkUses[row.links],
    },
    {
      key: "op",
      label: columns.collective,
      value: (row) => row.op,
      show: (row) => {
        const algorithm = more(row)?.algorithm;
        return <Below of={algorithm && strings.algorithms[algorithm]}>{strings.ops[row.op]}</Below>;
      },
    },
    ...only({
      key: "algorithm",
      label: columns.algorithm,
      exported: true,
      value: (row) => more(row)?.algorithm ?? null,
    }),
    number("ranks", columns.ranks, (row) => row.ranks, show.count),
    {
      key: "message_bytes",
      label: columns.message,
      numeric: true,
      value: (row) => row.message_bytes,
      show: (row) => {
        const messages = more(row)?.messages;
        return (
          <Below of={messages !== undefined && fill(detail.messages, { count: show.count(messages) })}>
            {show.bytes(row.message_bytes)}
          </Below>
        );
      },
    },
    ...only({
      key: "messages",
      label: columns.messages,
      exported: true,
      value: (row) => more(row)?.messages ?? null,
    }),
    number("scale_up_bytes", columns.scaleUp, (row) => row.scale_up_bytes, show.bytes),
    number("fabric_bytes", columns.intoFabric, (row) => row.fabric_bytes, show.bytes),
    number("busbw_gb_per_s", columns.busbw, (row) => row.busbw_gb_per_s, rate),
    ...only(number("seconds", columns.time, (row) => more(row)?.seconds ?? null, show.seconds)),
    ...only(
      number(
        "exposed_seconds",
        columns.exposedTime,
        (row) => more(row)?.exposed_seconds ?? null,
        show.seconds,
      ),
    ),
    number("exposed_share", columns.waitedShare, (row) => row.exposed_share, show.percent),
  ];
};
