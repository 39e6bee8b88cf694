// The user's own tables: files become tables of the scenario's overlay, whose rows core reads and judges.
import type { Overlay } from "../pkg/rackrate";
import { type Data, type Fields, isFields } from "./data";
import { readJson } from "./json";
import { fill, strings } from "./strings";

export type TableName = keyof Overlay;
export const TABLES = Object.keys(strings.tables) as TableName[];
const isTable = (name: string): name is TableName => Object.hasOwn(strings.tables, name);

/** What a file lays over one table: CSV text, or rows. */
export interface Laid {
  table: TableName;
  content: Data;
}

/** A file, or why it holds nothing that could be laid. */
export type FromFile = { laid: Laid[] } | { problem: string };

/** A list of rows or CSV text lies over `table`; an object of tables says itself what each is for. */
export const fromFile = (name: string, text: string, table: TableName): FromFile => {
  if (text.trim() === "") return { problem: fill(strings.own.empty, { name }) };
  if (!/\.json$/i.test(name)) return { laid: [{ table, content: text }] };
  const read = readJson(text);
  if ("problem" in read) return { problem: fill(strings.own.notJson, { name, problem: read.problem }) };
  const { data } = read;
  if (Array.isArray(data)) return { laid: [{ table, content: data }] };
  if (!isFields(data) || Object.keys(data).length === 0) {
    return { problem: fill(strings.own.notTables, { name }) };
  }
  const other = Object.keys(data).find((key) => !isTable(key));
  if (other !== undefined) {
    const known = TABLES.join(", ");
    return { problem: fill(strings.own.noTable, { name, table: other, known }) };
  }
  const laid = Object.entries(data).flatMap(([key, content]) =>
    isTable(key) && content !== null ? [{ table: key, content }] : [],
  );
  return { laid };
};

/** The table that a file is for, by its name (`my-prices-2026.csv`); none where it says none. */
export const tableOf = (file: string): TableName | undefined => {
  const words = file.toLowerCase().split(/[^a-z]+/);
  return TABLES.find((table) => words.includes(table) || words.includes(table.replace(/s$/, "")));
};

/** One behind the other what lies over a table already and what comes: CSV texts and rows stand in one list. */
export const over = (before: Data, content: Data): Data => {
  if (before === null) return content;
  const list = (data: Data): Data[] => (Array.isArray(data) ? data : [data]);
  return [...list(before), ...list(content)];
};

/** A part of what lies over a table: one CSV text, or rows that follow each other. */
export interface Entry {
  table: TableName;
  /** Where core finds it: `overlay.prices`, or `overlay.prices[1]` where several lie on it. */
  path: string;
  content: Data;
  rows: number;
  /** Items of the table's list that it is: from, and up to; none where it is the whole. */
  span: [from: number, to: number] | undefined;
}

export const entries = (overlay: Data): Entry[] =>
  isFields(overlay)
    ? Object.entries(overlay).flatMap(([table, content]) => (isTable(table) ? parts(table, content) : []))
    : [];

const parts = (table: TableName, content: Data): Entry[] => {
  const path = `overlay.${table}`;
  if (content === null) return [];
  if (!Array.isArray(content)) return [{ table, path, content, rows: rowsOf(content), span: undefined }];
  const out: Entry[] = [];
  for (const [at, item] of content.entries()) {
    const last = out.at(-1);
    if (typeof item !== "string" && last?.span && Array.isArray(last.content)) {
      last.content.push(item);
      last.rows += 1;
      last.span[1] = at + 1;
    } else if (typeof item === "string") {
      out.push({ table, path: `${path}[${at}]`, content: item, rows: rowsOf(item), span: [at, at + 1] });
    } else out.push({ table, path, content: [item], rows: 1, span: [at, at + 1] });
  }
  return out;
};

/** The overlay without an entry; null where nothing is left. */
export const without = (overlay: Data, { table, span }: Entry): Data => {
  if (!isFields(overlay)) return overlay;
  const rest: Fields = {};
  for (const [key, content] of Object.entries(overlay)) {
    if (key !== table) rest[key] = content;
    else if (span !== undefined && Array.isArray(content)) {
      const left = content.filter((_, at) => at < span[0] || at >= span[1]);
      if (left.length > 0) rest[key] = left;
    }
  }
  return Object.keys(rest).length === 0 ? null : rest;
};

/** Rows of CSV text below its header; a line break within quotes ends none. */
const rowsOf = (content: Data): number => {
  if (typeof content !== "string") return 0;
  const records = content
    .replace(/"(?:[^"]|"")*"/g, "x")
    .split(/\r\n|\r|\n/)
    .filter((line) => line.trim() !== "");
  return Math.max(0, records.length - 1);
};

/** Where in a file a refusal points: its row, its column, or both. */
export interface Place {
  row: number | undefined;
  column: string | undefined;
}

/** The place within `entry` that core's path means; none where it means another, or nothing within. */
export const placeIn = ({ table, path, content, span }: Entry, field: string): Place | undefined => {
  const list = typeof content !== "string" && span !== undefined;
  const start = list ? `overlay.${table}` : path;
  if (!field.startsWith(start)) return undefined;
  const [, item, column] = /^(?:\[(\d+)\])?(?:\.(.+))?$/s.exec(field.slice(start.length)) ?? [];
  if (item === undefined && column === undefined) return undefined;
  const at = item === undefined ? undefined : Number(item);
  if (!list) return { row: at === undefined ? undefined : at + 1, column };
  const within = at !== undefined && at >= span[0] && at < span[1];
  return within ? { row: at - span[0] + 1, column } : undefined;
};

/** `row 3, column term` */
export const inWords = ({ row, column }: Place): string =>
  [
    row !== undefined && fill(strings.own.row, { row }),
    column !== undefined && fill(strings.own.column, { column }),
  ]
    .filter(Boolean)
    .join(", ");
