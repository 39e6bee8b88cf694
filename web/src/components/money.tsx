// What things cost and where each price is from.

import type { ComponentChildren } from "preact";
import type { Cost, CostLine, Source, TermCost } from "../../pkg/rackrate";
import { type Amount, amount, code, money, short, suffix, value } from "../currency";
import * as show from "../format";
import { plainly } from "../plainly";
import { plan } from "../state";
import { fill, strings } from "../strings";
import { type Column, Table } from "./table";

const columns = strings.columns;

/** A column of amounts in the plan's currency; its CSV says which that is. */
export const moneyColumn = <Row,>(
  key: string,
  label: string,
  of: (row: Row) => Amount,
  write: (of: Amount) => ComponentChildren = money,
): Column<Row> => ({
  key: `${key}_${suffix()}`,
  label,
  numeric: true,
  value: (row) => value(of(row)),
  show: (row) => write(of(row)),
});

/** What a cost comes to. */
export const totalOf = (cost: Cost | null): Amount => amount(cost?.total_usd, cost?.total_in_currency);

/** The title of a chart whose axis is in USD, which it says where the plan's currency is another. */
export const inUsd = (title: string): string =>
  code.value === "USD" ? title : fill(strings.inUsd, { title });

/** `€54.6M ($59.4M)`: bars of lines are drawn in USD, for a line has no other price. */
export const endOf = (cost: Cost | null): string =>
  cost === null || cost.total_in_currency === null
    ? short(totalOf(cost))
    : fill(strings.inBoth, { own: short(totalOf(cost)), usd: show.usdShort(cost.total_usd) });

/** Trust and title of a source, with its doubts where there are any: two lines until it is opened. */
export const Cited = ({ source }: { source: Source }) => (
  <details class="cited">
    <summary>
      <span class={`trust ${source.confidence}`}>{strings.confidences[source.confidence]}</span>{" "}
      {source.source}
      {source.note && <span class="help"> {source.note}</span>}
    </summary>
  </details>
);

const cited = <Row extends { source: Source }>(): Column<Row>[] => [
  {
    key: "source",
    long: true,
    label: columns.source,
    value: (row) => row.source.source,
    show: (row) => <Cited source={row.source} />,
  },
  {
    key: "as_of",
    label: columns.asOf,
    value: (row) => row.source.as_of,
    show: (row) => <Dated source={row.source} />,
  },
];

/** A source's date, with its age where the plan counts it and marked where it is old. */
const Dated = ({ source }: { source: Source }) => {
  const known = plan.value?.sources.find(
    (one) => one.source.source === source.source && one.source.as_of === source.as_of,
  );
  return (
    <>
      {source.as_of || strings.none}
      {known && <Age days={known.age_days} old={known.old} />}
    </>
  );
};

/** Days since a source's date. */
export const Age = ({ days, old }: { days: number | null; old: boolean }) =>
  days === null ? null : (
    <span class="detail">
      {fill(days === 1 ? strings.age.day : strings.age.days, { days: show.count(days) })}
      {old && <span class="old"> {strings.age.old}</span>}
    </span>
  );

const LINES: Column<CostLine>[] = [
  {
    key: "item",
    label: columns.item,
    names: true,
    value: (row) => row.item,
    show: (row) => strings.items[row.item],
  },
  {
    key: "what",
    long: true,
    label: columns.what,
    value: (row) => row.what,
    show: (row) => plainly(row.what),
  },
  {
    key: "quantity",
    label: columns.quantity,
    numeric: true,
    value: (row) => row.quantity,
    show: (row) => show.digits(row.quantity),
  },
  { key: "unit", label: columns.unit, value: (row) => row.unit },
  {
    key: "unit_usd",
    label: columns.unitPrice,
    numeric: true,
    value: (row) => row.unit_usd,
    show: (row) => show.usd(row.unit_usd),
  },
  {
    key: "usd",
    label: columns.usd,
    numeric: true,
    value: (row) => row.usd,
    show: (row) => show.usd(row.usd),
  },
  ...cited<CostLine>(),
];

interface CostLinesProps {
  name: string;
  caption: string;
  lines: readonly CostLine[];
  /** What they come to, beside the caption. */
  total: Amount;
}

export const CostLines = ({ name, caption, lines, total }: CostLinesProps) => (
  <Table
    name={name}
    caption={caption}
    aside={fill(strings.inAll, { total: inBoth(total) })}
    columns={LINES}
    rows={lines}
    rowKey={(row) => `${row.item} ${row.what} ${row.unit} ${row.unit_usd} ${row.quantity}`}
  />
);

interface PaidProps {
  /** Prefix of the tables' names. */
  name: string;
  of: { shape: string; cost: Cost | null; terms: readonly TermCost[] };
  /** Caption of the lines, with the shape's place in it. */
  what: string;
  /** Caption of what the other terms come to. */
  atTerms: string;
}

/** What a way to train or to serve costs: line by line, and folded up at the other terms. */
export const Paid = ({ name, of: { shape, cost, terms: others }, what, atTerms }: PaidProps) => (
  <>
    {cost && (
      <CostLines
        name={`${name}-cost-lines`}
        caption={fill(what, { shape })}
        lines={cost.lines}
        total={totalOf(cost)}
      />
    )}
    {others.length > 1 && (
      <details>
        <summary>{strings.detail.terms}</summary>
        <Terms name={`${name}-terms`} caption={atTerms} costs={others} />
      </details>
    )}
  </>
);

const terms = (): Column<TermCost>[] => [
  {
    key: "term",
    label: columns.term,
    names: true,
    value: (row) => row.term,
    show: (row) => strings.terms[row.term],
  },
  { key: "region", label: columns.region, value: (row) => row.region },
  {
    key: "usd_per_gpu_hour",
    label: columns.perGpuHour,
    numeric: true,
    value: (row) => row.usd_per_gpu_hour,
    show: (row) => show.usd(row.usd_per_gpu_hour),
  },
  moneyColumn("cost", columns.cost, (row) => amount(row.usd, row.in_currency)),
  {
    key: "commitment_usd",
    label: columns.commitment,
    numeric: true,
    value: (row) => row.commitment_usd,
    show: (row) => show.usd(row.commitment_usd),
  },
  {
    key: "source",
    long: true,
    label: columns.source,
    value: (row) => row.source.source,
    show: (row) => <Cited source={row.source} />,
  },
  {
    key: "as_of",
    label: columns.asOf,
    value: (row) => row.source.as_of,
    show: (row) => (
      <>
        {row.source.as_of || strings.none}
        <Age days={row.age_days} old={row.old} />
      </>
    ),
  },
];

const inBoth = (total: Amount): string =>
  typeof total.own === "number"
    ? fill(strings.inBoth, { own: money(total), usd: show.usd(total.usd) })
    : money(total);

interface TermsProps {
  name: string;
  caption: string;
  costs: readonly TermCost[];
}

const Terms = ({ name, caption, costs }: TermsProps) => (
  <Table
    name={name}
    caption={caption}
    columns={terms()}
    rows={costs}
    rowKey={(row) => `${row.term} ${row.region}`}
  />
);
