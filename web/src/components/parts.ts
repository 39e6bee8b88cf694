// Parts of bars: core's fields, named, coloured and told apart by stripes.
import type {
  Cost,
  GoodputLosses,
  IterationParts,
  Provider,
  ServingMemory,
  StepParts,
  TrainingMemory,
} from "../../pkg/rackrate";
import type { Part } from "../charts/bars";
import { plainly } from "../plainly";
import { strings } from "../strings";

/** Work in blues, communication in striped ambers, waiting in greys. */
const STEP: Record<keyof StepParts, [tone: string, striped: boolean]> = {
  compute_seconds: ["work-1", false],
  memory_bound_seconds: ["work-2", false],
  recompute_seconds: ["work-3", false],
  optimizer_seconds: ["work-4", false],
  offload_seconds: ["net-5", false],
  tensor_parallel_seconds: ["net-1", true],
  context_parallel_seconds: ["net-2", true],
  expert_parallel_seconds: ["net-3", true],
  pipeline_seconds: ["net-4", true],
  data_parallel_seconds: ["net-5", true],
  bubble_seconds: ["wait-1", false],
  overhead_seconds: ["wait-2", false],
};

const ITERATION: Record<keyof typeof strings.iterationParts, [tone: string, striped: boolean]> = {
  matmul_seconds: ["work-1", false],
  attention_seconds: ["work-2", false],
  memory_bound_seconds: ["work-3", false],
  all_reduce_seconds: ["net-1", true],
  all_to_all_seconds: ["net-3", true],
  pipeline_seconds: ["net-4", true],
  engine_seconds: ["wait-1", false],
  draft_seconds: ["wait-2", false],
};

const TRAINING_MEMORY: Record<keyof typeof strings.trainingMemory, [tone: string, striped: boolean]> = {
  weights_gib: ["work-1", false],
  gradients_gib: ["work-3", false],
  optimizer_gib: ["work-2", false],
  activations_gib: ["net-1", true],
  logits_gib: ["net-3", true],
  workspace_gib: ["wait-1", false],
};

const SERVING_MEMORY: Record<keyof typeof strings.servingMemory, [tone: string, striped: boolean]> = {
  weights_gib: ["work-1", false],
  kv_used_gib: ["net-1", true],
  workspace_gib: ["wait-1", false],
};

/** Lost by what goes wrong in warm colours, by what is planned in greys and blues. */
const LOSSES: Record<keyof typeof strings.losses, [tone: string, striped: boolean]> = {
  checkpoint_share: ["work-2", false],
  rework_share: ["net-1", true],
  restart_share: ["net-5", true],
  evaluation_share: ["work-3", false],
  data_share: ["wait-1", false],
  startup_share: ["wait-2", false],
};

const parts = <Key extends string>(
  kinds: Record<Key, [tone: string, striped: boolean]>,
  labels: Record<Key, string>,
  values: Record<Key, number>,
): Part[] =>
  (Object.keys(kinds) as Key[]).map((key) => {
    const [tone, striped] = kinds[key];
    return { key, label: labels[key], value: values[key], tone, striped };
  });

export const stepParts = (of: StepParts): Part[] => parts(STEP, strings.stepParts, of);
export const iterationParts = (of: IterationParts): Part[] => parts(ITERATION, strings.iterationParts, of);
export const trainingMemory = (of: TrainingMemory): Part[] =>
  parts(TRAINING_MEMORY, strings.trainingMemory, of);
export const servingMemory = (of: ServingMemory): Part[] => parts(SERVING_MEMORY, strings.servingMemory, of);

export const lossParts = (of: GoodputLosses): Part[] => parts(LOSSES, strings.losses, of);

/** A cost's lines, one part each, in the cloud's colour; what is not compute is striped. */
export const costParts = (cost: Cost, provider: Provider | null): Part[] =>
  cost.lines.map((line, i) => ({
    key: String(i),
    label: `${strings.items[line.item]}: ${plainly(line.what)}`,
    value: line.usd,
    tone: `${provider ?? "none"} ${line.item}`,
    striped: line.item !== "compute",
  }));
