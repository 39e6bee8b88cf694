// A layout in a line, leaving out what is not cut.
import type { TrainingOption } from "../../pkg/rackrate";
import * as show from "../format";
import { fill, strings } from "../strings";

const detail = strings.detail;

export const cut = (layout: TrainingOption["step"]["layout"]): string =>
  [
    ...(["tp", "pp", "vp", "cp", "ep", "dp"] as const)
      .filter((name) => (layout[name] ?? 1) > 1)
      .map((name) => `${name} ${show.count(layout[name])}`),
    counted(detail.expertTp, layout.expert_tp),
    fill(detail.microBatch, { size: show.count(layout.micro_batch) }),
    fill(detail.zero, { stage: show.count(layout.zero) }),
    counted(detail.shardGroup, layout.shard_group),
    layout.schedule && layout.schedule !== "one_forward_one_backward"
      ? strings.schedules[layout.schedule]
      : undefined,
    fill(detail.recompute, { kind: strings.recomputes[layout.recompute ?? "none"].toLowerCase() }),
    counted(detail.recomputeLayers, layout.recompute_layers),
    counted(detail.offloadLayers, layout.offload?.activation_layers || null),
    layout.offload?.optimizer ? detail.offloadOptimizer : undefined,
  ]
    .filter((part) => part !== undefined)
    .join(", ");

const counted = (words: string, count: number | null | undefined): string | undefined =>
  count == null ? undefined : fill(words, { count: show.count(count) });
