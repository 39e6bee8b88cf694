// The user's own tables: laid by file, listed, taken off again; core's refusal stands at the file that it is about.
import { signal, useSignal } from "@preact/signals";
import type { Data } from "../data";
import { save } from "../export";
import * as show from "../format";
import { LONGEST_LINK } from "../link";
import {
  type Entry,
  entries,
  fromFile,
  inWords,
  over,
  placeIn,
  TABLES,
  type TableName,
  tableOf,
  without,
} from "../own-data";
import { get, linkIsWhole, overlay, set, template } from "../state";
import { counted, fill, strings } from "../strings";
import { Faulty } from "./field";

const words = strings.own;
const PATH = "overlay";

/** Names of the files that were laid in this visit, by the rows they hold: a scenario keeps rows, not names. */
const names = signal<ReadonlyMap<string, string>>(new Map());
const keys = (content: Data): string[] =>
  (Array.isArray(content) ? content : [content]).map((item) => JSON.stringify(item));
const nameOf = ({ content }: Entry): string =>
  [...new Set(keys(content).map((key) => names.value.get(key) ?? words.fromScenario))].join(", ");

export const OwnData = () => {
  const table = useSignal<TableName>("prices");
  const hovered = useSignal(false);
  const problem = useSignal("");
  const laid = entries(overlay.value);
  const take = async (files: Iterable<File>) => {
    problem.value = (await layAll(files, table)).join(" ");
  };
  return (
    <section
      class={hovered.value ? "own over" : "own"}
      aria-labelledby="own-data"
      onDragOver={(event) => {
        event.preventDefault();
        hovered.value = true;
      }}
      onDragLeave={() => {
        hovered.value = false;
      }}
      onDrop={(event) => {
        event.preventDefault();
        hovered.value = false;
        void take(event.dataTransfer?.files ?? []);
      }}
    >
      <h2 id="own-data">
        {words.title} {laid.length > 0 && <span class="count">{laid.length}</span>}
      </h2>
      <p class="help">{words.help}</p>
      <div class="lay">
        <label for="own-table">{words.table}</label>
        <select
          id="own-table"
          value={table.value}
          onChange={(event) => {
            table.value = event.currentTarget.value as TableName;
          }}
        >
          {TABLES.map((name) => (
            <option key={name} value={name}>
              {strings.tables[name]}
            </option>
          ))}
        </select>
        <button type="button" class="link" onClick={() => takeTemplate(table.value)}>
          {words.template}
          <span class="sr-only">: {strings.tables[table.value]}</span>
        </button>
      </div>
      <label class="drop">
        {words.choose}
        <input
          type="file"
          class="sr-only"
          accept=".csv,.json,text/csv,application/json"
          multiple
          onChange={(event) => {
            const { files } = event.currentTarget;
            void take([...(files ?? [])]);
            event.currentTarget.value = "";
          }}
        />
      </label>
      {problem.value && (
        <p class="wrong" role="alert">
          {problem.value}
        </p>
      )}
      <Faulty path={PATH} />
      {laid.length > 0 && (
        <>
          <ul class="laid" aria-label={words.laid}>
            {laid.map((entry) => (
              <One key={`${entry.path} ${entry.span}`} entry={entry} />
            ))}
          </ul>
          <p class={linkIsWhole.value ? "help" : "wrong"}>
            {linkIsWhole.value ? words.inLink : fill(words.notInLink, { most: show.count(LONGEST_LINK) })}
          </p>
        </>
      )}
    </section>
  );
};

const One = ({ entry }: { entry: Entry }) => {
  const { table, rows, path } = entry;
  const name = nameOf(entry);
  const where = (field: string): string | undefined => {
    const place = placeIn(entry, field);
    // Of rows, which share their path with other rows, only those that are meant; of a whole table, all of it.
    return place === undefined ? (field === path ? "" : undefined) : inWords(place);
  };
  return (
    <li>
      <span class="what">
        <strong>{strings.tables[table]}</strong> {counted(words.rows, rows, show.count(rows))}
        <span class="help">{name}</span>
      </span>
      <button type="button" class="link" onClick={() => set([PATH, without(get(PATH), entry)])}>
        <span aria-hidden="true">{words.remove}</span>
        <span class="sr-only">{fill(words.removeOne, { name, table: strings.tables[table] })}</span>
      </button>
      <Faulty path={path} lead={where} />
    </li>
  );
};

/** Lays every file, and says which could not be. */
const layAll = async (files: Iterable<File>, table: { value: TableName }): Promise<string[]> => {
  const problems: string[] = [];
  for (const file of files) {
    const meant = tableOf(file.name) ?? table.value;
    const found = fromFile(file.name, await file.text(), meant);
    if ("problem" in found) {
      problems.push(found.problem);
      continue;
    }
    table.value = meant;
    let next: Data = overlay.value;
    for (const { table: name, content } of found.laid) {
      const named = keys(content).map((key): [string, string] => [key, file.name]);
      names.value = new Map([...names.value, ...named]);
      const fields = next === null ? {} : (next as { [table: string]: Data });
      next = { ...fields, [name]: over(fields[name] ?? null, content) };
    }
    set([PATH, next]);
  }
  return problems;
};

const takeTemplate = async (table: TableName): Promise<void> =>
  save(`${table}.csv`, "text/csv;charset=utf-8", await template(table));
