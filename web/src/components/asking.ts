// A question of its own that a part of the page asks core, and what came back.
import { useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { Refused } from "../engine";
import type { Refusal } from "../protocol";

export type Asked<Answer> = { answer: Answer } | { refusal: Refusal };

/**
 * What `ask` came to; undefined until then, and where it has nothing to ask. Asked again when one of `on` changes; of
 * answers that come late only the newest counts. With `keep` the last one stays until the next is there.
 */
export const useAsked = <Answer>(
  ask: () => Promise<Answer> | undefined,
  on: readonly unknown[],
  keep = false,
): Asked<Answer> | undefined => {
  const found = useSignal<Asked<Answer> | undefined>(undefined);
  useEffect(() => {
    const asked = ask();
    if (!keep) found.value = undefined;
    if (asked === undefined) return;
    let left = false;
    asked.then(
      (answer) => {
        if (!left) found.value = { answer };
      },
      (thrown: unknown) => {
        if (!(thrown instanceof Refused)) throw thrown;
        if (!left) found.value = { refusal: thrown.refusal };
      },
    );
    return () => {
      left = true;
    };
  }, on);
  return found.value;
};
