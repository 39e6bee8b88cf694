// Curves over one logarithmic measure, read off together at any of its points.
import { ascending, max } from "d3-array";
import { scaleLinear, scaleLog } from "d3-scale";
import { line } from "d3-shape";
import { digits, few } from "../format";
import { besideCursor, Cursor, Frame, type Key, keyed, type Room } from "./frame";

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

const ROOM: Room = { height: 260, left: 44, top: 26, foot: 40, end: 10 };
/** What a tip needs beside the cursor. */
const TIP = 400;
/** Points from one label of the axis to the next: 1 KiB, 32 KiB, 1 MiB where each is twice the one before. */
const EVERY = 5;

export const Curves = ({ name, title, x: across, y: up, curves }: CurvesProps) => {
  const at = new Map(curves.map((curve) => [curve.key, new Map(curve.points)]));
  const valueAt = (curve: Curve, stop: number) => at.get(curve.key)?.get(stop);
  const stops = [...new Set(curves.flatMap((curve) => curve.points.map(([x]) => x)))].sort(ascending);
  const highest = max(curves, (curve) => max(curve.points, ([, y]) => y)) ?? 1;
  const y = scaleLinear([0, highest], [0, 1]).nice();
  const legend = curves.map(
    (curve): Key => ({ key: curve.key, as: "line", tone: lineOf(curve), words: curve.label }),
  );
  // The chosen one on top.
  const drawn = [...curves].sort((a, b) => Number(a.current) - Number(b.current));

  return (
    <Frame
      kind="curves"
      name={name}
      title={title}
      room={ROOM}
      x={{
        label: across.label,
        scale: scaleLog([stops[0] ?? 1, stops.at(-1) ?? 10], [0, 1]),
        ticks: ({ x }) =>
          stops
            .filter((_, i) => i % EVERY === 0)
            .map((stop, i) => ({
              at: x(stop),
              words: across.write(stop),
              anchor: i === 0 ? "start" : "middle",
            })),
      }}
      y={{ label: up.label, scale: y, ticks: y.ticks(5), words: few }}
      places={stops}
      bands={(i, { x }) => {
        const stop = stops[i] ?? 1;
        const halfway = (next = stop) => (x(next) + x(stop)) / 2;
        return [halfway(stops[i - 1]), halfway(stops[i + 1])];
      }}
      aloud={(stop) =>
        [
          `${across.label} ${across.write(stop)}`,
          ...curves.map((curve) => `${curve.label}: ${digits(valueAt(curve, stop))} ${up.label}`),
        ].join("; ")
      }
      tip={(stop, { x, width }) => ({
        title: across.write(stop),
        style: besideCursor(x(stop), width, ROOM, TIP),
        rows: curves.flatMap((curve, i) => {
          const key = legend[i];
          return key ? [keyed(key, digits(valueAt(curve, stop)))] : [];
        }),
      })}
      marks={({ x, y, said }) => {
        const path = line<readonly [number, number]>(
          ([at]) => x(at),
          ([, value]) => y(value),
        );
        return (
          <>
            {said !== undefined && <Cursor at={x(said)} room={ROOM} />}
            {drawn.map((curve) => (
              <path key={curve.key} class={lineOf(curve)} d={path([...curve.points]) ?? ""} />
            ))}
            {said !== undefined &&
              drawn.map((curve) => {
                const value = valueAt(curve, said);
                return (
                  value !== undefined && (
                    <circle key={curve.key} class={`dot ${curve.tone}`} cx={x(said)} cy={y(value)} r={4} />
                  )
                );
              })}
          </>
        );
      }}
      legend={legend}
      columns={[
        { key: across.key, label: across.label, names: true, value: (stop) => stop, show: across.write },
        ...curves.map((curve) => ({
          key: `${up.key} ${curve.key}`,
          label: `${curve.label}, ${up.label}`,
          numeric: true,
          value: (stop: number) => valueAt(curve, stop) ?? null,
          show: (stop: number) => digits(valueAt(curve, stop)),
        })),
      ]}
      rows={stops}
      rowKey={String}
    />
  );
};

const lineOf = (curve: Curve): string => `curve ${curve.tone} ${curve.current ? "current" : ""}`;
