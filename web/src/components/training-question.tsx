// What to train: the job itself, then, folded, what few need to say.
import type { TrainingOption } from "../../pkg/rackrate";
import type { Data } from "../data";
import { example, get, plan, set } from "../state";
import { strings } from "../strings";
import { ChoiceField, Either, Group, ModelField, NamesField, NumberField, TextField, useHeld } from "./field";
import { gpus, models } from "./known";
import { Failures, Layout, Network, Pauses, Software } from "./training-groups";

const choice = strings.choice;

const TOKENS = "training.tokens";
const RULE = "training.tokens_rule";
const BUDGET = "training.budget_usd";
/** Of these a scenario has one at most; with none the most tokens in time are sought. */
const GOAL = [TOKENS, RULE, BUDGET];
const GPUS = "training.gpus";
const DEADLINE = "training.deadline_days";
const TASK = "training.task";
const ADAPTERS = "training.lora";
/** One of these; both where tokens are sought. */
const SIZE = [GPUS, DEADLINE];
const SEQUENCES = "training.global_batch";
const IN_TOKENS = "training.global_batch_tokens";
const BATCH = [SEQUENCES, IN_TOKENS];

export const TrainingQuestion = () => (
  <>
    <div class="fields">
      <ModelField path="training.model" known={models()} wide />
      <Goal />
      <Batch />
      <ChoiceField path="training.precision" options={strings.precisions} />
      <ChoiceField path="training.cloud" options={strings.clouds} open={choice.cheapest} />
    </div>
    <div class="groups">
      <Layout fix={fixed} />
      <Software />
      <Network />
      <Failures />
      <Pauses />
      <Group title={strings.parts.more} paths={MORE}>
        <div class="fields">
          <ChoiceField
            path={TASK}
            options={strings.tasks}
            also={(task) => (task === "lora" ? [] : [[ADAPTERS, null]])}
          />
          {get(TASK) === "lora" && (
            <>
              <ChoiceField
                path={`${ADAPTERS}.targets`}
                options={strings.loraTargets}
                open={strings.loraTargets.all}
              />
              <NumberField path={`${ADAPTERS}.rank`} />
            </>
          )}
          <NumberField path="training.usd_per_gpu_hour" />
          <NamesField path="training.shapes" wide />
          <TextField path="training.gpu" known={gpus()} wide />
          <NumberField path="training.dataset_tb" wide />
        </div>
      </Group>
    </div>
  </>
);

const MORE = ["task", "lora", "usd_per_gpu_hour", "shapes", "gpu", "dataset_tb"].map(
  (name) => `training.${name}`,
);

/** The option that the last plan leads to. */
const chosen = (): TrainingOption | undefined => {
  const answer = plan.value?.training;
  return answer?.options.find((one) => one.shape === answer.chosen) ?? answer?.options[0];
};

/** The layout that the last plan found, to start from, on as many GPUs: a layout belongs to a number of them. */
const fixed = (): [string, Data][] => {
  const layout = (chosen()?.step.layout as unknown as Data) ?? example("training.layout");
  const sought = get(TOKENS) === null && get(RULE) === null;
  return [["training.layout", layout], ...sized(sought && get(DEADLINE) !== null ? "both" : "gpus")];
};

type Goals = "given" | "rule" | "budget" | "time";
type Sizes = "deadline" | "gpus" | "both";

const goalOf = (): Goals => {
  if (get(TOKENS) !== null) return "given";
  if (get(RULE) !== null) return "rule";
  if (get(BUDGET) !== null) return "budget";
  return SIZE.every((path) => get(path) !== null) ? "time" : "given";
};

const sizeOf = (): Sizes => {
  if (get(GPUS) === null) return "deadline";
  return get(DEADLINE) === null ? "gpus" : "both";
};

/** How many tokens, and how long on how many GPUs: what is given and what is sought. */
const Goal = () => {
  const goal = useHeld(goalOf(), [...GOAL, ...SIZE]);
  const size = useHeld(sizeOf(), SIZE);
  const sought = goal === "budget" || goal === "time";
  const both = sought && size === "both";
  const alone = goal === "budget" && !both;
  return (
    <>
      <Either
        label={choice.tokensBy}
        name="tokens-by"
        options={{ given: choice.given, rule: choice.rule, budget: choice.budget, time: choice.time }}
        value={goal}
        choose={(to) => set(...turned(to))}
        wide
      />
      {goal === "given" && <NumberField path={TOKENS} together={GOAL} />}
      {goal === "rule" && <ChoiceField path={RULE} options={strings.tokensRules} together={GOAL} wide />}
      {goal === "budget" && <NumberField path={BUDGET} together={GOAL} />}
      <NumberField path="training.sequence_length" wide={goal === "rule" || goal === "time"} />
      {(both || size !== "gpus") && <NumberField path={DEADLINE} together={SIZE} wide={alone} />}
      {(both || size !== "deadline") && <NumberField path={GPUS} together={SIZE} wide={alone} />}
      {goal !== "time" && (
        <Either
          label={choice.sizeBy}
          name="size-by"
          options={
            goal === "budget"
              ? { deadline: choice.deadline, gpus: choice.gpus, both: choice.both }
              : { deadline: choice.deadline, gpus: choice.gpus }
          }
          value={size}
          choose={(to) => set(...sized(to))}
          wide={goal === "budget"}
        />
      )}
    </>
  );
};

/** The fields of another way to say how many tokens: it starts from what the last plan worked out. */
const turned = (to: Goals): [string, Data][] => {
  const value: Record<Goals, [string, Data][]> = {
    given: [[TOKENS, plan.value?.training?.tokens || example(TOKENS)]],
    rule: [[RULE, example(RULE)]],
    budget: [[BUDGET, budget() ?? example(BUDGET)]],
    time: [],
  };
  const without = GOAL.map((path): [string, Data] => [path, null]);
  const size =
    to === "time" ? sized("both") : to !== "budget" && sizeOf() === "both" ? sized("deadline") : [];
  return [...without, ...value[to], ...size];
};

/** What the last plan's choice costs, in whole dollars. */
const budget = (): number | undefined => {
  const usd = chosen()?.cost?.total_usd;
  return usd === undefined ? undefined : Math.round(usd);
};

const sized = (to: Sizes): [string, Data][] => [
  [GPUS, to === "deadline" ? null : (get(GPUS) ?? chosen()?.gpus ?? example(GPUS))],
  [DEADLINE, to === "gpus" ? null : (get(DEADLINE) ?? example(DEADLINE))],
];

/** The batch of a step, in tokens or in sequences. */
const Batch = () => {
  const by = useHeld(get(SEQUENCES) === null ? "tokens" : "sequences", BATCH);
  return (
    <>
      <NumberField path={by === "sequences" ? SEQUENCES : IN_TOKENS} together={BATCH} />
      <Either
        label={choice.batchBy}
        name="batch-by"
        options={{ tokens: choice.tokens, sequences: choice.sequences }}
        value={by}
        choose={(to) =>
          to === "sequences"
            ? set([IN_TOKENS, null], [SEQUENCES, plan.value?.training?.global_batch ?? example(SEQUENCES)])
            : set([SEQUENCES, null], [IN_TOKENS, example(IN_TOKENS)])
        }
      />
    </>
  );
};
