// JSON that a person gives. Where it breaks is told by line and column: engines word that differently, some without a
// place, some with a piece of the text instead.
import type { Data } from "./data";
import { fill, strings } from "./strings";

/** The data in a text, or where and why it is no JSON: `Line 3, column 12: a comma or } is expected, not “x”.` */
export type FromJson = { data: Data } | { problem: string };

export const readJson = (text: string): FromJson => {
  try {
    // As JSON.parse, some editors' byte order mark apart.
    return { data: JSON.parse(text.replace(/^\uFEFF/, "")) };
  } catch {
    return { problem: problemOf(text.replace(/^\uFEFF/, "")) };
  }
};

/** Why a text that begins like an object cannot be read as one; undefined where it can, or is something else. */
export const unreadObject = (value: Data): string | undefined => {
  if (typeof value !== "string" || !value.trim().startsWith("{")) return undefined;
  const found = readJson(value);
  return "problem" in found ? found.problem : undefined;
};

const problemOf = (text: string): string => {
  const fault = scan(text);
  // The scan below and the engine read the same grammar.
  if (fault === undefined) return strings.json.unknown;
  const before = text.slice(0, fault.at).split(/\r\n|\r|\n/);
  const place = { line: before.length, column: (before.at(-1)?.length ?? 0) + 1 };
  const begins = text[fault.at] === '"' && (fault.expected === "value" || fault.expected.startsWith("name"));
  if (begins) return fill(strings.json.text, place);
  const rest = /^[\w$.+-]{1,20}|^./su.exec(text.slice(fault.at))?.[0];
  const found = rest === undefined ? strings.json.end : fill(strings.json.found, { found: rest });
  return fill(strings.json.expected, { ...place, expected: strings.json[fault.expected], found });
};

type Expected =
  | "value"
  | "valueOrEnd"
  | "name"
  | "nameOrEnd"
  | "colon"
  | "commaOrBracket"
  | "commaOrBrace"
  | "nothing";

interface Fault {
  at: number;
  expected: Expected;
}

const SPACE = /[ \t\r\n]*/y;
// From the blank on: every letter but " and \.
const TEXT = /"(?:[ !#-[\]-\uffff]+|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*"/y;
const PLAIN = /(?:-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?|true|false|null)(?![\w.+-])/y;

/** The end of what `pattern` matches at `at`; undefined where it does not. */
const past = (pattern: RegExp, text: string, at: number): number | undefined => {
  pattern.lastIndex = at;
  return pattern.test(text) ? pattern.lastIndex : undefined;
};

/** Where a text stops being JSON, and what should stand there. Without recursion: nesting has no limit. */
const scan = (text: string): Fault | undefined => {
  const open: ("[" | "{")[] = [];
  let expected: Expected = "value";
  const afterValue = (): Expected =>
    open.length === 0 ? "nothing" : open.at(-1) === "[" ? "commaOrBracket" : "commaOrBrace";
  for (let at = past(SPACE, text, 0) ?? 0; ; at = past(SPACE, text, at) ?? at) {
    const mark = text[at];
    if (expected === "nothing") return mark === undefined ? undefined : { at, expected };
    const opens = (expected === "value" || expected === "valueOrEnd") && (mark === "[" || mark === "{");
    const closes =
      (mark === "]" && (expected === "valueOrEnd" || expected === "commaOrBracket")) ||
      (mark === "}" && (expected === "nameOrEnd" || expected === "commaOrBrace"));
    if (opens) {
      open.push(mark as "[" | "{");
      expected = mark === "[" ? "valueOrEnd" : "nameOrEnd";
      at += 1;
    } else if (closes) {
      open.pop();
      expected = afterValue();
      at += 1;
    } else if (mark === "," && (expected === "commaOrBracket" || expected === "commaOrBrace")) {
      expected = expected === "commaOrBracket" ? "value" : "name";
      at += 1;
    } else if (mark === ":" && expected === "colon") {
      expected = "value";
      at += 1;
    } else if (expected === "name" || expected === "nameOrEnd") {
      const end = past(TEXT, text, at);
      if (end === undefined) return { at, expected };
      at = end;
      expected = "colon";
    } else if (expected === "value" || expected === "valueOrEnd") {
      const end = past(TEXT, text, at) ?? past(PLAIN, text, at);
      if (end === undefined) return { at, expected };
      at = end;
      expected = afterValue();
    } else return { at, expected };
  }
};
