import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { strings } from ".";

const CORE = join(import.meta.dirname, "../../../core/src");

test("every kind of warning that core gives has words", () => {
  const sources = readdirSync(CORE, { recursive: true, encoding: "utf8" }).filter((name) =>
    name.endsWith(".rs"),
  );
  const codes = sources.flatMap((name) => {
    // What follows is tests' own.
    const [source = ""] = readFileSync(join(CORE, name), "utf8").split("#[cfg(test)]\nmod");
    return [...source.matchAll(/Warning::new\(\s*"(\w+)"/g)].map(([, code]) => code as string);
  });
  expect(codes.length).toBeGreaterThan(30);
  expect(codes.filter((code) => !Object.hasOwn(strings.warnings.codes, code))).toEqual([]);
});
