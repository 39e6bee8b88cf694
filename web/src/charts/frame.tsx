// What every chart over two measures is: axes, places that are pointed at or walked to with one stop of the Tab key, what a
// place says beside it and aloud, what explains the marks, and the same data as a table. A chart tells its marks.
import { useSignal } from "@preact/signals";
import type { ScaleContinuousNumeric } from "d3-scale";
import type { ComponentChildren } from "preact";
import type { Column } from "../components/table";
import { Axes, Swatch, type SwatchProps, type Tick, Tip, type TipProps } from "./axes";
import { Figure, useWidth } from "./figure";
import { Bands, type Mark, markOf, Slider } from "./places";

export type Scale = ScaleContinuousNumeric<number, number>;

/** Room around the marks, pixels. */
export interface Room {
  height: number;
  left: number;
  top: number;
  foot: number;
  end: number;
}

/** What the marks are drawn by: scales in pixels, the ends of what they take, and the place that is told. */
export interface Drawn<Place> {
  x: Scale;
  y: Scale;
  width: number;
  right: number;
  floor: number;
  said: Place | undefined;
  /** What a mark of the chart's own needs to be a place; the first takes the Tab key. */
  place: (of: Place, first: boolean) => Mark;
}

export interface Key extends SwatchProps {
  key: string;
  words: string;
}

interface FrameProps<Row, Place> {
  /** What it is in the style sheets. */
  kind: "curves" | "lines" | "series" | "steps";
  name: string;
  title: string;
  room: Room;
  /** Scales have their domains only: the frame says where they lie. */
  x: { label: string; scale: Scale; ticks: (drawn: Drawn<Place>) => readonly Tick[] };
  y: { label: string; scale: Scale; ticks: readonly number[]; words: (tick: number) => string };
  places: readonly Place[];
  aloud: (place: Place) => string;
  tip: (place: Place, drawn: Drawn<Place>) => TipProps;
  /**
   * How a place is found. `bands`: each takes the stretch of the axis that this gives. `slider`: all are one mark, and this
   * gives the nearest to a value. Neither: the chart's own marks are the places.
   */
  bands?: (i: number, drawn: Drawn<Place>) => readonly [from: number, to: number];
  slider?: (value: number) => Place | undefined;
  /** Behind the axes: grounds and patterns. */
  behind?: (drawn: Drawn<Place>) => ComponentChildren;
  marks: (drawn: Drawn<Place>) => ComponentChildren;
  legend: readonly Key[];
  /** The same data as a table. */
  columns: readonly Column<Row>[];
  rows: readonly Row[];
  rowKey: (row: Row) => string;
}

export const Frame = <Row, Place>(props: FrameProps<Row, Place>) => {
  const { kind, name, title, room, x, y, places, aloud, tip, bands, slider, behind, marks, legend } = props;
  const [ref, width] = useWidth();
  const active = useSignal<Place | undefined>(undefined);
  const tell = (place: Place | undefined) => {
    active.value = place;
  };
  const said = active.value;
  const right = Math.max(room.left, width - room.end);
  const floor = room.height - room.foot;
  const drawn: Drawn<Place> = {
    x: x.scale.copy().range([room.left, right]),
    y: y.scale.copy().range([floor, room.top]),
    width,
    right,
    floor,
    said,
    place: (of, first) => markOf({ of, first, aloud: aloud(of), tell }),
  };
  const field = {
    x: room.left,
    y: room.top,
    width: Math.max(0, right - room.left),
    height: floor - room.top,
  };

  return (
    <Figure name={name} title={title} columns={props.columns} rows={props.rows} rowKey={props.rowKey}>
      <div class={`chart ${kind}`} ref={ref}>
        {width > 0 && (
          <Axes
            title={title}
            width={width}
            room={room}
            x={{ label: x.label, ticks: x.ticks(drawn) }}
            y={{
              label: y.label,
              ticks: y.ticks.map((tick) => ({ at: drawn.y(tick), words: y.words(tick) })),
            }}
            behind={behind?.(drawn)}
            onPointerLeave={() => tell(undefined)}
          >
            {marks(drawn)}
            {bands && <Bands field={field} places={places} reach={(i) => bands(i, drawn)} drawn={drawn} />}
            {slider && (
              <Slider
                title={title}
                field={field}
                places={places}
                said={said}
                aloud={aloud}
                tell={tell}
                nearest={(at) => slider(drawn.x.invert(at))}
              />
            )}
          </Axes>
        )}
        {said !== undefined && <Tip {...tip(said, drawn)} />}
      </div>
      {legend.length > 0 && (
        <ul class="legend">
          {legend.map(({ key, words, ...swatch }) => (
            <li key={key}>
              <Swatch {...swatch} />
              {words}
            </li>
          ))}
        </ul>
      )}
    </Figure>
  );
};

/** What the pointed-at place is drawn at: a line from the top to the axis. */
export const Cursor = ({ at, room }: { at: number; room: Room }) => (
  <line class="cursor" x1={at} x2={at} y1={room.top} y2={room.height - room.foot} aria-hidden="true" />
);

/** Where a tip stands: beside the cursor on the side with more room; below the marks where neither has `needed` pixels. */
export const besideCursor = (
  cursor: number,
  width: number,
  room: Room,
  needed = 0,
): Record<string, string> => {
  if (Math.max(cursor, width - cursor) < needed) {
    return { insetBlockStart: `${room.height - room.foot / 2}px` };
  }
  const top = { insetBlockStart: `${room.top}px` };
  return cursor > width / 2
    ? { ...top, insetInlineStart: "auto", insetInlineEnd: `${width - cursor + 12}px` }
    : { ...top, insetInlineStart: `${cursor + 12}px` };
};

/** A line of a tip that has a key of the legend before its words. */
export const keyed = (key: Key, value: string): TipProps["rows"][number] => ({
  key: key.key,
  label: (
    <>
      <Swatch as={key.as} tone={key.tone} />
      <span>{key.words}</span>
    </>
  ),
  value,
});
