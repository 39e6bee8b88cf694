// The user's own rates, one block each: for whom, where, at which term, how much.
import { useSignal } from "@preact/signals";
import type { OwnRate, Provider } from "../../pkg/rackrate";
import type { Data } from "../data";
import { catalog, get, set } from "../state";
import { fill, strings } from "../strings";
import { ChoiceField, Either, Faulty, NumberField, type Options } from "./field";
import { regionsOf } from "./regions";
import { PROVIDERS } from "./rich";

const words = strings.rates;
const LIST = "pricing.own_rates";

export const OwnRates = () => {
  const rates = (get(LIST) ?? []) as unknown as OwnRate[];
  // What nobody lists is what people have rates for; the amount is theirs to give, and core asks for it.
  const add = () => set([LIST, [...rates, { provider: "oci", term: "reserved_1y" }] as unknown as Data]);
  const remove = (at: number) => set([LIST, rates.filter((_, i) => i !== at) as unknown as Data]);
  return (
    <details open={rates.length > 0}>
      <summary>
        {words.title} {rates.length > 0 && <span class="count">{rates.length}</span>}
      </summary>
      <p class="help">{words.help}</p>
      <Faulty path={LIST} />
      {rates.map((rate, at) => (
        <Rate key={at} rate={rate} at={at} remove={() => remove(at)} />
      ))}
      <button type="button" class="small" onClick={add}>
        {words.add}
      </button>
    </details>
  );
};

const Rate = ({ rate, at, remove }: { rate: OwnRate; at: number; remove: () => void }) => {
  const path = `${LIST}[${at}]`;
  const asked = useSignal<Amount>("discount");
  const by: Amount =
    rate.usd_per_gpu_hour != null ? "price" : rate.discount != null ? "discount" : asked.value;
  const turn = (to: Amount) => {
    asked.value = to;
    set([`${path}.discount`, null], [`${path}.usd_per_gpu_hour`, null]);
  };
  return (
    <fieldset class="one-of-many">
      <legend>{fill(words.one, { number: at + 1 })}</legend>
      <div class="fields">
        <Whom path={path} rate={rate} />
        <ChoiceField path={`${path}.term`} options={strings.terms} wide />
        <ChoiceField
          path={`${path}.region`}
          options={regionsOf(providerOf(rate))}
          open={strings.choice.everyRegion}
          wide
        />
        <Either
          label={strings.choice.amountBy}
          name={`own-rate-${at}-by`}
          options={{ discount: strings.choice.discount, price: strings.choice.price }}
          value={by}
          choose={turn}
        />
        {by === "price" ? (
          <NumberField path={`${path}.usd_per_gpu_hour`} />
        ) : (
          <NumberField path={`${path}.discount`} scale="percent" />
        )}
      </div>
      <Faulty path={path} />
      <button type="button" class="link" onClick={remove}>
        {words.remove}
        <span class="sr-only"> {fill(words.one, { number: at + 1 })}</span>
      </button>
    </fieldset>
  );
};

type Amount = "discount" | "price";

/** A shape, or all of a cloud: core has a field for each, a person chooses one. */
const Whom = ({ path, rate }: { path: string; rate: OwnRate }) => {
  const id = `field-own-rate-${path.replace(/\D/g, "")}-whom`;
  const held = rate.shape ?? (rate.provider ? `${CLOUD}${rate.provider}` : "");
  const groups = shapes();
  const known = [...Object.values(groups), clouds()].some((some) => Object.hasOwn(some, held));
  const choose = (whom: string) => {
    const provider = PROVIDERS.find((one) => whom === `${CLOUD}${one}`) ?? null;
    // A region belongs to a cloud, so it does not follow to another.
    const moved = (provider ?? providerOfShape(whom)) !== providerOf(rate);
    set(
      [`${path}.provider`, provider],
      [`${path}.shape`, provider === null ? whom : null],
      ...(moved ? [[`${path}.region`, null] as [string, Data]] : []),
    );
  };
  return (
    <div class="field wide">
      <div class="head">
        <label for={id}>{strings.fields["pricing.own_rates[].shape"]?.label}</label>
      </div>
      <select id={id} value={held} onChange={(event) => choose(event.currentTarget.value)}>
        {Object.entries(clouds()).map(([value, label]) => (
          <option key={value} value={value}>
            {label}
          </option>
        ))}
        {Object.entries(groups).map(([name, some]) => (
          <optgroup key={name} label={name}>
            {Object.keys(some).map((shape) => (
              <option key={shape} value={shape}>
                {shape}
              </option>
            ))}
          </optgroup>
        ))}
        {!known && <option value={held}>{held}</option>}
      </select>
      <Faulty path={`${path}.shape`} />
      <Faulty path={`${path}.provider`} />
    </div>
  );
};

/** No shape is named so. */
const CLOUD = "all of ";

const clouds = (): Options =>
  Object.fromEntries(
    PROVIDERS.map((cloud) => [
      `${CLOUD}${cloud}`,
      fill(strings.choice.allShapes, { cloud: strings.clouds[cloud] }),
    ]),
  );

const shapes = (): Record<string, Options> => {
  const all = catalog.value?.shapes ?? [];
  const of = (cloud: Provider) =>
    Object.fromEntries(all.filter((shape) => shape.provider === cloud).map(({ name }) => [name, name]));
  return Object.fromEntries(
    PROVIDERS.map((cloud) => [fill(strings.choice.shapesOf, { cloud: strings.clouds[cloud] }), of(cloud)]),
  );
};

const providerOfShape = (name: string | null | undefined): Provider | undefined =>
  catalog.value?.shapes.find((shape) => shape.name === name)?.provider;

const providerOf = (rate: OwnRate): Provider | undefined => rate.provider ?? providerOfShape(rate.shape);
