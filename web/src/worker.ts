// The thread that computes: the wasm module lives here, and nowhere else.
import init, * as rackrate from "../pkg/page/rackrate";
import module from "../pkg/page/rackrate_bg.wasm?url";
import wholeModule from "../pkg/rackrate_bg.wasm?url";
import { at, type Data, isFields } from "./data";
import type { Answered, Asked, Call, Refusal } from "./protocol";

/** Names of the storage rows that core takes as a tier: asked one by one, for the rule is core's. */
const tiers = (overlay: rackrate.Overlay | null): string[] => {
  const laid = overlay?.storage == null ? null : { storage: overlay.storage };
  const taken = ({ name, provider }: rackrate.StorageTier): boolean => {
    // Refused for its tokens at the latest; where the tier is refused, that comes first.
    const question = {
      name: "",
      training: { model: "", tokens: 0, sequence_length: 1 },
      storage: { [provider]: { checkpoints: name } },
      overlay: laid,
    };
    try {
      rackrate.plan(question as unknown as rackrate.Scenario);
      return true;
    } catch (thrown) {
      return !(thrown as Partial<Refusal>).field?.startsWith("storage");
    }
  };
  return rackrate
    .catalog(laid)
    .storage.filter(taken)
    .map((row) => row.name);
};

const calls = {
  plan: rackrate.plan,
  catalog: rackrate.catalog,
  scenarios: rackrate.scenarios,
  table: rackrate.table,
  tiers,
} satisfies Record<string, (...given: never[]) => unknown>;

/** Asked when somebody looks closer; the page's module is built without them. */
type Later = Pick<
  typeof import("../pkg/rackrate"),
  "searchLayouts" | "trainingStep" | "servingPoint" | "searchServing" | "simulate"
>;

export type Calls = typeof calls & Later;

const ready = init({ module_or_path: module });

self.addEventListener("message", async ({ data }: MessageEvent<Asked>) => {
  self.postMessage(await answer(data));
});

const answer = async ({ id, call, given }: Asked): Promise<Answered> => {
  try {
    await ready;
    return { id, answer: await answered(call, given) };
  } catch (thrown) {
    return { id, refusal: refusal(thrown) };
  }
};

const answered = async (call: Call, given: unknown[]): Promise<unknown> => {
  try {
    if (Object.hasOwn(calls, call)) return run(calls, call, given);
  } catch (thrown) {
    if (!isOfDescribed(refusal(thrown), given)) throw thrown;
    // Perhaps only by this module, which reads no Hugging Face config. Where the other does not load, this refusal stands.
    const whole = await loaded().catch(() => Promise.reject(thrown));
    return run({ ...calls, ...whole }, call, given);
  }
  return run({ ...calls, ...(await loaded()) }, call, given);
};

/** Whether what is not supported is a model that is described rather than named, as a config describes one. */
const isOfDescribed = ({ code, field }: Refusal, [request]: unknown[]): boolean =>
  code === "unsupported" && isFields(at((request ?? null) as Data, field));

/** The whole package: loaded when something is first asked that the page's module is built without. */
const loaded = async (): Promise<typeof import("../pkg/rackrate")> => {
  const whole = await import("../pkg/rackrate");
  await whole.default({ module_or_path: wholeModule });
  return whole;
};

const run = (from: Partial<Record<Call, unknown>>, call: Call, given: unknown[]): unknown => {
  if (!Object.hasOwn(from, call)) throw new Error(`no call is named ${call}`);
  return (from[call] as (...given: unknown[]) => unknown)(...given);
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
