import { describe, expect, test } from "vitest";
import { at, type Data, differing, put, steps } from "./data";

const rates: Data = { pricing: { own_rates: [{ term: "payg" }, { term: "spot", discount: 0.1 }] } };

describe("paths", () => {
  test("go through members and items as core writes them", () => {
    expect(steps("pricing.own_rates[1].term")).toEqual(["pricing", "own_rates", 1, "term"]);
    expect(steps("overlay.prices[0][2].usd")).toEqual(["overlay", "prices", 0, 2, "usd"]);
    expect(at(rates, "pricing.own_rates[1].discount")).toBe(0.1);
    expect(at(rates, "pricing.own_rates[2].discount")).toBe(null);
    expect(at(rates, "pricing.term[0]")).toBe(null);
  });

  test("put changes one item and leaves the others as they are", () => {
    const next = put(rates, steps("pricing.own_rates[1].discount"), 0.2);
    expect(at(next, "pricing.own_rates[0].term")).toBe("payg");
    expect(at(next, "pricing.own_rates[1]")).toEqual({ term: "spot", discount: 0.2 });
    expect(at(rates, "pricing.own_rates[1].discount")).toBe(0.1);
  });

  test("an item that a list does not have is not made", () => {
    expect(put(rates, steps("pricing.own_rates[2].discount"), 0.2)).toEqual(rates);
  });
});

describe("how much differs", () => {
  test("is counted member by member, and nothing where core reads both alike", () => {
    const network: Data = { placement: null, launch: "benchmark", tier: { gpus: 8 } };
    expect(differing(network, { launch: "benchmark", tier: { gpus: 8 } })).toBe(0);
    expect(differing(network, { placement: "compact", launch: "framework", tier: { gpus: 16 } })).toBe(3);
    expect(differing(network, null)).toBe(1);
    expect(differing(null, undefined)).toBe(0);
  });
});
