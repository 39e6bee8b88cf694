// Try one point: any layout, load and engine on the option's GPUs, beside what the plan found there.
import { useSignal, useSignalEffect } from "@preact/signals";
import type { Plan, ServingOption, ServingPoint, ServingPointRequest } from "../../../pkg/rackrate";
import type { Data } from "../../data";
import { Refused } from "../../engine";
import { python } from "../../export";
import { FormContext, faultyField } from "../../form";
import { point } from "../../state";
import { fill, strings } from "../../strings";
import { BenchAnswer } from "./bench-answer";
import { BenchFields } from "./bench-fields";
import { refused, refusedWith, useBenchForm } from "./bench-form";
import { Takes } from "./takes";

const words = strings.bench;

export const Bench = ({ plan, option }: { plan: Plan; option: ServingOption }) => {
  const form = useBenchForm(plan, option);
  const answer = useSignal<ServingPoint | undefined>(undefined);
  const current = useSignal(form);
  current.value = form;
  useSignalEffect(() => {
    const request = current.value.request();
    if (request === undefined) return;
    let left = false;
    void tried(request).then((found) => {
      if (left) return;
      if (found instanceof Refused) refused(found.refusal);
      else {
        refused(undefined);
        answer.value = found;
      }
    });
    return () => {
      left = true;
    };
  });
  const wrong = refusedWith.value;
  return (
    <FormContext.Provider value={form}>
      <p class="help">{fill(words.help, { shape: option.shape })}</p>
      <div class="bench">
        <form class="bench-ask" aria-label={words.question} onSubmit={(event) => event.preventDefault()}>
          <BenchFields plan={plan} answer={answer.value ?? option.point} form={form} />
        </form>
        <div class={wrong ? "bench-answer stale" : "bench-answer"} aria-live="polite">
          {wrong && faultyField(form) === undefined && <p class="wrong">{wrong.message}</p>}
          {answer.value && <BenchAnswer point={answer.value} beside={option.point} />}
          <Takes
            form={form}
            reset={words.reset}
            python={() => python("serving_point", form.request() as unknown as Data)}
          />
        </div>
      </div>
    </FormContext.Provider>
  );
};

/** The point with its operations, or why there is none. */
const tried = async (request: ServingPointRequest): Promise<ServingPoint | Refused> => {
  try {
    return await point({ ...request, explain: true });
  } catch (thrown) {
    if (thrown instanceof Refused) return thrown;
    throw thrown;
  }
};
