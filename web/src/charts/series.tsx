// Lines over one measure, with marks beside them: distributions over a logarithmic axis, and what goes on over time.
import { bisector, extent, max, range } from "d3-array";
import { scaleLinear, scaleLog } from "d3-scale";
import { area, line } from "d3-shape";
import type { Column } from "../components/table";
import { DIAMOND } from "./axes";
import { besideCursor, Cursor, type Drawn, Frame, type Key, keyed, type Room } from "./frame";

export interface SeriesLine {
  key: string;
  label: string;
  tone: string;
  /** Whether what lies below it is washed. */
  filled?: boolean;
}

/** Values of all lines at one place, in their order. */
export interface SeriesRow {
  x: number;
  values: readonly number[];
}

export interface SeriesDot {
  x: number;
  y: number;
  words: string;
  /** Where its words stand. */
  side: keyof typeof SIDES;
}

interface SeriesProps {
  name: string;
  title: string;
  /** Without `ticks` the axis is logarithmic. */
  x: {
    key: string;
    label: string;
    write: (x: number) => string;
    tick: (x: number) => string;
    ticks?: readonly number[];
  };
  y: { key: string; label: string; write: (y: number) => string; tick: (y: number) => string };
  lines: readonly SeriesLine[];
  rows: readonly SeriesRow[];
  dots?: { label: string; tone: string; of: readonly SeriesDot[] };
  /** A place on the axis that is told apart. */
  rule?: { at: number; label: string } | undefined;
}

const ROOM: Room = { height: 240, left: 48, top: 28, foot: 40, end: 12 };
/** What the words of the rule need. */
const WORDS = 110;
/** What a label of the axis needs. */
const LABEL = 64;
/** What half of one needs before the chart's end. */
const EDGE = 12;

export const Series = (props: SeriesProps) => {
  const { name, title, x: across, y: up, lines, rows, dots, rule } = props;
  const places = [...rows.map((row) => row.x), ...(dots?.of ?? []).map((dot) => dot.x)];
  const [first = 0, last = 1] = extent(rule ? [...places, rule.at] : places);
  const x = across.ticks
    ? scaleLinear([first, last], [0, 1])
    : scaleLog([Math.max(first, last * 1e-6), last], [0, 1]);
  const highest = max([...rows.flatMap((row) => row.values), ...(dots?.of ?? []).map((dot) => dot.y)]) ?? 1;
  const y = scaleLinear([0, highest || 1], [0, 1]).nice(4);
  const ticks = across.ticks ?? roundTicks(x.domain() as [number, number], x.ticks());
  const key = (one: SeriesLine): Key => ({
    key: one.key,
    as: "line",
    tone: `stroke ${one.tone}`,
    words: one.label,
  });

  return (
    <Frame
      kind="series"
      name={name}
      title={title}
      room={ROOM}
      x={{
        label: across.label,
        scale: x,
        ticks: ({ x, right }) =>
          thinned(ticks, x, right).map((tick) => ({ at: x(tick), words: across.tick(tick) })),
      }}
      y={{ label: up.label, scale: y, ticks: y.ticks(4), words: up.tick }}
      // By number: several may lie at one place of the axis.
      places={range(rows.length)}
      slider={(value) => Math.min(rows.length - 1, NEAREST(rows, value))}
      aloud={(i) =>
        [
          `${across.label} ${across.write(rows[i]?.x ?? 0)}`,
          ...lines.map((one, line) => `${one.label}: ${up.write(rows[i]?.values[line] ?? 0)}`),
        ].join("; ")
      }
      tip={(i, { x, width }) => {
        const row = rows[i] ?? { x: 0, values: [] };
        return {
          title: across.write(row.x),
          style: besideCursor(x(row.x), width, ROOM),
          rows: lines.map((one, line) => keyed(key(one), up.write(row.values[line] ?? 0))),
        };
      }}
      marks={(drawn) => (
        <>
          {rule && <Rule {...rule} drawn={drawn} />}
          {lines.map((one, i) => (
            <Stroke key={one.key} line={one} rows={rows} i={i} drawn={drawn} />
          ))}
          {dots?.of.map((dot) => (
            <g
              key={dot.words}
              transform={`translate(${drawn.x(dot.x)} ${drawn.y(dot.y)})`}
              aria-hidden="true"
            >
              <path class={`beside ${dots.tone}`} d={DIAMOND} />
              <text class="beside" {...SIDES[dot.side]}>
                {dot.words}
              </text>
            </g>
          ))}
          <Said row={rows[drawn.said ?? -1]} lines={lines} drawn={drawn} />
        </>
      )}
      legend={[
        ...(lines.length > 1 || dots?.of.length ? lines.map(key) : []),
        ...(dots?.of.length
          ? [{ key: "dots", as: "diamond", tone: `beside ${dots.tone}`, words: dots.label } as const]
          : []),
      ]}
      columns={columnsOf(props)}
      rows={rows}
      rowKey={(row) => `${row.x} ${row.values[0]}`}
    />
  );
};

/** A place on the axis that is told apart, its words on the side where they have room. */
const Rule = ({ at, label, drawn: { x, floor } }: { at: number; label: string; drawn: Drawn<number> }) => {
  const before = x(at) > ROOM.left + WORDS;
  return (
    <g class="rule" transform={`translate(${x(at)} 0)`} aria-hidden="true">
      <line y1={ROOM.top} y2={floor} />
      <text y={floor - 8} dx={before ? -6 : 6} text-anchor={before ? "end" : "start"}>
        {label}
      </text>
    </g>
  );
};

interface StrokeProps {
  line: SeriesLine;
  rows: readonly SeriesRow[];
  i: number;
  drawn: Drawn<number>;
}

const Stroke = ({ line: { tone, filled }, rows, i, drawn: { x, y } }: StrokeProps) => {
  const at = (row: SeriesRow) => x(row.x);
  const value = (row: SeriesRow) => y(row.values[i] ?? 0);
  return (
    <g aria-hidden="true">
      {filled && <path class={`wash ${tone}`} d={area<SeriesRow>(at, y(0), value)([...rows]) ?? ""} />}
      <path class={`stroke ${tone}`} d={line<SeriesRow>(at, value)([...rows]) ?? ""} />
    </g>
  );
};

interface SaidProps {
  row: SeriesRow | undefined;
  lines: readonly SeriesLine[];
  drawn: Drawn<number>;
}

const Said = ({ row, lines, drawn: { x, y } }: SaidProps) =>
  row && (
    <g aria-hidden="true">
      <Cursor at={x(row.x)} room={ROOM} />
      {lines.map((one, i) => (
        <circle key={one.key} class={`point ${one.tone}`} cx={x(row.x)} cy={y(row.values[i] ?? 0)} r={4} />
      ))}
    </g>
  );

const columnsOf = ({ x: across, y: up, lines }: SeriesProps): Column<SeriesRow>[] => [
  {
    key: across.key,
    label: across.label,
    numeric: true,
    names: true,
    value: (row) => row.x,
    show: (row) => across.write(row.x),
  },
  ...lines.map(
    (one, i): Column<SeriesRow> => ({
      key: lines.length === 1 ? up.key : `${up.key}_${one.key}`,
      label: one.label,
      numeric: true,
      value: (row) => row.values[i] ?? null,
      show: (row) => up.write(row.values[i] ?? Number.NaN),
    }),
  ),
];

const SIDES = {
  left: { x: -10, dy: "0.1em", "text-anchor": "end" },
  right: { x: 9, dy: "1em", "text-anchor": "start" },
  above: { y: -10, "text-anchor": "middle" },
} as const;

const NEAREST = bisector<SeriesRow, number>((row) => row.x).center;

/** 1, 2 or 5 times powers of ten; where the axis is too short for two of them, whatever is round on it. */
const roundTicks = (domain: [number, number], ticks: readonly number[]): readonly number[] => {
  const round = ticks.filter((tick) => {
    const digits = tick / 10 ** Math.floor(Math.log10(tick) + 1e-9);
    return [1, 2, 5].some((digit) => Math.abs(digits - digit) < 1e-6);
  });
  return round.length > 1 ? round : scaleLinear(domain, [0, 1]).ticks(4);
};

/** As many ticks as have room for their words. */
const thinned = (ticks: readonly number[], x: (at: number) => number, right: number): number[] => {
  const kept: number[] = [];
  let free = Number.NEGATIVE_INFINITY;
  for (const tick of ticks) {
    const place = x(tick);
    if (place < free || place > right - EDGE) continue;
    kept.push(tick);
    free = place + LABEL;
  }
  return kept;
};
