// The thread that computes: the wasm module lives here, and nowhere else.
import init, * as rackrate from "../pkg/rackrate";
import module from "../pkg/rackrate_bg.wasm?url";
import type { Answered, Asked, Refusal } from "./protocol";

const calls = {
  plan: rackrate.plan,
  trainingStep: rackrate.trainingStep,
  searchLayouts: rackrate.searchLayouts,
  servingPoint: rackrate.servingPoint,
  searchServing: rackrate.searchServing,
  collective: rackrate.collective,
  catalog: rackrate.catalog,
  validate: rackrate.validate,
  scenarios: rackrate.scenarios,
} satisfies Record<string, (...given: never[]) => unknown>;

export type Calls = typeof calls;

const ready = init({ module_or_path: module });

self.addEventListener("message", async ({ data }: MessageEvent<Asked>) => {
  self.postMessage(await answer(data));
});

const answer = async ({ id, call, given }: Asked): Promise<Answered> => {
  try {
    await ready;
    if (!Object.hasOwn(calls, call)) throw new Error(`no call is named ${call}`);
    const run = calls[call] as (...given: unknown[]) => unknown;
    return { id, answer: run(...given) };
  } catch (thrown) {
    return { id, refusal: refusal(thrown) };
  }
};

/** An Error loses its own members on the way between threads; plain data does not. */
const refusal = (thrown: unknown): Refusal => {
  const { code, field, hint } = thrown as Partial<Refusal>;
  return {
    code: code ?? "failed",
    field: field ?? "",
    message: thrown instanceof Error ? thrown.message : String(thrown),
    hint: hint ?? null,
  };
};
