// The parts that look closer arrive when one of them is opened, so that the first answer does not wait for them.
import { signal } from "@preact/signals";

export const closer = signal<typeof import("./index") | undefined>(undefined);

let asked = false;

export const loadCloser = (): void => {
  if (asked) return;
  asked = true;
  void import("./index").then((loaded) => {
    closer.value = loaded;
  });
};
