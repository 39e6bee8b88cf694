// What the page knows. Inputs write `scenario`; everything else follows from it.
import { batch, computed, effect, signal } from "@preact/signals";
import type { Plan, Scenario } from "../pkg/rackrate";
import { at, type Data, put, same } from "./data";
import { Engine, Refused, Superseded } from "./engine";
import { type Linked, read, write } from "./link";
import type { Refusal } from "./protocol";
import { strings } from "./strings";

/** What the page opens with. */
const FIRST = "azure-trains-oci-serves";
/** A pause in typing long enough to ask, short enough not to be felt. */
const PAUSE = 40;

const engine = new Engine(
  () => new Worker(new URL("./worker.ts", import.meta.url), { type: "module", name: "rackrate" }),
);

export const scenarios = signal<Scenario[]>([]);
/** Name of the built-in scenario that the link starts from; empty for one of the user's own. */
export const base = signal("");
/** Names to choose from. */
export const catalog = signal({ models: [] as string[], gpus: [] as string[], regions: [] as string[] });
export const scenario = signal<Data>(null);
export const plan = signal<Plan | undefined>(undefined);
export const refusal = signal<Refusal | undefined>(undefined);
/** The page itself cannot work, with what to try. */
export const failure = signal<string | undefined>(undefined);
/** Something worth a line, such as a link that could not be read. */
export const notice = signal<string | undefined>(undefined);
export const busy = signal(true);
/** Milliseconds that the newest plan took, conversions included. */
export const took = signal(0);

/** Shown while it is not the answer to what is asked: an error stands, or a newer answer is on its way. */
export const stale = computed(() => refusal.value !== undefined);
export const changed = computed(() => !same(builtIn(base.value), scenario.value));

const builtIn = (name: string): Data | undefined =>
  scenarios.value.find((one) => one.name === name) as Data | undefined;

export const get = (path: string): Data => at(scenario.value, path);

export const set = (...changes: [path: string, value: Data][]): void => {
  let next = scenario.value;
  for (const [path, value] of changes) next = put(next, path.split("."), value);
  scenario.value = next;
};

export const choose = (name: string): void => {
  const found = builtIn(name);
  if (found === undefined) return;
  batch(() => {
    notice.value = undefined;
    base.value = name;
    scenario.value = found;
  });
};

/** A scenario from a file: the link spells it out. */
export const open = (data: Data): void => {
  batch(() => {
    notice.value = undefined;
    base.value = "";
    scenario.value = data;
  });
};

/** What a scenario might say at `path`: as the built-in one does that this began from, or the first that says anything. */
export const example = (path: string): Data => {
  const all = [builtIn(base.value) ?? null, ...(scenarios.value as unknown as Data[])];
  return all.map((one) => at(one, path)).find((value) => value !== null) ?? null;
};

export const link = (): string => {
  const linked: Linked = { name: base.value, scenario: scenario.value };
  return write(linked, builtIn(base.value) ?? {});
};

const follow = (fragment: string): void => {
  if (fragment.replace(/^#/, "") === "") {
    choose(FIRST);
    return;
  }
  const found = read(fragment, builtIn);
  if ("problem" in found) {
    choose(FIRST);
    notice.value = strings.linkProblem[found.problem].replace("{given}", found.given);
    return;
  }
  batch(() => {
    notice.value = undefined;
    base.value = found.name;
    scenario.value = found.scenario;
  });
};

const ask = async (question: Data): Promise<void> => {
  busy.value = true;
  const began = performance.now();
  try {
    const answer = await engine.latest("plan", question as unknown as Scenario);
    batch(() => {
      took.value = performance.now() - began;
      plan.value = answer;
      refusal.value = undefined;
      busy.value = false;
    });
  } catch (thrown) {
    if (thrown instanceof Superseded) return;
    batch(() => {
      busy.value = false;
      if (thrown instanceof Refused) refusal.value = thrown.refusal;
      else failure.value = String(thrown);
    });
  }
};

/** What the inputs suggest; the page works without. */
const names = async (): Promise<void> => {
  const { models, gpus, prices } = await engine.ask("catalog");
  catalog.value = {
    models: models.map((model) => model.architecture.name),
    gpus: gpus.map((gpu) => gpu.name),
    regions: [
      ...new Set(prices.filter((price) => price.provider === "azure").map((price) => price.region)),
    ].sort(),
  };
};

/** Loads, computes what the link asks, and follows every change from then on. */
export const start = async (): Promise<void> => {
  try {
    scenarios.value = await engine.ask("scenarios");
  } catch (thrown) {
    failure.value = thrown instanceof Error ? thrown.message : String(thrown);
    busy.value = false;
    return;
  }
  follow(location.hash);
  void names();
  addEventListener("hashchange", () => {
    if (location.hash.slice(1) !== link()) follow(location.hash);
  });

  let timer: ReturnType<typeof setTimeout> | undefined;
  let first = true;
  effect(() => {
    const question = scenario.value;
    const fragment = link();
    clearTimeout(timer);
    const tell = () => {
      history.replaceState(null, "", `#${fragment}`);
      void ask(question);
    };
    if (first) {
      first = false;
      void ask(question);
    } else timer = setTimeout(tell, PAUSE);
  });
};
