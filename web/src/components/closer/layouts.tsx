// The search's front of one option: layouts that no other beats in both time and memory.
import type { LayoutSearch, LayoutSearchRequest, Plan, TrainingOption } from "../../../pkg/rackrate";
import { charts } from "../../charts/lazy";
import { differing } from "../../data";
import * as show from "../../format";
import { get, layouts, original } from "../../state";
import { fill, strings } from "../../strings";
import { useAsked } from "../asking";
import { cut } from "../cut";

const detail = strings.detail;

export const Layouts = ({ plan, option }: { plan: Plan; option: TrainingOption }) => {
  const found = useAsked(() => {
    const question = asked(plan, option);
    return question && layouts(question);
  }, [plan, option]);
  if (found === undefined) return <p class="help">{detail.searching}</p>;
  if ("refusal" in found) {
    return <p class="help">{fill(detail.askedInVain, { message: found.refusal.message })}</p>;
  }
  return <Shown search={found.answer} option={option} />;
};

const Shown = ({ search, option }: { search: LayoutSearch; option: TrainingOption }) => {
  const { front, considered, fitting } = search;
  const { step } = option;
  return (
    <div class="topic">
      <p class="help">
        {fill(detail.layoutsFacts, {
          considered: show.count(considered),
          fitting: show.count(fitting),
          front: show.count(front.length),
        })}
        {ownNetwork() && ` ${detail.ownNetwork}`}
      </p>
      {charts.value && front.length > 0 && (
        <charts.value.Lines
          name="training-layouts"
          title={detail.front}
          logarithmic
          x={{ key: "step_seconds", label: detail.frontX }}
          y={{ key: "memory_gib", label: detail.frontY }}
          lines={[
            {
              key: "front",
              label: detail.frontLine,
              tone: option.provider ?? "none",
              current: true,
              dots: front.map((point) => ({
                x: point.step_seconds,
                y: point.memory_gib,
                note: `${cut(point.layout)}; ${detail.boundBy.toLowerCase()} ${point.bound_by}`,
              })),
            },
          ]}
          mark={{
            label: detail.frontThis,
            dot: { x: step.step_seconds, y: step.memory.total_gib, note: cut(step.layout) },
          }}
        />
      )}
    </div>
  );
};

/** Whether the scenario gives conditions of the network, which only a plan takes. */
export const ownNetwork = (): boolean =>
  differing(get("training.network"), original("training.network") ?? null) > 0;

/** The search of an option's GPUs, in what the plan's scenario says; none without a training job. */
const asked = ({ scenario, training }: Plan, option: TrainingOption): LayoutSearchRequest | undefined => {
  const job = scenario.training;
  if (job == null || training === null) return undefined;
  return {
    model: job.model,
    ...(option.provider === null ? { gpu: option.shape } : { shape: option.shape }),
    gpus: option.gpus,
    global_batch: training.global_batch,
    sequence_length: job.sequence_length,
    ...(job.precision === undefined ? {} : { precision: job.precision }),
    ...(job.task === undefined ? {} : { task: job.task }),
    ...(job.software === undefined ? {} : { software: job.software }),
    overlay: scenario.overlay ?? null,
  };
};
