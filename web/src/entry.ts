// What a person typed, as data for core. Core reads `15.6T` itself; here only the decimal comma becomes a point.
import type { Data } from "./data";
import { typed } from "./format";

const WITH_MULTIPLE = /^[+-]?(\d+\.?\d*|\.\d+)[a-z]$/i;
const PLAIN = /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i;

/** One in each of these units is so many of the field's own: milliseconds in a field of seconds, percent in a share. */
export type Scale = "ms" | "percent" | undefined;
const FACTOR = { ms: 1000, percent: 100 } as const;

/** The data for typed text: null when empty, a number when it is one, else the text for core to read or refuse. */
export const parse = (given: string, scale?: Scale): Data => {
  const text = point(given.trim().replace(/[\s\u00a0\u202f]/g, ""));
  if (text === "") return null;
  const bare =
    scale === "percent" ? text.replace(/%$/, "") : scale === "ms" ? text.replace(/ms$/i, "") : text;
  if (!PLAIN.test(bare)) return WITH_MULTIPLE.test(text) ? text : given.trim();
  const value = Number(bare);
  return scale === undefined ? value : value / FACTOR[scale];
};

/** The text for a field that holds `data`. */
export const show = (data: Data, scale?: Scale): string => {
  if (data === null) return "";
  if (typeof data !== "number") return typeof data === "string" ? data : JSON.stringify(data);
  // Twelve digits hide what scaling adds: 0.07 × 100 is 7.000000000000001.
  return scale === undefined ? typed(data) : String(Number((data * FACTOR[scale]).toPrecision(12)));
};

/** `15,6T` and `1.234,5` with points; `1,234,567` without its commas. */
const point = (text: string): string => {
  const commas = text.split(",").length - 1;
  if (commas === 0) return text;
  const thousands = /^[+-]?\d{1,3}(,\d{3})+(\.\d*)?[a-z%]*$/i.test(text);
  if (thousands) return text.replaceAll(",", "");
  if (commas === 1) return text.replaceAll(".", "").replace(",", ".");
  return text;
};
