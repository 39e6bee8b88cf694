// The parts of a step or of an iteration, each opening to its operations: seconds that add up to the whole.
import { useSignal } from "@preact/signals";
import type {
  Bound,
  IterationParts,
  Plan,
  ServingIteration,
  ServingOperation,
  ServingOption,
  ServingPart,
  ServingPoint,
  StepOperation,
  StepPart,
  TrainingOption,
} from "../../../pkg/rackrate";
import * as show from "../../format";
import { point, step } from "../../state";
import { fill, strings } from "../../strings";
import { pointOf, stepOf } from "../asked";
import { useAsked } from "../asking";
import { Either } from "../field";
import { type Column, Table } from "../table";
import { ownNetwork } from "./layouts";

const { columns, detail } = strings;
const words = strings.operations;

/** A part, or an operation of it: for a part what core tells of parts, its seconds. */
interface Row {
  key: string;
  name: string;
  part: string;
  seconds: number;
  share: number;
  /** None of a part. */
  of?: StepOperation | ServingOperation;
  under: readonly Row[];
}

/** Parts by their seconds, each with its operations by theirs. */
const rowsOf = (
  names: Readonly<Record<string, string>>,
  seconds: (part: string) => number,
  total: number,
  operations: readonly (StepOperation | ServingOperation)[],
): Row[] =>
  Object.keys(names)
    .map((part): Row => {
      const label = names[part] ?? part;
      const under = operations
        .filter((one) => one.part === part)
        .map((of, i) => ({
          key: `${part} ${i}`,
          name: of.name,
          part: label,
          seconds: of.seconds,
          share: of.seconds / total,
          of,
          under: [],
        }));
      return {
        key: part,
        name: label,
        part: label,
        seconds: seconds(part),
        share: seconds(part) / total,
        under: under.sort(bySeconds),
      };
    })
    .filter((row) => row.seconds > 0 || row.under.length > 0)
    .sort(bySeconds);

const bySeconds = (a: Row, b: Row) => b.seconds - a.seconds;

const number = (
  key: keyof (StepOperation | ServingOperation),
  label: string,
  write: (value: number) => string,
): Column<Row> => ({
  key,
  label,
  numeric: true,
  value: (row) => (row.of?.[key] as number | undefined) ?? null,
  // Nothing of something is left blank: a column is read for what is in it.
  show: ({ of }) => {
    const value = of?.[key] as number | undefined;
    return value ? write(value) : "";
  },
});

const NAME: Column<Row> = { key: "operation", label: words.operation, names: true, value: (row) => row.name };
const PART: Column<Row> = { key: "part", label: columns.part, exported: true, value: (row) => row.part };

const TIME: Column<Row>[] = [
  {
    key: "seconds",
    label: columns.time,
    numeric: true,
    value: (row) => row.seconds,
    show: (row) => show.seconds(row.seconds),
  },
  {
    key: "share",
    label: words.share,
    numeric: true,
    value: (row) => row.share,
    show: (row) => (
      <span class="share">
        <span class="meter" aria-hidden="true">
          <span style={{ inlineSize: `${row.share * 100}%` }} />
        </span>
        <span>{show.percent(row.share)}</span>
      </span>
    ),
  },
];

const BOUND: Column<Row> = {
  key: "bound",
  label: columns.bound,
  value: (row) => row.of?.bound ?? null,
  show: (row) => (row.of ? strings.boundNames[row.of.bound satisfies Bound] : ""),
};

const WORK: Column<Row>[] = [
  number("flop", words.flop, show.flop),
  number("flop_share", words.flopShare, show.percent),
  number("memory_bytes", words.memoryBytes, show.bytes),
  number("bandwidth_share", words.bandwidthShare, show.percent),
  number("count", words.count, show.few),
];
const SENT: Column<Row>[] = [
  number("scale_up_bytes", columns.scaleUp, show.bytes),
  number("fabric_bytes", columns.intoFabric, show.bytes),
];

/** Only training runs operations beside others, and in passes. */
const OF_A_STEP: Column<Row>[] = [
  {
    key: "phase",
    label: words.phase,
    value: ({ of }) => (of && "phase" in of ? of.phase : null),
    show: ({ of }) => (of && "phase" in of ? strings.stepPhases[of.phase] : ""),
  },
  {
    key: "stack",
    label: words.stack,
    value: ({ of }) => (of && "stack" in of ? of.stack : null),
    show: ({ of }) => (of && "stack" in of ? strings.stepStacks[of.stack] : ""),
  },
];
const HIDDEN: Column<Row> = {
  key: "hidden_seconds",
  label: words.hidden,
  numeric: true,
  value: ({ of }) => (of && "hidden_seconds" in of ? of.hidden_seconds : null),
  show: ({ of }) =>
    of && "hidden_seconds" in of && of.hidden_seconds > 0 ? show.seconds(of.hidden_seconds) : "",
};

interface OperationsProps {
  name: string;
  caption: string;
  total: number;
  columns: readonly Column<Row>[];
  rows: readonly Row[];
}

const Operations = ({ name, caption, total, columns, rows }: OperationsProps) => (
  <div class="many">
    <Table
      name={name}
      caption={caption}
      aside={fill(strings.inAll, { total: show.seconds(total) })}
      columns={columns}
      rows={rows}
      rowKey={(row) => row.key}
      under={(row) => row.under}
    />
  </div>
);

export const StepOperations = ({ plan, option }: { plan: Plan; option: TrainingOption }) => {
  const found = useAsked(() => {
    const request = stepOf(plan, option);
    return request && step({ ...request, explain: true });
  }, [plan, option]);
  if (found === undefined) return <p class="help">{detail.searching}</p>;
  if ("refusal" in found)
    return <p class="help">{fill(detail.askedInVain, { message: found.refusal.message })}</p>;
  const { step_seconds, parts, operations } = found.answer;
  const seconds = (part: string) => parts[`${part as StepPart}_seconds`];
  return (
    <div class="topic">
      <p class="help">
        {words.step}
        {ownNetwork() && ` ${detail.ownNetwork}`}
      </p>
      <Operations
        name="training-operations"
        caption={words.stepCaption}
        total={step_seconds}
        columns={[NAME, PART, ...TIME, BOUND, ...WORK, ...OF_A_STEP, HIDDEN, ...SENT]}
        rows={rowsOf(bare(strings.stepParts), seconds, step_seconds, operations)}
      />
    </div>
  );
};

/** Parts by their names without the unit, as operations name them. */
const bare = (labels: Readonly<Record<string, string>>): Record<string, string> =>
  Object.fromEntries(Object.entries(labels).map(([key, label]) => [key.replace(/_seconds$/, ""), label]));

/** Those of a point that the plan holds: asked for when it is opened. */
export const PointOperations = ({ plan, option }: { plan: Plan; option: ServingOption }) => {
  const found = useAsked(() => {
    const request = pointOf(plan, option);
    return request && point({ ...request, explain: true });
  }, [plan, option]);
  if (found === undefined) return <p class="help">{detail.searching}</p>;
  if ("refusal" in found)
    return <p class="help">{fill(detail.askedInVain, { message: found.refusal.message })}</p>;
  return <OperationsOf point={found.answer} name="serving" />;
};

/** Those of a point's two iterations. */
export const OperationsOf = ({
  point: of,
  name,
}: {
  point: ServingPoint;
  name: keyof typeof words.captions;
}) => {
  const chosen = useSignal<ServingIteration>("decode");
  const parts: IterationParts = of[chosen.value];
  const seconds = (part: string) => parts[`${part as ServingPart}_seconds`];
  const operations = of.operations.filter((one) => one.iteration === chosen.value);
  return (
    <div class="topic">
      <Either
        label={words.of}
        name={`${name}-operations-of`}
        options={{ decode: detail.decode, prefill: detail.prefill }}
        value={chosen.value}
        choose={(to) => (chosen.value = to)}
      />
      <Operations
        key={chosen.value}
        name={`${name}-operations-${chosen.value}`}
        caption={words.captions[name][chosen.value]}
        total={parts.total_seconds}
        columns={[NAME, PART, ...TIME, BOUND, ...WORK, ...SENT]}
        rows={rowsOf(bare(strings.iterationParts), seconds, parts.total_seconds, operations)}
      />
    </div>
  );
};
