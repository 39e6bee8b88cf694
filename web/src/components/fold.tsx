// What few open: made, and loaded, when it is.
import { type Signal, useSignal } from "@preact/signals";
import type { ComponentChildren } from "preact";
import { useEffect, useRef } from "preact/hooks";
import { strings } from "../strings";
import { closer, loadCloser } from "./closer/lazy";

type Closer = NonNullable<typeof closer.value>;

interface FoldProps {
  title: string;
  /** Whether it is open from the beginning. */
  open?: boolean;
  /** What it holds, of the parts that are loaded when it is opened. */
  children: (parts: Closer) => ComponentChildren;
}

export const Fold = ({ title, open: opened = false, children }: FoldProps) => {
  const open = useSignal(opened);
  // Only how it begins: from then on it is the reader's.
  const began = useRef(opened).current;
  return (
    <details open={began} onToggle={(event) => (open.value = event.currentTarget.open)}>
      <summary>{title}</summary>
      {open.value && <Loaded parts={closer}>{children}</Loaded>}
    </details>
  );
};

const Loaded = ({
  parts,
  children,
}: {
  parts: Signal<Closer | undefined>;
  children: FoldProps["children"];
}) => {
  useEffect(loadCloser, []);
  return parts.value ? children(parts.value) : <p class="help">{strings.detail.searching}</p>;
};
