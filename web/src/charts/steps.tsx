// A measure that holds for a while, then steps: nodes hour by hour, and how long so many are needed. What lies below a
// level is told apart from what lies above, and what the level holds that is not used shows through.
import { useSignal } from "@preact/signals";
import { max } from "d3-array";
import { scaleLinear } from "d3-scale";
import { area } from "d3-shape";
import { useId } from "preact/hooks";
import type { Column } from "../components/table";
import { compact, count } from "../format";
import { strings } from "../strings";
import { Axes, markOf, type Room, Swatch, Tip } from "./axes";
import { Figure, useWidth } from "./figure";

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

const ROOM: Room = { height: 250, left: 48, top: 28, foot: 40 };
const floor = ROOM.height - ROOM.foot;

export const Steps = <Of extends Step>(props: StepsProps<Of>) => {
  const { name, title, x: across, y: up, steps, level, tone, names, columns } = props;
  const [ref, width] = useWidth();
  const id = useId().replaceAll(":", "");
  const active = useSignal<Of | undefined>(undefined);
  const end = steps.at(-1)?.to ?? 1;
  const x = scaleLinear([steps[0]?.from ?? 0, end], [ROOM.left, Math.max(ROOM.left, width - 1)]);
  const y = scaleLinear([0, Math.max(level, max(steps, (step) => step.y) ?? 1)], [floor, ROOM.top]).nice();
  const held = {
    x: ROOM.left,
    y: y(level),
    width: Math.max(0, width - ROOM.left),
    height: floor - y(level),
  };
  const shape = area<readonly [number, number]>(
    ([at]) => x(at),
    floor,
    ([, value]) => y(value),
  )(
    steps.flatMap((step) => [
      [step.from, step.y],
      [step.to, step.y],
    ]),
  );
  const over = steps.some((step) => step.y > level);
  const said = active.value;
  const tell = (step: Of | undefined) => {
    active.value = step;
  };

  return (
    <Figure name={name} title={title} columns={columns} rows={steps} rowKey={(step) => step.label}>
      <div class="chart" ref={ref}>
        {width > 0 && (
          <Axes
            title={title}
            width={width}
            room={ROOM}
            x={{
              label: across.label,
              ticks: across.ticks.map(([at, words]) => ({
                at: x(at),
                words,
                anchor: at === end ? "end" : x(at) < ROOM.left + 12 ? "start" : "middle",
              })),
            }}
            y={{ label: up.label, ticks: y.ticks(5).map((tick) => ({ at: y(tick), words: compact(tick) })) }}
            behind={
              <>
                <defs>
                  <clipPath id={`${id}-below`}>
                    <rect {...held} />
                  </clipPath>
                </defs>
                <rect class="unused" {...held} />
              </>
            }
            onPointerLeave={() => tell(undefined)}
          >
            <path class={`part more ${tone}`} d={shape ?? ""} />
            <path class={`part ${tone}`} d={shape ?? ""} clip-path={`url(#${id}-below)`} />
            {level > 0 && <line class="limit" x1={ROOM.left} x2={width} y1={y(level)} y2={y(level)} />}
            {steps.map((step, i) => (
              <rect
                key={step.label}
                class={step === said ? "hit said" : "hit"}
                x={x(step.from)}
                y={ROOM.top}
                width={Math.max(0, x(step.to) - x(step.from))}
                height={floor - ROOM.top}
                {...markOf({ of: step, first: i === 0, aloud: aloud(step, columns), tell })}
              />
            ))}
          </Axes>
        )}
        {said && (
          <Tip
            title={said.label}
            style={{
              insetBlockStart: `${floor + 24}px`,
              insetInlineStart: `${Math.min(x(said.from), Math.max(0, width - 240))}px`,
            }}
            rows={columns
              .filter((column) => !column.names)
              .map((column) => ({
                key: column.key,
                label: <span>{column.label}</span>,
                value: text(column, said),
              }))}
          />
        )}
      </div>
      <ul class="legend">
        {level > 0 && <Key tone={`part ${tone}`}>{names.below}</Key>}
        {over && <Key tone={`part more ${tone}`}>{names.above}</Key>}
        {level > 0 && <Key tone="unused">{names.unused}</Key>}
        {level > 0 && (
          <li>
            <Swatch as="line" tone="limit" />
            {`${names.level}: ${count(level)}`}
          </li>
        )}
      </ul>
    </Figure>
  );
};

const Key = ({ tone, children }: { tone: string; children: string }) => (
  <li>
    <Swatch as="box" tone={tone} />
    {children}
  </li>
);

/** What a column says of a step: all of them are text. */
const text = <Of,>(column: Column<Of>, step: Of): string =>
  String(column.show ? column.show(step) : (column.value(step) ?? strings.none));

const aloud = <Of extends Step>(step: Of, columns: readonly Column<Of>[]): string =>
  columns
    .map((column) => (column.names ? text(column, step) : `${column.label} ${text(column, step)}`))
    .join("; ");
