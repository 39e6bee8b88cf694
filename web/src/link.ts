// The link is the state: `#v=1&s=azure-trains-oci-serves&t.tokens=2T` names a built-in scenario and what differs from it.
//
// Readable and editable by hand; in the fragment, so that no server sees it. What the link says goes to core as it
// stands: a misspelt key comes back as core's error, never dropped in silence.
import { type Change, type Data, type Fields, isFields, member, put, same } from "./data";

export const VERSION = "1";
/** Letters of a link that mail, chats and every browser still carry whole. */
export const LONGEST_LINK = 8000;

export interface Linked {
  /** Name of the built-in scenario; empty where the link spells out everything. */
  name: string;
  scenario: Data;
  /** What was changed of the one point that is tried, by paths that begin with `point.`. */
  point?: readonly Change[];
  /** The same of the replay, by paths that begin with `replay.`; a trace is not among them. */
  replay?: readonly Change[];
  /** Shapes of the options that are looked at, where they are others than the plan leads to. */
  picked?: Picked;
}

const PARTS = ["training", "serving"] as const;
export type Picked = { readonly [part in (typeof PARTS)[number]]?: string };

/** `without`: what the link says that it leaves out. */
export type Read =
  | (Linked & { without?: string })
  | { problem: "version" | "scenario" | "damaged"; given: string };

/** Short first parts of keys; `v` and `s` are the version and the scenario's name, `x` what was left out. */
const SHORT: Readonly<Record<string, string>> = {
  training: "t",
  serving: "i",
  pricing: "p",
  transfer: "m",
};
const LONG = new Map(Object.entries(SHORT).map(([long, short]) => [short, long]));
/** Begins the keys of the point that is tried. */
const POINT = "point";
/** Begins the keys of the replay. */
const REPLAY = "replay";
/** Begins the keys of the options that are looked at. */
const PICK = "pick";
const TAKEN = new Set(["v", "s", "x", POINT, REPLAY, PICK, ...LONG.keys()]);

const PLAIN_KEY = /^[A-Za-z0-9_-]+$/;
const NUMBER = /^-?(0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?$/;

/** The fragment, without `#`, for a scenario told as its difference from `base`. */
export const write = (
  { name, scenario, point = [], replay = [], picked = {} }: Linked,
  base: Data,
): string => {
  const parts = [`v=${VERSION}`];
  if (name !== "") parts.push(`s=${escaped(name)}`);
  differences([], base, scenario, (path, value) => {
    parts.push(`${key(path)}=${escaped(text(value))}`);
  });
  for (const part of PARTS) {
    const shape = picked[part];
    if (shape !== undefined) parts.push(`${PICK}.${part}=${escaped(shape)}`);
  }
  for (const [path, value] of [...point, ...replay]) parts.push(`${escaped(path)}=${escaped(text(value))}`);
  return parts.join("&");
};

/** The fragment, saying that it does not hold `what`. */
export const leaveOut = (fragment: string, what: string): string => `${fragment}&x=${escaped(what)}`;

/** What a fragment says; `base` gives a built-in scenario by its name. */
export const read = (fragment: string, base: (name: string) => Data | undefined): Read => {
  const pairs: [string, string][] = [];
  for (const part of fragment.replace(/^#/, "").split("&")) {
    if (part === "") continue;
    const cut = part.indexOf("=");
    if (cut < 1) return { problem: "damaged", given: part };
    try {
      pairs.push([decodeURIComponent(part.slice(0, cut)), decodeURIComponent(part.slice(cut + 1))]);
    } catch {
      return { problem: "damaged", given: part };
    }
  }
  const given = new Map(pairs);
  const version = given.get("v");
  if (version !== VERSION) return { problem: "version", given: version ?? "" };
  const name = given.get("s") ?? "";
  let scenario = name === "" ? {} : base(name);
  if (scenario === undefined) return { problem: "scenario", given: name };
  const point: Change[] = [];
  const replay: Change[] = [];
  const picked: { -readonly [part in keyof Picked]: string } = {};
  for (const [short, value] of pairs) {
    const part = PARTS.find((part) => short === `${PICK}.${part}`);
    if (part !== undefined) picked[part] = value;
    else if (short.startsWith(`${POINT}.`)) point.push([short, data(value)]);
    else if (short.startsWith(`${REPLAY}.`)) replay.push([short, data(value)]);
    else if (!["v", "s", "x"].includes(short)) scenario = put(scenario, path(short), data(value));
  }
  const without = given.get("x");
  return {
    name,
    scenario,
    ...(point.length > 0 ? { point } : {}),
    ...(replay.length > 0 ? { replay } : {}),
    ...(Object.keys(picked).length > 0 ? { picked } : {}),
    ...(without === undefined ? {} : { without }),
  };
};

type Emit = (path: string[], value: Data) => void;

const differences = (path: string[], base: Data | undefined, now: Data, emit: Emit): void => {
  if (same(base, now)) return;
  if (!opens(now)) {
    emit(path, now);
    return;
  }
  const old = isFields(base) ? base : {};
  let said = false;
  for (const name of new Set([...Object.keys(now), ...Object.keys(old).filter((k) => PLAIN_KEY.test(k))])) {
    differences([...path, name], member(old, name), member(now, name) ?? null, (at, value) => {
      said = true;
      emit(at, value);
    });
  }
  // An object where there was none, with nothing in it to say so.
  if (!said || Object.keys(old).some((k) => !PLAIN_KEY.test(k))) emit(path, now);
};

/** Told member by member; anything else is told whole, as JSON. */
const opens = (data: Data): data is Fields =>
  isFields(data) && Object.keys(data).length > 0 && Object.keys(data).every((k) => PLAIN_KEY.test(k));

const key = (path: string[]): string => {
  const [first, ...rest] = path;
  if (first === undefined) return "~";
  // Own keys only: every object has a toString.
  const short = Object.hasOwn(SHORT, first) ? SHORT[first] : undefined;
  return [short ?? (TAKEN.has(first) ? `~${first}` : first), ...rest].join(".");
};

const path = (key: string): string[] => {
  if (key === "~") return [];
  const [first = "", ...rest] = key.split(".");
  return [LONG.get(first) ?? first.replace(/^~/, ""), ...rest];
};

const text = (value: Data): string => {
  if (typeof value !== "string") return JSON.stringify(value);
  const ambiguous = NUMBER.test(value) || /^(true|false|null|["[{].*)$/s.test(value);
  return ambiguous || !value.isWellFormed() ? JSON.stringify(value) : value;
};

const data = (text: string): Data => {
  if (NUMBER.test(text) || /^(true|false|null|["[{].*)$/s.test(text)) {
    try {
      return JSON.parse(text);
    } catch {
      // Typed by hand: taken as the text it is.
    }
  }
  return text;
};

/** As encodeURIComponent, but leaving readable what a fragment may hold. */
const escaped = (text: string): string =>
  encodeURIComponent(text).replace(/%(2F|3A|2C|40)/g, (code) => decodeURIComponent(code));
