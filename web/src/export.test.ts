import { execFileSync } from "node:child_process";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { type Data, withoutNulls } from "./data";
import { csv, json, python } from "./export";

describe("CSV", () => {
  test("raw numbers, quoted text, nothing for what is absent", () => {
    expect(
      csv(
        ["shape", "cost_usd"],
        [
          ["BM.GPU, 8", 1234567.5],
          ['the "new"', null],
        ],
      ),
    ).toBe('shape,cost_usd\r\n"BM.GPU, 8",1234567.5\r\n"the ""new""",\r\n');
  });

  test("text that a spreadsheet would run is text", () => {
    expect(csv(["a"], [["=1+1"], ["-5"], [-5]])).toBe("a\r\n'=1+1\r\n'-5\r\n-5\r\n");
  });
});

describe("the scenario, taken away", () => {
  test("JSON leaves out what is not given", () => {
    expect(json({ name: "x", training: null, serving: { gpu: null, months: 12 } })).toBe(
      '{\n  "name": "x",\n  "serving": {\n    "months": 12\n  }\n}\n',
    );
  });

  test("Python says the same", () => {
    expect(python("plan", { name: "x", training: { tokens: "2T", moe: true, shapes: [], gpu: null } })).toBe(
      'import rackrate\n\nplan = rackrate.plan({\n    "name": "x",\n    "training": {\n        "tokens": "2T",\n' +
        '        "moe": True,\n        "shapes": [],\n    },\n})\nplan\n',
    );
  });

  test("Python asks for a point by its words", () => {
    expect(python("serving_point", { model: "x", gpus: 8, gpu: null })).toBe(
      'import rackrate\n\nserving_point = rackrate.serving_point(**{\n    "model": "x",\n    "gpus": 8,\n})\nserving_point\n',
    );
  });

  test("Python reads back what was said", () => {
    const reader = [
      "import json, sys, types",
      "sys.modules['rackrate'] = types.SimpleNamespace(plan=lambda s: s)",
      "out = []",
      "for code in json.load(sys.stdin):",
      "    names = {}",
      "    exec(code, names)",
      "    out.append(names['plan'])",
      "json.dump(out, sys.stdout)",
    ].join("\n");
    const scenarios = fc
      .sample(fc.dictionary(fc.string({ unit: "grapheme" }), fc.jsonValue()), 200)
      .map((scenario) => withoutNulls(scenario as Data));
    const input = JSON.stringify(scenarios.map((scenario) => python("plan", scenario)));
    const back = execFileSync("python3", ["-c", reader], { input, encoding: "utf8" });
    expect(JSON.parse(back)).toEqual(JSON.parse(JSON.stringify(scenarios)));
  });
});
