// What each way to split the work over the clouds comes to.
import type { Plan, Split } from "../../pkg/rackrate";
import { type Amount, amount, money, short } from "../currency";
import { fill, strings } from "../strings";
import { moneyColumn } from "./money";
import { Moved } from "./moved";
import { Cloud, Marked, PROVIDERS, Sentence, Shape } from "./rich";
import { type Column, Table } from "./table";

const words = strings.splits;
const keyOf = (split: Split) => `${split.train_on} ${split.serve_on}`;

export const Splits = ({ plan }: { plan: Plan }) => {
  const { splits } = plan;
  if (splits.length === 0) return null;
  const trains = splits.some((split) => split.train_on !== null);
  const serves = splits.some((split) => split.serve_on !== null);
  const chosen = splits.find((split) => split.chosen);
  const columns: Column<Split>[] = [
    ...(trains
      ? ([
          {
            key: "train_on",
            label: words.trainOn,
            names: true,
            value: (row) => row.train_on,
            show: (row) => (
              <>
                <Cloud of={row.train_on} />{" "}
                <span class="shape">
                  <Shape of={row.training_shape} />
                </span>
              </>
            ),
          },
        ] satisfies Column<Split>[])
      : []),
    ...(serves
      ? ([
          {
            key: "serve_on",
            label: words.serveOn,
            names: !trains,
            value: (row) => row.serve_on,
            show: (row) => (
              <>
                <Cloud of={row.serve_on} />{" "}
                <span class="shape">
                  <Shape of={row.serving_shape} />
                </span>
              </>
            ),
          },
        ] satisfies Column<Split>[])
      : []),
    // What they are ranked by stands where no table cuts it off.
    moneyColumn("total", words.total, TOTAL, (of) => <strong>{money(of)}</strong>),
    ...(trains ? [moneyColumn("training", words.training, TRAINING)] : []),
    ...(trains && serves ? [moneyColumn("transfer", words.transfer, TRANSFER)] : []),
    ...(serves ? [moneyColumn("serving_per_month", words.serving, SERVING)] : []),
    {
      key: "asked_for",
      label: words.askedFor,
      value: (row) => row.chosen,
      show: (row) => <Marked so={row.chosen} />,
    },
  ];
  return (
    <section class="card" aria-labelledby="splits">
      <h2 id="splits">{words.title}</h2>
      {trains && serves && <Matrix plan={plan} />}
      <details open={!(trains && serves)}>
        <summary>{words.exact}</summary>
        <Table
          name="splits"
          caption={words.caption}
          columns={columns}
          rows={splits}
          rowKey={keyOf}
          current={(row) => row.chosen}
        />
      </details>
      {chosen && chosen.transfer_gb > 0 && <Moved split={chosen} />}
    </section>
  );
};

const TRAINING = (row: Split): Amount => amount(row.training_usd, row.training_in_currency);
const TRANSFER = (row: Split): Amount => amount(row.transfer_usd, row.transfer_in_currency);
const SERVING = (row: Split): Amount => amount(row.serving_usd_per_month, row.serving_per_month_in_currency);
const TOTAL = (row: Split): Amount => amount(row.total_usd, row.total_in_currency);

/** Training down, serving across: four totals at a glance. */
const Matrix = ({ plan }: { plan: Plan }) => {
  const clouds = (side: "train_on" | "serve_on") =>
    PROVIDERS.filter((cloud) => plan.splits.some((split) => split[side] === cloud));
  const cheapest = plan.splits[0];
  const most = Math.max(...plan.splits.map((split) => split.total_usd));
  return (
    <table class="matrix">
      <caption class="sr-only">{words.matrix}</caption>
      <thead>
        <tr>
          <td />
          {clouds("serve_on").map((cloud) => (
            <th key={cloud} scope="col">
              <Sentence words={words.serveFrom} gaps={{ cloud: <Cloud of={cloud} /> }} />
            </th>
          ))}
        </tr>
      </thead>
      <tbody>
        {clouds("train_on").map((train) => (
          <tr key={train}>
            <th scope="row">
              <Sentence words={words.trainWith} gaps={{ cloud: <Cloud of={train} /> }} />
            </th>
            {clouds("serve_on").map((serve) => {
              const split = plan.splits.find((one) => one.train_on === train && one.serve_on === serve);
              if (split === undefined) return <td key={serve}>{strings.none}</td>;
              return (
                <td key={serve} aria-current={split.chosen ? "true" : undefined}>
                  <span class="who" aria-hidden="true">
                    <Cloud of={train} /> → <Cloud of={serve} />
                  </span>
                  <span class="value">{short(TOTAL(split))}</span>
                  <span class="tags">
                    {split.chosen && <span class="tag">{words.asked}</span>}
                    {split === cheapest && <span class="tag">{words.cheapest}</span>}
                  </span>
                  <span class="meter" aria-hidden="true">
                    <span style={{ inlineSize: `${(split.total_usd / most) * 100}%` }} />
                  </span>
                  <span class="detail">
                    {fill(words.made, {
                      training: short(TRAINING(split)),
                      transfer: short(TRANSFER(split)),
                      serving: short(SERVING(split)),
                    })}
                  </span>
                </td>
              );
            })}
          </tr>
        ))}
      </tbody>
    </table>
  );
};
