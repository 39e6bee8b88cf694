// The cases that every face replays: a call, its request, and the answer or the error.
import { readdirSync, readFileSync } from "node:fs";

export interface Case {
  name: string;
  call: string;
  request: unknown;
  answer?: unknown;
  error?: { code: string; field: string; message: string; hint: string | null };
}

const folder = new URL("../cases/", import.meta.url);

export const cases: Case[] = readdirSync(folder)
  .filter((file) => file.endsWith(".json"))
  .sort()
  .map((file) => ({ name: file, ...JSON.parse(readFileSync(new URL(file, folder), "utf8")) }));

/** `training_step` is `trainingStep` in JavaScript. */
export const camel = (call: string): string =>
  call.replace(/_(\w)/g, (_, letter: string) => letter.toUpperCase());

/**
 * Where `given` differs from `expected`, by path; numbers must be the same to the last bit, zero's sign aside, which
 * JavaScript's JSON does not write.
 */
export const differences = (given: unknown, expected: unknown, path = ""): string[] => {
  if (Object.is(given, expected) || (given === 0 && expected === 0)) return [];
  if (typeof given !== "object" || typeof expected !== "object" || given === null || expected === null) {
    return [`${path}: ${JSON.stringify(given)} for ${JSON.stringify(expected)}`];
  }
  if (Array.isArray(given) !== Array.isArray(expected)) return [`${path}: list for object or the reverse`];
  const [left, right] = [given, expected] as Record<string, unknown>[];
  return [...new Set([...Object.keys(given), ...Object.keys(expected)])].flatMap((key) =>
    differences(left?.[key], right?.[key], `${path}.${key}`),
  );
};
