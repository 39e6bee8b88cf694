// Lines over one measure, with marks beside them: distributions over a logarithmic axis, and what goes on over time.
import { useSignal } from "@preact/signals";
import { bisector, extent, max } from "d3-array";
import { scaleLinear, scaleLog } from "d3-scale";
import { area, line } from "d3-shape";
import type { Column } from "../components/table";
import { strings } from "../strings";
import { Axes, DIAMOND, type Room, Swatch, Tip } from "./axes";
import { Figure, useWidth } from "./figure";

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

const ROOM: Room = { height: 240, left: 48, top: 28, foot: 40 };
const floor = ROOM.height - ROOM.foot;
/** What the words of the rule need. */
const WORDS = 110;
/** What a label of the axis needs. */
const LABEL = 64;
/** What half of one needs before the chart's end. */
const EDGE = 12;

export const Series = ({ name, title, x: across, y: up, lines, rows, dots, rule }: SeriesProps) => {
  const [ref, width] = useWidth();
  const active = useSignal<number | undefined>(undefined);
  const right = Math.max(ROOM.left, width - 12);
  const places = [...rows.map((row) => row.x), ...(dots?.of ?? []).map((dot) => dot.x)];
  const [first = 0, last = 1] = extent(rule ? [...places, rule.at] : places);
  const x = across.ticks
    ? scaleLinear([first, last], [ROOM.left, right])
    : scaleLog([Math.max(first, last * 1e-6), last], [ROOM.left, right]);
  const highest = max([...rows.flatMap((row) => row.values), ...(dots?.of ?? []).map((dot) => dot.y)]) ?? 1;
  const y = scaleLinear([0, highest || 1], [floor, ROOM.top]).nice(4);
  const ticks = thinned(across.ticks ?? roundTicks(x.domain() as [number, number], x.ticks()), x, right);
  const said = active.value === undefined ? undefined : rows[active.value];
  const columns: Column<SeriesRow>[] = [
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
  const aloud = (row: SeriesRow | undefined) =>
    row === undefined
      ? ""
      : [
          `${across.label} ${across.write(row.x)}`,
          ...lines.map((one, i) => `${one.label}: ${up.write(row.values[i] ?? 0)}`),
        ].join("; ");
  const at = (clientX: number, box: DOMRect) => {
    const value = x.invert(clientX - box.left);
    active.value = Math.min(rows.length - 1, Math.max(0, NEAREST(rows, value)));
  };
  const keys = (event: KeyboardEvent) => {
    const here = active.value ?? 0;
    const leap = Math.max(1, Math.round(rows.length / 20));
    const to = {
      ArrowRight: here + 1,
      ArrowUp: here + 1,
      ArrowLeft: here - 1,
      ArrowDown: here - 1,
      PageUp: here + leap,
      PageDown: here - leap,
      Home: 0,
      End: rows.length - 1,
    }[event.key];
    if (to === undefined) return;
    event.preventDefault();
    active.value = Math.min(rows.length - 1, Math.max(0, to));
  };

  return (
    <Figure
      name={name}
      title={title}
      columns={columns}
      rows={rows}
      rowKey={(row) => `${row.x} ${row.values[0]}`}
    >
      <div class="chart series" ref={ref}>
        {width > 0 && (
          <Axes
            title={title}
            width={width}
            room={ROOM}
            x={{
              label: across.label,
              ticks: ticks.map((tick) => ({ at: x(tick), words: across.tick(tick) })),
            }}
            y={{ label: up.label, ticks: y.ticks(4).map((tick) => ({ at: y(tick), words: up.tick(tick) })) }}
          >
            {rule && (
              <g class="rule" transform={`translate(${x(rule.at)} 0)`} aria-hidden="true">
                <line y1={ROOM.top} y2={floor} />
                <text
                  y={floor - 8}
                  dx={x(rule.at) > ROOM.left + WORDS ? -6 : 6}
                  text-anchor={x(rule.at) > ROOM.left + WORDS ? "end" : "start"}
                >
                  {rule.label}
                </text>
              </g>
            )}
            {lines.map((one, i) => (
              <g key={one.key} aria-hidden="true">
                {one.filled && (
                  <path
                    class={`wash ${one.tone}`}
                    d={
                      area<SeriesRow>(
                        (row) => x(row.x),
                        y(0),
                        (row) => y(row.values[i] ?? 0),
                      )([...rows]) ?? ""
                    }
                  />
                )}
                <path
                  class={`stroke ${one.tone}`}
                  d={
                    line<SeriesRow>(
                      (row) => x(row.x),
                      (row) => y(row.values[i] ?? 0),
                    )([...rows]) ?? ""
                  }
                />
              </g>
            ))}
            {dots?.of.map((dot) => (
              <g key={dot.words} transform={`translate(${x(dot.x)} ${y(dot.y)})`} aria-hidden="true">
                <path class={`beside ${dots.tone}`} d={DIAMOND} />
                <text class="beside" {...SIDES[dot.side]}>
                  {dot.words}
                </text>
              </g>
            ))}
            {said && (
              <g aria-hidden="true">
                <line class="cursor" x1={x(said.x)} x2={x(said.x)} y1={ROOM.top} y2={floor} />
                {lines.map((one, i) => (
                  <circle
                    key={one.key}
                    class={`point ${one.tone}`}
                    cx={x(said.x)}
                    cy={y(said.values[i] ?? 0)}
                    r={4}
                  />
                ))}
              </g>
            )}
            {/* One mark for all places: read off by pointer, or by arrow keys as a slider is. */}
            <rect
              class="hit"
              x={ROOM.left}
              y={ROOM.top}
              width={Math.max(0, right - ROOM.left)}
              height={floor - ROOM.top}
              role="slider"
              tabindex={0}
              aria-label={`${title}. ${strings.chart.curveKeys}`}
              aria-valuemin={0}
              aria-valuemax={Math.max(0, rows.length - 1)}
              aria-valuenow={active.value ?? 0}
              aria-valuetext={aloud(said ?? rows[0])}
              onKeyDown={keys}
              onFocus={() => {
                active.value ??= 0;
              }}
              onBlur={() => {
                active.value = undefined;
              }}
              onPointerMove={(event) => {
                const box = ref.current?.getBoundingClientRect();
                if (box) at(event.clientX, box);
              }}
              onPointerLeave={() => {
                active.value = undefined;
              }}
            />
          </Axes>
        )}
        {said && (
          <Tip
            title={across.write(said.x)}
            style={beside(x(said.x), width)}
            rows={lines.map((one, i) => ({
              key: one.key,
              label: (
                <>
                  <Swatch as="line" tone={`stroke ${one.tone}`} />
                  <span>{one.label}</span>
                </>
              ),
              value: up.write(said.values[i] ?? 0),
            }))}
          />
        )}
      </div>
      {(lines.length > 1 || (dots?.of.length ?? 0) > 0) && (
        <ul class="legend">
          {lines.map((one) => (
            <li key={one.key}>
              <Swatch as="line" tone={`stroke ${one.tone}`} />
              {one.label}
            </li>
          ))}
          {dots && dots.of.length > 0 && (
            <li>
              <Swatch as="diamond" tone={`beside ${dots.tone}`} />
              {dots.label}
            </li>
          )}
        </ul>
      )}
    </Figure>
  );
};

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

/** Where the tip stands: on the side with more room. */
const beside = (cursor: number, width: number): Record<string, string> =>
  cursor > width / 2
    ? {
        insetBlockStart: `${ROOM.top}px`,
        insetInlineStart: "auto",
        insetInlineEnd: `${width - cursor + 12}px`,
      }
    : { insetBlockStart: `${ROOM.top}px`, insetInlineStart: `${cursor + 12}px` };
