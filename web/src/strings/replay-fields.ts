// What the replay is called, and its inputs: its other words arrive with it.
import type { FieldWords } from "./fields";
import { fields } from "./fields";

/** What a replay asks as a point does is called the same. */
const alike = Object.fromEntries(
  Object.entries(fields).flatMap(([path, words]): [string, FieldWords][] =>
    path.startsWith("point.") ? [[path.replace("point.", "replay."), words]] : [],
  ),
);

const lengths = (name: "input" | "output", label: string): Record<string, FieldWords> => ({
  [`replay.${name}.mean_tokens`]: { label, unit: "tokens" },
  [`replay.${name}.family`]: { label: `${label} spread` },
  [`replay.${name}.spread`]: { label: "By", help: "Squared variation: variance over squared mean" },
});

export const replayFields: Record<string, FieldWords> = {
  ...alike,
  ...lengths("input", "Input"),
  ...lengths("output", "Output"),
  "replay.gpus": { label: "GPUs", help: "Whole replicas" },
  "replay.trace_speed": { label: "Replayed", unit: "times as fast", help: "As logged if empty" },
  "replay.requests": { label: "Measured", unit: "requests" },
  "replay.seed": { label: "Seed", help: "Same seed, same answer" },
  "replay.routing": { label: "A request goes to" },
};

export const replayTitle = "Replay requests: simulated latencies beside the closed form";
