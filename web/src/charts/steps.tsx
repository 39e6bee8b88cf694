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
import { Figure, moveFocus, useWidth } from "./figure";

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

const HEIGHT = 250;
const LEFT = 48;
const FOOT = 40;
const TOP = 28;

export const Steps = <Of extends Step>(props: StepsProps<Of>) => {
  const { name, title, x: across, y: up, steps, level, tone, names, columns } = props;
  const [ref, width] = useWidth();
  const id = useId().replaceAll(":", "");
  const active = useSignal<Of | undefined>(undefined);
  const end = steps.at(-1)?.to ?? 1;
  const x = scaleLinear([steps[0]?.from ?? 0, end], [LEFT, Math.max(LEFT, width - 1)]);
  const y = scaleLinear([0, Math.max(level, max(steps, (step) => step.y) ?? 1)], [HEIGHT - FOOT, TOP]).nice();
  const floor = y(0);
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

  return (
    <Figure name={name} title={title} columns={columns} rows={steps} rowKey={(step) => step.label}>
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
            <defs>
              <clipPath id={`${id}-below`}>
                <rect x={LEFT} y={y(level)} width={Math.max(0, width - LEFT)} height={floor - y(level)} />
              </clipPath>
            </defs>
            <rect
              class="unused"
              x={LEFT}
              y={y(level)}
              width={Math.max(0, width - LEFT)}
              height={floor - y(level)}
            />
            <g class="axis" aria-hidden="true">
              {y.ticks(5).map((tick) => (
                <g key={tick} transform={`translate(0 ${y(tick)})`}>
                  <line x1={LEFT} x2={width} />
                  <text x={LEFT - 8} dy="0.32em" text-anchor="end">
                    {compact(tick)}
                  </text>
                </g>
              ))}
              {across.ticks.map(([at, words]) => (
                <text
                  key={at}
                  x={x(at)}
                  y={HEIGHT - FOOT + 18}
                  text-anchor={at === end ? "end" : x(at) < LEFT + 12 ? "start" : "middle"}
                >
                  {words}
                </text>
              ))}
              <text x={width} y={HEIGHT - 2} text-anchor="end">
                {across.label} →
              </text>
              <text x={0} y={10}>
                ↑ {up.label}
              </text>
            </g>
            <path class={`part more ${tone}`} d={shape ?? ""} />
            <path class={`part ${tone}`} d={shape ?? ""} clip-path={`url(#${id}-below)`} />
            {level > 0 && <line class="limit" x1={LEFT} x2={width} y1={y(level)} y2={y(level)} />}
            {steps.map((step, i) => (
              <rect
                key={step.label}
                class={step === said ? "hit said" : "hit"}
                x={x(step.from)}
                y={TOP}
                width={Math.max(0, x(step.to) - x(step.from))}
                height={floor - TOP}
                role="img"
                aria-label={aloud(step, columns)}
                tabIndex={i === 0 ? 0 : -1}
                onFocus={() => (active.value = step)}
                onBlur={() => (active.value = undefined)}
                onPointerEnter={() => (active.value = step)}
              />
            ))}
          </svg>
        )}
        {said && <Tip of={said} columns={columns} at={x(said.from)} width={width} />}
      </div>
      <ul class="legend">
        {level > 0 && <Key tone={`part ${tone}`}>{names.below}</Key>}
        {over && <Key tone={`part more ${tone}`}>{names.above}</Key>}
        {level > 0 && <Key tone="unused">{names.unused}</Key>}
        {level > 0 && (
          <li>
            <svg class="swatch" width="22" height="12" aria-hidden="true">
              <line class="limit" x1="0" x2="22" y1="6" y2="6" />
            </svg>
            {`${names.level}: ${count(level)}`}
          </li>
        )}
      </ul>
    </Figure>
  );
};

const Key = ({ tone, children }: { tone: string; children: string }) => (
  <li>
    <svg class="swatch" width="12" height="12" aria-hidden="true">
      <rect class={tone} width="12" height="12" rx="2" />
    </svg>
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

interface TipProps<Of> {
  of: Of;
  columns: readonly Column<Of>[];
  at: number;
  width: number;
}

const Tip = <Of extends Step>({ of, columns, at, width }: TipProps<Of>) => (
  <div
    class="tip"
    style={{
      insetBlockStart: `${HEIGHT - FOOT + 24}px`,
      insetInlineStart: `${Math.min(at, Math.max(0, width - 240))}px`,
    }}
    aria-hidden="true"
  >
    <p>
      <strong>{of.label}</strong>
    </p>
    <ul>
      {columns
        .filter((column) => !column.names)
        .map((column) => (
          <li key={column.key}>
            <span>{column.label}</span>
            <span class="number">{text(column, of)}</span>
          </li>
        ))}
    </ul>
  </div>
);
