// What things cost and where each price is from.
import type { CostLine, Source, TermCost } from "../../pkg/rackrate";
import * as show from "../format";
import { strings } from "../strings";
import { type Column, Table } from "./table";

const columns = strings.columns;

/** Title, trust and date of a source; its doubts where there are any. */
export const Cited = ({ source }: { source: Source }) => (
  <span class="cited">
    <span class={`trust ${source.confidence}`}>{strings.confidences[source.confidence]}</span> {source.source}
    {source.note && <span class="help"> {source.note}</span>}
  </span>
);

const cited = <Row extends { source: Source }>(): Column<Row>[] => [
  {
    key: "source",
    long: true,
    label: columns.source,
    value: (row) => row.source.source,
    show: (row) => <Cited source={row.source} />,
  },
  { key: "as_of", label: columns.asOf, value: (row) => row.source.as_of },
];

const LINES: Column<CostLine>[] = [
  {
    key: "item",
    label: columns.item,
    names: true,
    value: (row) => row.item,
    show: (row) => strings.items[row.item],
  },
  { key: "what", long: true, label: columns.what, value: (row) => row.what },
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
}

export const CostLines = ({ name, caption, lines }: CostLinesProps) => (
  <Table
    name={name}
    caption={caption}
    columns={LINES}
    rows={lines}
    rowKey={(row) => `${row.item} ${row.what} ${row.unit} ${row.unit_usd} ${row.quantity}`}
  />
);

const terms: Column<TermCost>[] = [
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
  {
    key: "usd",
    label: columns.usd,
    numeric: true,
    value: (row) => row.usd,
    show: (row) => show.usd(row.usd),
  },
  ...cited<TermCost>(),
];

interface TermsProps {
  name: string;
  caption: string;
  costs: readonly TermCost[];
}

export const Terms = ({ name, caption, costs }: TermsProps) => (
  <Table
    name={name}
    caption={caption}
    columns={terms}
    rows={costs}
    rowKey={(row) => `${row.term} ${row.region}`}
  />
);
