import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { type Data, type Fields, withoutNulls } from "./data";
import { read, write } from "./link";

const base: Fields = {
  name: "first",
  training: { model: "llama-3.1-405b", tokens: 15.6e12, layout: null, shapes: [] },
  serving: { slo: { ttft_p95_seconds: 1 }, months: 12 },
  overlay: null,
};
const known = (name: string): Data | undefined => (name === "first" ? base : undefined);

describe("links", () => {
  test("an unchanged scenario is only its name", () => {
    expect(write({ name: "first", scenario: base }, base)).toBe("v=1&s=first");
  });

  test("a change is readable", () => {
    const scenario = { ...base, training: { ...(base.training as Fields), tokens: "2T", deadline_days: 30 } };
    expect(write({ name: "first", scenario }, base)).toBe("v=1&s=first&t.tokens=2T&t.deadline_days=30");
  });

  test("a part taken out is said", () => {
    const scenario = { ...base, serving: null };
    const link = write({ name: "first", scenario }, base);
    expect(link).toBe("v=1&s=first&i=null");
    expect(read(link, known)).toEqual({ name: "first", scenario });
  });

  test("a link written by hand is read", () => {
    const given = read("#v=1&s=first&t.tokens=2T&i.slo.ttft_p95_seconds=0.5&t.model=my%20model", known);
    expect(given).toEqual({
      name: "first",
      scenario: {
        ...base,
        training: { ...(base.training as Fields), tokens: "2T", model: "my model" },
        serving: { slo: { ttft_p95_seconds: 0.5 }, months: 12 },
      },
    });
  });

  test("what was changed of the one point that is tried is read back, beside the scenario", () => {
    const point: [string, Data][] = [
      ["point.load", "closed_loop"],
      ["point.request_rate", null],
      ["point.layout", { tp: 8, dp: 2 }],
      ["point.layout.tp", 4],
    ];
    const link = write({ name: "first", scenario: base, point }, base);
    expect(link).toContain("v=1&s=first&point.load=closed_loop&point.request_rate=null&point.layout=");
    const { hash } = new URL(`https://example.org/any/where/#${link}`);
    expect(read(hash, known)).toEqual({ name: "first", scenario: base, point });
  });

  test("what was changed of the replay too, each with its own", () => {
    const point: [string, Data][] = [["point.request_rate", 3]];
    const replay: [string, Data][] = [
      ["replay.request_rate", 4],
      ["replay.input.family", "lognormal"],
      ["replay.seed", 7],
    ];
    const link = write({ name: "first", scenario: base, point, replay }, base);
    expect(link).toContain("&point.request_rate=3&replay.request_rate=4&replay.input.family=lognormal");
    expect(read(`#${link}`, known)).toEqual({ name: "first", scenario: base, point, replay });
    // A scenario's own member of that name is told apart.
    const odd = { replay: 1 } as unknown as Fields;
    const back = read(`#${write({ name: "", scenario: odd }, {})}`, known);
    expect("scenario" in back && plain(back.scenario)).toEqual(plain(odd));
  });

  test("the options that are looked at are read back; another key that begins alike is the scenario's", () => {
    const picked = { training: "BM.GPU.H100.8", serving: "1 & 2" };
    const link = write({ name: "first", scenario: base, picked }, base);
    expect(link).toBe("v=1&s=first&pick.training=BM.GPU.H100.8&pick.serving=1%20%26%202");
    expect(read(link, known)).toEqual({ name: "first", scenario: base, picked });
    expect(read("v=1&s=first&pick.trainig=a", known)).toEqual({
      name: "first",
      scenario: { ...base, pick: { trainig: "a" } },
    });
  });

  test("what cannot be read is said, not guessed", () => {
    expect(read("v=2&s=first", known)).toEqual({ problem: "version", given: "2" });
    expect(read("t.tokens=1", known)).toEqual({ problem: "version", given: "" });
    expect(read("v=1&s=third", known)).toEqual({ problem: "scenario", given: "third" });
    expect(read("v=1&s=first&t.model=%E0%A4%A", known)).toEqual({
      problem: "damaged",
      given: "t.model=%E0%A4%A",
    });
    expect(read("v=1&nonsense", known)).toEqual({ problem: "damaged", given: "nonsense" });
  });

  test("a key of every object's own inheritance is only a key", () => {
    const given = read("v=1&s=first&t.__proto__.polluted=true&__proto__.polluted=true", known);
    expect(Object.hasOwn({}, "polluted")).toBe(false);
    expect(({} as { polluted?: boolean }).polluted).toBeUndefined();
    if (!("scenario" in given)) throw new Error("read");
    expect(JSON.stringify(given.scenario)).toContain('"__proto__":{"polluted":true}');
  });

  // JSON has no sign for zero, and a null member is one that is not there.
  const plain = (data: Data): Data => JSON.parse(JSON.stringify(withoutNulls(data)));
  const anything = fc.jsonValue({ maxDepth: 4 }).map((value) => value as Data);
  const someKeys = fc.constantFrom(
    "training",
    "serving",
    "v",
    "s",
    "t",
    "i",
    "tokens",
    "model",
    "name",
    "a.b",
    "~t",
    "x",
    "point",
    "replay",
    "pick",
  );
  const scenarioLike = fc.dictionary(
    fc.oneof(someKeys, fc.string()),
    fc.oneof(anything, fc.dictionary(someKeys, anything)),
  );

  test("any scenario told as its difference from any other is read back", () => {
    fc.assert(
      fc.property(scenarioLike, scenarioLike, (from, to) => {
        const link = write({ name: "x", scenario: to }, from);
        const back = read(`#${link}`, () => from);
        if (!("scenario" in back)) throw new Error(`${link}: ${JSON.stringify(back)}`);
        expect(plain(back.scenario)).toEqual(plain(to));
      }),
      { numRuns: 500 },
    );
  }, 30_000);

  test("keys that every object inherits are keys like others", () => {
    const scenario = { toString: {}, constructor: 1 } as unknown as Fields;
    const back = read(`#${write({ name: "", scenario }, {})}`, known);
    expect("scenario" in back && plain(back.scenario)).toEqual(plain(scenario));
  });

  test("a link survives being a link", () => {
    fc.assert(
      fc.property(scenarioLike, (to) => {
        const link = write({ name: "", scenario: to }, {});
        const { hash } = new URL(`https://example.org/any/where/#${link}`);
        const back = read(hash, known);
        if (!("scenario" in back)) throw new Error(`${link}: ${JSON.stringify(back)}`);
        expect(plain(back.scenario)).toEqual(plain(to));
      }),
      { numRuns: 300 },
    );
  }, 30_000);
});
