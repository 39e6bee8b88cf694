// Curves over one logarithmic measure, read off together at any of its points.
import { useSignal } from "@preact/signals";
import { ascending, max } from "d3-array";
import { scaleLinear, scaleLog } from "d3-scale";
import { line } from "d3-shape";
import type { Column } from "../components/table";
import { digits, few } from "../format";
import { Axes, markOf, type Room, Swatch, Tip } from "./axes";
import { Figure, useWidth } from "./figure";

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

const ROOM: Room = { height: 260, left: 44, top: 26, foot: 40 };
const floor = ROOM.height - ROOM.foot;
/** What a tip needs beside the cursor. */
const TIP = 400;
/** Points from one label of the axis to the next: 1 KiB, 32 KiB, 1 MiB where each is twice the one before. */
const EVERY = 5;

export const Curves = ({ name, title, x: across, y: up, curves }: CurvesProps) => {
  const [ref, width] = useWidth();
  const active = useSignal<number | undefined>(undefined);
  const at = new Map(curves.map((curve) => [curve.key, new Map(curve.points)]));
  const stops = [...new Set(curves.flatMap((curve) => curve.points.map(([x]) => x)))].sort(ascending);
  const highest = max(curves, (curve) => max(curve.points, ([, y]) => y)) ?? 1;
  const x = scaleLog([stops[0] ?? 1, stops.at(-1) ?? 10], [ROOM.left, Math.max(ROOM.left, width - 10)]);
  const y = scaleLinear([0, highest], [floor, ROOM.top]).nice();
  const path = line<readonly [number, number]>(
    ([at]) => x(at),
    ([, value]) => y(value),
  );
  const said = active.value;
  const tell = (stop: number | undefined) => {
    active.value = stop;
  };
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
          <Axes
            title={title}
            width={width}
            room={ROOM}
            x={{
              label: across.label,
              ticks: stops
                .filter((_, i) => i % EVERY === 0)
                .map((stop, i) => ({
                  at: x(stop),
                  words: across.write(stop),
                  anchor: i === 0 ? "start" : "middle",
                })),
            }}
            y={{ label: up.label, ticks: y.ticks(5).map((tick) => ({ at: y(tick), words: few(tick) })) }}
            onPointerLeave={() => tell(undefined)}
          >
            {said !== undefined && <line class="cursor" x1={x(said)} x2={x(said)} y1={ROOM.top} y2={floor} />}
            {drawn.map((curve) => (
              <path key={curve.key} class={lineOf(curve)} d={path([...curve.points]) ?? ""} />
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
                  y={ROOM.top}
                  width={Math.max(0, to - from)}
                  height={floor - ROOM.top}
                  {...markOf({ of: stop, first: i === 0, aloud: aloud(stop), tell })}
                />
              );
            })}
          </Axes>
        )}
        {said !== undefined && (
          <Tip
            title={across.write(said)}
            style={beside(x(said), width)}
            rows={curves.map((curve) => ({
              key: curve.key,
              label: (
                <>
                  <Swatch as="line" tone={lineOf(curve)} />
                  <span>{curve.label}</span>
                </>
              ),
              value: digits(at.get(curve.key)?.get(said)),
            }))}
          />
        )}
      </div>
      <ul class="legend">
        {curves.map((curve) => (
          <li key={curve.key}>
            <Swatch as="line" tone={lineOf(curve)} />
            {curve.label}
          </li>
        ))}
      </ul>
    </Figure>
  );
};

/** Where the tip stands: beside the cursor on the side with more room; below the curves where neither has enough. */
const beside = (cursor: number, width: number): Record<string, string> => {
  if (Math.max(cursor, width - cursor) < TIP) return { insetBlockStart: `${floor + ROOM.foot / 2}px` };
  const top = { insetBlockStart: `${ROOM.top}px` };
  return cursor > width / 2
    ? { ...top, insetInlineStart: "auto", insetInlineEnd: `${width - cursor + 12}px` }
    : { ...top, insetInlineStart: `${cursor + 12}px` };
};

const lineOf = (curve: Curve): string => `curve ${curve.tone} ${curve.current ? "current" : ""}`;
