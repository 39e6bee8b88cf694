// Lines over two measures: the frontier of throughput against the speed that one user sees.
import { useSignal } from "@preact/signals";
import { extent } from "d3-array";
import { scaleLinear, scaleLog } from "d3-scale";
import { line } from "d3-shape";
import { compact, digits } from "../format";
import { strings } from "../strings";
import { Axes, markOf, type Room, Swatch, Tip } from "./axes";
import { Figure, useWidth } from "./figure";

export interface Dot {
  x: number;
  y: number;
  /** What stands behind it: the cut and the load. */
  note: string;
}

export interface Line {
  key: string;
  label: string;
  tone: string;
  current: boolean;
  dots: readonly Dot[];
}

interface LinesProps {
  name: string;
  title: string;
  x: { key: string; label: string };
  y: { key: string; label: string };
  lines: readonly Line[];
  /** Whether the upward measure is too; the other always is. */
  logarithmic?: boolean;
  /** A point told apart, with what it is. */
  mark?: { label: string; dot: Dot };
  /** Whether all lines are alike and explained once below; else the current one stands out from the others. */
  legend?: boolean;
  /** What the others are, by their tone. */
  others?: Readonly<Record<string, string>>;
}

const ROOM: Room = { height: 280, left: 52, top: 30, foot: 40 };
const floor = ROOM.height - ROOM.foot;

export const Lines = ({
  name,
  title,
  x: across,
  y: up,
  lines,
  logarithmic,
  mark,
  legend,
  others,
}: LinesProps) => {
  const [ref, width] = useWidth();
  const active = useSignal<{ line: Line; dot: Dot } | undefined>(undefined);
  const dots = lines.flatMap((one) => one.dots.map((dot) => ({ line: one, dot })));
  const all = [...dots.map(({ dot }) => dot), ...(mark ? [mark.dot] : [])];
  const [low = 1, high = 10] = extent(all, (dot) => dot.x) as [number?, number?];
  const x = scaleLog(wider([low, high]), [ROOM.left, Math.max(ROOM.left, width - 12)]);
  const [least = 1, most = 1] = extent(all, (dot) => dot.y) as [number?, number?];
  const y = logarithmic
    ? scaleLog(wider([least, most]), [floor, ROOM.top])
    : scaleLinear([0, most], [floor, ROOM.top]).nice();
  const path = line<Dot>(
    (dot) => x(dot.x),
    (dot) => y(dot.y),
  );
  const focus = lines.find((one) => one.current) ?? lines[0];
  const dotted = legend ? lines : focus ? [focus] : [];
  const said = active.value;
  const tell = (of: { line: Line; dot: Dot } | undefined) => {
    active.value = of;
  };

  return (
    <Figure
      name={name}
      title={title}
      columns={[
        { key: "option", label: strings.columns.shape, names: true, value: ({ line }) => line.label },
        { ...across, numeric: true, value: ({ dot }) => dot.x, show: ({ dot }) => digits(dot.x) },
        { ...up, numeric: true, value: ({ dot }) => dot.y, show: ({ dot }) => digits(dot.y) },
        { key: "cut", label: strings.columns.cut, value: ({ dot }) => dot.note },
      ]}
      rows={dots}
      rowKey={({ line, dot }) => `${line.key} ${dot.x} ${dot.y}`}
    >
      <div class="chart" ref={ref}>
        {width > 0 && (
          <Axes
            title={title}
            width={width}
            room={ROOM}
            x={{
              label: across.label,
              ticks: round(x.ticks()).map((tick) => ({ at: x(tick), words: compact(tick) })),
            }}
            y={{
              label: up.label,
              ticks: (logarithmic ? round(y.ticks()) : y.ticks(5)).map((tick) => ({
                at: y(tick),
                words: compact(tick),
              })),
            }}
          >
            {[...lines]
              .sort((a, b) => Number(a === focus) - Number(b === focus))
              .map((one) => (
                <path
                  key={one.key}
                  class={`line ${one.tone} ${dotted.includes(one) ? "current" : ""}`}
                  d={path([...one.dots]) ?? ""}
                />
              ))}
            {mark && <circle class="mark" cx={x(mark.dot.x)} cy={y(mark.dot.y)} r={8} aria-hidden="true" />}
            {dotted.flatMap((one, order) =>
              // From left to right, as the arrow keys go.
              [...one.dots]
                .sort((a, b) => a.x - b.x)
                .map((dot, i) => (
                  <circle
                    key={`${one.key} ${dot.x} ${dot.y}`}
                    class={`dot ${one.tone}`}
                    cx={x(dot.x)}
                    cy={y(dot.y)}
                    r={4}
                    {...markOf({
                      of: { line: one, dot },
                      first: order === 0 && i === 0,
                      aloud: `${one.label}: ${across.label} ${digits(dot.x)}; ${up.label} ${digits(dot.y)}; ${dot.note}`,
                      tell,
                    })}
                    onPointerLeave={() => tell(undefined)}
                  />
                )),
            )}
          </Axes>
        )}
        {said && (
          <Tip
            title={said.line.label}
            style={{
              insetBlockStart: `${Math.min(y(said.dot.y) + 14, ROOM.height - 70)}px`,
              insetInlineStart: `${Math.min(x(said.dot.x), Math.max(0, width - 260))}px`,
            }}
            rows={[
              { key: across.key, label: <span>{across.label}</span>, value: digits(said.dot.x) },
              { key: up.key, label: <span>{up.label}</span>, value: digits(said.dot.y) },
            ]}
            note={said.dot.note}
          />
        )}
      </div>
      {(mark || legend || others) && (
        <ul class="legend">
          {legend &&
            lines.map((one) => (
              <li key={one.key}>
                <Swatch as="line" tone={`line ${one.tone} current`} />
                {one.label}
              </li>
            ))}
          {others && focus && (
            <li>
              <Swatch as="line" tone={`line ${focus.tone} current`} />
              {focus.label}
            </li>
          )}
          {others &&
            [...new Set(lines.filter((one) => one !== focus).map((one) => one.tone))].map((tone) => (
              <li key={tone}>
                <Swatch as="line" tone={`line ${tone}`} />
                {others[tone]}
              </li>
            ))}
          {mark && (
            <li>
              <Swatch as="ring" tone="mark" />
              {mark.label}
            </li>
          )}
        </ul>
      )}
    </Figure>
  );
};

/** Room on either side of what is drawn on a logarithmic axis. */
const wider = ([low, high]: [number, number]): [number, number] => {
  const room = Math.max((high / low) ** 0.05, 1.1);
  return [low / room, high * room];
};

/** 1, 2 and 5 of each decade; on less than a decade of the axis, as many of the others as there is room for. */
const round = (ticks: readonly number[]): number[] => {
  const some = ticks.filter((tick) => /^[125]0*$/.test(tick.toExponential().replace(/e.*|\./g, "")));
  if (some.length > 2) return some;
  const step = Math.ceil(ticks.length / 5);
  return ticks.filter((_, i) => i % step === 0);
};
