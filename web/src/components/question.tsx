// The question, as a form. Every change is a new question; there is no button to press.
import { useSignal } from "@preact/signals";
import type { ComponentChildren } from "preact";
import type { Data } from "../data";
import { example, get, plan, set } from "../state";
import { strings } from "../strings";
import { ChoiceField, Either, NamesField, NumberField, TextField } from "./field";
import { gpus, models } from "./known";
import { OwnData } from "./own-data";
import { Pricing } from "./pricing";
import { Storage } from "./storage";
import { TrainingQuestion } from "./training-question";

export const Question = () => (
  <form class="question" aria-label={strings.question} onSubmit={(event) => event.preventDefault()}>
    <Part name="training">
      <TrainingQuestion />
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

const RATE = "serving.traffic.requests_per_second";
const PEOPLE = ["monthly_active_users", "daily_active_share", "requests_per_active_user_day"].map(
  (name) => `serving.traffic.${name}`,
);

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
          <NamesField path="serving.shapes" wide />
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
