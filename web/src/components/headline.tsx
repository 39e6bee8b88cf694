// The decision, in a sentence and four figures.
import type { ComponentChildren } from "preact";
import type { Cost, Plan, ServingOption, Split, TrainingOption } from "../../pkg/rackrate";
import { amount, money, short } from "../currency";
import * as show from "../format";
import { fill, strings } from "../strings";
import { Cloud, Sentence } from "./rich";
import { Warnings } from "./warnings";

const words = strings.headline;

/** The option that the scenario leads to. */
export const chosenTraining = ({ training }: Plan): TrainingOption | undefined =>
  training?.options.find((option) => option.shape === training.chosen) ?? training?.options[0];

export const chosenServing = ({ serving }: Plan): ServingOption | undefined =>
  serving?.options.find((option) => option.shape === serving.chosen) ?? serving?.options[0];

export const chosenSplit = ({ splits }: Plan): Split | undefined => splits.find((split) => split.chosen);

/** A cost's total. */
const total = (cost: Cost | null | undefined) => short(amount(cost?.total_usd, cost?.total_in_currency));

const B = ({ children }: { children: ComponentChildren }) => <strong>{children}</strong>;
const gpus = (count: number, gpu: string) => <B>{fill(words.gpus, { count: show.count(count), gpu })}</B>;

export const Headline = ({ plan }: { plan: Plan }) => {
  const train = chosenTraining(plan);
  const serve = chosenServing(plan);
  const split = chosenSplit(plan);
  const { scenario } = plan;
  const together = train !== undefined && serve !== undefined && train.provider === serve.provider;
  // The answer where they are asked for.
  const sought = train !== undefined && plan.training?.tokens_basis !== "given";
  const sentences: string[] = [];
  if (train?.cost && serve?.cost) sentences.push(together ? words.bothOneCloud : words.both);
  else {
    if (train) sentences.push(train.cost ? words.train : words.trainUnpriced);
    if (serve) sentences.push(serve.cost ? words.serve : words.serveUnpriced);
  }
  if (plan.training && !train) sentences.push(words.nothingTrains);
  if (plan.serving && !serve) sentences.push(words.nothingServes);
  if (sentences.length === 0) sentences.push(words.nothing);
  const gaps = {
    trainCloud: train && <Cloud of={train.provider} />,
    trainGpus: train && gpus(train.gpus, train.step.gpu),
    onTokens: sought && (
      <Sentence
        words={words.onTokens}
        gaps={{ tokens: <B>{fill(words.tokensOf, { count: show.compactly(train.tokens) })}</B> }}
      />
    ),
    days: train && <B>{fill(words.days, { days: show.days(train.days) })}</B>,
    trainCost: <B>{total(train?.cost)}</B>,
    serveCloud: serve && <Cloud of={serve.provider} />,
    serveGpus: serve && gpus(serve.gpus, serve.point.gpu),
    serveCost: <B>{total(serve?.cost)}</B>,
  };
  return (
    <section class="headline" aria-labelledby="decision">
      <h2 id="decision" class="sr-only">
        {words.label}
      </h2>
      <output aria-live="polite" aria-atomic="true">
        <Sentence words={sentences.join(" ")} gaps={gaps} />
      </output>
      {train && !train.meets_deadline && <p class="late">{words.late}</p>}
      {(train || serve) && (
        <dl class="figures">
          {split && (
            <Figure name={words.total} value={short(amount(split.total_usd, split.total_in_currency))}>
              {scenario.serving
                ? fill(train ? words.totalMonths : words.totalServing, {
                    months: show.few(scenario.serving.months),
                  })
                : words.totalTraining}
            </Figure>
          )}
          {sought && plan.training && (
            <Figure name={words.tokens} value={show.compactly(train.tokens)}>
              {train.tokens_interval
                ? fill(words.tokensInterval, {
                    basis: strings.tokensBases[plan.training.tokens_basis],
                    range: show.range(train.tokens_interval.low, train.tokens_interval.high, show.compactly),
                  })
                : strings.tokensBases[plan.training.tokens_basis]}
            </Figure>
          )}
          {train && (
            <Figure
              name={words.trainingRun}
              value={train.cost ? total(train.cost) : fill(words.days, { days: show.days(train.days) })}
            >
              {fill(words.interval, {
                range: show.range(train.days_interval.low, train.days_interval.high, show.days),
              })}
              {", "}
              {fill(words.mfu, { mfu: show.percent(train.step.mfu) })}
            </Figure>
          )}
          {serve && (
            <Figure
              name={words.serving}
              value={
                serve.cost
                  ? total(serve.cost)
                  : fill(words.gpus, { count: show.count(serve.gpus), gpu: serve.point.gpu })
              }
            >
              {serve.usd_per_million_output_tokens === null
                ? words.noPrice
                : fill(words.perMillion, {
                    input: money(
                      amount(serve.usd_per_million_input_tokens, serve.per_million_input_tokens_in_currency),
                    ),
                    output: money(
                      amount(
                        serve.usd_per_million_output_tokens,
                        serve.per_million_output_tokens_in_currency,
                      ),
                    ),
                  })}
            </Figure>
          )}
          {split && train && serve && (
            <Figure
              name={words.transfer}
              value={short(amount(split.transfer_usd, split.transfer_in_currency))}
            >
              {split.transfer_hours > 0
                ? fill(words.transferDetail, {
                    size: show.bytes(split.transfer_gb * 1e9),
                    time: show.seconds(split.transfer_hours * 3600),
                  })
                : words.noTransfer}
            </Figure>
          )}
        </dl>
      )}
      <div class="aside">
        {(train || serve) && <Basis train={train} serve={serve} />}
        {plan.warnings.length > 0 && (
          <details class="basis">
            <summary>
              {strings.warnings.title} <span class="count">{plan.warnings.length}</span>
            </summary>
            <Warnings of={plan.warnings} />
          </details>
        )}
      </div>
    </section>
  );
};

const Figure = ({ name, value, children }: { name: string; value: string; children: ComponentChildren }) => (
  <div>
    <dt>{name}</dt>
    <dd>
      <span class="value">{value}</span>
      <span class="detail">{children}</span>
    </dd>
  </div>
);

/** What the ranges rest on. */
const Basis = ({ train, serve }: { train: TrainingOption | undefined; serve: ServingOption | undefined }) => (
  <details class="basis">
    <summary>{words.basis}</summary>
    <ul>
      {train && <li>{show.grouped(train.days_interval.basis)}</li>}
      {serve && (
        <li>
          {fill(words.tpotInterval, {
            tpot: show.seconds(serve.point.tpot_seconds),
            range: show.range(serve.point.tpot_interval.low, serve.point.tpot_interval.high, show.seconds),
          })}
          {": "}
          {show.grouped(serve.point.tpot_interval.basis)}
        </li>
      )}
    </ul>
  </details>
);
