// Replay: requests one by one on the option's GPUs, simulated in a worker of its own, beside what the closed form says.
import { useSignal, useSignalEffect } from "@preact/signals";
import type {
  LatencyPercentiles,
  Plan,
  ServingOption,
  ServingPointRequest,
  SimulationReport,
  SimulationRequest,
} from "../../../pkg/rackrate";
import type { Data } from "../../data";
import { Refused, Superseded } from "../../engine";
import { python } from "../../export";
import { FormContext, faultyField } from "../../form";
import { replayed } from "../../replayer";
import { point } from "../../state";
import { fill } from "../../strings";
import { replay as words } from "../../strings/replay";
import { pointOf } from "../asked";
import { useAsked } from "../asking";
import { ReplayAnswer } from "./replay-answer";
import { lay, layFile, ReplayFields } from "./replay-fields";
import { refused, refusedWith, source, trace, useReplayForm } from "./replay-form";
import { Takes } from "./takes";

/** A pause in typing long enough to ask. */
const PAUSE = 120;

interface ReplayProps {
  plan: Plan;
  option: ServingOption;
}

export const Replay = (props: ReplayProps) => {
  const { plan, option } = props;
  // How lengths spread only a point with percentiles tells: where the plan's has none, that of a lone replica.
  const known = option.point.percentiles;
  const found = useAsked(() => {
    const asked = known === null ? loneOf(plan, option) : undefined;
    return asked && point(asked);
  }, [plan, option]);
  const spreads = known ?? (found && "answer" in found ? found.answer.percentiles : undefined);
  if (spreads === undefined && found === undefined) return <p class="help">{words.running}</p>;
  return <Asked {...props} spreads={spreads ?? null} />;
};

/** One replica that decodes, prompts read on it too, with next to nothing to do. */
const loneOf = (plan: Plan, option: ServingOption): ServingPointRequest | undefined => {
  const asked = pointOf(plan, option);
  const gpus = option.point.pools?.decode_gpus ?? option.point.gpus;
  return asked && { ...asked, gpus, disaggregated: null, request_rate: LEAST };
};

/** Requests per second at which nothing waits. */
const LEAST = 1e-6;

const Asked = ({ plan, option, spreads }: ReplayProps & { spreads: LatencyPercentiles | null }) => {
  const answer = useSignal<SimulationReport | undefined>(undefined);
  const form = useReplayForm(plan, option, spreads, answer);
  const running = useSignal(false);
  const hovered = useSignal(false);
  const current = useSignal(form);
  current.value = form;
  useSignalEffect(() => {
    const request = current.value.request();
    if (request === undefined) {
      answer.value = undefined;
      running.value = false;
      refused(undefined);
      return;
    }
    let left = false;
    const timer = setTimeout(async () => {
      running.value = true;
      const found = await simulated(request);
      if (left || found === undefined) return;
      running.value = false;
      if (!(found instanceof Refused)) {
        refused(undefined);
        answer.value = found;
      } else if (lacksTimes(found, request)) trace.value = trace.value && { ...trace.value, timeless: true };
      else refused(found.refusal);
    }, PAUSE);
    return () => {
      left = true;
      clearTimeout(timer);
    };
  });
  const wrong = refusedWith.value;
  const asPython = () => {
    const { trace_csv, ...request } = form.request() ?? ({} as SimulationRequest);
    const asked = trace_csv == null ? request : { ...request, trace: trace.value?.name };
    return python("simulate", asked as unknown as Data);
  };
  return (
    <FormContext.Provider value={form}>
      <p class="help">{fill(words.help, { shape: option.shape })}</p>
      {/* biome-ignore lint/a11y/noStaticElementInteractions: what is dropped or pasted anywhere on it is a trace; the file input beside does the same */}
      <div
        class={hovered.value ? "bench replay over" : "bench replay"}
        onDragOver={(event) => {
          event.preventDefault();
          hovered.value = true;
        }}
        onDragLeave={() => {
          hovered.value = false;
        }}
        onDrop={(event) => {
          event.preventDefault();
          hovered.value = false;
          const [file] = event.dataTransfer?.files ?? [];
          if (file) void layFile(file);
        }}
        onPaste={(event) => {
          const text = event.clipboardData?.getData("text/plain") ?? "";
          // A number pasted into a field is one line.
          if (!/\n.*,|,.*\n/.test(text)) return;
          event.preventDefault();
          lay({ name: words.pasted, text });
        }}
      >
        <form class="bench-ask" aria-label={words.question} onSubmit={(event) => event.preventDefault()}>
          <ReplayFields form={form} read={source.value === "trace" ? answer.value?.requests : undefined} />
        </form>
        <div class={classes(wrong !== undefined, running.value)} aria-live="polite">
          {wrong && faultyField(form) === undefined && <p class="wrong">{wrong.message}</p>}
          {(running.value || answer.value === undefined) && !wrong && (
            <p class="running">{form.request() === undefined ? words.noTrace : words.running}</p>
          )}
          {answer.value && <ReplayAnswer report={answer.value} slo={plan.scenario.serving?.slo} />}
          <Takes form={form} reset={words.reset} python={asPython} />
        </div>
      </div>
    </FormContext.Provider>
  );
};

const classes = (wrong: boolean, running: boolean): string =>
  ["bench-answer", wrong && "stale", running && "busy"].filter(Boolean).join(" ");

/** What was simulated, or why there is nothing; undefined where a newer question has come. */
const simulated = async (request: SimulationRequest): Promise<SimulationReport | Refused | undefined> => {
  try {
    return await replayed(request);
  } catch (thrown) {
    if (thrown instanceof Superseded) return undefined;
    if (thrown instanceof Refused) return thrown;
    throw thrown;
  }
};

/** Whether core asks for a rate because the trace has no times. */
const lacksTimes = ({ refusal: { code, field } }: Refused, request: SimulationRequest): boolean =>
  code === "missing_field" && field === "request_rate" && request.trace_csv != null;
