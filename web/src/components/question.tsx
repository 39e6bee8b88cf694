// The question, as a form. Every change is a new question; there is no button to press.
import { useSignal } from "@preact/signals";
import type { ComponentChildren } from "preact";
import type { Data } from "../data";
import { example, get, set } from "../state";
import { strings } from "../strings";
import { ChoiceField, NumberField } from "./field";
import { OwnData } from "./own-data";
import { Pricing } from "./pricing";
import { ServingQuestion } from "./serving-question";
import { Storage } from "./storage";
import { TrainingQuestion } from "./training-question";

export const Question = () => (
  <form class="question" aria-label={strings.question} onSubmit={(event) => event.preventDefault()}>
    <Part name="training">
      <TrainingQuestion />
    </Part>
    <Part name="serving">
      <ServingQuestion />
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
