import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { parse, show } from "./entry";

describe("what a person types", () => {
  test.each([
    ["8192", 8192],
    [" 8 192 ", 8192],
    ["1,234,567", 1_234_567],
    ["15,6", 15.6],
    ["1.234,5", 1234.5],
    ["2.5e3", 2500],
    ["-3", -3],
    ["", null],
    ["   ", null],
    // Multiples are core's to read.
    ["15.6T", "15.6T"],
    ["15,6T", "15.6T"],
    ["405b", "405b"],
    // So is what makes no sense.
    ["fast", "fast"],
    ["12 monkeys", "12 monkeys"],
    ["1,2,3", "1,2,3"],
    ["NaN", "NaN"],
  ])("%j is %j", (typed, data) => {
    expect(parse(typed)).toBe(data);
  });

  test.each([
    ["50", "ms", 0.05],
    ["50 ms", "ms", 0.05],
    ["20", "percent", 0.2],
    ["20%", "percent", 0.2],
    ["7", "percent", 0.07],
  ] as const)("%j in %s is %d", (typed, scale, data) => {
    expect(parse(typed, scale)).toBe(data);
    expect(show(data, scale)).toBe(typed.replace(/\D/g, ""));
  });
});

describe("what a field shows", () => {
  test.each([
    [15.6e12, "15.6T"],
    [16_800_000, "16.8M"],
    [100e6, "100M"],
    [8192, "8192"],
    [16_777_216, "16777216"],
    [0.05, "0.05"],
    [null, ""],
    ["2T", "2T"],
  ])("%j is shown as %j", (data, shown) => {
    expect(show(data)).toBe(shown);
  });

  test("a number shown and typed again is the same number", () => {
    const multiples: Record<string, number> = { k: 1e3, M: 1e6, B: 1e9, T: 1e12, P: 1e15 };
    fc.assert(
      fc.property(fc.double({ noNaN: true, noDefaultInfinity: true }), (number) => {
        const shown = show(number);
        const back = parse(shown);
        const factor = multiples[shown.slice(-1)];
        const value = typeof back === "string" && factor ? Number(shown.slice(0, -1)) * factor : back;
        expect(value).toBe(number + 0);
      }),
      { numRuns: 5000 },
    );
  });
});
