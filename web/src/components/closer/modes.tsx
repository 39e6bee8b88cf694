// Throughput against speed for one user on one shape: prompts read where answers are written, and on GPUs of their own.
import { useSignal } from "@preact/signals";
import type { FrontierPoint, Plan, ServingMode, ServingOption, ServingSearch } from "../../../pkg/rackrate";
import { charts } from "../../charts/lazy";
import type { Line } from "../../charts/lines";
import * as show from "../../format";
import { served } from "../../state";
import { fill, strings } from "../../strings";
import { searchOf } from "../asked";
import { useAsked } from "../asking";
import { cut } from "../cut-serving";
import { Either } from "../field";

const { columns, detail } = strings;
const words = strings.modes;

const MODES = Object.keys(strings.servingModes) as ServingMode[];
const TONES: Record<ServingMode, string> = { aggregated: "work-1", disaggregated: "net-1" };

export const Modes = ({ plan, option }: { plan: Plan; option: ServingOption }) => {
  const any = useSignal(false);
  const { precision } = option.point;
  const found = useAsked(
    () => {
      const request = searchOf(plan, option);
      if (request === undefined) return undefined;
      const asked = { ...request, precision: any.value ? null : precision };
      return Promise.all(MODES.map((mode) => served({ ...asked, mode })));
    },
    [plan, option, any.value],
    true,
  );
  return (
    <div class="topic">
      <Either
        label={words.precisionBy}
        name="modes-precision"
        options={{ asked: fill(words.asAsked, { precision: strings.precisions[precision] }), any: words.any }}
        value={any.value ? "any" : "asked"}
        choose={(to) => (any.value = to === "any")}
      />
      {found === undefined ? (
        <p class="help">{detail.searching}</p>
      ) : "refusal" in found ? (
        <p class="help">{fill(detail.askedInVain, { message: found.refusal.message })}</p>
      ) : (
        <Shown option={option} searches={found.answer} />
      )}
    </div>
  );
};

interface ShownProps {
  option: ServingOption;
  searches: readonly ServingSearch[];
}

const Shown = ({ option, searches }: ShownProps) => {
  const lines = MODES.flatMap((mode, i): Line[] => {
    const front = searches[i]?.frontier ?? [];
    return front.length === 0
      ? []
      : [
          {
            key: mode,
            label: strings.servingModes[mode],
            tone: TONES[mode],
            current: true,
            dots: front.map(dot),
          },
        ];
  });
  const best = MODES.flatMap((mode, i) => {
    const point = searches[i]?.best;
    return point ? [fill(words.best, { mode: strings.servingModes[mode], ...bestOf(point) })] : [];
  });
  return (
    <>
      <p class="help">
        {best.length > 0 ? best.join(" ") : words.noneMeets}
        {` ${option.point.pools ? words.plannedApart : words.planned}`}
      </p>
      {charts.value && lines.length > 0 && (
        <charts.value.Lines
          name="serving-modes"
          title={fill(words.chart, { shape: option.shape })}
          x={{ key: "tokens_per_second_per_user", label: strings.serving.frontierX }}
          y={{ key: "output_tokens_per_second_per_gpu", label: strings.serving.frontierY }}
          lines={lines}
          legend
        />
      )}
    </>
  );
};

const bestOf = (point: NonNullable<ServingSearch["best"]>) => ({
  throughput: show.digits(point.output_tokens_per_second_per_gpu),
  gpus: show.gpus(point.gpus),
  precision: strings.precisions[point.precision],
});

const dot = (point: FrontierPoint) => ({
  x: point.tokens_per_second_per_user,
  y: point.output_tokens_per_second_per_gpu,
  note: [
    cut(point.layout),
    point.prefill_layout &&
      fill(words.prefillOn, { gpus: show.gpus(point.prefill_gpus), cut: cut(point.prefill_layout) }),
    `${columns.concurrency}: ${show.digits(point.concurrency)}`,
    strings.precisions[point.precision],
    fill(words.firstToken, { time: show.seconds(point.ttft_seconds) }),
  ]
    .filter(Boolean)
    .join("; "),
});
