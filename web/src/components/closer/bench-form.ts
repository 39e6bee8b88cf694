// The bench's question: that of the option it began from, and what was changed of it since, which the link holds.
import { useMemo } from "preact/hooks";
import type { Plan, ServingOption, ServingPointRequest } from "../../../pkg/rackrate";
import type { Data } from "../../data";
import type { Refusal } from "../../protocol";
import { tried } from "../../state";
import { pointOf } from "../asked";
import { type AskedForm, askedForm, kept, refuse } from "./asked-form";

const here = kept("point", tried);

/** Core's refusal of the request, on the field that it is of. */
export const refused = (given: Refusal | undefined): void => refuse(here, given);
export const refusedWith = here.refusal;

export interface BenchForm extends AskedForm {
  /** What is asked now. */
  request: () => ServingPointRequest | undefined;
}

export const useBenchForm = (plan: Plan, option: ServingOption): BenchForm =>
  useMemo(() => {
    const form = askedForm(here, readable(pointOf(plan, option)) as unknown as Data);
    return {
      ...form,
      request: () => (form.asked() as unknown as ServingPointRequest | null) ?? undefined,
    };
  }, [plan, option]);

/** The rate to as many digits as a person would type. */
export const readable = (point: ServingPointRequest | undefined): ServingPointRequest | null =>
  point === undefined ? null : { ...point, request_rate: Number(point.request_rate?.toPrecision(6)) };
