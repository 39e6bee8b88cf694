// What each way to split the work over the clouds comes to.
import type { Plan, Split } from "../../pkg/rackrate";
import * as show from "../format";
import { fill, strings } from "../strings";
import { CostLines } from "./money";
import { Cloud, PROVIDERS, Sentence } from "./rich";
import { type Column, Table } from "./table";

const words = strings.splits;
const keyOf = (split: Split) => `${split.train_on} ${split.serve_on}`;

export const Splits = ({ plan }: { plan: Plan }) => {
  const { splits } = plan;
  if (splits.length === 0) return null;
  const trains = splits.some((split) => split.train_on !== null);
  const serves = splits.some((split) => split.serve_on !== null);
  const moved = splits.find((split) => split.chosen)?.transfer_lines;
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
                <Cloud of={row.train_on} /> <span class="shape">{row.training_shape}</span>
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
                <Cloud of={row.serve_on} /> <span class="shape">{row.serving_shape}</span>
              </>
            ),
          },
        ] satisfies Column<Split>[])
      : []),
    ...(trains ? [money("training_usd", words.training, (row) => row.training_usd)] : []),
    ...(trains && serves ? [money("transfer_usd", words.transfer, (row) => row.transfer_usd)] : []),
    ...(serves ? [money("serving_usd_per_month", words.serving, (row) => row.serving_usd_per_month)] : []),
    money("total_usd", words.total, (row) => row.total_usd),
    {
      key: "asked_for",
      label: words.asked,
      value: (row) => row.chosen,
      show: (row) => (row.chosen ? "●" : ""),
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
        {moved && moved.length > 0 && (
          <CostLines name="transfer" caption={words.movedCaption} lines={moved} />
        )}
      </details>
    </section>
  );
};

const money = (key: string, label: string, value: (row: Split) => number): Column<Split> => ({
  key,
  label,
  numeric: true,
  value,
  show: (row) => show.usd(value(row)),
});

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
                  <span class="value">{show.usdShort(split.total_usd)}</span>
                  <span class="tags">
                    {split.chosen && <span class="tag">{words.asked}</span>}
                    {split === cheapest && <span class="tag">{words.cheapest}</span>}
                  </span>
                  <span class="meter" aria-hidden="true">
                    <span style={{ inlineSize: `${(split.total_usd / most) * 100}%` }} />
                  </span>
                  <span class="detail">
                    {fill(words.made, {
                      training: show.usdShort(split.training_usd),
                      transfer: show.usdShort(split.transfer_usd),
                      serving: show.usdShort(split.serving_usd_per_month),
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
