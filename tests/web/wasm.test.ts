// The built wasm package in Node: the same bits as core, and nothing that a caller may pass makes it panic.
import { readFileSync } from "node:fs";
import fc from "fast-check";
import { beforeAll, describe, expect, test } from "vitest";
import * as rackrate from "../../web/pkg/rackrate.js";
import { camel, cases, differences } from "./cases";

const calls = rackrate as unknown as Record<string, (...given: unknown[]) => unknown>;
const run = (call: string, ...given: unknown[]): unknown => {
  const found = calls[camel(call)];
  if (found === undefined) throw new Error(`no call is named ${call}`);
  return found(...given);
};

interface Refusal extends Error {
  code: string;
  field: string;
  hint: string | null;
}
const refused = (call: string, ...given: unknown[]): Refusal => {
  try {
    run(call, ...given);
  } catch (thrown) {
    if (thrown instanceof Error) return thrown as Refusal;
    throw new Error(`${call} threw something that is no Error: ${String(thrown)}`);
  }
  throw new Error(`${call} answered`);
};

beforeAll(() => {
  rackrate.initSync({
    module: readFileSync(new URL("../../web/pkg/rackrate_bg.wasm", import.meta.url)),
  });
});

describe("shared cases", () => {
  test("there are cases of answers and of errors", () => {
    expect(cases.filter((one) => one.answer !== undefined).length).toBeGreaterThan(10);
    expect(cases.filter((one) => one.error !== undefined).length).toBeGreaterThan(10);
  });

  test.each(cases)("$name", ({ call, request, answer, error }) => {
    if (error === undefined) {
      // Through JSON text, as any saver of answers would see them.
      const given = JSON.parse(JSON.stringify(run(call, request)));
      expect(differences(given, answer)).toEqual([]);
    } else {
      const { code, field, message, hint } = refused(call, request);
      expect({ code, field, message, hint }).toEqual(error);
    }
  });

  test("a changed last bit is a difference", () => {
    const first = cases.find((one) => one.call === "training_step" && one.answer !== undefined);
    const answer = structuredClone(first?.answer) as { step_seconds: number };
    answer.step_seconds *= 1 + Number.EPSILON;
    expect(differences(answer, first?.answer)).toHaveLength(1);
  });
});

describe("what is not plain data", () => {
  class Model {
    name = "x";
  }
  const circle: { training?: unknown } = {};
  circle.training = circle;

  test.each([
    ["a function", { training: { model: () => "x" } }, "training.model", "a function"],
    ["a bigint", { training: { tokens: 15n } }, "training.tokens", "a bigint"],
    ["a symbol", { name: Symbol("x") }, "name", "a symbol"],
    ["a Map", { serving: new Map([["model", "x"]]) }, "serving", "an instance of Map"],
    ["a Date", { today: new Date(0) }, "today", "an instance of Date"],
    ["a class instance", { training: { model: new Model() } }, "training.model", "an instance of Model"],
    ["a typed array", { training: { shapes: new Float64Array(2) } }, "training.shapes", "Float64Array"],
    ["an item of a list", { training: { shapes: ["x", 1n] } }, "training.shapes[1]", "a bigint"],
    [
      "a getter that throws",
      Object.defineProperty({}, "name", { enumerable: true, get: () => JSON.parse("{") }),
      "name",
      "a getter",
    ],
  ])("%s is refused with its path", (_, given, field, said) => {
    const refusal = refused("plan", given);
    expect(refusal.code).toBe("wrong_type");
    expect(refusal.field).toBe(field);
    expect(refusal.message).toContain(said);
  });

  test("a circle is refused", () => {
    expect(refused("plan", circle).message).toContain("in a circle");
  });

  test.each([Number.NaN, Number.POSITIVE_INFINITY])("%d is refused by core with its path", (tokens) => {
    const [first] = rackrate.scenarios();
    const refusal = refused("plan", { ...first, training: { ...first?.training, tokens } });
    expect(refusal.field).toBe("training.tokens");
  });

  test("a member that is undefined counts as not given", () => {
    const [first] = rackrate.scenarios();
    const without = { ...first, training: { ...first?.training, gpus: undefined } };
    expect(differences(run("plan", without), run("plan", first))).toEqual([]);
    const needed = { ...first, training: { ...first?.training, tokens: undefined } };
    expect(refused("plan", needed).field).toBe("training.tokens");
    expect(refused("plan", { ...first, nmae: undefined }).code).toBe("unknown_field");
  });

  test("objects from elsewhere and without a prototype are plain", () => {
    const [first] = rackrate.scenarios();
    const bare = Object.assign(Object.create(null), first);
    expect(differences(run("plan", bare), run("plan", first))).toEqual([]);
  });

  test("arguments of validate are refused under their names", () => {
    expect(refused("validate", 3, "", undefined).field).toBe("kind");
    expect(refused("validate", "training", 3, undefined).field).toBe("csv");
    expect(refused("validate", "training", "", 3).field).toBe("by");
    expect(refused("validate", "trainin", "", undefined).hint).toBe("training");
  });

  test("whatever is passed, a call answers or throws an Error with a code", () => {
    const names = Object.keys({ plan: 0, trainingStep: 0, servingPoint: 0, collective: 0, searchServing: 0 });
    fc.assert(
      fc.property(
        fc.constantFrom(...names),
        fc.anything({ withBigInt: true, withMap: true, withDate: true, withNullPrototype: true }),
        (call, given) => {
          expect(refused(call, given).code).toBeTypeOf("string");
        },
      ),
      { numRuns: 2000 },
    );
    // And the module is still sound.
    expect(rackrate.scenarios().length).toBeGreaterThan(0);
  });

  test("a broken member somewhere in a good request is refused at its path", () => {
    const [first] = rackrate.scenarios();
    const paths = [
      "training.tokens",
      "training.model",
      "serving.slo.ttft_p95_seconds",
      "pricing.term",
      "name",
    ];
    for (const path of paths) {
      const broken = structuredClone(first) as unknown as Record<string, unknown>;
      const keys = path.split(".");
      const last = keys.pop() ?? "";
      const holder = keys.reduce((here, key) => here[key] as Record<string, unknown>, broken);
      holder[last] = [[[]]];
      expect(refused("plan", broken).field.startsWith(path), path).toBe(true);
    }
  });
});

describe("calls without a request", () => {
  test("the catalogue has sources for all it says", () => {
    const { gpus, shapes, prices } = rackrate.catalog();
    for (const row of [...gpus, ...shapes, ...prices]) expect(row.source.source).not.toBe("");
    expect(prices.length).toBeGreaterThan(100);
  });

  test("every built-in scenario is answered", () => {
    for (const scenario of rackrate.scenarios()) {
      expect(rackrate.plan(scenario).scenario.name).toBe(scenario.name);
    }
  });

  test("a scenario answered is a scenario asked again: the same plan", () => {
    for (const scenario of rackrate.scenarios()) {
      const once = rackrate.plan(scenario);
      expect(differences(rackrate.plan(once.scenario), once)).toEqual([]);
    }
  });
});
