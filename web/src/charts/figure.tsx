// A chart and the same data as a table, one key apart.
import { useSignal } from "@preact/signals";
import type { ComponentChildren, RefObject } from "preact";
import { useEffect, useId, useRef, useState } from "preact/hooks";
import { type Column, Table } from "../components/table";
import { strings } from "../strings";

interface FigureProps<Row> {
  name: string;
  title: string;
  columns: readonly Column<Row>[];
  rows: readonly Row[];
  rowKey: (row: Row) => string;
  children: ComponentChildren;
}

export const Figure = <Row,>({ name, title, columns, rows, rowKey, children }: FigureProps<Row>) => {
  const asTable = useSignal(false);
  const id = useId();
  const keys = (event: KeyboardEvent) => {
    const typing = event.ctrlKey || event.metaKey || event.altKey;
    if (event.key.toLowerCase() === "t" && !typing) asTable.value = !asTable.value;
  };
  return (
    <figure aria-labelledby={id} onKeyDown={keys}>
      <figcaption>
        <span class="title" id={id}>
          {title}
        </span>
        <button
          type="button"
          class="link"
          onClick={() => (asTable.value = !asTable.value)}
          title={strings.chart.keys}
        >
          {asTable.value ? strings.chart.asChart : strings.chart.asTable}
          <span class="sr-only">: {title}</span>
        </button>
      </figcaption>
      {asTable.value ? (
        <Table name={name} caption={title} columns={columns} rows={rows} rowKey={rowKey} />
      ) : (
        children
      )}
    </figure>
  );
};

/** Width of an element in pixels, followed as it changes, so that text in a chart keeps its size. */
export const useWidth = (): [RefObject<HTMLDivElement | null>, number] => {
  const ref = useRef<HTMLDivElement>(null);
  const [width, setWidth] = useState(0);
  useEffect(() => {
    const element = ref.current;
    if (element === null) return;
    const observer = new ResizeObserver(([entry]) => setWidth(Math.floor(entry?.contentRect.width ?? 0)));
    observer.observe(element);
    return () => observer.disconnect();
  }, []);
  return [ref, width];
};

/** Arrow keys move the focus among the focusable marks of a chart; Tab enters and leaves it once. */
export const moveFocus = (event: KeyboardEvent & { currentTarget: Element }): void => {
  const step = { ArrowDown: 1, ArrowRight: 1, ArrowUp: -1, ArrowLeft: -1 }[event.key];
  const marks = [...event.currentTarget.querySelectorAll<SVGElement>("[tabindex]")];
  const here = marks.indexOf(event.target as SVGElement);
  const to = event.key === "Home" ? 0 : event.key === "End" ? marks.length - 1 : here + (step ?? Number.NaN);
  const mark = marks[to];
  if (here < 0 || mark === undefined) return;
  event.preventDefault();
  mark.focus();
};
