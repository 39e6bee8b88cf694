// What every figure rests on: of which kind, how old, how far to trust it.
import { useSignal } from "@preact/signals";
import type { FigureKind, FigureSource } from "../../pkg/rackrate";
import { plainly } from "../plainly";
import { fill, strings } from "../strings";
import { Age, Cited } from "./money";
import { type Column, Table } from "./table";

const words = strings.sources;
const columns = strings.columns;
const KINDS = Object.keys(strings.kinds) as FigureKind[];

export const Sources = ({ of }: { of: readonly FigureSource[] }) => {
  const open = useSignal(false);
  const old = of.filter((row) => row.old).length;
  return (
    <section class="card" aria-labelledby="sources">
      <h2 id="sources">{words.title}</h2>
      <p class="facts-line">
        {fill(words.count, { count: of.length })}
        {old > 0 && `, ${fill(words.old, { count: old })}`}
      </p>
      <details onToggle={(event) => (open.value = event.currentTarget.open)}>
        <summary>{words.show}</summary>
        {open.value && <Listed of={of} old={old} />}
      </details>
    </section>
  );
};

interface ListedProps {
  of: readonly FigureSource[];
  old: number;
}

/** Made when it is opened: as many rows as the rest of the page has. */
const Listed = ({ of, old }: ListedProps) => {
  const kind = useSignal<FigureKind | "">("");
  const oldOnly = useSignal(false);
  const counted = KINDS.map((one) => ({ one, count: of.filter((row) => row.kind === one).length }));
  const rows = of.filter(
    (row) => (kind.value === "" || row.kind === kind.value) && (!oldOnly.value || row.old),
  );
  return (
    <>
      <div class="filter">
        <label>
          {words.kind}{" "}
          <select
            value={kind.value}
            onChange={(event) => {
              kind.value = event.currentTarget.value as FigureKind | "";
            }}
          >
            <option value="">{fill(words.allKinds, { count: of.length })}</option>
            {counted
              .filter(({ count }) => count > 0)
              .map(({ one, count }) => (
                <option key={one} value={one}>
                  {strings.kinds[one]} ({count})
                </option>
              ))}
          </select>
        </label>
        {old > 0 && (
          <label>
            <input
              type="checkbox"
              checked={oldOnly.value}
              onChange={() => {
                oldOnly.value = !oldOnly.value;
              }}
            />{" "}
            {words.oldOnly}
          </label>
        )}
      </div>
      <Table
        name="sources"
        caption={words.caption}
        columns={SOURCES}
        rows={rows}
        rowKey={(row) => `${row.figure} ${row.source.source} ${row.source.as_of}`}
      />
    </>
  );
};

const SOURCES: Column<FigureSource>[] = [
  {
    key: "figure",
    long: true,
    label: columns.figure,
    names: true,
    value: (row) => row.figure,
    show: (row) => plainly(row.figure),
  },
  { key: "kind", label: columns.kind, value: (row) => row.kind, show: (row) => strings.kinds[row.kind] },
  {
    key: "source",
    long: true,
    label: columns.source,
    value: (row) => row.source.source,
    show: (row) => <Cited source={row.source} />,
  },
  {
    key: "confidence",
    label: columns.confidence,
    value: (row) => row.source.confidence,
    show: (row) => strings.confidences[row.source.confidence],
  },
  { key: "as_of", label: columns.asOf, value: (row) => row.source.as_of || null },
  {
    key: "age_days",
    label: columns.age,
    numeric: true,
    value: (row) => row.age_days,
    show: (row) => (row.age_days === null ? strings.none : <Age days={row.age_days} old={row.old} />),
  },
  { key: "old", exported: true, label: strings.age.old, value: (row) => row.old },
  { key: "note", exported: true, label: columns.note, value: (row) => row.source.note ?? "" },
];
