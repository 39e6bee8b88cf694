// Regions to choose from, by the place where they are.
import type { Provider } from "../../pkg/rackrate";
import { catalog } from "../state";
import type { Options } from "./field";

/** All regions of a cloud; none where the cloud is not known. */
export const regionsOf = (provider: Provider | undefined): Options =>
  worded(provider, (catalog.value?.regions ?? []).filter((one) => one.provider === provider).map(nameOf));

/** Regions of a cloud in which some shape has a price of its own. */
export const pricedRegionsOf = (provider: Provider): Options => {
  const prices = catalog.value?.prices ?? [];
  return worded(provider, [
    ...new Set(prices.filter((one) => one.provider === provider).map((one) => one.region)),
  ]);
};

const nameOf = ({ name }: { name: string }) => name;

const worded = (provider: Provider | undefined, names: readonly string[]): Options => {
  const places = new Map(
    (catalog.value?.regions ?? [])
      .filter((one) => one.provider === provider)
      .map(({ name, location }) => [name, location]),
  );
  const words = (name: string): string => {
    const place = places.get(name);
    return place ? `${place} (${name})` : name;
  };
  return Object.fromEntries(
    names.map((name) => [name, words(name)]).sort(([, a = ""], [, b = ""]) => a.localeCompare(b)),
  );
};
