// The replay's question: requests at the option's share of the peak, or as a trace has them, on the option's GPUs.
import { signal } from "@preact/signals";
import { useMemo } from "preact/hooks";
import type {
  LatencyPercentiles,
  Plan,
  ServingOption,
  SimulationReport,
  SimulationRequest,
} from "../../../pkg/rackrate";
import { at, type Data, isFields } from "../../data";
import type { Refusal } from "../../protocol";
import { replayed } from "../../state";
import { pointOf } from "../asked";
import { type AskedForm, askedForm, kept, refuse } from "./asked-form";
import { readable } from "./bench-form";

/** Requests that somebody brought: CSV text as core reads it. They stay in this page, so no link holds them. */
export interface Trace {
  name: string;
  text: string;
  /** Without times: core draws its rows and needs a rate. */
  timeless?: boolean;
}

export type Source = "rate" | "trace";

/** Where requests come from; kept while options are compared. */
export const source = signal<Source>("rate");
export const trace = signal<Trace | undefined>(undefined);

const here = kept("replay", replayed);
export const refused = (given: Refusal | undefined): void => refuse(here, given);
export const refusedWith = here.refusal;

/** What belongs to requests at a rate only, and to a trace only. */
const OF_A_RATE = ["input", "output"];
const OF_A_TRACE = ["trace_speed"];

export interface ReplayForm extends AskedForm {
  /** What is asked now; undefined while there is no trace to ask about. */
  request: () => SimulationRequest | undefined;
}

/** `spreads` are those that the closed form took for the option's lengths; `answer` is the last one: what core took where the question leaves it open. */
export const useReplayForm = (
  plan: Plan,
  option: ServingOption,
  spreads: LatencyPercentiles | null,
  answer: { value: SimulationReport | undefined },
): ReplayForm =>
  useMemo(() => {
    const form = askedForm(here, begun(plan, option, spreads), (path) => {
      const name = path.replace("replay.", "");
      return name === "requests" || name === "seed" ? at(answer.value as unknown as Data, name) : null;
    });
    return {
      ...form,
      request: () => {
        const asked = form.asked();
        if (!isFields(asked)) return undefined;
        const { value: laid } = trace;
        if (source.value === "rate") return without(asked, OF_A_TRACE);
        if (laid === undefined) return undefined;
        const dropped = laid.timeless ? OF_A_TRACE : ["request_rate"];
        return without({ ...asked, trace_csv: laid.text }, [...OF_A_RATE, ...dropped]);
      },
    };
  }, [plan, option, spreads, answer]);

const without = (asked: { [name: string]: Data }, names: readonly string[]): SimulationRequest =>
  Object.fromEntries(
    Object.entries(asked).filter(([name]) => !names.includes(name)),
  ) as unknown as SimulationRequest;

/** The option's own point as requests one by one: what the closed form takes as spreads is drawn as it takes them. */
const begun = (plan: Plan, option: ServingOption, spreads: LatencyPercentiles | null): Data => {
  const point = readable(pointOf(plan, option));
  if (point === null) return null;
  const { load: _, input_tokens, output_tokens, input_spread, output_spread, ...rest } = point;
  const lengths = (mean_tokens: number, given: number | null | undefined, taken: number | undefined) => {
    const spread = given ?? taken ?? null;
    return { mean_tokens, family: spread === null ? "fixed" : "gamma", spread };
  };
  return {
    ...rest,
    input: lengths(input_tokens, input_spread, spreads?.input_spread),
    output: lengths(output_tokens, output_spread, spreads?.output_spread),
  } as unknown as Data;
};
