// A question beside the scenario's: that of the option it began from, and what was changed of it since, which the link holds.
import { computed, type Signal, signal } from "@preact/signals";
import { at, type Change, type Data, isFields, own, put, same, steps } from "../../data";
import type { Form } from "../../form";
import type { Refusal } from "../../protocol";

export interface AskedForm extends Form {
  /** What is asked now; null where there is nothing to ask. */
  asked: () => Data;
  changed: () => boolean;
  /** Back to what it began with. */
  reset: () => void;
}

/** What a part of the page keeps for its question, whatever the option is. */
export interface Kept {
  /** Before the paths of its fields: those of the request, told apart from the scenario's. */
  root: string;
  changes: Signal<readonly Change[]>;
  refusal: Signal<Refusal | undefined>;
  shown: Signal<ReadonlySet<string>>;
}

export const kept = (root: string, changes: Signal<readonly Change[]>): Kept => ({
  root,
  changes,
  refusal: signal(undefined),
  shown: signal(new Set()),
});

/** Keeps core's refusal of the request, on the field that it is of. */
export const refuse = ({ root, refusal }: Kept, given: Refusal | undefined): void => {
  refusal.value = given && { ...given, field: `${root}.${given.field}` };
};

/** `filled` is what core took where the question leaves it open. */
export const askedForm = (
  { root, changes, refusal, shown }: Kept,
  request: Data,
  filled: Form["filled"] = () => null,
): AskedForm => {
  const began: Data = { [root]: request };
  const now = computed((): Data => {
    let next: Data = began;
    for (const [path, value] of changes.value) next = put(next, steps(path), value);
    return withoutEmpty(next);
  });
  return {
    get: (path) => at(now.value, path),
    set: (...given) => {
      // The last word on a path, and on what lies below it, is the one that counts.
      const left = changes.value.filter(
        ([old]) => !given.some(([path]) => old === path || old.startsWith(`${path}.`)),
      );
      changes.value = [...left, ...given].filter(
        ([path, value], i, all) =>
          !same(value, at(began, path)) || all.some(([other], j) => j < i && path.startsWith(`${other}.`)),
      );
    },
    filled,
    original: (path) => at(began, path),
    refusal,
    shown,
    asked: () => at(now.value, root),
    changed: () => changes.value.length > 0,
    reset: () => {
      changes.value = [];
    },
  };
};

/** The same without parts that say nothing: a part whose members are all open is open itself. */
const withoutEmpty = (data: Data): Data => {
  if (!isFields(data)) return data;
  const fields = {};
  for (const [name, value] of Object.entries(data)) {
    const full = withoutEmpty(value);
    if (full !== null) own(fields, name, full);
  }
  return Object.keys(fields).length === 0 ? null : fields;
};
