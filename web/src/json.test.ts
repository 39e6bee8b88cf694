import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { readJson, unreadObject } from "./json";

const problem = (text: string) => {
  const found = readJson(text);
  return "problem" in found ? found.problem : undefined;
};

describe("JSON", () => {
  test("that can be read is", () => {
    expect(readJson('{"a": [1, 2.5e-3, "x\\u00e9", null]}')).toEqual({
      data: { a: [1, 0.0025, "xé", null] },
    });
    expect(readJson('\uFEFF{"a": true}')).toEqual({ data: { a: true } });
  });

  test.each([
    ['{"a": 1\n "b": 2}', 'Line 2, column 2: a comma or } is expected, not “"”.'],
    ['{"a": 1,\n}', "Line 2, column 1: a name in double quotes is expected, not “}”."],
    ['{"a": 1,\r\n\r\n  b: 2}', "Line 3, column 3: a name in double quotes is expected, not “b”."],
    ["{'a': 1}", "Line 1, column 2: a name in double quotes or } is expected, not “'”."],
    ['{"a" 1}', "Line 1, column 6: a colon is expected, not “1”."],
    ['{"a": True}', "Line 1, column 7: a value is expected, not “True”."],
    ['{"a": NaN}', "Line 1, column 7: a value is expected, not “NaN”."],
    ['{"a": 01}', "Line 1, column 7: a value is expected, not “01”."],
    ["[1, 2", "Line 1, column 6: a comma or ] is expected, but the text ends."],
    ["[1 2]", "Line 1, column 4: a comma or ] is expected, not “2”."],
    ["[}", "Line 1, column 2: a value or ] is expected, not “}”."],
    ["", "Line 1, column 1: a value is expected, but the text ends."],
    ["{} x", "Line 1, column 4: nothing more is expected, not “x”."],
    ["{\n  // a note\n}", "Line 2, column 3: a name in double quotes or } is expected, not “/”."],
  ])("%j breaks where it does", (text, told) => {
    expect(problem(text)).toBe(told);
  });

  test.each(['{"a": "no end}', '{"a": "two\nlines"}', '{"a": "\\x"}', '{"a\n": 1}'])(
    "%j: a text that cannot be read is told where it begins",
    (text) => {
      expect(problem(text)).toMatch(/^Line 1, column [27]: .*does not end/);
    },
  );

  test("nested without end is told, not overflowed", () => {
    expect(problem('{"a":['.repeat(100_000))).toMatch(/^Line 1, column 600001: /);
  });

  test("property: a text is told to break if and only if it does, within it", () => {
    const broken = fc
      .tuple(fc.json(), fc.nat(), fc.constantFrom("", ",", "}", "]", "'", '"', "x", "1", "\n", ":"))
      .map(([text, at, put]) => {
        const cut = at % (text.length + 1);
        return text.slice(0, cut) + put + text.slice(cut + 1);
      });
    fc.assert(
      fc.property(fc.oneof(fc.json(), broken, fc.string()), (text) => {
        let valid = true;
        try {
          JSON.parse(text);
        } catch {
          valid = false;
        }
        const told = problem(text);
        expect(told === undefined).toBe(valid);
        if (told !== undefined) expect(told).toMatch(/^Line \d+, column \d+: /);
      }),
    );
  });

  test("a text that is no object's beginning is none's", () => {
    expect(unreadObject("llama-3.1-8b")).toBeUndefined();
    expect(unreadObject(null)).toBeUndefined();
    expect(unreadObject(' {"a": 1}')).toBeUndefined();
    expect(unreadObject('{"a": }')).toBe("Line 1, column 7: a value is expected, not “}”.");
  });
});
