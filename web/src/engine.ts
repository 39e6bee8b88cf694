// Asks the worker. Of the plans asked for, only the newest matters: while one is computed the next waits, a newer one
// takes its place, and a computation that nobody waits for any more is ended if it takes long.
import type { Answered, Asked, Call, Refusal } from "./protocol";
import type { Calls } from "./worker";

/** Core's refusal, on this side of the worker. */
export class Refused extends Error {
  readonly refusal: Refusal;

  constructor(refusal: Refusal) {
    super(refusal.message);
    this.name = "Refused";
    this.refusal = refusal;
  }
}

/** Thrown to whoever asked for a plan that a newer one replaced. */
export class Superseded extends Error {}

interface Waiting {
  asked: Asked;
  /** Set for plans: a newer one may replace it. */
  replaceable: boolean;
  sent: number;
  resolve: (answer: unknown) => void;
  reject: (why: Error) => void;
}

/** Milliseconds after which a computation that was replaced is ended rather than waited for. */
const PATIENCE = 400;

export class Engine {
  #start: () => Worker;
  #worker: Worker;
  #next = 1;
  #waiting = new Map<number, Waiting>();
  #held: Waiting | undefined;

  constructor(start: () => Worker) {
    this.#start = start;
    this.#worker = this.#open();
  }

  /** The answer of any call. */
  ask<Name extends Call>(call: Name, ...given: Parameters<Calls[Name]>): Promise<ReturnType<Calls[Name]>> {
    return new Promise((resolve, reject) => {
      this.#send({
        asked: { id: this.#id(), call, given },
        replaceable: false,
        sent: 0,
        resolve: resolve as (answer: unknown) => void,
        reject,
      });
    });
  }

  /** The answer of a call that only matters until the next such call. */
  latest<Name extends Call>(call: Name, ...given: Parameters<Calls[Name]>): Promise<ReturnType<Calls[Name]>> {
    return new Promise((resolve, reject) => {
      this.#held?.reject(new Superseded());
      this.#held = {
        asked: { id: this.#id(), call, given },
        replaceable: true,
        sent: 0,
        resolve: resolve as (answer: unknown) => void,
        reject,
      };
      const running = [...this.#waiting.values()].find((one) => one.replaceable);
      if (running === undefined) this.#release();
      else {
        const left = PATIENCE - (performance.now() - running.sent);
        setTimeout(() => this.#giveUp(running.asked.id), Math.max(0, left));
      }
    });
  }

  #id(): number {
    const id = this.#next;
    this.#next += 1;
    return id;
  }

  #open(): Worker {
    const worker = this.#start();
    worker.addEventListener("message", ({ data }: MessageEvent<Answered>) => {
      if (worker === this.#worker) this.#receive(data);
    });
    worker.addEventListener("error", (event) => {
      if (worker !== this.#worker) return;
      const broken = [...this.#waiting.values()];
      this.#waiting.clear();
      for (const one of broken) {
        one.reject(
          new Refused({ code: "failed", field: "", message: event.message || "worker", hint: null }),
        );
      }
    });
    return worker;
  }

  #send(one: Waiting): void {
    one.sent = performance.now();
    this.#waiting.set(one.asked.id, one);
    this.#worker.postMessage(one.asked);
  }

  #release(): void {
    const one = this.#held;
    this.#held = undefined;
    if (one !== undefined) this.#send(one);
  }

  #receive(data: Answered): void {
    const one = this.#waiting.get(data.id);
    if (one === undefined) return;
    this.#waiting.delete(data.id);
    if (one.replaceable && this.#held !== undefined) {
      // Stale: somebody has typed on.
      one.reject(new Superseded());
    } else if ("refusal" in data) one.reject(new Refused(data.refusal));
    else one.resolve(data.answer);
    if (one.replaceable) this.#release();
  }

  #giveUp(id: number): void {
    const running = this.#waiting.get(id);
    if (running === undefined || this.#held === undefined) return;
    this.#waiting.delete(id);
    running.reject(new Superseded());
    this.#worker.terminate();
    this.#worker = this.#open();
    // What else the old worker had not answered is asked again.
    for (const one of this.#waiting.values()) this.#send(one);
    this.#release();
  }
}
