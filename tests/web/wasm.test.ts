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

describe("an overlay", () => {
  const prices = "shape,region,term,usd_per_gpu_hour\nBM.GPU.H100.8,all-commercial,payg,2.75\n";
  const shapes = cases.find((one) => one.name === "overlay-step-on-own-shape.json");
  const overlay = (shapes?.request as { overlay: Record<string, unknown> } | undefined)?.overlay;
  const wrong = { prices: [{ shape: "BM.GPU.H100.8", region: "all-commercial", term: "pay" }] };

  test("is laid over the catalogue, and nothing of it stays behind", () => {
    const known = rackrate.catalog();
    const own = rackrate.catalog({ prices }).prices.filter((price) => price.source.confidence === "user");
    expect(own.map((price) => [price.shape, price.usd_per_gpu_hour])).toEqual([["BM.GPU.H100.8", 2.75]]);
    expect(differences(rackrate.catalog(), known)).toEqual([]);
    for (const none of [undefined, null, {}, { prices: null }, { prices: [] }]) {
      expect(differences(run("catalog", none), known)).toEqual([]);
    }
  });

  test("takes a table back as it was printed", () => {
    const known = rackrate.catalog();
    const tables = Object.keys(known) as (keyof typeof known)[];
    expect(tables).toContain("prices");
    const printed = Object.fromEntries(tables.map((name) => [name, rackrate.table(name)]));
    expect(differences(rackrate.catalog(printed), known)).toEqual([]);
    expect(rackrate.table("prices", { prices })).toContain("\n,BM.GPU.H100.8,all-commercial,payg,,2.75,");
    expect(refused("table", "price").hint).toBe("prices");
    expect(refused("table", 3).field).toBe("table");
  });

  test("holds the shape that was measured, and the one that is swept", () => {
    const csv =
      "id,shape,nodes,gpus_per_node,collective,message_bytes,time_us\nm,BM.GPU.X1.8,4,8,all_reduce,1e9,4000\n";
    const rows = (...given: unknown[]): (number | null)[] =>
      (run("validate", "collectives", csv, ...given) as rackrate.ValidationReport).rows.map(
        (row) => row.predicted,
      );
    expect(rows()).toEqual([null]);
    expect(rows(null, overlay)[0]).toBeGreaterThan(0);
    const request = {
      call: "collective",
      base: { op: "all_reduce", bytes: 1e9, shape: "BM.GPU.X1.8" },
      axes: [{ field: "nodes", values: [2, 4] }],
      outputs: ["seconds"],
    };
    expect(refused("sweep", request).code).toBe("unknown_name");
    const { outputs } = run("sweep", { ...request, overlay }) as rackrate.Sweep;
    const single = run("collective", { ...request.base, nodes: 4, overlay }) as rackrate.CollectiveAnswer;
    expect(outputs[0]?.values[1]).toBe(single.seconds);
  });

  test("is refused at the same cell by every call", () => {
    const [scenario] = rackrate.scenarios();
    const asked: [string, ...unknown[]][] = cases
      .filter((one) => one.name.startsWith("overlay-"))
      .map((one) => [one.call, { ...(one.request as object), overlay: wrong }]);
    asked.push(["plan", { ...scenario, overlay: wrong }], ["catalog", wrong], ["table", "gpus", wrong]);
    asked.push(["validate", "training", "", null, wrong]);
    expect(new Set(asked.map(([call]) => call)).size).toBe(9);
    for (const [call, ...given] of asked) {
      const { field, hint } = refused(call, ...given);
      expect([call, field, hint]).toEqual([call, "overlay.prices[0].term", "payg"]);
    }
    expect(refused("catalog", { prices: [{ shape: () => "x" }] }).field).toBe("overlay.prices[0].shape");
    expect(refused("catalog", new Map()).field).toBe("overlay");
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
