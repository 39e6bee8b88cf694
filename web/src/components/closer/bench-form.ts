// The bench's question: that of the option it began from, and what was changed of it since, which the link holds.
import { computed, signal } from "@preact/signals";
import { useMemo } from "preact/hooks";
import type { Plan, ServingOption, ServingPointRequest } from "../../../pkg/rackrate";
import { at, type Data, isFields, own, put, same, steps } from "../../data";
import type { Form } from "../../form";
import type { Refusal } from "../../protocol";
import { tried } from "../../state";
import { pointOf } from "../asked";

/** Before the paths of its fields: those of the request, told apart from the scenario's. */
const ROOT = "point";

const shown = signal<ReadonlySet<string>>(new Set());
const refusal = signal<Refusal | undefined>(undefined);

/** Core's refusal of the request, on the field that it is of. */
export const refused = (given: Refusal | undefined): void => {
  refusal.value = given && { ...given, field: `${ROOT}.${given.field}` };
};
export const refusedWith = refusal;

export interface BenchForm extends Form {
  /** What is asked now. */
  request: () => ServingPointRequest | undefined;
  changed: () => boolean;
  /** Back to the option's own point. */
  reset: () => void;
}

export const useBenchForm = (plan: Plan, option: ServingOption): BenchForm =>
  useMemo(() => {
    const began = { [ROOT]: readable(pointOf(plan, option)) as unknown as Data };
    const now = computed((): Data => {
      let next: Data = began;
      for (const [path, value] of tried.value) next = put(next, steps(path), value);
      return withoutEmpty(next);
    });
    return {
      get: (path) => at(now.value, path),
      set: (...given) => {
        // The last word on a path, and on what lies below it, is the one that counts.
        const left = tried.value.filter(
          ([old]) => !given.some(([path]) => old === path || old.startsWith(`${path}.`)),
        );
        tried.value = [...left, ...given].filter(
          ([path, value], i, all) =>
            !same(value, at(began, path)) || all.some(([other], j) => j < i && path.startsWith(`${other}.`)),
        );
      },
      filled: () => null,
      original: (path) => at(began, path),
      refusal,
      shown,
      request: () => (at(now.value, ROOT) as unknown as ServingPointRequest | null) ?? undefined,
      changed: () => tried.value.length > 0,
      reset: () => {
        tried.value = [];
      },
    };
  }, [plan, option]);

/** The rate to as many digits as a person would type. */
const readable = (point: ServingPointRequest | undefined): ServingPointRequest | null =>
  point === undefined ? null : { ...point, request_rate: Number(point.request_rate?.toPrecision(6)) };

/** The same without parts that say nothing: a part whose members are all open is open itself. */
const withoutEmpty = (data: Data): Data => {
  if (!isFields(data)) return data;
  const fields = {};
  for (const [name, value] of Object.entries(data)) {
    const kept = withoutEmpty(value);
    if (kept !== null) own(fields, name, kept);
  }
  return Object.keys(fields).length === 0 ? null : fields;
};
