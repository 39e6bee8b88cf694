// Taking results away: CSV exactly as a table is shown, the scenario as JSON, the same question as Python.
import { type Data, isFields, withoutNulls } from "./data";

export type Cell = string | number | boolean | null;

/** RFC 4180, raw numbers with a point. */
export const csv = (header: readonly string[], rows: readonly (readonly Cell[])[]): string =>
  [header, ...rows]
    .map((row) => row.map(csvCell).join(","))
    .join("\r\n")
    .concat("\r\n");

const csvCell = (cell: Cell): string => {
  if (cell === null) return "";
  const text = String(cell);
  if (typeof cell !== "string") return text;
  // A spreadsheet would run text that begins like a formula.
  const safe = /^[=+\-@\t\r]/.test(text) ? `'${text}` : text;
  return /[",\r\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
};

export const json = (scenario: Data): string => `${JSON.stringify(withoutNulls(scenario), null, 2)}\n`;

/** Paste into a notebook: the same question, the same numbers. */
export const python = (call: "plan" | "serving_point" | "simulate", asked: Data): string => {
  const given = literal(withoutNulls(asked), "");
  return `import rackrate\n\n${call} = rackrate.${call}(${call === "plan" ? given : `**${given}`})\n${call}\n`;
};

const literal = (data: Data, indent: string): string => {
  if (data === null) return "None";
  if (typeof data === "boolean") return data ? "True" : "False";
  // JSON's escapes are Python's too.
  if (typeof data !== "object") return JSON.stringify(data);
  const inner = `${indent}    `;
  const items = isFields(data)
    ? Object.entries(data).map(
        ([key, value]) => `${inner}${JSON.stringify(key)}: ${literal(value, inner)},\n`,
      )
    : data.map((value) => `${inner}${literal(value, inner)},\n`);
  const [open, close] = isFields(data) ? ["{", "}"] : ["[", "]"];
  return items.length === 0 ? `${open}${close}` : `${open}\n${items.join("")}${indent}${close}`;
};

export const save = (name: string, type: string, content: string): void => {
  const url = URL.createObjectURL(new Blob([content], { type }));
  const anchor = document.createElement("a");
  anchor.href = url;
  anchor.download = name;
  anchor.click();
  // The download has its own hold on the data by then.
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
};
