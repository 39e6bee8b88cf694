// Where an input reads and writes: the scenario, or another question that a part of the page asks for itself.
import { type ReadonlySignal, type Signal, signal } from "@preact/signals";
import { createContext } from "preact";
import { useContext } from "preact/hooks";
import type { Change, Data } from "./data";
import type { Refusal } from "./protocol";
import * as state from "./state";

export interface Form {
  get: (path: string) => Data;
  set: (...changes: Change[]) => void;
  /** What core took at `path` where the question leaves it open. */
  filled: (path: string) => Data;
  /** What the question began with at `path`; undefined where it began with none. */
  original: (path: string) => Data | undefined;
  refusal: ReadonlySignal<Refusal | undefined>;
  /** Paths that have an input on the page now. */
  shown: Signal<ReadonlySet<string>>;
}

export const scenarioForm: Form = {
  get: state.get,
  set: state.set,
  filled: state.filled,
  original: state.original,
  refusal: state.refusal,
  shown: signal(new Set()),
};

export const FormContext = createContext(scenarioForm);

export const useForm = (): Form => useContext(FormContext);

/** The field that a form's refusal belongs to: the one named, or the nearest around it; none where no input is. */
export const faultyField = ({ refusal, shown }: Form): string | undefined => {
  const at = refusal.value?.field;
  if (!at) return undefined;
  const around = [...shown.value].filter(
    (path) => at === path || at.startsWith(`${path}.`) || at.startsWith(`${path}[`),
  );
  return around.sort((a, b) => b.length - a.length)[0];
};

/** For a part whose members mean something only together: it goes when the last of them is emptied. */
export const wholeOr =
  ({ get }: Form, part: string, names: readonly string[]) =>
  (name: string) =>
  (value: Data): Change[] =>
    value === null && names.every((other) => other === name || get(`${part}.${other}`) === null)
      ? [[part, null]]
      : [];
