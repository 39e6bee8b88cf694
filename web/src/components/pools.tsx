// Pools of GPUs that read prompts and that write answers: how they share the work, what fills the memory of each.
import type { ServingLayout, ServingPoint, ServingPools } from "../../pkg/rackrate";
import * as show from "../format";
import { fill, strings } from "../strings";
import { cut } from "./cut-serving";
import { servingMemory } from "./parts";
import { Facts } from "./rich";

const { detail } = strings;
const words = strings.bench;

/** Bars of the memory of a GPU: one, or one for each pool. */
export const memories = (point: ServingPoint) =>
  [
    { key: "decode", label: point.pools ? words.decodeGpu : point.gpu, memory: point.memory },
    ...(point.pools ? [{ key: "prefill", label: words.prefillGpu, memory: point.pools.prefill_memory }] : []),
  ].map(({ key, label, memory }) => ({
    key,
    label,
    end: fill(detail.memoryOf, {
      used: show.digits(memory.total_gib),
      available: show.digits(memory.available_gib),
    }),
    parts: servingMemory(memory),
    limit: memory.available_gib,
  }));

/** `layout` is that of the replicas that decode. */
export const Pools = ({ of, layout }: { of: ServingPools; layout: ServingLayout }) => (
  <div class="pair">
    <Facts
      of={[
        [
          words.prefillPool,
          fill(words.pool, {
            gpus: show.gpus(of.prefill_gpus),
            replicas: show.count(of.prefill_replicas),
            cut: cut(of.prefill_layout),
          }),
        ],
        [
          words.decodePool,
          fill(words.pool, {
            gpus: show.gpus(of.decode_gpus),
            replicas: show.count(of.decode_replicas),
            cut: cut(layout),
          }),
        ],
        ...balance(of.balanced_prefill_gpus_per_decode_gpu),
      ]}
    />
    <Facts
      of={[
        [words.prefillUse, show.percent(of.prefill_utilisation)],
        [words.decodeUse, show.percent(of.decode_utilisation)],
        [words.transferUse, show.percent(of.transfer_utilisation)],
        [
          words.transferred,
          fill(words.transferredIn, {
            size: show.bytes(of.transfer_bytes),
            time: show.seconds(of.transfer_seconds),
          }),
        ],
      ]}
    />
  </div>
);

/** None where nothing is decoded. */
const balance = (ratio: number | null): [string, string][] =>
  ratio === null ? [] : [[words.balanced, fill(words.balancedAt, { ratio: show.digits(ratio) })]];
