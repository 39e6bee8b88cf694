// The search's front of one option: layouts that no other beats in both time and memory. Asked for when it is opened.
import { useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import type { LayoutSearch, LayoutSearchRequest, Plan, TrainingOption } from "../../pkg/rackrate";
import { charts } from "../charts/lazy";
import { differing } from "../data";
import { Refused } from "../engine";
import * as show from "../format";
import { get, layouts, original } from "../state";
import { fill, strings } from "../strings";
import { cut } from "./cut";

const detail = strings.detail;

type Found = { search: LayoutSearch } | { refused: string };

export const Layouts = ({ plan, option }: { plan: Plan; option: TrainingOption }) => {
  const open = useSignal(false);
  const found = useSignal<Found | undefined>(undefined);
  useEffect(() => {
    const question = open.value ? asked(plan, option) : undefined;
    if (question === undefined) return;
    let left = false;
    found.value = undefined;
    layouts(question).then(
      (search) => {
        if (!left) found.value = { search };
      },
      (thrown: unknown) => {
        if (!(thrown instanceof Refused)) throw thrown;
        if (!left) found.value = { refused: thrown.refusal.message };
      },
    );
    return () => {
      left = true;
    };
  }, [open.value, plan, option]);
  return (
    <details onToggle={(event) => (open.value = event.currentTarget.open)}>
      <summary>{detail.layouts}</summary>
      {open.value && <Shown found={found.value} option={option} />}
    </details>
  );
};

const Shown = ({ found, option }: { found: Found | undefined; option: TrainingOption }) => {
  if (found === undefined) return <p class="help">{detail.searching}</p>;
  if ("refused" in found) return <p class="help">{fill(detail.layoutsFailed, { message: found.refused })}</p>;
  const { front, considered, fitting } = found.search;
  const { step } = option;
  return (
    <div class="topic">
      <p class="help">
        {fill(detail.layoutsFacts, {
          considered: show.count(considered),
          fitting: show.count(fitting),
          front: show.count(front.length),
        })}
        {differing(get("training.network"), original("training.network") ?? null) > 0 &&
          ` ${detail.layoutsNetwork}`}
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
