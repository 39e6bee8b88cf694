// What scrolls sideways where it is wider than its place, and says so: it fades towards what is not seen, and a button
// brings it for whoever has no wheel for it.
import { type Signal, useSignal } from "@preact/signals";
import type { ComponentChildren, RefObject } from "preact";
import { useEffect, useRef } from "preact/hooks";
import { strings } from "../strings";

/** What lies beyond the edges now. */
interface Beyond {
  start: boolean;
  end: boolean;
  /** Below: it scrolls downwards too. */
  below: boolean;
}

export interface Scrolling {
  ref: RefObject<HTMLElement | null>;
  beyond: Signal<Beyond>;
}

const NOTHING: Beyond = { start: false, end: false, below: false };
/** Of its width that one press of the button brings: what was at the edge stays in sight. */
const STEP = 0.75;

/** Follows how far an element is scrolled, and how large it and what it holds are. */
export const useScrolling = (): Scrolling => {
  const ref = useRef<HTMLElement>(null);
  const beyond = useSignal(NOTHING);
  useEffect(() => {
    const element = ref.current;
    if (element === null) return;
    const look = () => {
      // Counted from the start, whichever side that is; half a pixel is no more to see.
      const at = Math.abs(element.scrollLeft);
      const next = {
        start: at > 1,
        end: at + element.clientWidth < element.scrollWidth - 1,
        below: element.clientHeight < element.scrollHeight - 1,
      };
      const now = beyond.peek();
      if (now.start !== next.start || now.end !== next.end || now.below !== next.below) beyond.value = next;
    };
    const observer = new ResizeObserver(look);
    observer.observe(element);
    for (const child of element.children) observer.observe(child);
    element.addEventListener("scroll", look, { passive: true });
    return () => {
      observer.disconnect();
      element.removeEventListener("scroll", look);
    };
  }, [beyond]);
  return { ref, beyond };
};

/** A region only while there is something to scroll to: else it would be one more stop of the Tab key for nothing. */
export const Scroll = ({
  of: { ref, beyond },
  label,
  children,
}: {
  of: Scrolling;
  label: string;
  children: ComponentChildren;
}) => {
  const { start, end, below } = beyond.value;
  const region = start || end || below ? { "aria-label": label, tabIndex: 0 } : {};
  return (
    <div class={["scrolling", start && "from", end && "on"].filter(Boolean).join(" ")}>
      <section class="scroll" ref={ref} {...region}>
        {children}
      </section>
    </div>
  );
};

/** Brings the columns that are not seen, and from the last of them the first again. */
export const ScrollOn = ({ of: { ref, beyond }, label }: { of: Scrolling; label: string }) => {
  const { start, end } = beyond.value;
  if (!start && !end) return null;
  const go = () => {
    const element = ref.current;
    if (element === null) return;
    const way = getComputedStyle(element).direction === "rtl" ? -1 : 1;
    if (end) element.scrollBy({ left: way * STEP * element.clientWidth, behavior: "smooth" });
    else element.scrollTo({ left: 0, behavior: "smooth" });
  };
  return (
    <button type="button" class="link" onClick={go}>
      {end ? strings.moreColumns : strings.firstColumns}
      <span class="sr-only">: {label}</span>
    </button>
  );
};
