// Stacked bars, one a row: costs by line, times and memory by part.
import { useSignal } from "@preact/signals";
import { max } from "d3-array";
import { scaleLinear } from "d3-scale";
import { stack } from "d3-shape";
import { useId } from "preact/hooks";
import { fill, strings } from "../strings";
import { Figure, moveFocus, useWidth } from "./figure";

export interface Part {
  key: string;
  label: string;
  value: number;
  /** Class that colours it. */
  tone: string;
  /** Striped besides, so that it is told apart without colour. */
  striped?: boolean;
}

export interface Bar {
  key: string;
  label: string;
  /** At the right of the label, such as the total. */
  end: string;
  parts: readonly Part[];
  /** A limit, drawn as a tick: the memory that a GPU has. */
  limit?: number;
  current?: boolean;
  dim?: boolean;
}

interface BarsProps {
  name: string;
  title: string;
  bars: readonly Bar[];
  write: (value: number) => string;
  /** The same for the axis, if shorter there. */
  tick?: (value: number) => string;
  /** Header of the values in the table and the CSV, with the unit. */
  unit: { key: string; label: string };
  /** At most this many; the table has all. */
  most?: number;
  /** Whether the parts mean the same in every bar, and are explained once below. */
  legend?: boolean;
}

const ROW = 46;
const THICK = 18;
const FOOT = 24;

export const Bars = ({ name, title, bars, write, unit, tick = write, most = 10, legend }: BarsProps) => {
  const [ref, width] = useWidth();
  const stripes = useId().replaceAll(":", "");
  const active = useSignal<string | undefined>(undefined);
  const drawn = bars.slice(0, most);
  const ends = drawn
    .map((bar) => [...laid(bar).map(([, , to]) => to), bar.limit ?? 0])
    .map((all) => max(all) ?? 0);
  const x = scaleLinear([0, max(ends) ?? 1], [0, Math.max(0, width - 1)]);
  const ticks = x.ticks(Math.max(2, Math.floor(width / 110)));
  const height = drawn.length * ROW + FOOT;
  const told = drawn.find((bar) => bar.key === active.value);
  const long = bars.flatMap((bar) => bar.parts.map((part) => ({ bar, part })));

  return (
    <Figure
      name={name}
      title={title}
      columns={[
        { key: "option", label: strings.columns.shape, names: true, value: ({ bar }) => bar.label },
        { key: "part", label: strings.columns.part, value: ({ part }) => part.label },
        {
          ...unit,
          numeric: true,
          value: ({ part }) => part.value,
          show: ({ part }) => write(part.value),
        },
      ]}
      rows={long}
      rowKey={({ bar, part }) => `${bar.key} ${part.key}`}
    >
      <div class="chart" ref={ref}>
        {width > 0 && (
          // biome-ignore lint/a11y/useSemanticElements: a group of marks inside an image of data has no element
          <svg
            width={width}
            height={height}
            role="group"
            aria-label={`${title}. ${strings.chart.keys}`}
            onKeyDown={moveFocus}
            onPointerLeave={() => (active.value = undefined)}
          >
            <defs>
              <pattern
                id={stripes}
                width="6"
                height="6"
                patternUnits="userSpaceOnUse"
                patternTransform="rotate(45)"
              >
                <rect class="stripe" width="2" height="6" />
              </pattern>
            </defs>
            <g class="axis" aria-hidden="true">
              {ticks.map((at) => (
                <g key={at} transform={`translate(${x(at) + 0.5} 0)`}>
                  <line y1={0} y2={height - FOOT} />
                  <text
                    y={height - 8}
                    text-anchor={at === 0 ? "start" : x(at) > width - 36 ? "end" : "middle"}
                  >
                    {tick(at)}
                  </text>
                </g>
              ))}
            </g>
            {drawn.map((bar, row) => (
              <g
                key={bar.key}
                class={["bar", bar.current && "current", bar.dim && "dim"].filter(Boolean).join(" ")}
                transform={`translate(0 ${row * ROW})`}
                role="img"
                aria-label={aloud(bar, write)}
                tabindex={row === 0 ? 0 : -1}
                onFocus={() => (active.value = bar.key)}
                onBlur={() => (active.value = undefined)}
                onPointerEnter={() => (active.value = bar.key)}
              >
                <rect class="hit" width={width} height={ROW} />
                <text class="name" y={14}>
                  {bar.label}
                </text>
                <text class="end" x={width} y={14} text-anchor="end">
                  {bar.end}
                </text>
                {laid(bar).map(([part, from, to]) => {
                  const box = { x: x(from), y: 21, width: Math.max(0, x(to) - x(from)), height: THICK };
                  return (
                    <g key={part.key}>
                      <rect class={`part ${part.tone}`} {...box} />
                      {part.striped && <rect fill={`url(#${stripes})`} {...box} />}
                    </g>
                  );
                })}
                {bar.limit !== undefined && (
                  <line class="limit" x1={x(bar.limit)} x2={x(bar.limit)} y1={17} y2={43} />
                )}
              </g>
            ))}
          </svg>
        )}
        {told && <Tip bar={told} row={drawn.indexOf(told)} write={write} stripes={stripes} />}
        {bars.length > drawn.length && (
          <p class="help">{fill(strings.chart.other, { count: bars.length - drawn.length })}</p>
        )}
      </div>
      {legend && (
        <ul class="legend">
          {present(drawn).map((part) => (
            <li key={part.key}>
              <Swatch part={part} stripes={stripes} />
              {part.label}
            </li>
          ))}
        </ul>
      )}
    </Figure>
  );
};

const Swatch = ({ part, stripes }: { part: Part; stripes: string }) => (
  <svg class="swatch" width="12" height="12" aria-hidden="true">
    <rect class={`part ${part.tone}`} width="12" height="12" rx="2" />
    {part.striped && <rect fill={`url(#${stripes})`} width="12" height="12" rx="2" />}
  </svg>
);

const Tip = ({
  bar,
  row,
  write,
  stripes,
}: {
  bar: Bar;
  row: number;
  write: BarsProps["write"];
  stripes: string;
}) => (
  <div class="tip" style={{ insetBlockStart: `${(row + 1) * ROW - 2}px` }} aria-hidden="true">
    <p>
      <strong>{bar.label}</strong> {bar.end}
    </p>
    <ul>
      {bar.parts
        .filter((part) => part.value > 0)
        .map((part) => (
          <li key={part.key}>
            <Swatch part={part} stripes={stripes} />
            <span>{part.label}</span>
            <span class="number">{write(part.value)}</span>
          </li>
        ))}
    </ul>
  </div>
);

/** Where each part begins and ends on the axis. */
const laid = (bar: Bar): [Part, number, number][] => {
  const values = Object.fromEntries(bar.parts.map((part) => [part.key, part.value]));
  const layers = stack<Record<string, number>>().keys(bar.parts.map((part) => part.key))([values]);
  return layers.flatMap((layer, i): [Part, number, number][] => {
    const part = bar.parts[i];
    const span = layer[0];
    return part === undefined || span === undefined ? [] : [[part, span[0], span[1]]];
  });
};

/** Parts to be seen in any of the bars: what a legend must explain. */
const present = (bars: readonly Bar[]): Part[] =>
  (bars[0]?.parts ?? []).filter((_, i) => {
    const most = max(bars, (bar) => bar.parts[i]?.value ?? 0) ?? 0;
    return most > SEEN * (max(bars, (bar) => max(bar.parts, (part) => part.value) ?? 0) ?? 0);
  });

/** A part smaller than this share of the largest cannot be seen, so it needs no colour explained. */
const SEEN = 0.003;

const aloud = (bar: Bar, write: BarsProps["write"]): string =>
  [
    `${bar.label}: ${bar.end}`,
    ...bar.parts.filter((part) => part.value > 0).map((part) => `${part.label} ${write(part.value)}`),
  ].join("; ");
