// A table that sorts, and goes away as CSV exactly as it stands.
import { useSignal } from "@preact/signals";
import type { ComponentChildren } from "preact";
import { type Cell, csv, save } from "../export";
import { fill, strings } from "../strings";
import { Scroll, ScrollOn, useScrolling } from "./scroll";

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

/** Letters of a header from which it may not be squeezed into a column of narrow cells. */
const LONG = 15;
/** Rows that are seen at a glance. */
const FEW = 12;

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
  /** Rows that a row opens to, the first from the beginning if they are few; the CSV holds those at the bottom. */
  under?: (row: Row) => readonly Row[];
}

export const Table = <Row,>(props: TableProps<Row>) => {
  const { name, caption, columns, rows, rowKey, current, rowClass, captioned = true, aside, under } = props;
  const order = useSignal<{ key: string; down: boolean } | undefined>(undefined);
  const opened = useSignal<ReadonlySet<string>>(
    new Set(under ? rows.filter((row, i) => i === 0 && under(row).length <= FEW).map(rowKey) : []),
  );
  const scrolling = useScrolling();
  const seen = columns.filter((column) => !column.exported);
  const by = columns.find((column) => column.key === order.value?.key);
  const sort = (some: readonly Row[]) =>
    by === undefined ? some : [...some].sort((a, b) => compare(by, a, b, order.value?.down ?? false));
  const laid = sort(rows).map((row) => ({ row, below: sort(under?.(row) ?? []) }));
  const shown = laid.flatMap(({ row, below }): Laid<Row>[] => {
    const open = below.length === 0 ? undefined : opened.value.has(rowKey(row));
    return [{ row, open }, ...(open ? below.map((one) => ({ row: one, below: true })) : [])];
  });
  const fold = (row: Row) => {
    const key = rowKey(row);
    const next = new Set(opened.value);
    if (!next.delete(key)) next.add(key);
    opened.value = next;
  };
  const folding = rows.filter((row) => (under?.(row).length ?? 0) > 0).map(rowKey);
  const allOpen = folding.every((key) => opened.value.has(key));

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
        laid
          .flatMap(({ row, below }) => (below.length > 0 ? below : [row]))
          .map((row) => columns.map((column) => column.value(row))),
      ),
    );

  return (
    <div class="table">
      <Scroll of={scrolling} label={caption}>
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
                      class={column.label.length > LONG ? "roomy" : ""}
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
            {shown.map(({ row, open, below }) => (
              <tr
                key={rowKey(row)}
                class={below ? "below" : (rowClass?.(row) ?? "")}
                aria-current={current?.(row) ? "true" : undefined}
              >
                {seen.map((column) => {
                  const cell = column.show ? column.show(row) : column.value(row);
                  return column.names ? (
                    <th key={column.key} scope="row" class={column.long ? "long" : ""}>
                      {open === undefined ? (
                        cell
                      ) : (
                        <button type="button" class="unroll" aria-expanded={open} onClick={() => fold(row)}>
                          {cell}
                        </button>
                      )}
                    </th>
                  ) : (
                    <td key={column.key} class={column.numeric ? "number" : column.long ? "long" : ""}>
                      {cell ?? strings.none}
                    </td>
                  );
                })}
              </tr>
            ))}
          </tbody>
        </table>
      </Scroll>
      <div class="takes">
        <button type="button" class="link take" onClick={take}>
          {strings.actions.csv}
          <span class="sr-only"> {caption}</span>
        </button>
        {folding.length > 0 && (
          <button
            type="button"
            class="link"
            onClick={() => {
              opened.value = new Set(allOpen ? [] : folding);
            }}
          >
            {allOpen ? strings.closeAll : strings.openAll}
            <span class="sr-only">: {caption}</span>
          </button>
        )}
        <ScrollOn of={scrolling} label={caption} />
      </div>
    </div>
  );
};

/** A row as it stands in the table. */
interface Laid<Row> {
  row: Row;
  /** Whether those under it are seen; undefined where there are none. */
  open?: boolean | undefined;
  /** Under another one. */
  below?: boolean;
}

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
