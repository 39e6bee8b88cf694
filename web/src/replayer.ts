// The replay has a worker of its own: it may take seconds, and a plan asked for meanwhile must not wait for it.
import type { SimulationReport, SimulationRequest } from "../pkg/rackrate";
import { Engine } from "./engine";

let engine: Engine | undefined;

/** Simulated requests; only the newest question matters. */
export const replayed = (request: SimulationRequest): Promise<SimulationReport> => {
  engine ??= new Engine(
    () => new Worker(new URL("./worker.ts", import.meta.url), { type: "module", name: "rackrate-replay" }),
  );
  return engine.latest("simulate", request);
};
