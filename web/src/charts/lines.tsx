// Lines over two measures: the frontier of throughput against the speed that one user sees.
import { extent } from "d3-array";
import { scaleLinear, scaleLog } from "d3-scale";
import { line } from "d3-shape";
import { compact, digits } from "../format";
import { strings } from "../strings";
import { Frame, type Key, type Room } from "./frame";

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

const ROOM: Room = { height: 280, left: 52, top: 30, foot: 40, end: 12 };

interface Place {
  line: Line;
  dot: Dot;
}

export const Lines = (props: LinesProps) => {
  const { name, title, x: across, y: up, lines, logarithmic, mark } = props;
  const dots = lines.flatMap((one) => one.dots.map((dot): Place => ({ line: one, dot })));
  const all = [...dots.map(({ dot }) => dot), ...(mark ? [mark.dot] : [])];
  const [low = 1, high = 10] = extent(all, (dot) => dot.x) as [number?, number?];
  const [least = 1, most = 1] = extent(all, (dot) => dot.y) as [number?, number?];
  const x = scaleLog(wider([low, high]), [0, 1]);
  const y = logarithmic ? scaleLog(wider([least, most]), [0, 1]) : scaleLinear([0, most], [0, 1]).nice();
  const focus = lines.find((one) => one.current) ?? lines[0];
  const dotted = props.legend ? lines : focus ? [focus] : [];

  return (
    <Frame
      kind="lines"
      name={name}
      title={title}
      room={ROOM}
      x={{
        label: across.label,
        scale: x,
        ticks: ({ x: to }) => round(x.ticks()).map((tick) => ({ at: to(tick), words: compact(tick) })),
      }}
      y={{
        label: up.label,
        scale: y,
        ticks: logarithmic ? round(y.ticks()) : y.ticks(5),
        words: compact,
      }}
      places={dots}
      aloud={({ line, dot }) =>
        `${line.label}: ${across.label} ${digits(dot.x)}; ${up.label} ${digits(dot.y)}; ${dot.note}`
      }
      tip={({ line, dot }, { x, y, width }) => ({
        title: line.label,
        style: {
          insetBlockStart: `${Math.min(y(dot.y) + 14, ROOM.height - 70)}px`,
          insetInlineStart: `${Math.min(x(dot.x), Math.max(0, width - 260))}px`,
        },
        rows: [
          { key: across.key, label: <span>{across.label}</span>, value: digits(dot.x) },
          { key: up.key, label: <span>{up.label}</span>, value: digits(dot.y) },
        ],
        note: dot.note,
      })}
      marks={({ x, y, place }) => {
        const path = line<Dot>(
          (dot) => x(dot.x),
          (dot) => y(dot.y),
        );
        return (
          <>
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
                    {...place({ line: one, dot }, order === 0 && i === 0)}
                  />
                )),
            )}
          </>
        );
      }}
      legend={explained(props, focus)}
      columns={[
        { key: "option", label: strings.columns.shape, names: true, value: ({ line }) => line.label },
        { ...across, numeric: true, value: ({ dot }) => dot.x, show: ({ dot }) => digits(dot.x) },
        { ...up, numeric: true, value: ({ dot }) => dot.y, show: ({ dot }) => digits(dot.y) },
        { key: "cut", label: strings.columns.cut, value: ({ dot }) => dot.note },
      ]}
      rows={dots}
      rowKey={({ line, dot }) => `${line.key} ${dot.x} ${dot.y}`}
    />
  );
};

/** All lines, or the one that stands out and what the others are by their tone; then the point told apart. */
const explained = ({ lines, legend, others, mark }: LinesProps, focus: Line | undefined): Key[] => {
  const current = (one: Line): Key => ({
    key: one.key,
    as: "line",
    tone: `line ${one.tone} current`,
    words: one.label,
  });
  const tones = [...new Set(lines.filter((one) => one !== focus).map((one) => one.tone))];
  return [
    ...(legend ? lines.map(current) : []),
    ...(others && focus ? [current(focus)] : []),
    ...(others
      ? tones.map((tone): Key => ({ key: tone, as: "line", tone: `line ${tone}`, words: others[tone] ?? "" }))
      : []),
    ...(mark ? [{ key: "mark", as: "ring", tone: "mark", words: mark.label } as const] : []),
  ];
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
