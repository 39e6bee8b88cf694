// Where checkpoints and data set are kept, how much is provisioned, and what bounds the writing of a checkpoint.
import type { GoodputLosses, StoredData } from "../../pkg/rackrate";
import * as show from "../format";
import { fill, strings } from "../strings";
import { Facts } from "./rich";
import { type Column, Table } from "./table";

const words = strings.keeping;

export const Stored = ({ stored, losses }: { stored: readonly StoredData[]; losses: GoodputLosses }) => (
  <div class="topic">
    <h4>{words.title}</h4>
    <Facts
      across
      of={[
        [words.checkpointRate, rate(losses.checkpoint_gb_per_s)],
        [words.checkpointBound, strings.bounds[losses.checkpoint_bound]],
      ]}
    />
    <Table name="training-storage" caption={words.caption} columns={STORED} rows={stored} rowKey={keyOf} />
  </div>
);

const keyOf = (row: StoredData) => row.kind;
const rate = (gb: number | null) =>
  gb === null ? strings.none : fill(words.gbPerS, { rate: show.digits(gb) });
const tib = (size: number | null) =>
  size === null ? strings.none : fill(words.tib, { size: show.digits(size) });

const STORED: Column<StoredData>[] = [
  {
    key: "kind",
    label: words.what,
    names: true,
    value: (row) => row.kind,
    show: (row) => strings.stored[row.kind],
  },
  {
    key: "tier",
    label: words.tier,
    value: (row) => row.tier,
    show: (row) => (
      <>
        {row.tier}
        {!row.named && <span class="detail">{words.notNamed}</span>}
      </>
    ),
  },
  {
    key: "kept_tib",
    label: words.kept,
    numeric: true,
    value: (row) => row.kept_tib,
    show: (row) => tib(row.kept_tib),
  },
  {
    key: "provisioned_tib",
    label: words.provisioned,
    numeric: true,
    value: (row) => row.provisioned_tib,
    show: (row) => tib(row.provisioned_tib),
  },
  {
    key: "gb_per_s",
    label: words.throughput,
    numeric: true,
    value: (row) => row.gb_per_s,
    show: (row) => rate(row.gb_per_s),
  },
  {
    key: "ample_tib",
    label: words.ample,
    numeric: true,
    value: (row) => row.ample_tib,
    show: (row) => tib(row.ample_tib),
  },
  {
    key: "read_hours",
    label: words.read,
    numeric: true,
    value: (row) => row.read_hours,
    show: (row) => (row.read_hours === null ? strings.none : show.seconds(row.read_hours * 3600)),
  },
];
