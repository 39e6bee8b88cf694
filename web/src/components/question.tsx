// The question, as a form. Every change is a new question; there is no button to press.
import { useSignal } from "@preact/signals";
import type { ComponentChildren } from "preact";
import { type Data, isFields } from "../data";
import { catalog, example, get, plan, set } from "../state";
import { strings } from "../strings";
import { ChoiceField, Either, NumberField, TextField } from "./field";
import { OwnData } from "./own-data";
import { Pricing } from "./pricing";
import { Storage } from "./storage";

export const Question = () => (
  <form class="question" aria-label={strings.question} onSubmit={(event) => event.preventDefault()}>
    <Part name="training">
      <Training />
    </Part>
    <Part name="serving">
      <Serving />
    </Part>
    <section>
      <h2>{strings.parts.pricing}</h2>
      <Pricing />
    </section>
    <section>
      <h2>{strings.parts.storage}</h2>
      <Storage />
    </section>
    <section>
      <h2>{strings.parts.transfer}</h2>
      <Transfer />
    </section>
    <OwnData />
  </form>
);

/** A part that a scenario may do without; switched off and on again, it comes back as it was. */
const Part = ({ name, children }: { name: "training" | "serving"; children: ComponentChildren }) => {
  const kept = useSignal<Data>(null);
  const held = get(name);
  const toggle = () => {
    if (held === null) return set([name, kept.value ?? example(name)]);
    kept.value = held;
    set([name, null]);
  };
  return (
    <section>
      <h2>
        {strings.parts[name]}
        <label class="switch">
          <input type="checkbox" checked={held !== null} onChange={toggle} />
          <span class="sr-only">
            {strings.parts.include} {strings.parts[name]}
          </span>
        </label>
      </h2>
      {held !== null && children}
    </section>
  );
};

const models = () => catalog.value?.models.map((model) => model.architecture.name) ?? [];
const gpus = () => catalog.value?.gpus.map((gpu) => gpu.name) ?? [];

/** Two fields of which a scenario has one: changing over takes the value that the last plan worked out, if it did. */
const swap = (to: string, from: string, value: Data) => set([from, null], [to, value]);

/** Of each of these a scenario has one. */
const BATCH = ["training.global_batch", "training.global_batch_tokens"];
const SIZE = ["training.gpus", "training.deadline_days"];
const RATE = "serving.traffic.requests_per_second";
const PEOPLE = ["monthly_active_users", "daily_active_share", "requests_per_active_user_day"].map(
  (name) => `serving.traffic.${name}`,
);

const Training = () => {
  const answer = plan.value?.training;
  const option = answer?.options.find((one) => one.shape === answer.chosen) ?? answer?.options[0];
  const byGpus = get("training.gpus") !== null;
  const inSequences = get("training.global_batch") !== null;
  const layout = isFields(get("training.layout"));
  return (
    <>
      <div class="fields">
        <TextField path="training.model" known={models()} wide />
        <NumberField path="training.tokens" />
        <NumberField path="training.sequence_length" />
        <NumberField
          path={inSequences ? "training.global_batch" : "training.global_batch_tokens"}
          together={BATCH}
        />
        <Either
          label={strings.choice.batchBy}
          name="batch-by"
          options={{ tokens: strings.choice.tokens, sequences: strings.choice.sequences }}
          value={inSequences ? "sequences" : "tokens"}
          choose={(by) =>
            by === "sequences"
              ? swap(
                  "training.global_batch",
                  "training.global_batch_tokens",
                  answer?.global_batch ?? example("training.global_batch"),
                )
              : swap(
                  "training.global_batch_tokens",
                  "training.global_batch",
                  example("training.global_batch_tokens"),
                )
          }
        />
        <NumberField path={byGpus ? "training.gpus" : "training.deadline_days"} together={SIZE} />
        <Either
          label={strings.choice.sizeBy}
          name="size-by"
          options={{ deadline: strings.choice.deadline, gpus: strings.choice.gpus }}
          value={byGpus ? "gpus" : "deadline"}
          choose={(by) =>
            by === "gpus"
              ? swap("training.gpus", "training.deadline_days", option?.gpus ?? example("training.gpus"))
              : swap("training.deadline_days", "training.gpus", example("training.deadline_days"))
          }
        />
        <ChoiceField path="training.precision" options={strings.precisions} />
        <ChoiceField path="training.cloud" options={strings.clouds} open={strings.choice.cheapest} />
      </div>
      <details>
        <summary>{strings.parts.more}</summary>
        <div class="fields">
          <ChoiceField path="training.task" options={strings.tasks} />
          <NumberField path="training.usd_per_gpu_hour" />
          <TextField path="training.gpu" known={gpus()} wide />
          <NumberField path="training.reliability.gpu_hours_per_interruption" />
          <NumberField path="training.reliability.restart_seconds" />
          <NumberField path="training.reliability.checkpoint_gb_per_s_per_node" />
          <NumberField path="training.reliability.checkpoint_gb_per_s_total" />
          <NumberField path="training.reliability.checkpoints_kept" />
          <NumberField path="training.reliability.spare_share" scale="percent" />
          <NumberField path="training.dataset_tb" wide />
          <Either
            label={strings.choice.layout}
            name="layout-by"
            options={{ searched: strings.choice.searched, fixed: strings.choice.fixed }}
            value={layout ? "fixed" : "searched"}
            choose={(by) => set(["training.layout", by === "fixed" ? found() : null])}
          />
        </div>
        {layout && (
          <div class="fields">
            {["tp", "pp", "vp", "cp", "ep", "dp", "micro_batch", "global_batch", "zero"].map((name) => (
              <NumberField key={name} path={`training.layout.${name}`} />
            ))}
            <ChoiceField path="training.layout.recompute" options={strings.recomputes} />
            <ChoiceField path="training.layout.schedule" options={strings.schedules} wide />
          </div>
        )}
      </details>
    </>
  );
};

/** The layout that the last plan found, to start from. */
const found = (): Data => {
  const answer = plan.value?.training;
  const option = answer?.options.find((one) => one.shape === answer.chosen) ?? answer?.options[0];
  return (option?.step.layout as unknown as Data) ?? example("training.layout");
};

const Serving = () => {
  const answer = plan.value?.serving;
  const byRate = get(RATE) !== null;
  const toRate = () => set([RATE, answer?.mean_requests_per_second ?? example(RATE)], ...none(PEOPLE));
  const toUsers = () => set([RATE, null], ...PEOPLE.map((path): [string, Data] => [path, example(path)]));
  return (
    <>
      <div class="fields">
        <TextField path="serving.model" known={models()} wide />
        <Either
          label={strings.choice.trafficBy}
          name="traffic-by"
          options={{ users: strings.choice.users, requests: strings.choice.requests }}
          value={byRate ? "requests" : "users"}
          choose={(by) => (by === "requests" ? toRate() : toUsers())}
        />
        {byRate ? (
          <NumberField path={RATE} together={PEOPLE} />
        ) : (
          PEOPLE.map((path) => (
            <NumberField
              key={path}
              path={path}
              together={[RATE, ...PEOPLE]}
              {...(path.endsWith("share") ? { scale: "percent" as const } : {})}
            />
          ))
        )}
        <NumberField path="serving.traffic.peak_to_mean" />
        <NumberField path="serving.input_tokens" />
        <NumberField path="serving.output_tokens" />
        <NumberField path="serving.slo.ttft_p95_seconds" scale="ms" />
        <NumberField path="serving.slo.tpot_p95_seconds" scale="ms" />
        <ChoiceField path="serving.precision" options={strings.precisions} />
        <ChoiceField path="serving.cloud" options={strings.clouds} open={strings.choice.cheapest} />
      </div>
      <details>
        <summary>{strings.parts.more}</summary>
        <div class="fields">
          <NumberField path="serving.spare_share" scale="percent" />
          <NumberField path="serving.months" />
          <ChoiceField
            path="serving.kv_precision"
            options={strings.precisions}
            open={strings.choice.likeMatmul}
            wide
          />
          <NumberField path="serving.usd_per_gpu_hour" wide />
          <TextField path="serving.gpu" known={gpus()} wide />
        </div>
      </details>
    </>
  );
};

const none = (paths: readonly string[]): [string, Data][] => paths.map((path) => [path, null]);

const CIRCUIT = ["transfer.circuit_usd_per_month", "transfer.gateway_usd_per_hour"];

const Transfer = () => {
  // The internet has neither circuit nor gateway; a price that a link brought stays visible, so that it can be put right.
  const circuit = CIRCUIT.filter((path) => get("transfer.path") === "interconnect" || get(path) !== null);
  return (
    <div class="fields">
      <ChoiceField path="transfer.path" options={strings.paths} wide />
      <NumberField path="transfer.weight_releases" />
      <NumberField path="transfer.checkpoints" />
      <NumberField path="transfer.gbit_per_s" />
      <NumberField path="transfer.data_usd_per_gb" />
      {circuit.map((path) => (
        <NumberField key={path} path={path} />
      ))}
    </div>
  );
};
