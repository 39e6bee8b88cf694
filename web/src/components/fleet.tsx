// The fleet of an option: how many of what, what stands idle, the hours against what is paid for, and the ways to pay.
import { useSignal } from "@preact/signals";
import type { CommitmentSplit, Plan, ServingOption } from "../../pkg/rackrate";
import { charts } from "../charts/lazy";
import type { Step } from "../charts/steps";
import { amount, money, short } from "../currency";
import * as show from "../format";
import { fill, strings } from "../strings";
import { Splits, splitKey } from "./fleet-splits";
import { totalOf } from "./money";
import { Facts } from "./rich";
import type { Column } from "./table";

const columns = strings.columns;
const words = strings.fleet;

export const Fleet = ({ plan, option }: { plan: Plan; option: ServingOption }) => {
  const { fleet } = option;
  const picked = useSignal<string | undefined>(undefined);
  const split = fleet.splits.find((one) => splitKey(one) === picked.value) ?? paidBy(plan, option);
  return (
    <div class="topic">
      <h4>{words.title}</h4>
      <div class="pair">
        <Facts of={sizes(option)} />
        <Facts of={costs(option)} />
      </div>
      {charts.value && fleet.hourly_nodes.length > 0 && (
        <div class="pair charts">
          <Hours plan={plan} option={option} split={split} />
          {fleet.load_duration.length > 0 && <Duration plan={plan} option={option} split={split} />}
        </div>
      )}
      {fleet.splits.length > 0 && (
        <Splits
          splits={fleet.splits}
          current={split}
          pick={(one) => {
            picked.value = splitKey(one);
          }}
        />
      )}
    </div>
  );
};

/** The split that the option's cost is made of; none where one term pays for all. */
const paidBy = ({ scenario }: Plan, { fleet }: ServingOption): CommitmentSplit | undefined =>
  scenario.serving?.fleet?.purchase === "cheapest_split"
    ? fleet.splits.find((split) => split.cheapest)
    : undefined;

const sizes = (option: ServingOption): (readonly [string, string])[] => {
  const { fleet } = option;
  const racks =
    fleet.racks === null
      ? []
      : [
          [
            words.racks,
            fill(words.racksOf, { filled: show.digits(fleet.racks_filled), racks: show.count(fleet.racks) }),
          ] as const,
        ];
  return [
    [
      columns.replicas,
      fill(words.withSpares, {
        count: show.count(option.replicas),
        spare: show.count(option.spare_replicas),
      }),
    ],
    [columns.nodes, show.count(option.nodes)],
    ...racks,
    ...(fleet.regions > 1
      ? [
          [
            words.regions,
            fill(words.regionsOf, {
              regions: show.count(fleet.regions),
              replicas: show.replicas(fleet.replicas_per_region),
            }),
          ] as const,
        ]
      : []),
    [words.perReplica, show.count(fleet.replica_gpus)],
    [words.peakUse, show.percent(fleet.peak_utilisation)],
    [words.paidHours, show.compact(fleet.paid_gpu_hours)],
    [
      words.idleHours,
      fill(words.idleOf, {
        hours: show.compact(fleet.idle_gpu_hours),
        share: show.percent(fleet.idle_gpu_hours / fleet.paid_gpu_hours),
      }),
    ],
  ];
};

const costs = (option: ServingOption): (readonly [string, string])[] => {
  const { fleet } = option;
  return [
    [columns.costMonth, short(totalOf(option.cost))],
    [
      columns.perMillionIn,
      money(amount(option.usd_per_million_input_tokens, option.per_million_input_tokens_in_currency)),
    ],
    [
      columns.perMillionOut,
      money(amount(option.usd_per_million_output_tokens, option.per_million_output_tokens_in_currency)),
    ],
    [
      columns.perThousand,
      money(amount(option.usd_per_thousand_requests, option.per_thousand_requests_in_currency)),
    ],
    ...(fleet.usd_per_user_month === null
      ? []
      : [
          [words.perUser, money(amount(fleet.usd_per_user_month, fleet.per_user_month_in_currency))] as const,
        ]),
    [words.idleCost, show.usdShort(fleet.idle_usd)],
  ];
};

interface DrawnProps {
  plan: Plan;
  option: ServingOption;
  /** How it is paid for; the fleet of the peak all month without one. */
  split: CommitmentSplit | undefined;
}

const levelOf = ({ option, split }: DrawnProps): number => split?.committed_nodes ?? option.nodes;

const named = ({ split }: DrawnProps) =>
  split === undefined
    ? { level: words.rented, below: words.needed, above: words.onDemand, unused: words.unusedRented }
    : {
        level: words.committed,
        below: words.committedUsed,
        above: words.onDemand,
        unused: words.unusedCommitted,
      };

interface Hour extends Step {
  requests: number;
  replicas: number;
}

const Hours = (props: DrawnProps) => {
  const { plan, option } = props;
  const { hourly_nodes, hourly_replicas } = option.fleet;
  const rates = plan.serving?.hourly_requests_per_second ?? [];
  const week = hourly_nodes.length > 24;
  const hours = hourly_nodes.map(
    (nodes, i): Hour => ({
      from: i,
      to: i + 1,
      y: nodes,
      label: fill(week ? words.hourOfWeek : words.hourOfDay, {
        day: words.days[Math.floor(i / 24)] ?? "",
        hour: i % 24,
      }),
      requests: rates[i] ?? Number.NaN,
      replicas: hourly_replicas[i] ?? Number.NaN,
    }),
  );
  const ticks = week
    ? words.days.map((day, i) => [i * 24, day] as const)
    : [0, 6, 12, 18, 24].map((hour) => [hour, fill(words.hourOfDay, { hour })] as const);
  return charts.value ? (
    <charts.value.Steps
      name="serving-hours"
      title={words.hours}
      x={{ label: week ? words.week : words.day, ticks }}
      y={{ label: columns.nodes }}
      steps={hours}
      level={levelOf(props)}
      tone={option.provider ?? "none"}
      names={named(props)}
      columns={HOURS}
    />
  ) : null;
};

const HOURS: Column<Hour>[] = [
  { key: "hour", label: words.hour, names: true, value: (row) => row.label },
  number("requests_per_second", words.requests, (row: Hour) => row.requests, show.digits),
  number("replicas", columns.replicas, (row: Hour) => row.replicas, show.count),
  number("nodes", columns.nodes, (row: Hour) => row.y, show.count),
];

const Duration = (props: DrawnProps) => {
  const { option } = props;
  // Most nodes first: how long at least so many are rented.
  const down = [...option.fleet.load_duration].reverse();
  const steps = down.map(({ nodes, hours_per_month }, i): Step => {
    const from = down[i - 1]?.hours_per_month ?? 0;
    return { from, to: hours_per_month, y: nodes, label: fill(words.atLeast, { nodes: show.count(nodes) }) };
  });
  const end = steps.at(-1)?.to ?? 0;
  return charts.value ? (
    <charts.value.Steps
      name="serving-duration"
      title={words.duration}
      x={{
        label: words.hoursOfMonth,
        ticks: [0, 200, 400, 600].filter((at) => at < end).map((at) => [at, show.count(at)] as const),
      }}
      y={{ label: columns.nodes }}
      steps={steps}
      level={levelOf(props)}
      tone={option.provider ?? "none"}
      names={named(props)}
      columns={DURATION}
    />
  ) : null;
};

const DURATION: Column<Step>[] = [
  { key: "at_least", label: words.atLeastNodes, names: true, value: (row) => row.label },
  number("nodes", columns.nodes, (row: Step) => row.y, show.count),
  number("hours_per_month", words.hoursOfMonth, (row: Step) => row.to, show.digits),
];

function number<Row>(
  key: string,
  label: string,
  value: (row: Row) => number,
  write: (value: number) => string,
): Column<Row> {
  return { key, label, numeric: true, value, show: (row) => write(value(row)) };
}
