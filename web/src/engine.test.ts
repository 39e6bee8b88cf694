import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { Engine, Refused, Superseded } from "./engine";
import type { Asked } from "./protocol";

/** A worker that answers when told to. */
class Hand extends EventTarget {
  asked: Asked[] = [];
  ended = false;
  postMessage(asked: Asked) {
    this.asked.push(asked);
  }
  terminate() {
    this.ended = true;
  }
  answer(id: number, answer: unknown) {
    this.dispatchEvent(new MessageEvent("message", { data: { id, answer } }));
  }
  refuse(id: number) {
    const refusal = { code: "wrong_type", field: "name", message: "no", hint: null };
    this.dispatchEvent(new MessageEvent("message", { data: { id, refusal } }));
  }
}

let hands: Hand[];
let engine: Engine;
const newest = () => hands[hands.length - 1] as Hand;
const given = (hand: Hand) => hand.asked.map((one) => one.given[0]);
const ask = (question: unknown) => engine.latest("plan", question as never) as unknown as Promise<unknown>;

beforeEach(() => {
  vi.useFakeTimers();
  hands = [];
  engine = new Engine(() => {
    hands.push(new Hand());
    return newest() as unknown as Worker;
  });
});
afterEach(() => {
  vi.useRealTimers();
});

describe("the newest question", () => {
  test("is answered", async () => {
    const answer = ask("a");
    newest().answer(1, "A");
    expect(await answer).toBe("A");
  });

  test("waits for the one before it, and those between are never asked", async () => {
    const first = ask("a");
    const second = ask("b");
    const third = ask("c");
    await expect(second).rejects.toThrow(Superseded);
    expect(given(newest())).toEqual(["a"]);
    newest().answer(1, "A");
    await expect(first).rejects.toThrow(Superseded);
    expect(given(newest())).toEqual(["a", "c"]);
    newest().answer(3, "C");
    expect(await third).toBe("C");
    expect(hands).toHaveLength(1);
  });

  test("ends one that takes long and is no longer wanted", async () => {
    const other = engine.ask("catalog");
    const slow = ask("slow");
    const next = ask("next");
    slow.catch(() => {});
    vi.advanceTimersByTime(1000);
    await expect(slow).rejects.toThrow(Superseded);
    expect(hands[0]?.ended).toBe(true);
    // What else was waiting is asked again.
    expect(newest().asked.map((one) => one.call)).toEqual(["catalog", "plan"]);
    // An answer of the ended worker comes too late.
    hands[0]?.answer(2, "SLOW");
    newest().answer(1, "CATALOG");
    newest().answer(3, "NEXT");
    expect(await other).toBe("CATALOG");
    expect(await next).toBe("NEXT");
  });

  test("that is wanted may take as long as it needs", async () => {
    const slow = ask("slow");
    vi.advanceTimersByTime(60_000);
    newest().answer(1, "SLOW");
    expect(await slow).toBe("SLOW");
    expect(hands).toHaveLength(1);
  });
});

test("core's refusal arrives as data", async () => {
  const answer = ask("a");
  newest().refuse(1);
  const thrown = await answer.catch((error: unknown) => error);
  expect(thrown).toBeInstanceOf(Refused);
  expect((thrown as Refused).refusal.field).toBe("name");
});

test("a worker that breaks refuses all that waits", async () => {
  const answer = ask("a");
  newest().dispatchEvent(new ErrorEvent("error", { message: "no wasm here" }));
  await expect(answer).rejects.toThrow("no wasm here");
});
