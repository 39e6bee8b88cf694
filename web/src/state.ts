// What the page knows. Inputs write `scenario`; everything else follows from it.
import { batch, computed, effect, signal } from "@preact/signals";
import type {
  Catalog,
  LayoutSearch,
  LayoutSearchRequest,
  Overlay,
  Plan,
  Scenario,
  ServingPoint,
  ServingPointRequest,
  ServingSearch,
  ServingSearchRequest,
  TrainingStep,
  TrainingStepRequest,
} from "../pkg/rackrate";
import { at, type Change, type Data, put, same, steps, withoutNulls } from "./data";
import { Engine, Refused, Superseded } from "./engine";
import { worker } from "./first";
import { type Linked, LONGEST_LINK, leaveOut, type Picked, read, write } from "./link";
import type { Refusal } from "./protocol";
import { strings } from "./strings";

/** What the page opens with. */
const FIRST = "azure-trains-oci-serves";
/** A pause in typing long enough to ask, short enough not to be felt. */
const PAUSE = 40;

const engine = new Engine(worker);

export const scenarios = signal<Scenario[]>([]);
/** Name of the built-in scenario that the link starts from; empty for one of the user's own. */
export const base = signal("");
/** What there is to choose from, the user's own rows included; nothing until it is loaded, for the page works without. */
export const catalog = signal<Catalog | undefined>(undefined);
/** Names of the storage rows that core takes as a tier. */
export const tiers = signal<ReadonlySet<string>>(new Set());
export const scenario = signal<Data>(null);
/** What was changed of the one point that is tried, in the order in which it was: a question beside the scenario's. */
export const tried = signal<readonly Change[]>([]);
/** The same of the requests that are replayed. */
export const replayed = signal<readonly Change[]>([]);
/** Shapes of the options that are looked at, where the plan leads to others. */
export const picked = signal<Picked>({});
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

/** The built-in scenario to go back to: the one that this began from, else what the page opens with. */
export const origin = computed(() => base.value || FIRST);

export const get = (path: string): Data => at(scenario.value, path);

/** What core took at `path` where the scenario leaves it open, as the last plan tells; null until there is one. */
export const filled = (path: string): Data => at((plan.value?.scenario ?? null) as Data, path);

export const set = (...changes: Change[]): void => {
  let next = scenario.value;
  for (const [path, value] of changes) next = put(next, steps(path), value);
  scenario.value = next;
};

/** What the built-in scenario that this began from says at `path`; undefined where there is none. */
export const original = (path: string): Data | undefined => {
  const from = builtIn(base.value);
  return from === undefined ? undefined : at(from, path);
};

/** The user's own tables; null where there are none. */
export const overlay = computed((): Data => {
  const laid = withoutNulls(get("overlay"));
  return same(laid, {}) ? null : laid;
});

/** Looks at an option; back at the one that the plan leads to, the link need not say so. */
export const pick = (part: keyof Picked, shape: string): void => {
  const { [part]: _, ...rest } = picked.value;
  picked.value = plan.value?.[part]?.chosen === shape ? rest : { ...rest, [part]: shape };
};

export const choose = (name: string): void => {
  const found = builtIn(name);
  if (found === undefined) return;
  batch(() => {
    notice.value = undefined;
    base.value = name;
    scenario.value = found;
    tried.value = [];
    replayed.value = [];
    picked.value = {};
  });
};

/** Another question about the same world: the user's own tables stay laid. */
export const turnTo = (name: string): void => {
  const laid = overlay.value;
  batch(() => {
    choose(name);
    if (laid !== null) set(["overlay", laid]);
  });
};

/** A scenario from a file: the link spells it out. */
export const open = (data: Data): void => {
  batch(() => {
    notice.value = undefined;
    base.value = "";
    scenario.value = data;
    tried.value = [];
    replayed.value = [];
    picked.value = {};
  });
};

/** What a scenario might say at `path`: as the built-in one does that this began from, or the first that says anything. */
export const example = (path: string): Data => {
  const all = [builtIn(base.value) ?? null, ...(scenarios.value as unknown as Data[])];
  return all.map((one) => at(one, path)).find((value) => value !== null) ?? null;
};

const written = computed(() => {
  const linked: Linked = {
    name: base.value,
    scenario: scenario.value,
    point: tried.value,
    replay: replayed.value,
    picked: picked.value,
  };
  const from = builtIn(base.value) ?? {};
  const whole = write(linked, from);
  if (whole.length <= LONGEST_LINK || overlay.value === null) return { link: whole, whole: true };
  const without = { ...linked, scenario: put(linked.scenario, ["overlay"], null) };
  return { link: leaveOut(write(without, from), "overlay"), whole: false };
});

export const link = (): string => written.value.link;
/** Whether the link says everything; where the user's own tables are too large for it, it does not. */
export const linkIsWhole = computed(() => written.value.whole);

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
    notice.value = found.without === undefined ? undefined : strings.own.leftOut;
    base.value = found.name;
    scenario.value = found.scenario;
    tried.value = found.point ?? [];
    replayed.value = found.replay ?? [];
    picked.value = found.picked ?? {};
  });
};

const ask = async (question: Data): Promise<void> => {
  busy.value = true;
  const began = performance.now();
  try {
    // What is open is left out, as in the scenario that is taken away: core then takes what it takes.
    const answer = await engine.latest("plan", withoutNulls(question) as unknown as Scenario);
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

/** What the inputs offer, with the user's own rows; where those are refused, the plan's refusal says so. */
const offer = async (laid: Data): Promise<void> => {
  const given = laid as Overlay | null;
  try {
    const found = await engine.ask("catalog", given);
    const named = await engine.ask("tiers", given);
    // Another file may have been laid meanwhile.
    if (!same(laid, overlay.peek())) return;
    batch(() => {
      catalog.value = found;
      tiers.value = new Set(named);
    });
  } catch (thrown) {
    if (!(thrown instanceof Refused)) throw thrown;
  }
};

/** The search for layouts, front of time against memory included. */
export const layouts = (request: LayoutSearchRequest): Promise<LayoutSearch> =>
  engine.ask("searchLayouts", request);

/** One step, with its operations where they are asked for. */
export const step = (request: TrainingStepRequest): Promise<TrainingStep> =>
  engine.ask("trainingStep", request);

/** One operating point, with its operations where they are asked for. */
export const point = (request: ServingPointRequest): Promise<ServingPoint> =>
  engine.ask("servingPoint", request);

/** The search for a way to serve on one shape, its frontier included. */
export const served = (request: ServingSearchRequest): Promise<ServingSearch> =>
  engine.ask("searchServing", request);

/** A table as CSV text in the columns that core takes. */
export const template = (table: keyof Overlay): Promise<string> => engine.ask("table", table);

const until = (holds: () => boolean): Promise<void> =>
  new Promise((done) => {
    const stop = effect(() => {
      if (holds()) queueMicrotask(() => stop());
      if (holds()) done();
    });
  });

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
  addEventListener("hashchange", () => {
    if (location.hash.slice(1) !== link()) follow(location.hash);
  });

  let timer: ReturnType<typeof setTimeout> | undefined;
  let first = true;
  let asked: Data;
  const askAnew = (question: Data) => {
    asked = question;
    void ask(question);
  };
  effect(() => {
    const question = scenario.value;
    const fragment = link();
    clearTimeout(timer);
    const tell = () => {
      history.replaceState(null, "", `#${fragment}`);
      // Of a point that is tried, and of what is looked at, only the link tells; the plan stands.
      if (question !== asked) askAnew(question);
    };
    if (first) {
      first = false;
      askAnew(question);
    } else timer = setTimeout(tell, PAUSE);
  });

  // After the first answer is on the screen, which it must not delay.
  let offered: Data | undefined;
  const offers = () =>
    effect(() => {
      const laid = overlay.value;
      if (offered !== undefined && same(offered, laid)) return;
      offered = laid;
      void offer(laid);
    });
  await until(() => !busy.value);
  requestAnimationFrame(() => setTimeout(offers));
};
