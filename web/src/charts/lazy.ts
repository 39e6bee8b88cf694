// Charts arrive after the first answer, so that they never delay it.
import { effect, signal } from "@preact/signals";
import { plan } from "../state";

export const charts = signal<typeof import("./index") | undefined>(undefined);

const stop = effect(() => {
  if (plan.value === undefined) return;
  // After the answer is on the screen.
  requestAnimationFrame(() => {
    void import("./index").then((loaded) => {
      charts.value = loaded;
      stop();
    });
  });
});
