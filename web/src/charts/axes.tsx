// What charts over two measures share: the drawing with its axes and their names, in which the marks stand.
import type { ComponentChildren } from "preact";
import { strings } from "../strings";
import { moveFocus } from "./figure";
import type { Room } from "./frame";

/** Where a label stands along its axis, in pixels, and what it says. */
export interface Tick {
  at: number;
  words: string;
  anchor?: "start" | "middle" | "end";
}

interface Measure {
  label: string;
  ticks: readonly Tick[];
}

interface AxesProps {
  title: string;
  width: number;
  room: Room;
  x: Measure;
  y: Measure;
  /** Behind the axes: grounds and patterns. */
  behind?: ComponentChildren;
  /** The marks. */
  children: ComponentChildren;
  onPointerLeave?: () => void;
}

export const Axes = ({ title, width, room, x, y, behind, children, onPointerLeave }: AxesProps) => (
  // biome-ignore lint/a11y/useSemanticElements: a group of marks inside an image of data has no element
  <svg
    width={width}
    height={room.height}
    role="group"
    aria-label={`${title}. ${strings.chart.curveKeys}`}
    onKeyDown={moveFocus}
    onPointerLeave={onPointerLeave}
  >
    {behind}
    <g class="axis" aria-hidden="true">
      {y.ticks.map(({ at, words }) => (
        <g key={`${at} ${words}`} transform={`translate(0 ${at})`}>
          <line x1={room.left} x2={width} />
          <text x={room.left - 8} dy="0.32em" text-anchor="end">
            {words}
          </text>
        </g>
      ))}
      {x.ticks.map(({ at, words, anchor = "middle" }) => (
        <text key={`${at} ${words}`} x={at} y={room.height - room.foot + 18} text-anchor={anchor}>
          {words}
        </text>
      ))}
      <text x={width} y={room.height - 2} text-anchor="end">
        {x.label} →
      </text>
      <text x={0} y={10}>
        ↑ {y.label}
      </text>
    </g>
    {children}
  </svg>
);

/** Names and figures beside the mark that is pointed at. */
export interface TipProps {
  title: string;
  rows: readonly { key: string; label: ComponentChildren; value: string }[];
  style: Record<string, string>;
  note?: string;
}

export const Tip = ({ title, rows, style, note }: TipProps) => (
  <div class="tip" style={style} aria-hidden="true">
    <p>
      <strong>{title}</strong>
    </p>
    <ul>
      {rows.map(({ key, label, value }) => (
        <li key={key}>
          {label}
          <span class="number">{value}</span>
        </li>
      ))}
    </ul>
    {note && <p class="help">{note}</p>}
  </div>
);

/** A mark that is told apart from those of a line, around its place. */
export const DIAMOND = "M0-6 6 0 0 6-6 0Z";

export interface SwatchProps {
  /** Class of what it shows. */
  tone: string;
  as: "line" | "box" | "ring" | "diamond";
}

/** A piece of what a legend explains. */
export const Swatch = ({ tone, as }: SwatchProps) => {
  const [width, height] = { line: [22, 12], box: [12, 12], ring: [14, 14], diamond: [22, 12] }[as];
  return (
    <svg class="swatch" width={width} height={height} aria-hidden="true">
      {as === "line" && <line class={tone} x1="0" x2="22" y1="6" y2="6" />}
      {as === "box" && <rect class={tone} width="12" height="12" rx="2" />}
      {as === "ring" && <circle class={tone} cx="7" cy="7" r="5.5" />}
      {as === "diamond" && <path class={tone} transform="translate(11 6)" d={DIAMOND} />}
    </svg>
  );
};
