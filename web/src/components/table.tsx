// A table that sorts, and goes away as CSV exactly as it stands.
import { useSignal } from "@preact/signals";
import type { ComponentChildren } from "preact";
import { type Cell, csv, save } from "../export";
import { fill, strings } from "../strings";

export interface Column<Row> {
  /** Name in the CSV, with its unit. */
  key: string;
  label: string;
  /** Sorted and exported. */
  value: (row: Row) => Cell;
  /** Shown; the value itself if not given. */
  show?: (row: Row) => ComponentChildren;
  numeric?: boolean;
  /** Sentences, which may take several lines. */
  long?: boolean;
  /** Row header: names the row. */
  names?: boolean;
  /** Only in the CSV: on the page another column shows it too. */
  exported?: boolean;
}

interface TableProps<Row> {
  name: string;
  caption: string;
  columns: readonly Column<Row>[];
  rows: readonly Row[];
  rowKey: (row: Row) => string;
  /** Stands out, and announces itself as chosen. */
  current?: (row: Row) => boolean;
  rowClass?: (row: Row) => string;
  /** Whether the caption is seen; where a heading stands right above, it is only read out. */
  captioned?: boolean;
  /** Behind the caption, such as a total. */
  aside?: string;
}

export const Table = <Row,>(props: TableProps<Row>) => {
  const { name, caption, columns, rows, rowKey, current, rowClass, captioned = true, aside } = props;
  const order = useSignal<{ key: string; down: boolean } | undefined>(undefined);
  const seen = columns.filter((column) => !column.exported);
  const by = columns.find((column) => column.key === order.value?.key);
  const sorted =
    by === undefined ? rows : [...rows].sort((a, b) => compare(by, a, b, order.value?.down ?? false));

  const turn = (column: Column<Row>) => {
    const now = order.value;
    // First the given order, then up, then down, then the given order again.
    if (now?.key !== column.key) order.value = { key: column.key, down: false };
    else if (now.down) order.value = undefined;
    else order.value = { key: column.key, down: true };
  };
  const take = () =>
    save(
      `rackrate-${name}.csv`,
      "text/csv;charset=utf-8",
      csv(
        columns.map((column) => column.key),
        sorted.map((row) => columns.map((column) => column.value(row))),
      ),
    );

  return (
    <div class="table">
      {/* Scrolls sideways on a narrow screen, so it must be reachable by keyboard. */}
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: a scrolling region takes the focus to be scrolled */}
      <section class="scroll" aria-label={caption} tabIndex={0}>
        <table>
          <caption class={captioned ? "" : "sr-only"}>
            <span>
              {caption}
              {aside && <span class="aside-of"> {aside}</span>}
            </span>
          </caption>
          <thead>
            <tr>
              {seen.map((column) => {
                const sort =
                  order.value?.key === column.key ? (order.value.down ? "descending" : "ascending") : "none";
                return (
                  <th key={column.key} scope="col" class={column.numeric ? "number" : ""} aria-sort={sort}>
                    <button
                      type="button"
                      onClick={() => turn(column)}
                      title={fill(strings.sort, { column: column.label })}
                    >
                      {column.label}
                      <span class="arrow" aria-hidden="true" />
                    </button>
                  </th>
                );
              })}
            </tr>
          </thead>
          <tbody>
            {sorted.map((row) => (
              <tr
                key={rowKey(row)}
                class={rowClass?.(row) ?? ""}
                aria-current={current?.(row) ? "true" : undefined}
              >
                {seen.map((column) => {
                  const shown = column.show ? column.show(row) : column.value(row);
                  return column.names ? (
                    <th key={column.key} scope="row" class={column.long ? "long" : ""}>
                      {shown}
                    </th>
                  ) : (
                    <td key={column.key} class={column.numeric ? "number" : column.long ? "long" : ""}>
                      {shown ?? strings.none}
                    </td>
                  );
                })}
              </tr>
            ))}
          </tbody>
        </table>
      </section>
      <button type="button" class="link take" onClick={take}>
        {strings.actions.csv}
        <span class="sr-only"> {caption}</span>
      </button>
    </div>
  );
};

/** Absent values come last, whichever way. */
const compare = <Row,>(column: Column<Row>, a: Row, b: Row, down: boolean): number => {
  const [left, right] = [column.value(a), column.value(b)];
  if (left === null || right === null) return Number(left === null) - Number(right === null);
  const sign = down ? -1 : 1;
  if (typeof left === "number" && typeof right === "number") return sign * (left - right);
  return sign * String(left).localeCompare(String(right), strings.locale, { numeric: true });
};

/** What stands in a cell, and smaller below it what belongs to it. */
export const Below = ({
  of,
  children,
}: {
  of: string | null | undefined | false;
  children: ComponentChildren;
}) => (
  <>
    {children}
    {of && <span class="detail">{of}</span>}
  </>
);
