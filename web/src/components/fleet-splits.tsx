// The ways to pay for a fleet by the hour: how much on a commitment, the rest on demand.
import type { CommitmentSplit } from "../../pkg/rackrate";
import { amount, short } from "../currency";
import * as show from "../format";
import { fill, strings } from "../strings";
import { moneyColumn } from "./money";
import { Marked } from "./rich";
import { Below, type Column, Table } from "./table";

const columns = strings.columns;
const words = strings.fleet;

export const splitKey = (split: CommitmentSplit): string =>
  `${split.term} ${split.on_demand_term} ${split.region}`;

interface SplitsProps {
  splits: readonly CommitmentSplit[];
  current: CommitmentSplit | undefined;
  pick: (split: CommitmentSplit) => void;
}

export const Splits = ({ splits, current, pick }: SplitsProps) => (
  <Table
    name="serving-splits"
    caption={words.splits}
    columns={table(current, pick)}
    rows={splits}
    rowKey={splitKey}
    current={(row) => row === current}
    rowClass={(row) => (row.outlasts_service ? "dim" : "")}
  />
);

const nameOf = (split: CommitmentSplit): string =>
  split.term === null
    ? fill(words.allOnDemand, { term: strings.terms[split.on_demand_term] })
    : strings.terms[split.term];

const table = (
  current: CommitmentSplit | undefined,
  pick: SplitsProps["pick"],
): Column<CommitmentSplit>[] => {
  const number = (
    key: string,
    label: string,
    value: (row: CommitmentSplit) => number | null,
    write: (value: number | null) => string,
  ): Column<CommitmentSplit> => ({ key, label, numeric: true, value, show: (row) => write(value(row)) });
  return [
    {
      key: "term",
      label: columns.term,
      names: true,
      value: nameOf,
      show: (row) => (
        <>
          <button type="button" class="pick" aria-pressed={row === current} onClick={() => pick(row)}>
            {nameOf(row)}
          </button>
          <span class="detail">
            {row.region}
            {row.outlasts_service && `, ${words.outlasts}`}
          </span>
        </>
      ),
    },
    { key: "region", label: columns.region, exported: true, value: (row) => row.region },
    moneyColumn(
      "cost_per_month",
      columns.costMonth,
      (row) => amount(row.usd, row.in_currency),
      (of) => <strong>{short(of)}</strong>,
    ),
    {
      key: "cheapest",
      label: words.cheapest,
      value: (row) => row.cheapest,
      show: (row) => <Marked so={row.cheapest} />,
    },
    {
      key: "committed_nodes",
      label: words.committedNodes,
      numeric: true,
      value: (row) => row.committed_nodes,
      show: (row) => (
        <Below of={show.replicas(row.committed_replicas)}>{show.count(row.committed_nodes)}</Below>
      ),
    },
    {
      key: "on_demand_nodes",
      label: words.onDemandNodes,
      numeric: true,
      value: (row) => row.on_demand_nodes,
      show: (row) => (
        <Below of={show.replicas(row.on_demand_replicas)}>{show.count(row.on_demand_nodes)}</Below>
      ),
    },
    number("break_even_utilisation", words.breakEven, (row) => row.break_even_utilisation, show.percent),
    { key: "paid_gpu_hours", label: words.paidHours, exported: true, value: (row) => row.paid_gpu_hours },
    { key: "idle_gpu_hours", label: words.idleHours, exported: true, value: (row) => row.idle_gpu_hours },
    number("idle_usd", words.idleCost, (row) => row.idle_usd, show.usdShort),
    number("all_committed_usd", words.allCommitted, (row) => row.all_committed_usd, show.usdShort),
    number("all_on_demand_usd", words.allOnDemandUsd, (row) => row.all_on_demand_usd, show.usdShort),
    number("commitment_usd", columns.commitment, (row) => row.commitment_usd, show.usdShort),
  ];
};
