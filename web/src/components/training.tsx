// Ways to train, ranked; one of them in detail.
import { useSignal } from "@preact/signals";
import type { DimensionTraffic, Plan, Term, TrainingOption, TrainingPlan } from "../../pkg/rackrate";
import { charts } from "../charts/lazy";
import { short } from "../currency";
import * as show from "../format";
import { fill, strings } from "../strings";
import { chosenTraining } from "./headline";
import { CostLines, endOf, inUsd, moneyColumn, Terms, totalOf } from "./money";
import { costParts, stepParts, trainingMemory } from "./parts";
import { Refused } from "./refused";
import { Cloud, Facts } from "./rich";
import { Stored } from "./stored";
import { type Column, Table } from "./table";
import { Warnings } from "./warnings";

const columns = strings.columns;
const words = strings.training;
const detail = strings.detail;

export const Training = ({ plan, training }: { plan: Plan; training: TrainingPlan }) => {
  const picked = useSignal<string | undefined>(undefined);
  const { options } = training;
  const current = options.find((option) => option.shape === picked.value) ?? chosenTraining(plan);
  const term = plan.scenario.pricing?.term ?? "payg";
  const priced = options.filter((option) => option.cost !== null);
  const bars = options.map((option) => ({
    key: option.shape,
    label: titleOf(option),
    end: show.seconds(option.step.step_seconds),
    parts: stepParts(option.step.parts),
    current: option === current,
    dim: !option.meets_deadline,
  }));
  return (
    <section class="card" aria-labelledby="ways-to-train">
      <h2 id="ways-to-train">{words.title}</h2>
      <p class="facts-line">
        {fill(words.facts, {
          steps: show.count(training.steps),
          batch: show.count(training.global_batch),
          flop: show.flop(training.model_flop),
        })}
      </p>
      {options.length > 0 && (
        <Table
          name="training"
          caption={words.caption}
          captioned={false}
          columns={table(
            term,
            (shape) => {
              picked.value = shape;
            },
            current?.shape,
            options.some((option) => !option.meets_deadline),
          )}
          rows={options}
          rowKey={(row) => `${row.provider} ${row.shape}`}
          current={(row) => row === current}
          rowClass={(row) => (row.meets_deadline ? "" : "dim")}
        />
      )}
      {charts.value && options.length > 0 && (
        <div class="pair">
          {priced.length > 0 && (
            <charts.value.Bars
              name="training-cost"
              title={inUsd(words.chartCost)}
              bars={priced.map((option) => ({
                key: option.shape,
                label: titleOf(option),
                end: endOf(option.cost),
                parts: option.cost ? costParts(option.cost, option.provider) : [],
                current: option === current,
                dim: !option.meets_deadline,
              }))}
              write={show.usdShort}
              tick={show.usdBriefly}
              unit={{ key: "usd", label: columns.usd }}
            />
          )}
          <charts.value.Bars
            name="training-step"
            title={words.chartStep}
            bars={bars}
            write={show.seconds}
            tick={show.secondsBriefly}
            unit={{ key: "seconds", label: columns.seconds }}
            legend
          />
        </div>
      )}
      {current && <Detail option={current} />}
      <Refused
        name="training-refused"
        caption={words.refused}
        refused={training.refused}
        open={options.length === 0}
      />
    </section>
  );
};

const titleOf = (option: TrainingOption) =>
  `${option.provider ? `${strings.clouds[option.provider]} ` : ""}${option.shape}`;

const table = (
  term: Term,
  pick: (shape: string) => void,
  current: string | undefined,
  late: boolean,
): Column<TrainingOption>[] => {
  const price = (row: TrainingOption) => row.terms.find((one) => one.term === term)?.usd_per_gpu_hour ?? null;
  return [
    {
      key: "shape",
      label: columns.shape,
      names: true,
      value: (row) => row.shape,
      show: (row) => (
        <button
          type="button"
          class="pick"
          aria-pressed={row.shape === current}
          onClick={() => pick(row.shape)}
        >
          {row.shape}
        </button>
      ),
    },
    {
      key: "cloud",
      label: columns.cloud,
      value: (row) => row.provider,
      show: (row) => <Cloud of={row.provider} />,
    },
    moneyColumn(
      "cost",
      columns.cost,
      (row) => totalOf(row.cost),
      (of) => <strong>{short(of)}</strong>,
    ),
    {
      key: "days",
      label: columns.days,
      numeric: true,
      value: (row) => row.days,
      show: (row) => (
        <>
          {show.days(row.days)}
          <span class="detail">{show.range(row.days_interval.low, row.days_interval.high, show.days)}</span>
        </>
      ),
    },
    {
      key: "gpus",
      label: columns.gpus,
      numeric: true,
      value: (row) => row.gpus,
      show: (row) => show.count(row.gpus),
    },
    { key: "gpu", label: columns.gpu, value: (row) => row.step.gpu },
    {
      key: "usd_per_gpu_hour",
      label: columns.perGpuHour,
      numeric: true,
      value: price,
      show: (row) => show.usd(price(row)),
    },
    {
      key: "mfu",
      label: columns.mfu,
      numeric: true,
      value: (row) => row.step.mfu,
      show: (row) => show.percent(row.step.mfu),
    },
    {
      key: "exposed_share",
      label: columns.exposed,
      numeric: true,
      value: (row) => row.step.exposed_share,
      show: (row) => show.percent(row.step.exposed_share),
    },
    ...(late ? [DEADLINE] : []),
  ];
};

/** Of interest only where some option misses it. */
const DEADLINE: Column<TrainingOption> = {
  key: "meets_deadline",
  label: columns.deadline,
  value: (row) => row.meets_deadline,
  show: (row) => (row.meets_deadline ? columns.keeps : columns.misses),
};

const Detail = ({ option }: { option: TrainingOption }) => {
  const { step, losses } = option;
  const { layout } = step;
  return (
    <section class="detail-of" aria-labelledby="training-detail">
      <h3 id="training-detail">
        {option.provider && <Cloud of={option.provider} />} {fill(words.detail, { shape: option.shape })}
      </h3>
      <div class="pair">
        <div>
          <h4>{detail.step}</h4>
          <Facts
            of={[
              [columns.gpus, `${show.count(option.gpus)} ${step.gpu}`],
              [columns.nodes, show.count(option.nodes)],
              [columns.spareNodes, show.count(option.spare_nodes)],
              [detail.layout, cut(layout)],
              [detail.stepTime, show.seconds(step.step_seconds)],
              [detail.tokensPerSecond, show.compact(step.tokens_per_second)],
              [detail.tflops, show.digits(step.model_tflops_per_gpu)],
              [detail.mfu, show.percent(step.mfu)],
              [detail.hfu, show.percent(step.hfu)],
              [detail.boundBy, step.bound_by],
            ]}
          />
        </div>
        <div>
          <h4>{detail.clock}</h4>
          <Facts
            of={[
              [detail.goodput, show.percent(option.goodput)],
              [detail.gpuHours, show.compact(option.gpu_hours)],
              [
                detail.checkpoint,
                fill(detail.checkpointEvery, {
                  size: show.bytes(losses.checkpoint_gb * 1e9),
                  time: show.seconds(losses.checkpoint_seconds),
                  interval: show.seconds(losses.checkpoint_interval_seconds),
                }),
              ],
              [
                detail.interruptions,
                fill(detail.everyHours, {
                  time: show.seconds(losses.mean_hours_between_interruptions * 3600),
                }),
              ],
              [detail.lostCheckpoint, show.percent(losses.checkpoint_share)],
              [detail.lostRework, show.percent(losses.rework_share)],
              [detail.lostRestart, show.percent(losses.restart_share)],
            ]}
          />
        </div>
      </div>
      {charts.value && (
        <charts.value.Bars
          name="training-memory"
          title={detail.memory}
          bars={[
            {
              key: "memory",
              label: step.gpu,
              end: fill(detail.memoryOf, {
                used: show.digits(step.memory.total_gib),
                available: show.digits(step.memory.available_gib),
              }),
              parts: trainingMemory(step.memory),
              limit: step.memory.available_gib,
            },
          ]}
          write={show.digits}
          tick={show.few}
          unit={{ key: "gib", label: columns.gib }}
          legend
        />
      )}
      {option.storage.length > 0 && <Stored stored={option.storage} losses={losses} />}
      <div class="topic">
        <h4>{detail.interconnect}</h4>
        <Facts
          across
          of={[
            [detail.scaleUpBytes, show.bytes(step.scale_up_bytes)],
            [detail.fabricBytes, show.bytes(step.fabric_bytes)],
            [detail.exposed, show.percent(step.exposed_share)],
          ]}
        />
        {step.traffic.length > 0 ? (
          <Table
            name="training-interconnect"
            caption={detail.interconnectCaption}
            columns={TRAFFIC}
            rows={step.traffic}
            rowKey={(row) => row.dimension}
          />
        ) : (
          <p>{detail.noTraffic}</p>
        )}
      </div>
      {option.cost && (
        <CostLines
          name="training-cost-lines"
          caption={fill(detail.costTraining, { shape: option.shape })}
          lines={option.cost.lines}
          total={totalOf(option.cost)}
        />
      )}
      {option.terms.length > 1 && (
        <details>
          <summary>{detail.terms}</summary>
          <Terms name="training-terms" caption={detail.termsTraining} costs={option.terms} />
        </details>
      )}
      <Warnings of={option.warnings} />
    </section>
  );
};

/** A layout in a line, leaving out what is not cut. */
const cut = (layout: TrainingOption["step"]["layout"]): string =>
  [
    ...(["tp", "pp", "vp", "cp", "ep", "dp"] as const)
      .filter((name) => (layout[name] ?? 1) > 1)
      .map((name) => `${name} ${show.count(layout[name])}`),
    fill(detail.microBatch, { size: show.count(layout.micro_batch) }),
    fill(detail.zero, { stage: show.count(layout.zero) }),
    fill(detail.recompute, { kind: strings.recomputes[layout.recompute ?? "none"].toLowerCase() }),
  ].join(", ");

const TRAFFIC: Column<DimensionTraffic>[] = [
  {
    key: "dimension",
    label: columns.dimension,
    names: true,
    value: (row) => row.dimension,
    show: (row) => strings.dimensions[row.dimension],
  },
  { key: "op", label: columns.collective, value: (row) => row.op, show: (row) => strings.ops[row.op] },
  {
    key: "algorithm",
    label: columns.algorithm,
    value: (row) => row.algorithm,
    show: (row) => strings.algorithms[row.algorithm],
  },
  {
    key: "ranks",
    label: columns.ranks,
    numeric: true,
    value: (row) => row.ranks,
    show: (row) => show.count(row.ranks),
  },
  {
    key: "message_bytes",
    label: columns.message,
    numeric: true,
    value: (row) => row.message_bytes,
    show: (row) => show.bytes(row.message_bytes),
  },
  {
    key: "messages",
    label: columns.messages,
    numeric: true,
    value: (row) => row.messages,
    show: (row) => show.count(row.messages),
  },
  {
    key: "scale_up_bytes",
    label: columns.scaleUp,
    numeric: true,
    value: (row) => row.scale_up_bytes,
    show: (row) => show.bytes(row.scale_up_bytes),
  },
  {
    key: "fabric_bytes",
    label: columns.fabric,
    numeric: true,
    value: (row) => row.fabric_bytes,
    show: (row) => show.bytes(row.fabric_bytes),
  },
  {
    key: "busbw_gb_per_s",
    label: columns.busbw,
    numeric: true,
    value: (row) => row.busbw_gb_per_s,
    show: (row) => `${show.digits(row.busbw_gb_per_s)}\u00a0GB/s`,
  },
  {
    key: "seconds",
    label: columns.time,
    numeric: true,
    value: (row) => row.seconds,
    show: (row) => show.seconds(row.seconds),
  },
  {
    key: "exposed_seconds",
    label: columns.exposedTime,
    numeric: true,
    value: (row) => row.exposed_seconds,
    show: (row) => show.seconds(row.exposed_seconds),
  },
];
