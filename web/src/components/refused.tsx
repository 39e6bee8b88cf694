// Shapes that cannot do the job, with the reason.
import type { Refusal } from "../../pkg/rackrate";
import { strings } from "../strings";
import { Cloud } from "./rich";
import { type Column, Table } from "./table";

const columns: Column<Refusal>[] = [
  { key: "shape", label: strings.columns.shape, names: true, value: (row) => row.shape },
  {
    key: "cloud",
    label: strings.columns.cloud,
    value: (row) => row.provider,
    show: (row) => <Cloud of={row.provider} />,
  },
  { key: "reason", long: true, label: strings.columns.reason, value: (row) => row.reason },
];

interface RefusedProps {
  name: string;
  caption: string;
  refused: readonly Refusal[];
  /** Shown at once, where there is nothing else to show. */
  open: boolean;
}

export const Refused = ({ name, caption, refused, open }: RefusedProps) =>
  refused.length === 0 ? null : (
    <details open={open}>
      <summary>
        {caption} <span class="count">{refused.length}</span>
      </summary>
      <Table
        name={name}
        caption={caption}
        columns={columns}
        rows={refused}
        rowKey={(row) => `${row.provider} ${row.shape}`}
      />
    </details>
  );
