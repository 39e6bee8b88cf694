// Questions about an option of the plan, word for word as the plan asked them: the answers are the same to the last bit.
import type {
  Plan,
  ServingJob,
  ServingOption,
  ServingPointRequest,
  ServingSearchRequest,
  TrainingOption,
  TrainingStepRequest,
} from "../../pkg/rackrate";

const where = ({ provider, shape }: { provider: unknown; shape: string }) =>
  provider === null ? { gpu: shape } : { shape };

/** What a serving job says of a point and of a search too, under the same names. */
const OF_A_JOB = ["model", "input_tokens", "output_tokens", "kv_precision"] as const;
type OfAJob = (typeof OF_A_JOB)[number] & keyof ServingPointRequest & keyof ServingSearchRequest;

const said = (job: ServingJob): Pick<ServingJob, OfAJob> =>
  Object.fromEntries(OF_A_JOB.map((name) => [name, job[name]])) as Pick<ServingJob, OfAJob>;

/** One replica of a serving option at its share of the peak; none without a serving job. */
export const pointOf = ({ scenario }: Plan, option: ServingOption): ServingPointRequest | undefined => {
  const { serving, overlay = null } = scenario;
  if (serving == null) return undefined;
  const { gpus, layout, precision, requests_per_second, pools } = option.point;
  return {
    ...said(serving),
    ...where(option),
    gpus,
    layout,
    precision,
    load: "poisson",
    request_rate: requests_per_second,
    disaggregated: pools && { prefill_layout: pools.prefill_layout, prefill_gpus: pools.prefill_gpus },
    overlay,
  };
};

/** The search that the option came from, but for `mode` and precision, which the caller says. */
export const searchOf = ({ scenario }: Plan, option: ServingOption): ServingSearchRequest | undefined => {
  const { serving, overlay = null } = scenario;
  if (serving == null) return undefined;
  return { ...said(serving), ...where(option), slo: serving.slo, overlay };
};

/** The step of a training option; none without a training job. */
export const stepOf = ({ scenario }: Plan, option: TrainingOption): TrainingStepRequest | undefined => {
  const { training, overlay = null } = scenario;
  if (training == null) return undefined;
  const { model, sequence_length, precision, task, software } = training;
  return {
    model,
    ...where(option),
    gpus: option.gpus,
    layout: option.step.layout,
    sequence_length,
    ...(precision === undefined ? {} : { precision }),
    ...(task === undefined ? {} : { task }),
    ...(software === undefined ? {} : { software }),
    overlay,
  };
};
