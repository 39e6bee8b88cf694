// The fields of the replay: where requests come from, how long they are, how many, and by which seed.
import { useSignal } from "@preact/signals";
import codeSample from "../../../../tests/measured/azure_llm_2023_code.csv?url";
import conversationSample from "../../../../tests/measured/azure_llm_2023_conv.csv?url";
import type { Change, Data } from "../../data";
import * as show from "../../format";
import { fill } from "../../strings";
import { replay as words } from "../../strings/replay";
import { EngineFields } from "../engine-fields";
import { ChoiceField, Either, Faulty, Group, NumberField } from "../field";
import { type ReplayForm, type Source, source, type Trace, trace } from "./replay-form";

const at = (name: string) => `replay.${name}`;
const SAMPLES = { code: codeSample, conversation: conversationSample };

interface FieldsProps {
  form: ReplayForm;
  /** Requests of the trace that core has read, if it has. */
  read: number | undefined;
}

export const ReplayFields = ({ form, read }: FieldsProps) => (
  <>
    <div class="source">
      <Either<Source>
        label={words.by}
        name="replay-source"
        options={words.sources}
        value={source.value}
        choose={(to) => {
          source.value = to;
        }}
        wide
      />
    </div>
    {source.value === "trace" && <TraceFields read={read} />}
    <div class="fields">
      <NumberField path={at("gpus")} />
      {form.get(at("disaggregated")) !== null && <NumberField path={at("disaggregated.prefill_gpus")} />}
      {source.value === "rate" || trace.value?.timeless ? (
        <NumberField path={at("request_rate")} />
      ) : (
        <NumberField path={at("trace_speed")} />
      )}
      <NumberField path={at("requests")} />
      <NumberField path={at("seed")} />
    </div>
    <button
      type="button"
      class="link"
      onClick={() => form.set([at("seed"), Number(form.get(at("seed")) ?? form.filled(at("seed")) ?? 0) + 1])}
    >
      {words.another}
    </button>
    <div class="groups">
      {source.value === "rate" && (
        <Group title={words.lengths} paths={[at("input"), at("output")]}>
          <div class="fields">
            <LengthFields form={form} of="input" />
            <LengthFields form={form} of="output" />
          </div>
        </Group>
      )}
      <EngineFields root="replay" />
    </div>
  </>
);

const LengthFields = ({ form, of }: { form: ReplayForm; of: "input" | "output" }) => {
  const path = (name: string) => at(`${of}.${name}`);
  const spreads = form.get(path("family")) !== "fixed";
  // Lengths that are all alike have no spread; those that are not need one.
  const also = (family: Data): Change[] => [
    [
      path("spread"),
      family === "fixed" ? null : (form.get(path("spread")) ?? form.original(path("spread")) ?? null),
    ],
  ];
  return (
    <>
      <NumberField path={path("mean_tokens")} wide />
      <ChoiceField path={path("family")} options={words.families} also={also} wide={!spreads} />
      {spreads && <NumberField path={path("spread")} />}
    </>
  );
};

/** A trace by file, by paste, or one of the samples. */
const TraceFields = ({ read }: { read: number | undefined }) => {
  const problem = useSignal("");
  const sample = async (name: keyof typeof SAMPLES) => {
    problem.value = "";
    try {
      const answer = await fetch(SAMPLES[name]);
      if (!answer.ok) throw new Error(answer.statusText);
      lay({ name: words.samples[name], text: await answer.text() });
    } catch {
      problem.value = words.notLoaded;
    }
  };
  return (
    <div class="field wide">
      <label class="drop">
        {words.drop}
        <input
          type="file"
          class="sr-only"
          accept=".csv,text/csv,text/plain"
          onChange={(event) => {
            const [file] = event.currentTarget.files ?? [];
            if (file) void layFile(file);
            event.currentTarget.value = "";
          }}
        />
      </label>
      <p class="help">{words.dropHelp}</p>
      <p class="samples">
        {words.tryOne}
        {(Object.keys(SAMPLES) as (keyof typeof SAMPLES)[]).map((name) => (
          <button key={name} type="button" class="link" onClick={() => void sample(name)}>
            {words.samples[name]}
          </button>
        ))}
      </p>
      {problem.value && (
        <p class="wrong" role="alert">
          {problem.value}
        </p>
      )}
      <Faulty path={at("trace_csv")} />
      {trace.value && (
        <p class="trace">
          <span>
            <strong>{trace.value.name}</strong>
            {read !== undefined && ` ${fill(words.rowsOf, { count: show.count(read) })}`}
          </span>
          <button
            type="button"
            class="link"
            onClick={() => {
              trace.value = undefined;
            }}
          >
            {words.remove}
            <span class="sr-only"> {trace.value.name}</span>
          </button>
        </p>
      )}
      <p class="help">{words.sampleCredit}</p>
    </div>
  );
};

/** Takes a trace: from then on it is what is asked about. */
export const lay = (given: Trace): void => {
  trace.value = given;
  source.value = "trace";
};

export const layFile = async (file: File): Promise<void> => lay({ name: file.name, text: await file.text() });
