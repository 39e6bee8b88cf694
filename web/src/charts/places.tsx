// The places of a chart: pointed at, or reached by one stop of the Tab key and walked with the arrow keys.
import { strings } from "../strings";
import type { Drawn } from "./frame";

interface Box {
  x: number;
  y: number;
  width: number;
  height: number;
}

interface MarkProps<Of> {
  of: Of;
  /** Only the first takes the Tab key; arrows go on from it. */
  first: boolean;
  aloud: string;
  tell: (of: Of | undefined) => void;
}

/** What a mark needs to be pointed at, focused and read out. */
export const markOf = <Of,>({ of, first, aloud, tell }: MarkProps<Of>) =>
  ({
    role: "img",
    "aria-label": aloud,
    // An attribute of SVG, whose letters count: `tabIndex` would be none, and every mark or no mark a stop.
    tabindex: first ? 0 : -1,
    onFocus: () => tell(of),
    onBlur: () => tell(undefined),
    onPointerEnter: () => tell(of),
    onPointerLeave: () => tell(undefined),
  }) as const;

export type Mark = ReturnType<typeof markOf>;

interface BandsProps<Place> {
  field: Box;
  places: readonly Place[];
  /** From where to where a place is pointed at, pixels. */
  reach: (i: number) => readonly [from: number, to: number];
  drawn: Drawn<Place>;
}

/** A mark for every place, from the top to the axis. */
export const Bands = <Place,>({ field, places, reach, drawn }: BandsProps<Place>) =>
  places.map((place, i) => {
    const [from, to] = reach(i);
    return (
      <rect
        key={i}
        class={place === drawn.said ? "hit said" : "hit"}
        {...field}
        x={from}
        width={Math.max(0, to - from)}
        {...drawn.place(place, i === 0)}
      />
    );
  });

interface SliderProps<Place> {
  title: string;
  field: Box;
  places: readonly Place[];
  said: Place | undefined;
  aloud: (place: Place) => string;
  tell: (place: Place | undefined) => void;
  /** The place nearest to a pixel. */
  nearest: (at: number) => Place | undefined;
}

/** One mark for all places, too many to be marks each: read off by pointer, or by arrow keys as a slider is. */
export const Slider = <Place,>({ title, field, places, said, aloud, tell, nearest }: SliderProps<Place>) => {
  const [first] = places;
  const last = Math.max(0, places.length - 1);
  const here = said === undefined ? 0 : Math.max(0, places.indexOf(said));
  const told = said ?? first;
  const keys = (event: KeyboardEvent) => {
    const leap = Math.max(1, Math.round(places.length / 20));
    const to = {
      ArrowRight: here + 1,
      ArrowUp: here + 1,
      ArrowLeft: here - 1,
      ArrowDown: here - 1,
      PageUp: here + leap,
      PageDown: here - leap,
      Home: 0,
      End: last,
    }[event.key];
    if (to === undefined) return;
    event.preventDefault();
    tell(places[Math.min(last, Math.max(0, to))]);
  };
  return (
    <rect
      class="hit"
      {...field}
      role="slider"
      tabindex={0}
      aria-label={`${title}. ${strings.chart.curveKeys}`}
      aria-valuemin={0}
      aria-valuemax={last}
      aria-valuenow={here}
      aria-valuetext={told === undefined ? "" : aloud(told)}
      onKeyDown={keys}
      onFocus={() => tell(told)}
      onBlur={() => tell(undefined)}
      onPointerMove={(event) => {
        const box = event.currentTarget.ownerSVGElement?.getBoundingClientRect();
        if (box) tell(nearest(event.clientX - box.left));
      }}
      onPointerLeave={() => tell(undefined)}
    />
  );
};
