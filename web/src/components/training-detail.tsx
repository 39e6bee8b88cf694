// One way to train in detail: its step, its clock, its memory, its links, what is kept, what it costs.
import type { Plan, TrainingOption } from "../../pkg/rackrate";
import { charts } from "../charts/lazy";
import * as show from "../format";
import { fill, strings } from "../strings";
import { cut } from "./cut";
import { Fold } from "./fold";
import { Links } from "./interconnect";
import { Paid } from "./money";
import { lossParts, trainingMemory } from "./parts";
import { Cloud, Facts } from "./rich";
import { Stored } from "./stored";
import { Warnings } from "./warnings";

const columns = strings.columns;
const detail = strings.detail;

interface DetailProps {
  plan: Plan;
  option: TrainingOption;
  /** All options, best first. */
  among: readonly TrainingOption[];
}

export const TrainingDetail = ({ plan, option, among }: DetailProps) => (
  <section class="detail-of" aria-labelledby="training-detail">
    <h3 id="training-detail">
      {option.provider && <Cloud of={option.provider} />}{" "}
      {fill(strings.training.detail, { shape: option.shape })}
    </h3>
    <div class="pair">
      <Step option={option} />
      <Clock option={option} />
    </div>
    {charts.value && (
      <div class="pair">
        <charts.value.Bars
          name="training-memory"
          title={detail.memory}
          bars={[memory(option)]}
          write={show.digits}
          tick={show.few}
          unit={{ key: "gib", label: columns.gib }}
          legend
        />
        <charts.value.Bars
          name="training-losses"
          title={detail.lost}
          bars={[lost(option)]}
          write={show.percent}
          tick={show.percentBriefly}
          unit={{ key: "share", label: columns.share }}
          legend
        />
      </div>
    )}
    <div class="closer">
      <Fold title={strings.operations.title}>
        {({ StepOperations }) => <StepOperations plan={plan} option={option} />}
      </Fold>
      <Fold title={detail.layouts}>{({ Layouts }) => <Layouts plan={plan} option={option} />}</Fold>
    </div>
    <Links
      name="training"
      option={option}
      among={among}
      facts={[
        [detail.scaleUpBytes, show.bytes(option.step.scale_up_bytes)],
        [detail.fabricBytes, show.bytes(option.step.fabric_bytes)],
        [detail.exposed, show.percent(option.interconnect.exposed_share)],
      ]}
      traffic={option.step.traffic}
    />
    {option.storage.length > 0 && <Stored stored={option.storage} losses={option.losses} />}
    <Paid name="training" of={option} what={detail.costTraining} atTerms={detail.termsTraining} />
    <Warnings of={option.warnings} />
  </section>
);

const Step = ({ option: { step, ...option } }: { option: TrainingOption }) => (
  <div>
    <h4>{detail.step}</h4>
    <Facts
      of={[
        [columns.gpus, `${show.count(option.gpus)} ${step.gpu}`],
        [columns.nodes, show.count(option.nodes)],
        [columns.spareNodes, show.count(option.spare_nodes)],
        [detail.layout, cut(step.layout)],
        [detail.stepTime, show.seconds(step.step_seconds)],
        [detail.tokensPerSecond, show.compact(step.tokens_per_second)],
        [detail.tflops, show.digits(step.model_tflops_per_gpu)],
        [detail.mfu, show.percent(step.mfu)],
        [detail.hfu, show.percent(step.hfu)],
        [detail.boundBy, step.bound_by],
        ...(step.memory.host_gib > 0
          ? [[detail.host, fill(detail.gib, { size: show.digits(step.memory.host_gib) })] as const]
          : []),
        ...(step.parts.offload_seconds > 0
          ? [[strings.stepParts.offload_seconds, show.seconds(step.parts.offload_seconds)] as const]
          : []),
      ]}
    />
  </div>
);

const Clock = ({ option }: { option: TrainingOption }) => {
  const { losses, goodput_interval: goodput, tokens_interval: tokens } = option;
  return (
    <div>
      <h4>{detail.clock}</h4>
      <Facts
        of={[
          [
            detail.tokensTrained,
            tokens === null
              ? show.compact(option.tokens)
              : likely(show.compactly(option.tokens), show.range(tokens.low, tokens.high, show.compactly)),
          ],
          [
            detail.goodput,
            likely(show.percent(option.goodput), show.range(goodput.low, goodput.high, show.percent)),
          ],
          [detail.gpuHours, show.compact(option.gpu_hours)],
          [
            detail.interruptions,
            fill(detail.everyHours, { time: hours(losses.mean_hours_between_interruptions) }),
          ],
          [detail.failureRate, show.count(losses.gpu_hours_per_interruption)],
          [
            detail.checkpoint,
            fill(detail.checkpointEvery, {
              size: show.bytes(losses.checkpoint_gb * 1e9),
              time: show.seconds(losses.checkpoint_seconds),
              interval: show.seconds(losses.checkpoint_interval_seconds),
            }),
          ],
          [detail.stall, show.seconds(losses.checkpoint_stall_seconds)],
        ]}
      />
    </div>
  );
};

const hours = (of: number) => show.seconds(of * 3600);
const likely = (value: string, range: string) => fill(detail.likely, { value, range });

const memory = ({ step }: TrainingOption) => ({
  key: "memory",
  label: step.gpu,
  end: fill(detail.memoryOf, {
    used: show.digits(step.memory.total_gib),
    available: show.digits(step.memory.available_gib),
  }),
  parts: trainingMemory(step.memory),
  limit: step.memory.available_gib,
});

const lost = ({ goodput, losses }: TrainingOption) => ({
  key: "losses",
  label: detail.lostOf,
  end: fill(detail.lostEnd, { goodput: show.percent(goodput) }),
  parts: lossParts(losses),
});
