// What the page and its worker say to each other.
import type { Calls } from "./worker";

export type Call = keyof Calls;

export interface Asked {
  id: number;
  call: Call;
  given: unknown[];
}

/** Why core refused, or `failed` where something broke. */
export interface Refusal {
  code: string;
  field: string;
  message: string;
  hint: string | null;
}

export type Answered = { id: number; answer: unknown } | { id: number; refusal: Refusal };
