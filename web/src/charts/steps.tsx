// A measure that holds for a while, then steps: nodes hour by hour, and how long so many are needed. What lies below a
// level is told apart from what lies above, and what the level holds that is not used shows through.
import { max } from "d3-array";
import { scaleLinear } from "d3-scale";
import { area } from "d3-shape";
import { useId } from "preact/hooks";
import type { Column } from "../components/table";
import { compact, count } from "../format";
import { strings } from "../strings";
import { type Drawn, Frame, type Key, type Room } from "./frame";

export interface Step {
  from: number;
  to: number;
  y: number;
  /** What it is, such as an hour of the week. */
  label: string;
}

interface StepsProps<Of extends Step> {
  name: string;
  title: string;
  x: { label: string; ticks: readonly (readonly [at: number, words: string])[] };
  y: { label: string };
  steps: readonly Of[];
  /** Held all the time; 0 for nothing. */
  level: number;
  /** Class that colours it. */
  tone: string;
  /** Names of the level, of what lies below it and above it, and of what it holds unused. */
  names: Record<"level" | "below" | "above" | "unused", string>;
  /** What is told of a step: rows of the tip, columns of the table. */
  columns: readonly Column<Of>[];
}

const ROOM: Room = { height: 250, left: 48, top: 28, foot: 40, end: 1 };

export const Steps = <Of extends Step>(props: StepsProps<Of>) => {
  const { name, title, x: across, y: up, steps, level, tone, columns } = props;
  const id = useId().replaceAll(":", "");
  const end = steps.at(-1)?.to ?? 1;
  const y = scaleLinear([0, Math.max(level, max(steps, (step) => step.y) ?? 1)], [0, 1]).nice();
  const held = ({ y, width, floor }: Drawn<Of>) => ({
    x: ROOM.left,
    y: y(level),
    width: Math.max(0, width - ROOM.left),
    height: floor - y(level),
  });

  return (
    <Frame
      kind="steps"
      name={name}
      title={title}
      room={ROOM}
      x={{
        label: across.label,
        scale: scaleLinear([steps[0]?.from ?? 0, end], [0, 1]),
        ticks: ({ x }) =>
          across.ticks.map(([at, words]) => ({
            at: x(at),
            words,
            anchor: at === end ? "end" : x(at) < ROOM.left + 12 ? "start" : "middle",
          })),
      }}
      y={{ label: up.label, scale: y, ticks: y.ticks(5), words: compact }}
      places={steps}
      bands={(i, { x }) => [x(steps[i]?.from ?? 0), x(steps[i]?.to ?? 0)]}
      aloud={(step) => aloud(step, columns)}
      tip={(step, { x, width, floor }) => ({
        title: step.label,
        style: {
          insetBlockStart: `${floor + 24}px`,
          insetInlineStart: `${Math.min(x(step.from), Math.max(0, width - 240))}px`,
        },
        rows: columns
          .filter((column) => !column.names)
          .map((column) => ({
            key: column.key,
            label: <span>{column.label}</span>,
            value: text(column, step),
          })),
      })}
      behind={(drawn) => (
        <>
          <defs>
            <clipPath id={`${id}-below`}>
              <rect {...held(drawn)} />
            </clipPath>
          </defs>
          <rect class="unused" {...held(drawn)} />
        </>
      )}
      marks={({ x, y, width, floor }) => {
        const shape = area<readonly [number, number]>(
          ([at]) => x(at),
          floor,
          ([, value]) => y(value),
        )(steps.flatMap(({ from, to, y }) => [[from, y] as const, [to, y] as const]));
        return (
          <>
            <path class={`part more ${tone}`} d={shape ?? ""} />
            <path class={`part ${tone}`} d={shape ?? ""} clip-path={`url(#${id}-below)`} />
            {level > 0 && <line class="limit" x1={ROOM.left} x2={width} y1={y(level)} y2={y(level)} />}
          </>
        );
      }}
      legend={explained(props)}
      columns={columns}
      rows={steps}
      rowKey={(step) => step.label}
    />
  );
};

/** What lies below the level and above it, what of it is not used, and how high it is. */
const explained = <Of extends Step>({ steps, level, tone, names }: StepsProps<Of>): Key[] => {
  const box = (key: "below" | "above" | "unused", tone: string): Key => ({
    key,
    tone,
    as: "box",
    words: names[key],
  });
  return [
    ...(level > 0 ? [box("below", `part ${tone}`)] : []),
    ...(steps.some((step) => step.y > level) ? [box("above", `part more ${tone}`)] : []),
    ...(level > 0
      ? [
          box("unused", "unused"),
          { key: "level", as: "line", tone: "limit", words: `${names.level}: ${count(level)}` } as const,
        ]
      : []),
  ];
};

/** What a column says of a step: all of them are text. */
const text = <Of,>(column: Column<Of>, step: Of): string =>
  String(column.show ? column.show(step) : (column.value(step) ?? strings.none));

const aloud = <Of extends Step>(step: Of, columns: readonly Column<Of>[]): string =>
  columns
    .map((column) => (column.names ? text(column, step) : `${column.label} ${text(column, step)}`))
    .join("; ");
