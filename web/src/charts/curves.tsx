// Curves over one logarithmic measure, read off together at any of its points.
import { useSignal } from "@preact/signals";
import { ascending, max } from "d3-array";
import { scaleLinear, scaleLog } from "d3-scale";
import { line } from "d3-shape";
import type { Column } from "../components/table";
import { digits, few } from "../format";
import { strings } from "../strings";
import { Figure, moveFocus, useWidth } from "./figure";

export interface Curve {
  key: string;
  label: string;
  tone: string;
  current: boolean;
  points: readonly (readonly [x: number, y: number])[];
}

interface CurvesProps {
  name: string;
  title: string;
  /** How its values are written. */
  x: { key: string; label: string; write: (x: number) => string };
  /** `key` goes before a curve's own in the CSV. */
  y: { key: string; label: string };
  curves: readonly Curve[];
}

const HEIGHT = 260;
const LEFT = 44;
const FOOT = 40;
const TOP = 26;
/** What a tip needs beside the cursor. */
const ROOM = 400;
/** Points from one label of the axis to the next: 1 KiB, 32 KiB, 1 MiB where each is twice the one before. */
const EVERY = 5;

export const Curves = ({ name, title, x: across, y: up, curves }: CurvesProps) => {
  const [ref, width] = useWidth();
  const active = useSignal<number | undefined>(undefined);
  const at = new Map(curves.map((curve) => [curve.key, new Map(curve.points)]));
  const stops = [...new Set(curves.flatMap((curve) => curve.points.map(([x]) => x)))].sort(ascending);
  const highest = max(curves, (curve) => max(curve.points, ([, y]) => y)) ?? 1;
  const x = scaleLog([stops[0] ?? 1, stops.at(-1) ?? 10], [LEFT, Math.max(LEFT, width - 10)]);
  const y = scaleLinear([0, highest], [HEIGHT - FOOT, TOP]).nice();
  const path = line<readonly [number, number]>(
    ([at]) => x(at),
    ([, value]) => y(value),
  );
  const said = active.value;
  // The chosen one on top.
  const drawn = [...curves].sort((a, b) => Number(a.current) - Number(b.current));
  const columns: Column<number>[] = [
    { key: across.key, label: across.label, names: true, value: (stop) => stop, show: across.write },
    ...curves.map((curve) => ({
      key: `${up.key} ${curve.key}`,
      label: `${curve.label}, ${up.label}`,
      numeric: true,
      value: (stop: number) => at.get(curve.key)?.get(stop) ?? null,
      show: (stop: number) => digits(at.get(curve.key)?.get(stop)),
    })),
  ];
  const aloud = (stop: number) =>
    [
      `${across.label} ${across.write(stop)}`,
      ...curves.map((curve) => `${curve.label}: ${digits(at.get(curve.key)?.get(stop))} ${up.label}`),
    ].join("; ");

  return (
    <Figure name={name} title={title} columns={columns} rows={stops} rowKey={String}>
      <div class="chart" ref={ref}>
        {width > 0 && (
          // biome-ignore lint/a11y/useSemanticElements: a group of marks inside an image of data has no element
          <svg
            width={width}
            height={HEIGHT}
            role="group"
            aria-label={`${title}. ${strings.chart.curveKeys}`}
            onKeyDown={moveFocus}
            onPointerLeave={() => (active.value = undefined)}
          >
            <g class="axis" aria-hidden="true">
              {y.ticks(5).map((tick) => (
                <g key={tick} transform={`translate(0 ${y(tick)})`}>
                  <line x1={LEFT} x2={width} />
                  <text x={LEFT - 8} dy="0.32em" text-anchor="end">
                    {few(tick)}
                  </text>
                </g>
              ))}
              {stops
                .filter((_, i) => i % EVERY === 0)
                .map((stop, i) => (
                  <text
                    key={stop}
                    x={x(stop)}
                    y={HEIGHT - FOOT + 18}
                    text-anchor={i === 0 ? "start" : "middle"}
                  >
                    {across.write(stop)}
                  </text>
                ))}
              <text x={width} y={HEIGHT - 2} text-anchor="end">
                {across.label} →
              </text>
              <text x={0} y={10}>
                ↑ {up.label}
              </text>
            </g>
            {said !== undefined && (
              <line class="cursor" x1={x(said)} x2={x(said)} y1={TOP} y2={HEIGHT - FOOT} />
            )}
            {drawn.map((curve) => (
              <path
                key={curve.key}
                class={`curve ${curve.tone} ${curve.current ? "current" : ""}`}
                d={path([...curve.points]) ?? ""}
              />
            ))}
            {said !== undefined &&
              drawn.map((curve) => {
                const value = at.get(curve.key)?.get(said);
                return (
                  value !== undefined && (
                    <circle key={curve.key} class={`dot ${curve.tone}`} cx={x(said)} cy={y(value)} r={4} />
                  )
                );
              })}
            {stops.map((stop, i) => {
              const [from, to] = [stops[i - 1] ?? stop, stops[i + 1] ?? stop].map(
                (next) => (x(next) + x(stop)) / 2,
              ) as [number, number];
              return (
                <rect
                  key={stop}
                  class="hit"
                  x={from}
                  y={TOP}
                  width={Math.max(0, to - from)}
                  height={HEIGHT - FOOT - TOP}
                  role="img"
                  aria-label={aloud(stop)}
                  tabIndex={i === 0 ? 0 : -1}
                  onFocus={() => (active.value = stop)}
                  onBlur={() => (active.value = undefined)}
                  onPointerEnter={() => (active.value = stop)}
                />
              );
            })}
          </svg>
        )}
        {said !== undefined && (
          <div class="tip" style={beside(x(said), width)} aria-hidden="true">
            <p>
              <strong>{across.write(said)}</strong>
            </p>
            <ul>
              {curves.map((curve) => (
                <li key={curve.key}>
                  <Swatch curve={curve} />
                  <span>{curve.label}</span>
                  <span class="number">{digits(at.get(curve.key)?.get(said))}</span>
                </li>
              ))}
            </ul>
          </div>
        )}
      </div>
      <ul class="legend">
        {curves.map((curve) => (
          <li key={curve.key}>
            <Swatch curve={curve} />
            {curve.label}
          </li>
        ))}
      </ul>
    </Figure>
  );
};

/** Where the tip stands: beside the cursor on the side with more room; below the curves where neither has enough. */
const beside = (cursor: number, width: number) => {
  if (Math.max(cursor, width - cursor) < ROOM) return { insetBlockStart: `${HEIGHT - FOOT / 2}px` };
  const top = { insetBlockStart: `${TOP}px` };
  return cursor > width / 2
    ? { ...top, insetInlineStart: "auto", insetInlineEnd: `${width - cursor + 12}px` }
    : { ...top, insetInlineStart: `${cursor + 12}px` };
};

const Swatch = ({ curve }: { curve: Curve }) => (
  <svg class="swatch" width="22" height="12" aria-hidden="true">
    <line class={`curve ${curve.tone} ${curve.current ? "current" : ""}`} x1="0" x2="22" y1="6" y2="6" />
  </svg>
);
