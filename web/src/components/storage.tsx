// Where each cloud keeps checkpoints and data set.
import type { Provider, StorageTier, StoredKind } from "../../pkg/rackrate";
import type { Data } from "../data";
import * as show from "../format";
import { catalog, get, tiers } from "../state";
import { fill, strings } from "../strings";
import { ChoiceField, Faulty, NumberField, type Options } from "./field";
import { PROVIDERS } from "./rich";

const words = strings.tier;
const KINDS = Object.keys(strings.stored) as StoredKind[];

export const Storage = () => (
  <>
    <Faulty path="storage" />
    {PROVIDERS.map((cloud) => {
      const named = KINDS.filter((kind) => get(`storage.${cloud}.${kind}`) !== null).length;
      return (
        <details key={cloud} open={named > 0}>
          <summary>
            {strings.clouds[cloud]} {named > 0 && <span class="count">{named}</span>}
          </summary>
          <div class="fields">
            {KINDS.map((kind) => (
              <Kept key={kind} cloud={cloud} kind={kind} />
            ))}
          </div>
        </details>
      );
    })}
  </>
);

const Kept = ({ cloud, kind }: { cloud: Provider; kind: StoredKind }) => {
  const path = `storage.${cloud}.${kind}`;
  const parts = [`${path}_capacity_tib`, `${path}_usd_per_gib_month`];
  const held = get(path);
  // Capacity and price belong to a tier, so they go when it goes.
  const without = (tier: Data): [string, Data][] => (tier === null ? parts.map((part) => [part, null]) : []);
  const tier = catalog.value?.storage.find((one) => one.name === held);
  return (
    <>
      <ChoiceField
        path={path}
        options={{}}
        groups={tiersOf(cloud)}
        open={strings.choice.objectStorage}
        together={parts}
        also={without}
        wide
      />
      {tier && <p class="help tier">{facts(tier)}</p>}
      {(held !== null || parts.some((part) => get(part) !== null)) &&
        parts.map((part) => <NumberField key={part} path={part} />)}
    </>
  );
};

/** Tiers of a cloud by service; core says which rows of the table are tiers. */
const tiersOf = (cloud: Provider): Record<string, Options> => {
  const groups: Record<string, Record<string, string>> = {};
  for (const row of catalog.value?.storage ?? []) {
    if (row.provider !== cloud || !tiers.value.has(row.name)) continue;
    const group = groups[row.service] ?? {};
    group[row.name] = row.region ? `${row.tier} (${row.region})` : row.tier;
    groups[row.service] = group;
  }
  return groups;
};

/** What the catalogue says of a tier, in a line. */
const facts = (tier: StorageTier): string =>
  [
    tier.usd === null || tier.usd_per === null
      ? words.none
      : fill(words.price, { usd: show.usd(tier.usd), unit: strings.storageUnits[tier.usd_per] }),
    tier.throughput !== null &&
      tier.throughput_per !== null &&
      fill(words.throughput, {
        rate: show.few(tier.throughput),
        unit: strings.throughputUnits[tier.throughput_per],
      }),
    tier.min_capacity_tib !== null && fill(words.atLeast, { size: show.few(tier.min_capacity_tib) }),
    tier.max_capacity_tib !== null && fill(words.atMost, { size: show.count(tier.max_capacity_tib) }),
    tier.source.as_of,
  ]
    .filter(Boolean)
    .join(" · ");
